//! p-annealing.

use super::running::Anneal;
use super::{Losses, Rule, Running, Start, Step};
use crate::error::Result;
use crate::sae::PNorm;
use crate::sae::engine::{Choose, Engine, Into, Penalty, Set, Target};

/// ReLU dictionary whose penalty turns from L1 towards L0 (Karvonen et al., *Measuring progress
/// in dictionary learning*, 2408.00113).
///
/// ```text
/// f = ReLU(W_enc (x - b_dec) + b_enc)                     x̂ = Σ f_i d_i + b_dec
/// L = E‖x - x̂‖² + λ α E Σ f_i^p            or  λ α E (Σ f_i^p)^(1/p)       directions at unit norm
/// ```
///
/// p takes `updates` values, evenly from 1 to `p_end`, the first one until `from` of the run is
/// done, the others at even distances from then to its end. At each change α becomes
/// `α mean(penalty with p) / mean(penalty with the next p)` over the last ten batches, so that
/// the penalty goes on as large as it was.
///
/// Where p < 1 the slope `p f^(p-1)` has no bound near 0: activations under 1e-6 get that of
/// 1e-6 (dictionary_learning lets them have whatever f32 gives).
#[derive(Debug, Clone, Copy)]
pub struct PAnneal {
    /// Which power of the norm.
    pub norm: PNorm,
    /// The last p.
    pub p_end: f64,
    /// Share of the run with p = 1.
    pub from: f64,
    /// Values that p takes.
    pub updates: u32,
}

/// Batches that a change of p looks back on.
const LOOK_BACK: usize = 10;

impl PAnneal {
    /// p after so many changes.
    pub fn p(&self, changes: u32) -> f64 {
        let last = self.updates.saturating_sub(1);
        if last == 0 {
            return 1.0;
        }
        1.0 + (self.p_end - 1.0) * f64::from(changes.min(last)) / f64::from(last)
    }

    /// How often p has changed before step `number` (from 1) of `total`.
    pub fn changes_before(&self, number: u64, total: u64) -> u32 {
        let last = self.updates.saturating_sub(1);
        let share = (number.saturating_sub(1)) as f64 / total.max(1) as f64;
        let along = (share - self.from) / (1.0 - self.from);
        // The value that p has at the very end needs a stretch of its own.
        ((along * f64::from(last + 1)).floor().max(0.0) as u32).min(last)
    }

    /// How often p will have changed a look back from now.
    fn soon(&self, step: &Step<'_>) -> u32 {
        self.changes_before(step.number + LOOK_BACK as u64, step.total)
    }

    fn root(&self) -> bool {
        self.norm == PNorm::Lp
    }
}

impl Rule for PAnneal {
    fn start(&self) -> Start {
        Start { decoder_norm: 1.0, encoder_norm: 0.1, bias_at_median: false, threshold: 0.0 }
    }

    fn unit_directions(&self) -> bool {
        true
    }

    fn gradients(&self, engine: &mut dyn Engine, step: &Step<'_>) -> Result<Losses> {
        let rows = step.rows as f64;
        let Anneal { changes, factor, .. } = step.running.anneal;
        let p = self.p(changes);
        let strength = step.l1 * factor;
        let each = (strength / rows) as f32;
        // With p = 0 every active latent costs the same, and none has a slope.
        let penalty = match p {
            0.0 => Penalty::None,
            1.0 => Penalty::Activation(each),
            p => Penalty::Power { each, p: p as f32, root: self.root() },
        };
        // What `after` asks for is told by lists alone.
        let listed = p != 1.0 || self.soon(step) > changes;
        let choose = if listed { Choose::PositiveListed } else { Choose::Positive };
        engine.encode(Set::Main, None, choose, false, step.stop)?;
        let weight = (1.0 / rows) as f32;
        let main = engine.reconstruct(Set::Main, Target::Input, weight, penalty, step.stop)?;
        engine.scatter(Set::Main, Into::All, step.stop)?;
        let mse = main.squares / rows;
        let sparsity =
            if p == 0.0 { engine.active(Set::Main) as f64 / rows } else { main.activity / rows }
                * factor;
        let total = mse + step.l1 * sparsity;
        Ok(Losses { total, mse, sparsity, ..Losses::default() })
    }

    fn after(&self, engine: &dyn Engine, step: &Step<'_>, running: &mut Running) {
        let anneal = &mut running.anneal;
        let next = self.changes_before(step.number + 1, step.total);
        if self.soon(step) > anneal.changes {
            let size = |changes| match self.p(changes) {
                0.0 => engine.active(Set::Main) as f64,
                p => engine.power(p, self.root()),
            };
            anneal.recent.push([size(anneal.changes), size(anneal.changes + 1)]);
            let over = anneal.recent.len().saturating_sub(LOOK_BACK);
            anneal.recent.drain(..over);
        }
        while anneal.changes < next {
            let sum = |which: usize| anneal.recent.iter().map(|r| r[which]).sum::<f64>();
            let ratio = sum(0) / sum(1);
            if ratio.is_finite() && ratio > 0.0 {
                anneal.factor *= ratio;
            }
            anneal.changes += 1;
            anneal.recent.clear();
        }
    }
}
