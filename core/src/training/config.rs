//! Every setting of a training run.

use crate::sae::{Architecture, TrainPoint};
use serde::{Deserialize, Serialize};

/// Every setting of a training run; with the data and the seed it determines the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Architecture and its own numbers.
    pub architecture: Architecture,
    /// Number of latents, m.
    pub latents: usize,
    /// Rows (tokens) a step.
    pub batch: usize,
    /// Tokens to train on in all.
    pub tokens: u64,
    /// Peak learning rate.
    pub lr: f64,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// Steps of linear learning-rate warm-up.
    pub warmup_steps: u64,
    /// L1 coefficient (standard architectures).
    pub l1: f64,
    /// Steps over which the sparsity penalty grows linearly to its full size.
    pub sparsity_warmup_steps: u64,
    /// A latent that has not fired for so many tokens counts as dead.
    pub dead_after: u64,
    /// Weight of the auxiliary loss on dead latents (TopK); 0 switches it off.
    pub aux_weight: f64,
    /// Gradient-norm clip; `None` for no clipping.
    pub clip: Option<f64>,
    /// Adam's two decay rates.
    pub betas: (f64, f64),
    /// Whether to scale activations so that E‖x‖² = d while training (folded back on save).
    pub normalize: bool,
    /// Seed of weights and data order.
    pub seed: u64,
    /// Tokens between checkpoints.
    pub checkpoint_every: u64,
    /// Tokens between evaluations of loss recovered; 0 for none.
    pub evaluate_every: u64,
}

/// How the learning rate moves after the warm-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Schedule {
    /// Stays at its peak.
    #[default]
    Constant,
    /// Falls linearly to 0 from this share of the run on (0 to 1).
    LinearDecay {
        /// Share of the run after which it falls.
        from: f64,
    },
    /// Half a cosine from the peak to 0.
    Cosine,
    /// So many half cosines, each starting again at the peak (Loshchilov & Hutter, 1608.03983).
    CosineRestarts {
        /// Number of half cosines.
        cycles: u32,
    },
}

/// What a training job sends while it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainEvent {
    /// A point of the curves.
    Point(TrainPoint),
    /// A checkpoint is safely on disk; the run can go on from here after a kill.
    Saved {
        /// Tokens trained on at the checkpoint.
        tokens: u64,
    },
}

impl TrainConfig {
    /// Settings that work for an architecture: those of its source, scaled to `latents`.
    pub fn preset(architecture: Architecture, latents: usize) -> Self {
        // Gao et al. scale the rate by 1/√m from 2e-4 at 2^14 latents.
        let topk_lr = 2e-4 / (latents as f64 / 16384.0).sqrt();
        let (lr, l1) = match architecture {
            Architecture::TopK { .. } => (topk_lr, 0.0),
            Architecture::Standard { .. } => (1e-3, 0.1),
        };
        Self {
            architecture,
            latents,
            batch: 2048,
            tokens: 2_000_000,
            lr,
            schedule: Schedule::LinearDecay { from: 0.8 },
            warmup_steps: 50,
            l1,
            sparsity_warmup_steps: 100,
            dead_after: 500_000,
            aux_weight: 1.0 / 32.0,
            clip: Some(1.0),
            betas: (0.9, 0.999),
            normalize: true,
            seed: 0,
            checkpoint_every: 500_000,
            evaluate_every: 250_000,
        }
    }
}
