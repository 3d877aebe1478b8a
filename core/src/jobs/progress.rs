//! How far a job is: a stage, a count, a total; rate and time left follow from them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Progress of one job; written by its thread, read by anybody, without waiting on the job.
#[derive(Debug)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    stage: Mutex<Stage>,
}

#[derive(Debug, Clone)]
struct Stage {
    name: &'static str,
    unit: &'static str,
    since: Instant,
    /// Time the stage spent paused, which does not count against its rate.
    paused: Duration,
    first: u64,
}

/// What a progress bar shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// What the job is doing now, as a participle: "Training".
    pub stage: &'static str,
    /// What is counted: "tokens".
    pub unit: &'static str,
    /// Units done in this stage.
    pub done: u64,
    /// Units there are; 0 if unknown.
    pub total: u64,
    /// Units a second, over this stage.
    pub rate: f64,
    /// Time left at that rate, if the total is known.
    pub left: Option<Duration>,
}

impl Snapshot {
    /// Share done, 0 to 1, if the total is known.
    pub fn fraction(&self) -> Option<f32> {
        (self.total > 0).then(|| (self.done as f64 / self.total as f64).clamp(0.0, 1.0) as f32)
    }
}

impl Default for Progress {
    fn default() -> Self {
        let stage = Stage {
            name: "Starting",
            unit: "",
            since: Instant::now(),
            paused: Duration::ZERO,
            first: 0,
        };
        Self { done: AtomicU64::new(0), total: AtomicU64::new(0), stage: Mutex::new(stage) }
    }
}

impl Progress {
    /// Begins a stage of `total` units (0: unknown), of which `done` were done by an earlier run.
    pub fn stage(&self, name: &'static str, unit: &'static str, done: u64, total: u64) {
        self.done.store(done, Relaxed);
        self.total.store(total, Relaxed);
        *self.lock() =
            Stage { name, unit, since: Instant::now(), paused: Duration::ZERO, first: done };
    }

    /// Counts `units` more as done.
    pub fn add(&self, units: u64) {
        self.done.fetch_add(units, Relaxed);
    }

    /// Sets how many units of the stage are done.
    pub fn set(&self, done: u64) {
        self.done.store(done, Relaxed);
    }

    /// What a progress bar shows now.
    pub fn snapshot(&self) -> Snapshot {
        let stage = self.lock().clone();
        let (done, total) = (self.done.load(Relaxed), self.total.load(Relaxed));
        let seconds = stage.since.elapsed().saturating_sub(stage.paused).as_secs_f64();
        let rate =
            if seconds > 0.0 { done.saturating_sub(stage.first) as f64 / seconds } else { 0.0 };
        let left = (total > 0 && rate > 0.0)
            .then(|| Duration::from_secs_f64((total.saturating_sub(done) as f64 / rate).min(1e9)));
        Snapshot { stage: stage.name, unit: stage.unit, done, total, rate, left }
    }

    pub(super) fn add_pause(&self, pause: Duration) {
        self.lock().paused += pause;
    }

    /// A panic elsewhere cannot leave a stage half written, so a poisoned lock is still good.
    fn lock(&self) -> std::sync::MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
