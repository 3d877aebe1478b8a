//! The watcher's end of a job.

use super::context::{Control, Message};
use super::{JobContext, JobEvent, Progress, Snapshot};
use crate::error::{Error, Result};
use crossbeam_channel::{Receiver, bounded, unbounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running job. Dropping it cancels the job and waits for its end.
pub struct JobHandle<T, E = ()> {
    name: String,
    started: Instant,
    progress: Arc<Progress>,
    control: Arc<Control>,
    events: Receiver<Message<E>>,
    outcome: Receiver<Result<T>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts `job` on a thread of its own. `wake` is called whenever there is news: the window
/// asks for a repaint there. A panic in the job becomes an [`Error`] of kind `Internal`.
pub fn spawn<T, E, F>(
    name: impl Into<String>,
    wake: Arc<dyn Fn() + Send + Sync>,
    job: F,
) -> JobHandle<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
    F: FnOnce(&JobContext<E>) -> Result<T> + Send + 'static,
{
    let name = name.into();
    let (sender, events) = unbounded();
    let (finish, outcome) = bounded(1);
    let context = JobContext {
        progress: Arc::default(),
        control: Arc::default(),
        // A watcher that went away has no wish to know.
        events: Arc::new(move |message| drop(sender.send(message))),
        wake: wake.clone(),
    };
    let (progress, control) = (context.progress.clone(), context.control.clone());
    let title = name.clone();
    let run = {
        let finish = finish.clone();
        move || {
            let result = catch_unwind(AssertUnwindSafe(|| job(&context)))
                .unwrap_or_else(|panic| Err(panicked(&title, panic.as_ref())));
            // A watcher that went away has no wish to know.
            let _ = finish.send(result);
            wake();
        }
    };
    let thread = std::thread::Builder::new()
        .name(name.clone())
        // Deep recursion of a tensor library's graph must not meet the 2 MB default.
        .stack_size(16 << 20)
        .spawn(run)
        .map_err(|e| finish.send(Err(Error::io(format!("Could not start {name}"), &e))))
        .ok();
    JobHandle { name, started: Instant::now(), progress, control, events, outcome, thread }
}

fn panicked(name: &str, panic: &(dyn std::any::Any + Send)) -> Error {
    let why = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it did not say why".to_owned());
    Error::internal(format!("{name} broke off"), why)
}

impl<T, E> JobHandle<T, E> {
    /// What the job is called: "Train topk on resid.2".
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How far it is.
    pub fn progress(&self) -> Snapshot {
        self.progress.snapshot()
    }

    /// Asks it to stop, and why; it does within 100 ms.
    pub fn cancel(&self, reason: &str) {
        self.control.cancel(reason);
    }

    /// Holds it, or lets it go on.
    pub fn pause(&self, paused: bool) {
        self.control.pause(paused);
    }

    /// Whether it is held.
    pub fn is_paused(&self) -> bool {
        self.control.is_paused()
    }

    /// What came since the last call; never waits. After [`JobEvent::Done`] nothing comes.
    pub fn drain(&mut self) -> Vec<JobEvent<T, E>> {
        // Asked before the events are read: whatever a finished job sent is among them.
        let outcome = self.outcome.try_recv().ok();
        let events = self.events.try_iter().map(JobEvent::from);
        events.chain(outcome.map(JobEvent::Done)).collect()
    }

    /// Waits for the end, handing every event to `hear`, and `None` now and then in between so
    /// that a progress bar moves.
    ///
    /// # Errors
    /// The job's own error.
    pub fn wait(self, mut hear: impl FnMut(Option<JobEvent<T, E>>, Snapshot)) -> Result<T> {
        loop {
            crossbeam_channel::select! {
                recv(self.outcome) -> outcome => {
                    self.events.try_iter().for_each(|e| hear(Some(e.into()), self.progress()));
                    return outcome.unwrap_or_else(|_| {
                        Err(Error::internal("A job ended twice", "its outcome was taken"))
                    });
                }
                recv(self.events) -> event => match event {
                    Ok(event) => hear(Some(event.into()), self.progress()),
                    // The job has let go of its context; its outcome is on its way.
                    Err(_) => std::thread::sleep(Duration::from_millis(1)),
                },
                default(Duration::from_millis(100)) => hear(None, self.progress()),
            }
        }
    }
}

impl<T, E> From<Message<E>> for JobEvent<T, E> {
    fn from(message: Message<E>) -> Self {
        match message {
            Message::Event(event) => Self::Event(event),
            Message::Log(line) => Self::Log(line),
        }
    }
}

impl<T, E> Drop for JobHandle<T, E> {
    fn drop(&mut self) {
        self.cancel("its window closed");
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> Arc<dyn Fn() + Send + Sync> {
        Arc::new(|| {})
    }

    #[test]
    fn events_come_in_order_and_the_outcome_last() {
        let job = spawn("count", quiet(), |ctx: &JobContext<u32>| {
            (0..5).for_each(|i| ctx.emit(i));
            Ok("done")
        });
        let mut heard = Vec::new();
        let outcome = job.wait(|event, _| {
            if let Some(JobEvent::Event(i)) = event {
                heard.push(i);
            }
        });
        assert_eq!(outcome.unwrap(), "done");
        assert_eq!(heard, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn cancel_is_obeyed_within_a_tenth_of_a_second_even_while_paused() {
        let job = spawn("loop", quiet(), |ctx: &JobContext| -> Result<()> {
            loop {
                ctx.check()?;
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        job.pause(true);
        std::thread::sleep(Duration::from_millis(30));
        let since = Instant::now();
        job.cancel("enough");
        let error = job.wait(|_, _| {}).unwrap_err();
        assert!(since.elapsed() < Duration::from_millis(250), "{:?}", since.elapsed());
        assert!(error.is_cancelled());
        assert_eq!(error.why, "enough");
    }

    #[test]
    fn a_panic_becomes_an_error_that_names_the_job() {
        let job = spawn("Train", quiet(), |_: &JobContext| -> Result<()> { panic!("k is odd") });
        let error = job.wait(|_, _| {}).unwrap_err();
        assert_eq!((error.kind, error.why.as_str()), (crate::ErrorKind::Internal, "k is odd"));
        assert!(error.what.contains("Train"));
    }

    #[test]
    fn drain_never_waits_and_ends_with_done() {
        let mut job = spawn("short", quiet(), |ctx: &JobContext<u8>| {
            ctx.emit(7);
            Ok(())
        });
        let mut all = Vec::new();
        while !matches!(all.last(), Some(JobEvent::Done(_))) {
            all.extend(job.drain());
            std::thread::yield_now();
        }
        assert!(matches!(all[0], JobEvent::Event(7)));
        assert!(job.drain().is_empty());
    }
}
