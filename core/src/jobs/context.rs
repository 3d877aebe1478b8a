//! What a job function is given: its progress, its cancel flag, its line of events.

use super::Progress;
use crate::error::{Error, Result};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// What a job tells whoever watches it. `E` is the job's own kind of event, `T` its outcome.
#[derive(Debug)]
pub enum JobEvent<T, E> {
    /// Something of the job's own: a point of a curve, say.
    Event(E),
    /// A line for the log.
    Log(String),
    /// The end, good or bad; nothing comes after it.
    Done(Result<T>),
}

pub(super) enum Message<E> {
    Event(E),
    Log(String),
}

/// Whether to run, wait or stop.
#[derive(Debug, Default)]
pub(super) struct Control {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    paused: bool,
    cancelled: Option<String>,
}

impl Control {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cancel(&self, reason: &str) {
        self.lock().cancelled.get_or_insert_with(|| reason.to_owned());
        self.changed.notify_all();
    }

    pub(super) fn pause(&self, paused: bool) {
        self.lock().paused = paused;
        self.changed.notify_all();
    }

    pub(super) fn is_paused(&self) -> bool {
        self.lock().paused
    }
}

/// Who hears what a job says.
pub(super) type Listener<E> = Arc<dyn Fn(Message<E>) + Send + Sync>;

/// What a job function is given. Cheap to clone; clones belong to the same job.
pub struct JobContext<E = ()> {
    pub(super) progress: Arc<Progress>,
    pub(super) control: Arc<Control>,
    pub(super) events: Listener<E>,
    pub(super) wake: Arc<dyn Fn() + Send + Sync>,
}

impl<E> Clone for JobContext<E> {
    fn clone(&self) -> Self {
        Self {
            progress: self.progress.clone(),
            control: self.control.clone(),
            events: self.events.clone(),
            wake: self.wake.clone(),
        }
    }
}

impl<E> JobContext<E> {
    /// A context that nobody watches: for tests, benchmarks and a job inside a job.
    pub fn unwatched() -> Self {
        Self {
            progress: Arc::default(),
            control: Arc::default(),
            events: Arc::new(|_| {}),
            wake: Arc::new(|| {}),
        }
    }

    /// The same job (progress, cancel flag) seen by a function with events of another kind,
    /// which nobody hears.
    pub fn without_events<F>(&self) -> JobContext<F> {
        JobContext {
            progress: self.progress.clone(),
            control: self.control.clone(),
            events: Arc::new(|_| {}),
            wake: self.wake.clone(),
        }
    }

    /// The same job (progress, cancel flag, log) seen by a function with events of another kind:
    /// `hear` is told each of them, on that function's thread.
    pub fn hearing<F>(&self, hear: impl Fn(F) + Send + Sync + 'static) -> JobContext<F>
    where
        E: 'static,
    {
        let outer = self.events.clone();
        JobContext {
            progress: self.progress.clone(),
            control: self.control.clone(),
            events: Arc::new(move |message| match message {
                Message::Event(event) => hear(event),
                Message::Log(line) => outer(Message::Log(line)),
            }),
            wake: self.wake.clone(),
        }
    }

    /// How far the job is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Waits while the job is paused; to be called at least every 100 ms.
    ///
    /// # Errors
    /// [`Error::cancelled`] once somebody has stopped the job.
    pub fn check(&self) -> Result<()> {
        let mut state = self.control.lock();
        if state.paused && state.cancelled.is_none() {
            let since = Instant::now();
            while state.paused && state.cancelled.is_none() {
                state = self.control.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            self.progress.add_pause(since.elapsed());
        }
        state.cancelled.as_ref().map_or(Ok(()), |reason| Err(Error::cancelled(reason)))
    }

    /// Like [`JobContext::check`], but never waits: for shared threads, which a pause must not hold.
    ///
    /// # Errors
    /// [`Error::cancelled`] once somebody has stopped the job.
    pub fn check_cancelled(&self) -> Result<()> {
        let state = self.control.lock();
        state.cancelled.as_ref().map_or(Ok(()), |reason| Err(Error::cancelled(reason)))
    }

    /// Stops the job from within or from a signal handler.
    pub fn cancel(&self, reason: &str) {
        self.control.cancel(reason);
    }

    /// Sends an event. A job sends at most about ten a second.
    pub fn emit(&self, event: E) {
        (self.events)(Message::Event(event));
        (self.wake)();
    }

    /// Sends a line for the log.
    pub fn log(&self, line: impl Into<String>) {
        (self.events)(Message::Log(line.into()));
        (self.wake)();
    }
}
