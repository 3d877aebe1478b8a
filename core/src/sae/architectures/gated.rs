//! Gated.

use super::{Losses, Rule, Start, Step};
use crate::error::Result;
use crate::sae::engine::{Choose, Engine, Into, Penalty, Set, Target};

/// Gated dictionary (Rajamanoharan et al., *Improving dictionary learning with gated sparse
/// autoencoders*, 2404.16014), with the two encoders tied up to a factor for each latent.
///
/// With `x: [d]`, `W_enc, W_dec: [m, d]`, `b_enc` (of the gates), `r_mag`, `b_mag`: `[m]`:
///
/// ```text
/// π = W_enc (x - b_dec)
/// f = 1[π + b_enc > 0] ReLU(e^r_mag π + b_mag)                    x̂  = Σ f_i d_i + b_dec
/// g = ReLU(π + b_enc)                                             x̂' = Σ g_i sg(d_i) + sg(b_dec)
/// L = E‖x - x̂‖² + λ E Σ g_i + E‖x - x̂'‖²          directions at unit norm, sg: held constant
/// ```
///
/// The step of the gate lets no gradient through: gates learn by the penalty and the auxiliary
/// reconstruction alone, magnitudes by the reconstruction alone, unshrunk by the penalty. The
/// auxiliary reconstruction is a constant to the decoder, as the paper says (SAELens lets it
/// train the decoder as well, and weighs the penalty by ‖d_i‖).
#[derive(Debug, Clone, Copy)]
pub struct Gated;

impl Rule for Gated {
    fn start(&self) -> Start {
        Start { decoder_norm: 1.0, encoder_norm: 1.0, bias_at_median: false, threshold: 0.0 }
    }

    fn unit_directions(&self) -> bool {
        true
    }

    fn gradients(&self, engine: &mut dyn Engine, step: &Step<'_>) -> Result<Losses> {
        let rows = step.rows as f64;
        let (weight, each) = ((1.0 / rows) as f32, (step.l1 / rows) as f32);
        let (penalty, into, choose) = if step.compatibility.gated_decoder_not_frozen {
            (Penalty::Contribution(each), Into::All, Choose::PositiveListed)
        } else {
            (Penalty::Activation(each), Into::Encoder, Choose::Positive)
        };
        engine.encode(Set::Auxiliary, None, choose, false, step.stop)?;
        engine.magnitudes();
        let main =
            engine.reconstruct(Set::Main, Target::Input, weight, Penalty::None, step.stop)?;
        engine.scatter_magnitudes(step.stop)?;
        let gates =
            engine.reconstruct(Set::Auxiliary, Target::Input, weight, penalty, step.stop)?;
        engine.scatter(Set::Auxiliary, into, step.stop)?;
        let (mse, second) = (main.squares / rows, gates.squares / rows);
        let sparsity = gates.activity / rows;
        let total = mse + step.l1 * sparsity + second;
        Ok(Losses { total, mse, sparsity, second, ..Losses::default() })
    }
}
