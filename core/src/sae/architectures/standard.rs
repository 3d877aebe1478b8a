//! The standard SAE with an L1 penalty, in both its forms.

use super::{Losses, Rule, Start, Step};
use crate::error::Result;
use crate::sae::engine::{Choose, Engine, Into, Penalty, Set, Target};

/// ReLU dictionary with an L1 penalty.
///
/// With `x: [d]`, `W_enc, W_dec: [m, d]`, λ grown linearly over the sparsity warm-up:
///
/// ```text
/// f = ReLU(W_enc (x - b_dec) + b_enc)          x̂ = Σ f_i d_i + b_dec
/// L = E‖x - x̂‖² + λ E Σ f_i            directions at unit norm   (Bricken et al. 2023)
/// L = E‖x - x̂‖² + λ E Σ f_i ‖d_i‖      directions free           (Conerly et al., April 2024)
/// ```
///
/// In the first form the decoder gradient loses its part along each direction before Adam, and
/// directions are brought back to unit norm after it, as dictionary_learning orders it. We
/// differ from it in the start of the first form: its directions begin at norm 0.1 although the
/// first step brings them to 1, ours begin at 1.
#[derive(Debug, Clone, Copy)]
pub struct Standard {
    /// The second form.
    pub by_norm: bool,
}

impl Rule for Standard {
    fn start(&self) -> Start {
        let decoder_norm = if self.by_norm { 0.1 } else { 1.0 };
        Start { decoder_norm, encoder_norm: 0.1, bias_at_median: false, threshold: 0.0 }
    }

    fn unit_directions(&self) -> bool {
        !self.by_norm
    }

    fn gradients(&self, engine: &mut dyn Engine, step: &Step<'_>) -> Result<Losses> {
        let rows = step.rows as f64;
        let each = (step.l1 / rows) as f32;
        let penalty =
            if self.by_norm { Penalty::Contribution(each) } else { Penalty::Activation(each) };
        engine.encode(Set::Main, None, Choose::Positive, false, step.stop)?;
        let weight = (1.0 / rows) as f32;
        let sums = engine.reconstruct(Set::Main, Target::Input, weight, penalty, step.stop)?;
        engine.scatter(Set::Main, Into::All, step.stop)?;
        let (mse, sparsity) = (sums.squares / rows, sums.activity / rows);
        Ok(Losses { total: mse + step.l1 * sparsity, mse, sparsity, ..Losses::default() })
    }
}
