//! Which architecture a dictionary has, and what defines it.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The architecture of an SAE with the numbers that belong to its forward pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Architecture {
    /// `f = TopK_k(ReLU(W_enc (x - b_dec) + b_enc))` (Gao et al., 2406.04093).
    TopK {
        /// Latents kept for each row.
        k: usize,
    },
    /// `f = ReLU(W_enc (x - b_dec) + b_enc)`; which penalty shaped it is told by `penalty`.
    Standard {
        /// The sparsity penalty it was trained with.
        penalty: L1Penalty,
    },
}

/// The two forms of the L1 penalty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum L1Penalty {
    /// `Σ f_i`, decoder rows held at unit norm, their gradient projected (Bricken et al. 2023).
    #[default]
    UnitNorm,
    /// `Σ f_i ‖d_i‖`, decoder free (Conerly et al., April 2024 update).
    DecoderNorm,
}

impl Architecture {
    /// Its name in a command and on disk: `topk`, `standard`, `standard-april`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TopK { .. } => "topk",
            Self::Standard { penalty: L1Penalty::UnitNorm } => "standard",
            Self::Standard { penalty: L1Penalty::DecoderNorm } => "standard-april",
        }
    }

    /// The architecture called `name`; `k` is for those that have one.
    ///
    /// # Errors
    /// No architecture has this name.
    pub fn named(name: &str, k: usize) -> Result<Self> {
        match name {
            "topk" => Ok(Self::TopK { k }),
            "standard" => Ok(Self::Standard { penalty: L1Penalty::UnitNorm }),
            "standard-april" => Ok(Self::Standard { penalty: L1Penalty::DecoderNorm }),
            _ => Err(Error::setting(
                format!("No architecture is called {name:?}"),
                "the known ones are topk, standard and standard-april",
                "Choose one of these",
            )),
        }
    }

    /// Whether it makes sense for a dictionary of `latents`.
    ///
    /// # Errors
    /// No latents, k = 0, or k greater than the number of latents.
    pub fn validate(&self, latents: usize) -> Result<()> {
        if latents == 0 {
            return Err(Error::setting(
                "A dictionary of no latents cannot be trained or used",
                "the number of latents is 0",
                "Give it at least one; 8 to 32 times the width of the activations is usual",
            ));
        }
        if latents > u32::MAX as usize {
            return Err(Error::setting(
                format!("A dictionary of {latents} latents cannot be made"),
                "more than 4,294,967,295 latents cannot be numbered",
                "Choose fewer latents",
            ));
        }
        let Self::TopK { k } = *self else { return Ok(()) };
        if k == 0 {
            return Err(Error::setting(
                "TopK with k = 0 keeps no latent",
                "every reconstruction would be the bias alone",
                "Choose k of at least 1; 16 to 64 is usual",
            ));
        }
        if k > latents {
            return Err(Error::setting(
                format!("TopK cannot keep {k} of {latents} latents"),
                format!("k = {k} is greater than the number of latents, {latents}"),
                format!("Choose k of at most {latents}, or more latents"),
            ));
        }
        Ok(())
    }
}
