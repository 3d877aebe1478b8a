//! Gated: magnitudes beside gates.

use super::super::Latents;
use super::super::kernels::{self, Scatter, Stop};
use super::{Cpu, Wiring};
use crate::error::Result;
use crate::sae::engine::Set;
use std::time::Instant;

impl Cpu {
    /// Makes the main set of the open gates in the auxiliary one.
    pub(super) fn open_gates(&mut self) {
        let start = Instant::now();
        let p = &self.parameters;
        kernels::magnitudes(&self.auxiliary.latents, &p.b_enc, &p.extra, &mut self.main.latents);
        self.main.is_dense = false;
        self.spent.encode += start.elapsed().as_secs_f64();
    }

    pub(super) fn scatter_open_gates(&mut self, stop: Stop<'_>) -> Result<()> {
        let start = Instant::now();
        let p = &self.parameters;
        let ratio: Vec<f32> = p.extra.r_mag.iter().map(|r| r.exp()).collect();
        let state = &mut self.main;
        let Latents { index, value, .. } = &state.latents;
        let slope = &mut state.slope;
        // f = e^r pre + b_mag, so df/dr = f - b_mag.
        let by_ratio = kernels::sums_by_latent(&state.latents, |at, i| {
            f64::from(slope[at]) * f64::from(value[at] - p.extra.b_mag[i])
        });
        let by_bias = kernels::sums_by_latent(&state.latents, |at, _| f64::from(slope[at]));
        for (g, sum) in self.extra.r_mag.iter_mut().zip(by_ratio) {
            *g += sum as f32;
        }
        for (g, sum) in self.extra.b_mag.iter_mut().zip(by_bias) {
            *g += sum as f32;
        }
        for (slope, i) in slope.iter_mut().zip(index) {
            *slope *= ratio[*i as usize];
        }
        let seen = if self.wiring == Wiring::Centred { &self.centred } else { &self.batch };
        let how = Scatter { input: seen, error: &state.error, weight: state.weight, shrink: None };
        state.columns.sort(&state.latents, &state.slope);
        kernels::scatter(&state.columns, how, &mut self.gradients, stop)?;
        let weight = state.weight;
        // b_enc is the gates' bias: what came by way of the magnitudes is none of its business,
        // but passes through the encoder.
        let g = &mut self.gradients;
        let touched = g.touched.iter().zip(&g.b_enc);
        self.by_magnitude = touched.map(|(touched, g)| if *touched { *g } else { 0.0 }).collect();
        g.b_enc.fill(0.0);
        self.add_direct(Set::Main, weight);
        self.finish_bias();
        self.spent.scatter += start.elapsed().as_secs_f64();
        Ok(())
    }
}
