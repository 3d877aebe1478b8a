//! What to collect of a dictionary's latents.

use crate::corpus::{CorpusSpec, RowSpec};
use crate::error::{Error, Result};
use crate::llama::Site;
use serde::{Deserialize, Serialize};

/// More tokens than this are not looked at: rows and counts are numbered in 32 bits.
const MOST_TOKENS: u64 = 1 << 31;

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
    /// Contexts to keep from each fifth of a latent's activations, drawn at random.
    pub contexts_per_fifth: usize,
    /// Sentences to keep of each latent in each ranking (by mean, last and greatest activation).
    pub sentences_per_latent: usize,
    /// Co-active latents to keep of each latent.
    pub coactive_per_latent: usize,
    /// Tokens of a context; it stops at the ends of its row.
    pub window: usize,
    /// Seed of what is drawn at random, and of the built-in corpus; its text is never that of a
    /// training with the same seed.
    pub seed: u64,
    /// Tokens in one forward pass, about.
    pub batch: usize,
    /// Whether to go on with a dictionary that was trained on another model or site.
    pub allow_foreign: bool,
}

impl CollectSpec {
    /// The usual settings on `corpus`: 500,000 tokens, 20 contexts of 32 tokens and 5 from each
    /// fifth of the activations, 5 sentences a ranking, 10 co-active latents.
    pub fn new(corpus: CorpusSpec, rows: RowSpec) -> Self {
        Self {
            site: None,
            corpus,
            rows,
            tokens: 500_000,
            contexts_per_latent: 20,
            contexts_per_fifth: 5,
            sentences_per_latent: 5,
            coactive_per_latent: 10,
            window: 32,
            seed: 0,
            batch: 4096,
            allow_foreign: false,
        }
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// Windows or batches of no tokens; more tokens than can be counted.
    pub(super) fn check(&self) -> Result<()> {
        if self.window == 0 || self.batch == 0 {
            return Err(Error::setting(
                "Contexts of no tokens cannot be collected",
                format!("the window is {} and the batch {}", self.window, self.batch),
                "Choose a window and a batch of one token at least",
            ));
        }
        if self.tokens > MOST_TOKENS {
            return Err(Error::setting(
                format!("Features cannot be collected from {} tokens", self.tokens),
                format!("the most is {MOST_TOKENS}"),
                "Choose fewer tokens; some millions are enough",
            ));
        }
        Ok(())
    }

    /// Firings drawn at random of each latent, so many that each fifth of the activations gets its
    /// number with good odds (the least of five equal shares of 8 n falls short of n rarely).
    pub(super) fn drawn(&self) -> usize {
        self.contexts_per_fifth.saturating_mul(8)
    }
}
