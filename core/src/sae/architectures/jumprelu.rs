//! JumpReLU.

use super::{Losses, Rule, Start, Step};
use crate::error::Result;
use crate::sae::L0Loss;
use crate::sae::engine::{Engine, Penalty, Set, Target};

/// JumpReLU dictionary (Rajamanoharan et al., *Jumping ahead*, 2407.14435).
///
/// With `x: [d]`, `W_enc, W_dec: [m, d]`, thresholds `θ: [m]`, not below 0:
///
/// ```text
/// z = W_enc (x - b_dec) + b_enc          f = z 1[z > θ]          x̂ = Σ f_i d_i + b_dec
/// L = E‖x - x̂‖² + λ E L0                                 step
///     E‖x - x̂‖² + λ E Σ tanh(c f_i ‖d_i‖)                tanh
///     E‖x - x̂‖² + λ (E L0 / target - 1)²                 target
///     + α E Σ_dead ReLU(θ_i - z_i) ‖d_i‖                 pulls silent latents up
/// ```
///
/// The jump has no gradient by θ; with ε the bandwidth and rect(u) = 1 for |u| < 1/2 it is taken
/// to be (straight-through estimators)
///
/// ```text
/// ∂f/∂θ = -(θ/ε) rect((z - θ)/ε)          ∂L0/∂θ = -(1/ε) rect((z - θ)/ε)
/// ```
///
/// with z, as in the paper; dictionary_learning asks f in the second (switch
/// `jumprelu_window_on_f`), which loses the lower half of the window. Thresholds are stored as
/// they are, not as logarithms. With a target, training begins with one threshold for all latents at
/// which about eight times the target are active: a threshold moves by about the learning rate a
/// step, and from the usual 0.001 to 0.01 it does not arrive in a short run. The last line is from Conerly et al., January 2025 update; a
/// latent counts as dead by what was known before the batch.
#[derive(Debug, Clone, Copy)]
pub struct JumpRelu {
    /// What the number of active latents costs.
    pub loss: L0Loss,
    /// ε.
    pub bandwidth: f64,
}

impl Rule for JumpRelu {
    fn start(&self) -> Start {
        Start { decoder_norm: 1.0, encoder_norm: 1.0, bias_at_median: false, threshold: 0.01 }
    }

    fn unit_directions(&self) -> bool {
        true
    }

    fn gradients(&self, engine: &mut dyn Engine, step: &Step<'_>) -> Result<Losses> {
        let rows = step.rows as f64;
        let bandwidth = self.bandwidth as f32;
        let has_slope = matches!(self.loss, L0Loss::Tanh { .. });
        engine.encode_jump(bandwidth, !has_slope, step.stop)?;
        let l0 = engine.active(Set::Main) as f64 / rows;
        let penalty = match self.loss {
            L0Loss::Tanh { scale } => {
                Penalty::Tanh { each: (step.l1 / rows) as f32, scale: scale as f32 }
            }
            _ => Penalty::None,
        };
        let weight = (1.0 / rows) as f32;
        let main = engine.reconstruct(Set::Main, Target::Input, weight, penalty, step.stop)?;
        let (sparsity, each) = match self.loss {
            L0Loss::Step => (l0, 1.0),
            L0Loss::Tanh { .. } => (main.activity / rows, 0.0),
            L0Loss::Quadratic { target } => {
                ((l0 / target - 1.0).powi(2), 2.0 * (l0 / target - 1.0) / target)
            }
        };
        let each = (step.l1 * each / rows) as f32;
        let on_f = step.compatibility.jumprelu_window_on_f;
        engine.scatter_jump(bandwidth, each, on_f, step.stop)?;
        let mse = main.squares / rows;
        let total = mse + step.l1 * sparsity;
        let mut losses = Losses { total, mse, sparsity, ..Losses::default() };
        let dead = if step.aux_weight > 0.0 { step.dead_before() } else { Vec::new() };
        losses.dead = dead.len();
        if !dead.is_empty() {
            let each = (step.aux_weight / rows) as f32;
            losses.aux = engine.pull_up(&dead, each, step.stop)? / rows;
            losses.total += step.aux_weight * losses.aux;
        }
        Ok(losses)
    }
}
