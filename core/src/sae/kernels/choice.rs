//! Which way to the k greatest latents is the cheapest. All give the same bits.

use super::Grain;

/// Cost of an exact pre-activation outside a tile, in those of one inside.
const RESCORED: f64 = 13.0;

/// What a coarse tile does besides multiplying, in coordinates a latent.
const BOUNDS: f64 = 14.0;

/// Batches after which what was learnt is forgotten: weights change.
const FORGET_AFTER: u32 = 256;

/// Learns from batch to batch how many latents a row each way has to compute exactly.
#[derive(Debug, Default)]
pub struct Choice {
    int8: Option<f64>,
    bf16: Option<f64>,
    batches: u32,
}

impl Choice {
    /// The cheapest coarse product for `k` of `m` latents of width `d`; `None` if the exact one
    /// is cheaper, or this machine has no fast coarse one.
    pub fn grain(&self, m: usize, d: usize, k: usize) -> Option<Grain> {
        let cost = |grain: Grain, rescored: Option<f64>, guess: f64| {
            let rescored = rescored.unwrap_or(guess * k as f64 + 16.0);
            let product = 1.0 / grain.per_word() as f64 + BOUNDS / d as f64;
            (grain, m as f64 * product + RESCORED * rescored)
        };
        [cost(Grain::Int8, self.int8, 4.0), cost(Grain::Bf16, self.bf16, 1.5)]
            .into_iter()
            .filter(|(grain, cost)| grain.is_fast() && *cost < m as f64)
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(grain, _)| grain)
    }

    /// Takes note that `grain` had to compute so many latents exactly for each row.
    pub fn learn(&mut self, grain: Grain, rescored: f64) {
        match grain {
            Grain::Int8 => self.int8 = Some(rescored),
            Grain::Bf16 => self.bf16 = Some(rescored),
        }
    }

    /// Counts a batch.
    pub fn count(&mut self) {
        self.batches += 1;
        if self.batches == FORGET_AFTER {
            *self = Self::default();
        }
    }
}
