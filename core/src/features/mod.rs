//! Latents and what we know of them: densities, quantiles, examples, company.

mod batch;
mod checkpoint;
mod collect;
mod collector;
mod company;
mod effects;
mod file;
mod histogram;
mod kept;
mod latent;
mod plain;
mod prompt;
mod spec;
mod spool;
mod store;
mod tally;
mod types;

#[cfg(test)]
mod effects_tests;
#[cfg(test)]
mod tests;

pub use collect::{collect, fits, memory as collect_memory};
pub use effects::{LogitEffects, RowReading, TokenEffect, logit_effects, read_latent};
pub use histogram::DensityHistogram;
pub use prompt::{Fired, PromptReading, PromptSpec, read_prompt};
pub use spec::CollectSpec;
pub use store::FeatureFile;
pub use tally::{EXACT_VALUES, QUANTILE_ERROR};
pub use types::{
    ActivationHistogram, BestSentences, CoActive, Context, ContextGroup, FIFTHS, FeatureAbout,
    FeatureTable, GroupKind, LatentDetail, LatentSummary, QUANTILES, RankedSentence,
};
