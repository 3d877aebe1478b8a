//! Training a dictionary: trainer, optimizer, schedules, dead latents, checkpoints.

mod config;

pub use crate::sae::TrainPoint;
pub use config::{Schedule, TrainConfig, TrainEvent};
