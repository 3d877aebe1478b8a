//! Latents and what we know of them: examples, density.

mod collect;
mod heap;
mod histogram;
mod spec;
mod store;
mod types;

#[cfg(test)]
mod tests;

pub use collect::{collect, memory as collect_memory};
pub use histogram::DensityHistogram;
pub use spec::CollectSpec;
pub use store::FeatureFile;
pub use types::{Context, FeatureTable, LatentSummary};
