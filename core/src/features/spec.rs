//! What to collect of a dictionary's latents.

use crate::corpus::{CorpusSpec, RowSpec};
use crate::llama::Site;
use serde::{Deserialize, Serialize};

/// What to collect, and from what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectSpec {
    /// The site; `None` for the one that the dictionary was trained on.
    pub site: Option<Site>,
    /// The text.
    pub corpus: CorpusSpec,
    /// How it is cut into rows.
    pub rows: RowSpec,
    /// Tokens to look at (those whose activations are used); fewer if the corpus ends before.
    pub tokens: u64,
    /// Contexts to keep of each latent: those with the greatest activations, one a row at most.
    pub contexts_per_latent: usize,
    /// Tokens of a context; it stops at the ends of its row.
    pub window: usize,
    /// Seed of the built-in corpus; its text is never that of a training with the same seed.
    pub seed: u64,
    /// Tokens in one forward pass, about.
    pub batch: usize,
    /// Whether to go on with a dictionary that was trained on another model or site.
    pub allow_foreign: bool,
}

impl CollectSpec {
    /// The usual settings on `corpus`: 500,000 tokens, 20 contexts of 32 tokens.
    pub fn new(corpus: CorpusSpec, rows: RowSpec) -> Self {
        Self {
            site: None,
            corpus,
            rows,
            tokens: 500_000,
            contexts_per_latent: 20,
            window: 32,
            seed: 0,
            batch: 4096,
            allow_foreign: false,
        }
    }
}
