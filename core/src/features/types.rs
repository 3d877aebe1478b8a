//! What is known of a dictionary's latents.

use super::CollectSpec;
use crate::llama::Site;
use serde::{Deserialize, Serialize};

/// The quantiles that are kept of each latent's positive activations.
pub const QUANTILES: [f64; 7] = [0.01, 0.10, 0.25, 0.50, 0.75, 0.90, 0.99];

/// Quantiles of the positive activations between which contexts are sampled: fifths.
pub const FIFTHS: [f64; 4] = [0.2, 0.4, 0.6, 0.8];

/// What was collected of every latent, and from what: light enough to be held in memory for any
/// dictionary. What takes room stands in [`LatentDetail`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FeatureTable {
    /// The corpus the examples are from.
    pub corpus: String,
    /// Tokens looked at.
    pub tokens: u64,
    /// One entry a latent, in index order.
    pub latents: Vec<LatentSummary>,
}

/// What was collected of one latent, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LatentSummary {
    /// Its index in the dictionary.
    pub index: u32,
    /// Tokens on which it fires.
    pub fired: u64,
    /// Share of tokens on which it fires.
    pub density: f32,
    /// Mean of its activation where it fires.
    pub mean: f32,
    /// Its greatest activation.
    pub max: f32,
    /// [`QUANTILES`] of its activation where it fires (nearest rank: the least value that has the
    /// share of the values at or below it). Exact up to [`EXACT_VALUES`] values, beyond within
    /// [`QUANTILE_ERROR`] of the value. All 0 if it never fired.
    ///
    /// [`EXACT_VALUES`]: super::EXACT_VALUES
    /// [`QUANTILE_ERROR`]: super::QUANTILE_ERROR
    pub quantiles: [f32; QUANTILES.len()],
    /// Its activations where it fires, counted.
    pub histogram: ActivationHistogram,
}

/// An exact histogram of positive activations in bins of equal width, from 0 on.
///
/// The width is a power of two, so that the greatest activation lies in one of the bins 32 to 63.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ActivationHistogram {
    /// Width of a bin; 0 if there is none.
    pub width: f32,
    /// `counts[i]` tokens have an activation from `i * width` to below `(i + 1) * width`; the last
    /// bin holds the greatest activation. Empty for a latent that never fired.
    pub counts: Vec<u32>,
}

/// What was collected of one latent, in texts: read from the disk as it is asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LatentDetail {
    /// Its index in the dictionary.
    pub latent: u32,
    /// Contexts it fires in: the strongest, then a sample from each fifth of its activations, the
    /// highest fifth first. A group that is empty is left out.
    pub groups: Vec<ContextGroup>,
    /// Whole sentences, ranked three ways.
    pub sentences: BestSentences,
    /// Latents that fire on the same tokens, by Jaccard index.
    pub coactive: Vec<CoActive>,
    /// Tokens that the co-activation was counted on: a seeded, uniform sample.
    pub coactive_tokens: u64,
    /// On how many of these this latent fires.
    pub coactive_fired: u64,
}

/// Contexts that were chosen in the same way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContextGroup {
    /// How they were chosen.
    pub kind: GroupKind,
    /// The contexts: strongest first.
    pub contexts: Vec<Context>,
}

/// How the contexts of a group were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// The greatest activations, one context a row of the sample at most.
    Top,
    /// Drawn at random, each firing with the same chance, from those above the quantile `from`
    /// up to the quantile `to` of the positive activations.
    Quantile {
        /// Share of the positive activations that lie below the interval.
        from: f32,
        /// Share of them that lie below its end.
        to: f32,
        /// Activations are above this (the least activation of all belongs to the lowest interval).
        low: f32,
        /// Activations are at most this.
        high: f32,
    },
}

/// Whole sentences that a latent fires in, each list best first. With rows of packed text a
/// sentence is a document's stretch in a row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BestSentences {
    /// By the mean of the activation over the sentence's tokens, silent ones included.
    pub by_mean: Vec<RankedSentence>,
    /// By the activation on the sentence's last token.
    pub by_last: Vec<RankedSentence>,
    /// By the greatest activation.
    pub by_max: Vec<RankedSentence>,
}

/// A sentence and what it is ranked by.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RankedSentence {
    /// What it is ranked by.
    pub score: f32,
    /// The sentence.
    pub context: Context,
}

/// A stretch of text with one latent's activation on each token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// Number of its row in the sample: see [`super::FeatureFile::row`].
    pub row: u64,
    /// Index in the row of the first token.
    pub first: usize,
    /// Document it is from.
    pub document: u64,
    /// Position of the first token in the document.
    pub start: u32,
    /// The tokens' numbers.
    pub ids: Vec<u32>,
    /// The tokens' texts as they are to be drawn.
    pub tokens: Vec<String>,
    /// The latent's activation on each token; 0 where it is silent.
    pub activations: Vec<f32>,
    /// Which token it was chosen for: of a sampled context that need not be the strongest one.
    pub peak: usize,
}

/// A latent that fires on the same tokens as another, counted on a sample of tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CoActive {
    /// The other latent.
    pub latent: u32,
    /// Tokens of the sample on which both fire.
    pub both: u32,
    /// Tokens on which both fire, as a share of those on which one of them does.
    pub jaccard: f32,
    /// Pearson's correlation of the two activations over the sample, silent tokens counted as 0.
    pub correlation: f32,
}

/// Where a feature file comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureAbout {
    /// Version of the file's layout.
    pub version: u32,
    /// What was asked for.
    pub spec: CollectSpec,
    /// The site that was read.
    pub site: Site,
    /// Content hash of the model.
    pub model: String,
    /// Content hash of the dictionary.
    pub sae: String,
    /// Tokens looked at.
    pub tokens: u64,
    /// Token rows looked at.
    pub rows: u64,
    /// Tokens that co-activation was counted on.
    pub coactive_tokens: u64,
}

impl LatentDetail {
    /// The contexts of the greatest activations, strongest first.
    pub fn top(&self) -> &[Context] {
        self.groups.iter().find(|g| g.kind == GroupKind::Top).map_or(&[], |g| &g.contexts)
    }
}
