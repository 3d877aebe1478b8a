//! What an architecture carries from step to step besides weights.

use serde::{Deserialize, Serialize};

/// What an architecture carries from step to step besides weights and moments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Running {
    /// Running mean of each batch's least activation; `None` before the first.
    pub threshold: Option<f64>,
    /// Where a p-annealed penalty stands.
    pub anneal: Anneal,
    /// Logarithm of what an L0 that is to be reached has made of the sparsity coefficient.
    pub pull: f64,
}

/// Where a p-annealed penalty stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anneal {
    /// How often p has changed.
    pub changes: u32,
    /// Factor on the coefficient, so that the penalty is as large after a change as before.
    pub factor: f64,
    /// The penalty of the last batches, with p as it is and with the next p.
    pub recent: Vec<[f64; 2]>,
}

impl Default for Anneal {
    fn default() -> Self {
        Self { changes: 0, factor: 1.0, recent: Vec::new() }
    }
}

/// The running mean of each batch's least activation, which decides at inference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ThresholdMean {
    /// What is kept of the old value at each step.
    pub keep: f64,
    /// Steps before the first value is taken.
    pub after: u64,
}

/// The k n-th greatest of all activations of a batch hardly varies from batch to batch, so a short
/// memory costs nothing. A long one (0.99 in SAELens, 0.999 in dictionary_learning) still
/// remembers weaker directions when a run is short or its learning rate has just fallen: the mean
/// L0 at inference then misses k.
impl Default for ThresholdMean {
    fn default() -> Self {
        Self { keep: 0.9, after: 0 }
    }
}

impl ThresholdMean {
    /// Takes in the least activation of step `number`, from 1. The first value is taken as it
    /// is, or with `from_zero` as if the mean had stood at 0.
    pub fn take(self, mean: &mut Option<f64>, least: Option<f64>, number: u64, from_zero: bool) {
        let Some(least) = least else { return };
        if number <= self.after {
            return;
        }
        let old = mean.unwrap_or(if from_zero { 0.0 } else { least });
        *mean = Some(self.keep * old + (1.0 - self.keep) * least);
    }
}
