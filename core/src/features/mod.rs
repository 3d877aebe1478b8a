//! Latents and what we know of them: examples, density.

mod collect;
mod effects;
mod heap;
mod histogram;
mod prompt;
mod spec;
mod store;
mod types;

#[cfg(test)]
mod effects_tests;
#[cfg(test)]
mod tests;

pub use collect::{collect, memory as collect_memory};
pub use effects::{LogitEffects, RowReading, TokenEffect, logit_effects, read_latent};
pub use histogram::DensityHistogram;
pub use prompt::{Fired, PromptReading, PromptSpec, read_prompt};
pub use spec::CollectSpec;
pub use store::FeatureFile;
pub use types::{Context, FeatureTable, LatentSummary};
