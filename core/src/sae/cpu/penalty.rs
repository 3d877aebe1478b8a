//! Penalties on activations other than L1.

use super::super::Matrix;
use super::super::engine::Penalty;
use super::super::kernels::{self, Gradients, RowPenalty, Sums};
use super::state::State;

/// An activation smaller than this counts as this large where p < 1 would make its slope grow
/// without bound.
const LEAST: f64 = 1e-6;

struct Tanh<'a> {
    each: f32,
    scale: f32,
    norms: &'a [f32],
}

impl RowPenalty for Tanh<'_> {
    fn row(&self, index: &[u32], value: &[f32], entry: &mut dyn FnMut(usize, f32, f32)) -> f64 {
        let mut sum = 0.0;
        for (j, (i, f)) in index.iter().zip(value).enumerate() {
            let norm = self.norms[*i as usize];
            let tanh = (self.scale * f * norm).tanh();
            sum += f64::from(tanh);
            let slope = self.each * self.scale * (1.0 - tanh * tanh);
            entry(j, slope * norm, slope * f);
        }
        sum
    }
}

struct Power {
    each: f32,
    p: f64,
    root: bool,
}

impl RowPenalty for Power {
    fn row(&self, _: &[u32], value: &[f32], entry: &mut dyn FnMut(usize, f32, f32)) -> f64 {
        let sum: f64 = value.iter().map(|f| f64::from(*f).powf(self.p)).sum();
        // Of (Σ f^p)^(1/p): (Σ f^p)^(1/p - 1) f^(p - 1). Without the root: p f^(p - 1).
        let outer = if self.root { sum.powf(1.0 / self.p - 1.0) } else { self.p };
        for (j, f) in value.iter().enumerate() {
            let inner = f64::from(*f).max(LEAST).powf(self.p - 1.0);
            entry(j, (f64::from(self.each) * outer * inner) as f32, 0.0);
        }
        if self.root && !value.is_empty() { sum.powf(1.0 / self.p) } else { sum }
    }
}

impl State {
    /// Adds what a penalty says to the slopes, and its size to `sums`.
    pub(super) fn penalise(&mut self, penalty: Penalty, norms: &[f32], sums: &mut Sums) {
        self.pull.clear();
        let Self { latents, slope, pull, .. } = self;
        match penalty {
            Penalty::Tanh { each, scale } => {
                pull.resize(latents.len(), 0.0);
                let how = Tanh { each, scale, norms };
                sums.activity = kernels::penalise(latents, &how, slope, pull);
            }
            Penalty::Power { each, p, root } => {
                pull.resize(latents.len(), 0.0);
                let how = Power { each, p: f64::from(p), root };
                sums.activity = kernels::penalise(latents, &how, slope, pull);
                pull.clear();
            }
            Penalty::None | Penalty::Activation(_) | Penalty::Contribution(_) => {}
        }
    }

    /// Adds the pull of a penalty on the norms to the gradients of the directions.
    pub(super) fn pull_on_directions(
        &self,
        decoder: &Matrix,
        norms: &[f32],
        gradients: &mut Gradients,
    ) {
        if self.pull.is_empty() {
            return;
        }
        let sums = kernels::sums_by_latent(&self.latents, |at, _| f64::from(self.pull[at]));
        for (i, sum) in sums.iter().enumerate().filter(|(_, sum)| **sum != 0.0) {
            let by = (sum / f64::from(norms[i].max(f32::MIN_POSITIVE))) as f32;
            let out = gradients.decoder.row_mut(i);
            out.iter_mut().zip(decoder.row(i)).for_each(|(o, w)| *o += by * w);
        }
    }

    /// See [`crate::sae::engine::Engine::power`].
    pub(super) fn power(&self, p: f64, root: bool) -> f64 {
        let row = |r: usize| {
            let value = self.latents.row(r).1;
            let sum: f64 = value.iter().map(|f| f64::from(*f).powf(p)).sum();
            if root && !value.is_empty() { sum.powf(1.0 / p) } else { sum }
        };
        (0..self.latents.rows()).map(row).sum()
    }
}
