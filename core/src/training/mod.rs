//! Training a dictionary: trainer, optimizer, schedules, dead latents, checkpoints.

mod average;
mod bench;
mod checkpoint;
mod config;
mod fold;
mod history;
mod job;
mod memory;
mod requests;
mod resample;
mod run;
mod start;
mod trainer;

pub use crate::sae::TrainPoint;
pub use bench::{BenchRecord, BenchSpec, bench_train};
pub use config::{
    BiasStart, Compatibility, KAnneal, Resample, Schedule, StartChoice, ThresholdMean, TrainConfig,
    TrainEvent,
};
pub use job::{Evaluate, Planned, RunEvent, check_free, train, train_all, train_planned};
pub use memory::memory_needed;
pub use requests::Requests;
pub use start::geometric_median;
pub use trainer::{Counters, Report, Trainer};
