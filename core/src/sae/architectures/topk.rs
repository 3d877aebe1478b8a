//! TopK with AuxK, and what differs from it only in the choice of latents.

use super::auxk::auxk;
use super::{Losses, Rule, Running, Start, Step};
use crate::error::Result;
use crate::sae::engine::{Choose, Engine, Into, Penalty, Set, Target};

/// TopK with the AuxK loss (Gao et al., *Scaling and evaluating sparse autoencoders*, 2406.04093).
///
/// With `x: [d]`, `W_enc, W_dec: [m, d]`:
///
/// ```text
/// f  = TopK_k(ReLU(W_enc (x - b_dec) + b_enc))          x̂ = Σ f_i d_i + b_dec
/// L  = E‖x - x̂‖² + AuxK
/// ```
///
/// Three kin: with `multi` the loss gains `E‖x - x̂_{4k}‖² / 8`, where x̂_{4k} is made of the 4 k
/// greatest (section 5.4 there), so that activations keep their order beyond k; with `groups`
/// the latents are cut into k groups of neighbours, each of which gives its greatest
/// (sparsify's GroupMax: each latent has few rivals and a choice costs no sort).
///
/// Directions have unit norm, each a row (llama3_interpretability_sae normalises the wrong axis).
///
/// We differ from dictionary_learning and sparsify in one point: where fewer than k
/// pre-activations are positive, the latents they would fill up with at value 0 neither count as
/// fired nor get a gradient.
#[derive(Debug, Clone, Copy)]
pub struct TopK {
    /// Latents kept for each row.
    pub k: usize,
    /// Multi-TopK.
    pub multi: bool,
    /// GroupMax.
    pub groups: bool,
}

impl Rule for TopK {
    fn start(&self) -> Start {
        Start { decoder_norm: 1.0, encoder_norm: 1.0, bias_at_median: true, threshold: 0.0 }
    }

    fn unit_directions(&self) -> bool {
        true
    }

    fn gradients(&self, engine: &mut dyn Engine, step: &Step<'_>) -> Result<Losses> {
        let rows = step.rows as f64;
        let choose = if self.groups { Choose::GroupMax(self.k) } else { Choose::TopK(self.k) };
        engine.encode(Set::Main, None, choose, step.compatibility.free_directions, step.stop)?;
        // sparsify divides by the variance of the batch, which may be 0 for rows all alike.
        let divisor = if step.compatibility.losses_of_sparsify {
            engine.target_variance().max(f64::MIN_POSITIVE)
        } else {
            rows
        };
        let weight = (1.0 / divisor) as f32;
        let main =
            engine.reconstruct(Set::Main, Target::Input, weight, Penalty::None, step.stop)?;
        engine.scatter(Set::Main, Into::All, step.stop)?;
        let mse = main.squares / rows;
        let mut losses = Losses { total: main.squares / divisor, mse, ..Losses::default() };
        auxk(engine, step, &mut losses)?;
        if self.multi {
            let all = engine.parameters().b_enc.len();
            engine.encode(
                Set::Auxiliary,
                None,
                Choose::TopK((4 * self.k).min(all)),
                step.compatibility.free_directions,
                step.stop,
            )?;
            let weight = (1.0 / 8.0 / divisor) as f32;
            let multi = engine.reconstruct(
                Set::Auxiliary,
                Target::Input,
                weight,
                Penalty::None,
                step.stop,
            )?;
            let skips = step.compatibility.aux_skips_encoder;
            let into = if skips { Into::Decoder } else { Into::All };
            engine.scatter(Set::Auxiliary, into, step.stop)?;
            losses.second = multi.squares / rows;
            losses.total += multi.squares / divisor / 8.0;
        }
        Ok(losses)
    }

    fn after(&self, engine: &dyn Engine, step: &Step<'_>, running: &mut Running) {
        let from_zero = step.compatibility.threshold_from_zero;
        let mean = &mut running.threshold;
        step.threshold.take(mean, engine.mean_least(), step.number, from_zero);
    }
}
