//! One file an architecture: how it encodes, what its loss is, what its gradient is.
//!
//! To add one: a variant of [`Architecture`](super::Architecture), and a file here that
//! implements [`Rule`] in the verbs of [`Engine`].

mod standard;
mod topk;

pub use standard::Standard;
pub use topk::TopK;

use super::engine::Engine;
use super::kernels::{Select, Stop};
use super::{Architecture, L1Penalty};
use crate::error::Result;

/// What an architecture's loss needs to know besides weights and batch.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// Rows of the batch.
    pub rows: usize,
    /// L1 coefficient, sparsity warm-up included.
    pub l1: f64,
    /// Weight of an auxiliary loss.
    pub aux_weight: f64,
    /// For each latent, tokens since it fired, before this batch.
    pub silent_for: &'a [u64],
    /// A latent silent for so many tokens is dead.
    pub dead_after: u64,
    /// See [`Stop`].
    pub stop: Stop<'a>,
}

/// The loss of a batch and its parts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Losses {
    /// What is minimised.
    pub total: f64,
    /// E‖x − x̂‖².
    pub mse: f64,
    /// What the L1 coefficient multiplies: E Σ f, or E Σ f ‖d‖.
    pub sparsity: f64,
    /// What the auxiliary weight multiplies.
    pub aux: f64,
    /// Number of dead latents that the auxiliary loss looked at.
    pub dead: usize,
}

/// How an architecture begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start {
    /// Norm of each direction; the encoder rows point the same ways.
    pub decoder_norm: f32,
    /// Norm of each encoder row.
    pub encoder_norm: f32,
    /// Whether the decoder bias begins at the geometric median of the first batch, not at 0.
    pub bias_at_median: bool,
}

/// An architecture in training.
pub trait Rule: Send + Sync {
    /// Which latents of a row are active.
    fn select(&self) -> Select;

    /// How training begins.
    fn start(&self) -> Start;

    /// Whether directions are held at unit norm.
    fn unit_directions(&self) -> bool;

    /// Loss and gradients of the batch that the engine holds; the weights stay as they are.
    ///
    /// # Errors
    /// The work was stopped.
    fn gradients(&self, engine: &mut dyn Engine, step: &Step<'_>) -> Result<Losses>;
}

/// The rule of an architecture.
pub fn rule(architecture: &Architecture) -> Box<dyn Rule> {
    match *architecture {
        Architecture::TopK { k } => Box::new(TopK { k }),
        Architecture::Standard { penalty } => {
            Box::new(Standard { by_norm: penalty == L1Penalty::DecoderNorm })
        }
        // Refused by `Architecture::validate`.
        _ => Box::new(Standard { by_norm: false }),
    }
}
