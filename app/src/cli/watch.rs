//! Runs a job under the eyes of a terminal: a bar or plain lines on stderr, Ctrl-C to stop.

use super::table::{count, duration};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sparsescope_core::jobs::{self, JobContext, JobEvent, Snapshot};
use sparsescope_core::{Error, Result};
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// Runs `job` to its end. `hear` turns an event of the job's own into a remark beside the bar.
///
/// # Errors
/// The job's own error; cancelled after Ctrl-C.
pub fn run<T, E>(
    name: &str,
    mut hear: impl FnMut(E) -> Option<String>,
    job: impl FnOnce(&JobContext<E>) -> Result<T> + Send + 'static,
) -> Result<T>
where
    T: Send + 'static,
    E: Send + 'static,
{
    listen_for_ctrl_c();
    let handle = jobs::spawn(name, Arc::new(|| {}), move |ctx: &JobContext<E>| {
        let own = ctx.clone();
        set_cancel(Some(Box::new(move |why| own.cancel(why))));
        job(ctx)
    });
    let mut shown = Shown::new();
    let outcome = handle.wait(|event, snapshot| {
        match event {
            Some(JobEvent::Event(event)) => {
                if let Some(remark) = hear(event) {
                    shown.remark = remark;
                }
            }
            Some(JobEvent::Log(line)) => shown.log(&line),
            Some(JobEvent::Done(_)) | None => (),
        }
        shown.show(&snapshot);
    });
    set_cancel(None);
    shown.end();
    outcome
}

/// Runs `job` of which only progress is of interest.
///
/// # Errors
/// As [`run`].
pub fn quietly<T: Send + 'static>(
    name: &str,
    job: impl FnOnce(&JobContext<()>) -> Result<T> + Send + 'static,
) -> Result<T> {
    run(name, |()| None, job)
}

type Cancel = Box<dyn Fn(&str) + Send>;

/// What Ctrl-C stops.
static CANCEL: Mutex<Option<Cancel>> = Mutex::new(None);
/// When Ctrl-C was first pressed.
static STOPPED: Mutex<Option<Instant>> = Mutex::new(None);

const WHY: &str = "it was interrupted from the terminal";

fn set_cancel(cancel: Option<Cancel>) {
    // Pressed before the job was there: it stops at its first look.
    if let Some(cancel) = &cancel
        && STOPPED.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    {
        cancel(WHY);
    }
    *CANCEL.lock().unwrap_or_else(PoisonError::into_inner) = cancel;
}

fn listen_for_ctrl_c() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let heard = ctrlc::set_handler(|| {
            let again = {
                let mut stopped = STOPPED.lock().unwrap_or_else(PoisonError::into_inner);
                stopped.replace(Instant::now()).is_some()
            };
            if again {
                std::process::exit(130);
            }
            say("Stopping; press Ctrl-C again to end at once");
            if let Some(cancel) = &*CANCEL.lock().unwrap_or_else(PoisonError::into_inner) {
                cancel(WHY);
            }
        });
        if let Err(error) = heard {
            let what = "Ctrl-C will end the program without a last checkpoint";
            tracing::warn!("{}", Error::internal(what, error.to_string()));
        }
    });
}

/// A line on stderr; if nobody reads it, that is their choice.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What is on stderr: a bar that moves, or a line now and then.
struct Shown {
    bar: Option<ProgressBar>,
    stage: &'static str,
    since: Instant,
    lines: u32,
    remark: String,
}

impl Shown {
    fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(style(false));
            bar
        });
        Self { bar, stage: "", since: Instant::now(), lines: 0, remark: String::new() }
    }

    fn show(&mut self, now: &Snapshot) {
        let begins = now.stage != self.stage;
        if begins {
            self.stage = now.stage;
            self.remark.clear();
        }
        if let Some(bar) = &self.bar {
            if begins {
                bar.set_style(style(now.total > 0));
            }
            bar.set_length(now.total);
            bar.set_position(now.done);
            bar.set_prefix(now.stage);
            bar.set_message(self.told(now));
            return;
        }
        // The first lines of a long stage come after 1, 2, 4 seconds, then every 5.
        let pause = Duration::from_secs(5.min(1 << self.lines.min(3)));
        if begins || self.since.elapsed() >= pause {
            self.lines = if begins { 0 } else { self.lines + 1 };
            self.since = Instant::now();
            if now.done > 0 || !begins {
                say(&format!("{}: {}", now.stage, self.told(now)));
            } else {
                say(now.stage);
            }
        }
    }

    /// "120,000 of 2,000,000 tokens, 11,200 a second, 2 min 10 s left; loss 0.1".
    fn told(&self, now: &Snapshot) -> String {
        let mut told = match now.total {
            0 => format!("{} {}", count(now.done), now.unit),
            total => format!("{} of {} {}", count(now.done), count(total), now.unit),
        };
        told.truncate(told.trim_end().len());
        if now.rate >= 1.0 {
            told += &format!(", {} a second", count(now.rate as u64));
        }
        if let Some(left) = now.left
            && now.done < now.total
        {
            told += &format!(", {} left", duration(left));
        }
        if !self.remark.is_empty() {
            told += &format!("; {}", self.remark);
        }
        told
    }

    fn log(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => say(line),
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(bounded: bool) -> ProgressStyle {
    let template = if bounded {
        "{prefix:.bold} {bar:24.cyan/dim} {wide_msg}"
    } else {
        "{prefix:.bold} {wide_msg}"
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}
