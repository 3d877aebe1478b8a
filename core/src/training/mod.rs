//! Training a dictionary: trainer, optimizer, schedules, dead latents, checkpoints.

mod auto;
mod average;
mod bench;
mod checkpoint;
mod config;
mod fold;
mod history;
mod job;
mod memory;
mod presets;
mod probe;
mod requests;
mod resample;
mod run;
mod search;
mod start;
mod sweep;
mod trainer;

pub use crate::sae::TrainPoint;
pub use auto::{Chosen, auto};
pub use bench::{BenchRecord, BenchSpec, bench_train};
pub use config::{
    BiasStart, Compatibility, KAnneal, Resample, Schedule, StartChoice, ThresholdMean, TrainConfig,
    TrainEvent,
};
pub use job::{Evaluate, Planned, RunEvent, check_free, train, train_all, train_planned};
pub use memory::memory_needed;
pub use presets::{PRESETS, Preset, usual_anneal, usual_resample};
pub use probe::{Probe, ProbeRows};
pub use requests::Requests;
pub use search::{Found, Tried, Wanted, check_targets, search};
pub use start::geometric_median;
pub use sweep::{SweepRun, SweepSpec, plan_sweep};
pub use trainer::{Counters, Report, Trainer};
