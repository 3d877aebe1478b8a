//! Time, so that tests need not wait for it.

use crate::error::Result;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Tells the time and waits.
pub trait Clock: Send + Sync {
    /// Time since some beginning.
    fn now(&self) -> Duration;
    /// Waits, looking at `check` at least every 100 ms.
    ///
    /// # Errors
    /// What `check` says.
    fn wait(&self, time: Duration, check: &dyn Fn() -> Result<()>) -> Result<()>;
}

/// The time on the wall.
#[derive(Debug)]
pub struct WallClock(Instant);

impl Default for WallClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for WallClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wait(&self, time: Duration, check: &dyn Fn() -> Result<()>) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}

/// A clock that goes only when somebody waits for it: for tests.
#[derive(Debug, Default)]
pub struct IdleClock(Mutex<Duration>);

impl Clock for IdleClock {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn wait(&self, time: Duration, check: &dyn Fn() -> Result<()>) -> Result<()> {
        check()?;
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += time;
        Ok(())
    }
}
