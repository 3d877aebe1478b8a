//! What is known of a dictionary's latents.

use serde::{Deserialize, Serialize};

/// What was collected of every latent, and from what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FeatureTable {
    /// The corpus the examples are from.
    pub corpus: String,
    /// Tokens looked at.
    pub tokens: u64,
    /// One entry a latent, in index order.
    pub latents: Vec<LatentSummary>,
}

/// What was collected of one latent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LatentSummary {
    /// Its index in the dictionary.
    pub index: u32,
    /// Share of tokens on which it fires.
    pub density: f32,
    /// Mean of its activation where it fires.
    pub mean: f32,
    /// Its greatest activation.
    pub max: f32,
    /// The contexts it fires most strongly in, strongest first.
    pub contexts: Vec<Context>,
}

/// A stretch of text with one latent's activation on each token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// Document it is from.
    pub document: u64,
    /// Position of the first token in the document.
    pub start: u32,
    /// The tokens' texts as they are to be drawn.
    pub tokens: Vec<String>,
    /// The latent's activation on each token; 0 where it is silent.
    pub activations: Vec<f32>,
    /// Which token it is strongest on.
    pub peak: usize,
}
