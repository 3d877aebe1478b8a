//! Training a dictionary: trainer, optimizer, schedules, dead latents, checkpoints.

mod bench;
mod checkpoint;
mod config;
mod history;
mod job;
mod memory;
mod start;
mod trainer;

pub use crate::sae::TrainPoint;
pub use bench::{BenchRecord, BenchSpec, bench_train};
pub use config::{Compatibility, Schedule, ThresholdMean, TrainConfig, TrainEvent};
pub use job::{Evaluate, check_free, train};
pub use memory::memory_needed;
pub use start::geometric_median;
pub use trainer::{Counters, Report, Trainer};
