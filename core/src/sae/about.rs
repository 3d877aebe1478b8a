//! Where a dictionary comes from.

use super::TrainPoint;
use crate::activations::Provenance;
use serde::{Deserialize, Serialize};

/// Where a dictionary comes from and how it was trained; goes with it everywhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// What to call it, if it was given a name.
    pub name: Option<String>,
    /// The activations it was trained on; `None` where unknown (a foreign file).
    pub trained_on: Option<Provenance>,
    /// Every setting of the training run, as `training::TrainConfig` writes them.
    pub config: Option<serde_json::Value>,
    /// Tokens it was trained on.
    pub tokens: u64,
    /// Training curves, thinned to at most some two thousand points.
    pub history: Vec<TrainPoint>,
    /// The factor by which activations were scaled during training, already folded into the
    /// weights: the dictionary takes and gives raw activations.
    pub scale_folded: f64,
}

impl Default for About {
    /// Of unknown origin, made for raw activations.
    fn default() -> Self {
        Self {
            name: None,
            trained_on: None,
            config: None,
            tokens: 0,
            history: Vec::new(),
            scale_folded: 1.0,
        }
    }
}
