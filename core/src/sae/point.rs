//! One point of a training curve.

use serde::{Deserialize, Serialize};

/// One point of the live curves; sent at most ten times a second, and kept with the dictionary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainPoint {
    /// Step number, from 1.
    pub step: u64,
    /// Tokens trained on so far.
    pub tokens: u64,
    /// Total loss of this step's batch, in the units the run trains in.
    pub loss: f64,
    /// Fraction of variance unexplained of this batch: Σ‖x−x̂‖² / Σ‖x−mean x‖².
    pub fvu: f64,
    /// Mean number of active latents a row.
    pub l0: f64,
    /// Share of latents that count as dead, 0 to 1.
    pub dead: f64,
    /// Learning rate of this step.
    pub lr: f64,
    /// Tokens a second over the last few seconds.
    pub rate: f64,
    /// Loss recovered at the last evaluation, if there was one at this point.
    pub loss_recovered: Option<f64>,
}
