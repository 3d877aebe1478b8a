//! TopK with AuxK.

use super::{Losses, Rule, Start, Step};
use crate::error::Result;
use crate::sae::engine::{Engine, Penalty, Set, Target};
use crate::sae::kernels::Select;

/// TopK with the AuxK loss (Gao et al., *Scaling and evaluating sparse autoencoders*, 2406.04093).
///
/// With `x: [d]`, `W_enc, W_dec: [m, d]`:
///
/// ```text
/// f  = TopK_k(ReLU(W_enc (x - b_dec) + b_enc))          x̂ = Σ f_i d_i + b_dec
/// L  = E‖x - x̂‖² + α E‖(x - x̂) - Σ a_i d_i‖² / E‖(x - x̂) - mean(x - x̂)‖²
/// a  = TopK_{k_aux}(ReLU(pre)) among latents silent for `dead_after` tokens, k_aux = min(d/2, #dead)
/// ```
///
/// In the auxiliary part `x - x̂` is a constant, and no bias is added: the residual contains it
/// already (llama3_interpretability_sae and sparsify 1.3.0 add it). Where the residual does not
/// vary at all the auxiliary part counts as 0. The counters are brought up to date with the
/// batch before it is asked which latents are dead.
///
/// Directions have unit norm, each a row (llama3_interpretability_sae normalises the wrong axis).
///
/// We differ from dictionary_learning in one point: where a row has fewer than k positive
/// pre-activations, the latents it would fill up with at value 0 do not count as fired.
#[derive(Debug, Clone, Copy)]
pub struct TopK {
    /// Latents kept for each row.
    pub k: usize,
}

impl Rule for TopK {
    fn select(&self) -> Select {
        Select::TopK(self.k)
    }

    fn start(&self) -> Start {
        Start { decoder_norm: 1.0, encoder_norm: 1.0, bias_at_median: true }
    }

    fn unit_directions(&self) -> bool {
        true
    }

    fn gradients(&self, engine: &mut dyn Engine, step: &Step<'_>) -> Result<Losses> {
        let rows = step.rows as f64;
        engine.encode(Set::Main, None, self.select(), step.stop)?;
        let weight = (1.0 / rows) as f32;
        let main =
            engine.reconstruct(Set::Main, Target::Input, weight, Penalty::None, step.stop)?;
        engine.scatter(Set::Main, step.stop)?;
        let mse = main.squares / rows;
        let mut losses = Losses { total: mse, mse, ..Losses::default() };
        if step.aux_weight == 0.0 {
            return Ok(losses);
        }
        let dead = dead(engine, step);
        losses.dead = dead.len();
        let variance = engine.error_variance(Set::Main);
        if dead.is_empty() || variance <= f64::MIN_POSITIVE {
            return Ok(losses);
        }
        let width = engine.parameters().b_dec.len();
        let k_aux = (width / 2).max(1).min(dead.len());
        engine.encode(Set::Auxiliary, Some(&dead), Select::TopK(k_aux), step.stop)?;
        let weight = (step.aux_weight / variance) as f32;
        let aux = engine.reconstruct(
            Set::Auxiliary,
            Target::Residual,
            weight,
            Penalty::None,
            step.stop,
        )?;
        engine.scatter(Set::Auxiliary, step.stop)?;
        losses.aux = aux.squares / variance;
        losses.total += step.aux_weight * losses.aux;
        Ok(losses)
    }
}

/// Latents that are dead once this batch is counted, in ascending order.
fn dead(engine: &dyn Engine, step: &Step<'_>) -> Vec<u32> {
    let may_be = |silent: u64| silent.saturating_add(step.rows as u64) >= step.dead_after;
    if !step.silent_for.iter().any(|silent| may_be(*silent)) {
        return Vec::new();
    }
    let mut fired = vec![false; step.silent_for.len()];
    engine.mark_fired(Set::Main, &mut fired);
    let silent = step.silent_for.iter().zip(fired).enumerate();
    silent.filter(|(_, (s, fired))| !fired && may_be(**s)).map(|(i, _)| i as u32).collect()
}
