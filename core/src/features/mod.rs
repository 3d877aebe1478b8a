//! Latents and what we know of them: examples, density.

mod types;

pub use types::{Context, FeatureTable, LatentSummary};
