//! BatchTopK, and Matryoshka on top of it.

use super::auxk::auxk;
use super::{Losses, Rule, Running, Start, Step};
use crate::error::Result;
use crate::sae::engine::{Choose, Engine, Into, Penalty, Set, Target};

/// BatchTopK with the AuxK loss (Bussmann et al., 2412.06410).
///
/// ```text
/// f = the k n greatest of ReLU(W_enc (x - b_dec) + b_enc) over the n rows of a batch
/// L = E‖x - x̂‖² + AuxK
/// ```
///
/// so that a row may have more latents than another. At inference rows must not depend on each
/// other: a latent is active where it is above θ, the running mean of each batch's least
/// activation. The mean starts at its first value (in SAELens and the authors' code at 0, so that
/// early on it is too low); the authors' first code had no threshold at all.
///
/// Matryoshka (Bussmann et al., 2503.17547) cuts the latents into groups, each of which must
/// reconstruct together with those before it and without those after it:
///
/// ```text
/// x̂_g = b_dec + Σ_{i in groups 1..g} f_i d_i            L = Σ_g w_g E‖x - x̂_g‖² + AuxK on x - x̂_G
/// ```
///
/// with `w_g = 1/G` unless given: a plain mean. dictionary_learning divides by G twice (and so
/// weighs the auxiliary loss G times as much); SAELens has `w_g = 1`.
#[derive(Debug, Clone)]
pub struct BatchTopK {
    /// Latents kept for each row, on average.
    pub k: usize,
    /// Of a Matryoshka dictionary: where each nested reconstruction ends.
    pub ends: Vec<usize>,
    /// Of a Matryoshka dictionary: what each weighs.
    pub weights: Vec<f64>,
}

impl BatchTopK {
    fn nested(&self, engine: &mut dyn Engine, step: &Step<'_>) -> Result<Losses> {
        let rows = step.rows as f64;
        let count = self.ends.len() as f64;
        let again = if step.compatibility.matryoshka_divides_twice { count } else { 1.0 };
        let weight = |g: usize| self.weights.get(g).copied().unwrap_or(1.0 / count) / again;
        let each: Vec<f32> = (0..self.ends.len()).map(|g| (weight(g) / rows) as f32).collect();
        let squares = engine.nested(&self.ends, &each, step.stop)?;
        let total = squares.iter().enumerate().map(|(g, s)| weight(g) * s / rows).sum();
        let mse = squares.last().copied().unwrap_or_default() / rows;
        Ok(Losses { total, mse, ..Losses::default() })
    }
}

impl Rule for BatchTopK {
    fn start(&self) -> Start {
        Start { decoder_norm: 1.0, encoder_norm: 1.0, bias_at_median: true, threshold: 0.0 }
    }

    fn unit_directions(&self) -> bool {
        true
    }

    fn gradients(&self, engine: &mut dyn Engine, step: &Step<'_>) -> Result<Losses> {
        let rows = step.rows as f64;
        let by_norm = step.compatibility.free_directions;
        engine.encode(Set::Main, None, Choose::Batch(self.k), by_norm, step.stop)?;
        let mut losses = if self.ends.len() > 1 {
            self.nested(engine, step)?
        } else {
            let weight = (1.0 / rows) as f32;
            let main =
                engine.reconstruct(Set::Main, Target::Input, weight, Penalty::None, step.stop)?;
            engine.scatter(Set::Main, Into::All, step.stop)?;
            let mse = main.squares / rows;
            Losses { total: mse, mse, ..Losses::default() }
        };
        auxk(engine, step, &mut losses)?;
        Ok(losses)
    }

    fn after(&self, engine: &dyn Engine, step: &Step<'_>, running: &mut Running) {
        let from_zero = step.compatibility.threshold_from_zero;
        step.threshold.take(&mut running.threshold, engine.least(), step.number, from_zero);
    }
}
