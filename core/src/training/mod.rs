//! Training a dictionary: trainer, optimizer, schedules, dead latents, checkpoints.

mod config;
mod start;
mod trainer;

pub use crate::sae::TrainPoint;
pub use config::{Compatibility, Schedule, TrainConfig, TrainEvent};
pub use start::geometric_median;
pub use trainer::{Counters, Report, Trainer};
