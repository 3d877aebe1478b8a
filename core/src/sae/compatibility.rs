//! Peculiarities of other libraries.

use serde::{Deserialize, Serialize};

/// Peculiarities of other libraries that their exact numbers need; none is an improvement, and
/// all are off unless asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compatibility {
    /// dictionary_learning counts warm-up steps from 0: its first update has learning rate 0.
    pub warmup_from_zero: bool,
    /// SAELens counts the steps of the sparsity warm-up from 0.
    pub sparsity_warmup_from_zero: bool,
    /// dictionary_learning asks of the activation, not of the pre-activation, whether it is near
    /// the threshold of a JumpReLU latent: half of the window is lost, and silent latents count
    /// wherever the threshold is under half the bandwidth.
    pub jumprelu_window_on_f: bool,
    /// dictionary_learning divides the errors of a Matryoshka dictionary by the number of groups
    /// once more after weighting them.
    pub matryoshka_divides_twice: bool,
    /// SAELens leaves directions of any norm: neither is their gradient projected, nor are they
    /// brought back to unit norm; top-k architectures choose by `f ‖d‖`.
    pub free_directions: bool,
    /// SAELens' Gated: the auxiliary reconstruction trains decoder and decoder bias too, and the
    /// penalty weighs each gate by the norm of its direction.
    pub gated_decoder_not_frozen: bool,
    /// SAELens' AuxK: no ReLU before the choice, no division by the residual's variance, smaller
    /// where fewer than d/2 latents are dead; and it asks which are dead before it counts the
    /// batch.
    pub aux_of_saelens: bool,
    /// sparsify's losses: every squared error is divided by the variance of what is to be
    /// reconstructed, AuxK too, which is smaller where fewer than d/2 latents are dead and
    /// counts them before the batch.
    pub losses_of_sparsify: bool,
    /// sparsify's fused encoder: AuxK and Multi-TopK do not train the encoder.
    pub aux_skips_encoder: bool,
    /// SAELens' running threshold begins at 0, not at its first value.
    pub threshold_from_zero: bool,
}
