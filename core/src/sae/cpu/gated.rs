//! Gated: magnitudes beside gates.

use super::super::Latents;
use super::super::kernels::{self, Scatter, Stop};
use super::{Cpu, Wiring};
use crate::error::Result;
use crate::sae::engine::{Penalty, Set};
use rayon::prelude::*;
use std::time::Instant;

impl Cpu {
    /// Makes the main set of the open gates in the auxiliary one.
    pub(super) fn open_gates(&mut self) {
        let start = Instant::now();
        let p = &self.parameters;
        self.main.is_dense = self.auxiliary.is_dense;
        if self.main.is_dense {
            let (gates, f) = (&self.auxiliary.dense, &mut self.main.dense);
            f.resize(gates.len(), 0.0);
            let m = p.b_enc.len();
            let ratio: Vec<f32> = p.extra.r_mag.iter().map(|r| r.exp()).collect();
            f.par_chunks_mut(m).zip(gates.par_chunks(m)).for_each(|(f, gates)| {
                for (i, (f, gate)) in f.iter_mut().zip(gates).enumerate() {
                    let open = ratio[i] * (gate - p.b_enc[i]) + p.extra.b_mag[i];
                    *f = if *gate > 0.0 { open.max(0.0) } else { 0.0 };
                }
            });
            self.main.count_dense();
            self.spent.encode += start.elapsed().as_secs_f64();
            return;
        }
        kernels::magnitudes(&self.auxiliary.latents, &p.b_enc, &p.extra, &mut self.main.latents);
        self.spent.encode += start.elapsed().as_secs_f64();
    }

    /// Of a dense step: all that the main set says, but what reaches the encoder, which waits in
    /// its array for what the gates say.
    fn scatter_open_gates_densely(&mut self, stop: Stop<'_>) -> Result<()> {
        let start = Instant::now();
        let p = &self.parameters;
        let m = p.b_enc.len();
        let ratio: Vec<f32> = p.extra.r_mag.iter().map(|r| r.exp()).collect();
        let (main, gradients) = (&mut self.main, &mut self.gradients);
        let twice = 2.0 * main.weight;
        kernels::touch_all(gradients);
        kernels::add_outer_dense(&mut gradients.decoder, &main.dense, &main.error, twice, stop)?;
        let (packed, slope) = (&mut self.packed_part, &mut self.products);
        kernels::products_dense(&main.error, &p.decoder, packed, slope, stop)?;
        // f = e^r pre + b_mag, so df/dr = f - b_mag.
        let (by_ratio, by_bias) =
            kernels::through_magnitudes(&mut main.dense, slope, &p.extra.b_mag, &ratio, twice);
        self.extra.r_mag.iter_mut().zip(by_ratio).for_each(|(g, sum)| *g += sum as f32);
        self.extra.b_mag.iter_mut().zip(by_bias).for_each(|(g, sum)| *g += sum as f32);
        self.by_magnitude = vec![0.0; m];
        kernels::add_columns(&main.dense, &mut self.by_magnitude);
        let weight = main.weight;
        self.add_direct(Set::Main, weight);
        self.spent.scatter += start.elapsed().as_secs_f64();
        Ok(())
    }

    /// Of a dense step: what the gates say, and what waited for it.
    pub(super) fn scatter_gates_densely(&mut self, stop: Stop<'_>) -> Result<()> {
        let start = Instant::now();
        let p = &self.parameters;
        let m = p.b_enc.len();
        let seen = if self.wiring == Wiring::Centred { &self.centred } else { &self.batch };
        let (state, gradients) = (&mut self.auxiliary, &mut self.gradients);
        let twice = 2.0 * state.weight;
        let each = match state.penalty {
            Penalty::Activation(each) => each,
            _ => 0.0,
        };
        let (packed, slope) = (&mut self.packed_part, &mut self.products);
        kernels::products_dense(&state.error, &p.decoder, packed, slope, stop)?;
        slope.par_chunks_mut(m).zip(state.dense.par_chunks(m)).for_each(|(slope, gates)| {
            for (s, gate) in slope.iter_mut().zip(gates) {
                *s = if *gate > 0.0 { twice * *s + each } else { 0.0 };
            }
        });
        kernels::add_columns(slope, &mut gradients.b_enc);
        slope.par_chunks_mut(m).zip(self.main.dense.par_chunks(m)).for_each(|(slope, waited)| {
            slope.iter_mut().zip(waited).for_each(|(s, w)| *s += w);
        });
        kernels::add_outer_dense(&mut gradients.encoder, slope, seen, 1.0, stop)?;
        self.finish_bias();
        self.spent.scatter += start.elapsed().as_secs_f64();
        Ok(())
    }

    pub(super) fn scatter_open_gates(&mut self, stop: Stop<'_>) -> Result<()> {
        if self.main.is_dense {
            return self.scatter_open_gates_densely(stop);
        }
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
