//! What to evaluate on.

use crate::corpus::{CorpusSpec, RowSpec};
use crate::llama::Site;
use serde::{Deserialize, Serialize};

/// What to evaluate on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalSpec {
    /// The site; `None` for the one that the dictionary was trained on.
    pub site: Option<Site>,
    /// The text.
    pub corpus: CorpusSpec,
    /// How it is cut into rows.
    pub rows: RowSpec,
    /// Tokens to look at (those whose activations are used); fewer if the corpus ends before.
    pub tokens: u64,
    /// Tokens at the beginning of the corpus to pass over, for text that training has not read.
    pub skip: u64,
    /// Seed of the built-in corpus; its text is never that of a training with the same seed.
    /// A file is read in its order, whatever the seed.
    pub seed: u64,
    /// Tokens in one forward pass, about.
    pub batch: usize,
    /// Whether to go on with a dictionary that was trained on another model or site.
    pub allow_foreign: bool,
}

impl EvalSpec {
    /// The usual settings on `corpus`: 50,000 tokens.
    pub fn new(corpus: CorpusSpec, rows: RowSpec) -> Self {
        Self {
            site: None,
            corpus,
            rows,
            tokens: 50_000,
            skip: 0,
            seed: 0,
            batch: 4096,
            allow_foreign: false,
        }
    }
}
