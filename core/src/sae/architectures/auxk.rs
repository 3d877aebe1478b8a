//! The AuxK loss, by which dead latents learn to explain what the others leave over.

use super::{Losses, Step};
use crate::error::Result;
use crate::sae::engine::{Choose, Engine, Into, Penalty, Set, Target};

/// Adds the AuxK loss (Gao et al., 2406.04093, appendix A.2) with its gradients:
///
/// ```text
/// α E‖(x - x̂) - Σ a_i d_i‖² / E‖(x - x̂) - mean(x - x̂)‖²
/// a = TopK_{k_aux}(ReLU(pre)) among latents silent for `dead_after` tokens, k_aux = min(d/2, #dead)
/// ```
///
/// `x - x̂` is a constant, and no bias is added: the residual contains it already
/// (llama3_interpretability_sae and sparsify 1.3.0 add it). Where the residual does not vary at
/// all the loss counts as 0. The counters are brought up to date with the batch before it is
/// asked which latents are dead. What SAELens and sparsify do otherwise is told by
/// [`Compatibility`](crate::sae::Compatibility).
pub(super) fn auxk(engine: &mut dyn Engine, step: &Step<'_>, losses: &mut Losses) -> Result<()> {
    if step.aux_weight == 0.0 {
        return Ok(());
    }
    let quirks = step.compatibility;
    let before = quirks.aux_of_saelens || quirks.losses_of_sparsify;
    let dead = if before { step.dead_before() } else { dead(engine, step) };
    losses.dead = dead.len();
    let divisor = if quirks.aux_of_saelens {
        step.rows as f64
    } else if quirks.losses_of_sparsify {
        engine.target_variance()
    } else {
        engine.error_variance(Set::Main)
    };
    if dead.is_empty() || divisor <= f64::MIN_POSITIVE {
        return Ok(());
    }
    let half = (engine.parameters().b_dec.len() / 2).max(1);
    let k = half.min(dead.len());
    let size = if before { (dead.len() as f64 / half as f64).min(1.0) } else { 1.0 };
    let choose = if quirks.aux_of_saelens { Choose::AnySign(k) } else { Choose::TopK(k) };
    engine.encode(Set::Auxiliary, Some(&dead), choose, quirks.free_directions, step.stop)?;
    let weight = (step.aux_weight * size / divisor) as f32;
    let aux =
        engine.reconstruct(Set::Auxiliary, Target::Residual, weight, Penalty::None, step.stop)?;
    let into = if quirks.aux_skips_encoder { Into::Decoder } else { Into::All };
    engine.scatter(Set::Auxiliary, into, step.stop)?;
    losses.aux = aux.squares * size / divisor;
    losses.total += step.aux_weight * losses.aux;
    Ok(())
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
