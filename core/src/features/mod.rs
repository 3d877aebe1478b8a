//! Latents and what we know of them: examples, density.

mod spec;
mod types;

pub use spec::CollectSpec;
pub use types::{Context, FeatureTable, LatentSummary};
