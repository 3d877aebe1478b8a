//! What an evaluation says, and how each number was computed.

use super::EvalSpec;
use serde::{Deserialize, Serialize};

/// How good a dictionary is, with the sample that says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Tokens whose activations were looked at.
    pub tokens: u64,
    /// The corpus they came from.
    pub corpus: String,
    /// Seed of the sample.
    pub seed: u64,
    /// How the sample was taken, its site and how text became rows; `None` in older results.
    #[serde(default)]
    pub sample: Option<EvalSpec>,
    /// Mean number of active latents a token.
    pub l0: f64,
    /// E‖x − x̂‖², summed over the width, mean over tokens.
    pub mse: f64,
    /// Σ‖x − x̂‖² / Σ‖x − mean x‖² over the whole sample (pooled).
    pub fvu: f64,
    /// E[ ‖x − x̂‖² / ‖x − mean x‖² ], the mean of each token's ratio: another definition in use.
    pub fvu_per_token: f64,
    /// Relative reconstruction bias γ = E‖x̂‖² / E[x·x̂]; under 1 the dictionary shrinks
    /// (Rajamanoharan et al., 2404.16014, eq. 10).
    pub gamma: f64,
    /// Share of latents that fired on no token of the sample.
    pub dead: f64,
    /// Cross-entropies and what is recovered, if a model was at hand.
    pub loss: Option<LossRecovered>,
    /// Share of tokens on which each latent fires, in index order.
    pub density: Vec<f32>,
}

/// Cross-entropy of the model as it is, with the site replaced by its reconstruction, by zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossRecovered {
    /// The model as it is, nats a token.
    pub model: f64,
    /// With the site's output replaced by the SAE's reconstruction.
    pub sae: f64,
    /// With the site's output replaced by zero.
    pub zero: f64,
    /// (zero − sae) / (zero − model).
    pub recovered: f64,
}

impl LossRecovered {
    /// From the three cross-entropies.
    pub fn new(model: f64, sae: f64, zero: f64) -> Self {
        Self { model, sae, zero, recovered: (zero - sae) / (zero - model) }
    }
}
