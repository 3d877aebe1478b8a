//! One file an architecture: how it encodes, what its loss is, what its gradient is.
//!
//! To add one: a variant of [`Architecture`](super::Architecture), and a file here that
//! implements [`Rule`] in the verbs of [`Engine`].

mod auxk;
mod batchtopk;
mod gated;
mod jumprelu;
mod panneal;
mod running;
mod standard;
mod topk;

pub use batchtopk::BatchTopK;
pub use gated::Gated;
pub use jumprelu::JumpRelu;
pub use panneal::PAnneal;
pub use running::{Anneal, Running, ThresholdMean};
pub use standard::Standard;
pub use topk::TopK;

use super::engine::Engine;
use super::kernels::Stop;
use super::{Architecture, Compatibility, L1Penalty};
use crate::error::Result;

/// What an architecture's loss needs to know besides weights and batch.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// Rows of the batch.
    pub rows: usize,
    /// Number of this step, from 1.
    pub number: u64,
    /// Steps in all.
    pub total: u64,
    /// Sparsity coefficient (λ), its warm-up included.
    pub l1: f64,
    /// Weight of an auxiliary loss.
    pub aux_weight: f64,
    /// For each latent, tokens since it fired, before this batch.
    pub silent_for: &'a [u64],
    /// A latent silent for so many tokens is dead.
    pub dead_after: u64,
    /// What the architecture carries from step to step.
    pub running: &'a Running,
    /// How a batch's least activation is averaged.
    pub threshold: ThresholdMean,
    /// Which peculiarities of other libraries to reproduce.
    pub compatibility: Compatibility,
    /// See [`Stop`].
    pub stop: Stop<'a>,
}

impl Step<'_> {
    /// Latents that were dead before this batch, in ascending order.
    fn dead_before(&self) -> Vec<u32> {
        let silent = self.silent_for.iter().enumerate();
        silent.filter(|(_, s)| **s >= self.dead_after).map(|(i, _)| i as u32).collect()
    }
}

/// The loss of a batch and its parts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Losses {
    /// What is minimised.
    pub total: f64,
    /// E‖x − x̂‖².
    pub mse: f64,
    /// What the sparsity coefficient multiplies: E Σ f, E L0 and the like.
    pub sparsity: f64,
    /// What the auxiliary weight multiplies.
    pub aux: f64,
    /// E‖·‖² of a second reconstruction: Gated's from its gates, Multi-TopK's from 4 k latents.
    pub second: f64,
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
    /// Threshold of each latent, where there are such.
    pub threshold: f32,
}

/// An architecture in training.
pub trait Rule: Send + Sync {
    /// How training begins.
    fn start(&self) -> Start;

    /// Whether directions are held at unit norm.
    fn unit_directions(&self) -> bool;

    /// Loss and gradients of the batch that the engine holds; the weights stay as they are.
    ///
    /// # Errors
    /// The work was stopped.
    fn gradients(&self, engine: &mut dyn Engine, step: &Step<'_>) -> Result<Losses>;

    /// Brings what is carried from step to step up to date with the batch of a step that was
    /// made.
    fn after(&self, _engine: &dyn Engine, _step: &Step<'_>, _running: &mut Running) {}
}

/// The rule of an architecture with so many latents.
pub fn rule(architecture: &Architecture, latents: usize) -> Box<dyn Rule> {
    let top = |k| TopK { k, multi: false, groups: false };
    match *architecture {
        Architecture::TopK { k } => Box::new(top(k)),
        Architecture::MultiTopK { k } => Box::new(TopK { multi: true, ..top(k) }),
        Architecture::GroupMax { k } => Box::new(TopK { groups: true, ..top(k) }),
        Architecture::Standard { penalty } => {
            Box::new(Standard { by_norm: penalty == L1Penalty::DecoderNorm })
        }
        Architecture::Gated => Box::new(Gated),
        Architecture::JumpRelu { loss, bandwidth } => Box::new(JumpRelu { loss, bandwidth }),
        Architecture::BatchTopK { k } => {
            Box::new(BatchTopK { k, ends: Vec::new(), weights: Vec::new() })
        }
        Architecture::Matryoshka { k, ref weights, .. } => Box::new(BatchTopK {
            k,
            ends: architecture.nested_ends(latents),
            weights: weights.clone(),
        }),
        Architecture::PAnneal { norm, p_end, from, updates } => {
            Box::new(PAnneal { norm, p_end, from, updates })
        }
    }
}
