//! JumpReLU: thresholds and their pseudo-gradients.

use super::super::engine::{Parameters, Penalty, Set};
use super::super::kernels::{self, Above, Below, Bound, Scatter, Stop, Window};
use super::choose::SAMPLE;
use super::{Cpu, Wiring};
use crate::error::Result;
use rayon::prelude::*;
use std::time::Instant;

impl Cpu {
    /// Fills the main set with what is above its threshold, the auxiliary one with what is less
    /// than half a `bandwidth` away from it.
    pub(super) fn jump(
        &mut self,
        bandwidth: f32,
        may_be_dense: bool,
        stop: Stop<'_>,
    ) -> Result<()> {
        let start = Instant::now();
        let Parameters { encoder, b_enc, extra, .. } = &self.parameters;
        if self.stale {
            self.packed.pack(encoder, b_enc, None);
            self.stale = false;
        }
        let seen = if self.wiring == Wiring::Centred { &self.centred } else { &self.batch };
        let low: Vec<f32> = extra.threshold.iter().map(|t| t - 0.5 * bandwidth).collect();
        self.spent.prepare += start.elapsed().as_secs_f64();
        let start = Instant::now();
        let near = &mut self.auxiliary.latents;
        let make = || Above::new(Bound::Each(&low));
        if may_be_dense {
            // The first rows tell which form is cheaper: at any thread count the same.
            let sample = &seen[..seen.len().min(SAMPLE * encoder.cols())];
            kernels::sift(sample, &self.packed, None, make, near, stop)?;
            if near.l0() > self.dense_above * b_enc.len() as f64 {
                return self.jump_densely(start, stop);
            }
        }
        kernels::sift(seen, &self.packed, None, make, near, stop)?;
        let main = &mut self.main.latents;
        let threshold = |i: u32| extra.threshold[i as usize];
        main.clear();
        let mut kept = 0;
        let mut from = 0;
        for r in 0..near.rows() {
            let to = near.row_start[r + 1];
            for at in from..to {
                let (i, pre) = (near.index[at], near.value[at]);
                if pre > threshold(i) {
                    main.index.push(i);
                    main.value.push(pre);
                }
                if pre < threshold(i) + 0.5 * bandwidth {
                    (near.index[kept], near.value[kept]) = (i, pre);
                    kept += 1;
                }
            }
            main.row_start.push(main.index.len());
            from = to;
            near.row_start[r + 1] = kept;
        }
        near.index.truncate(kept);
        near.value.truncate(kept);
        self.main.is_dense = false;
        self.auxiliary.is_dense = false;
        self.spent.encode += start.elapsed().as_secs_f64();
        Ok(())
    }

    /// The pseudo-gradients of the thresholds, once the main set is reconstructed.
    pub(super) fn threshold_gradient(
        &mut self,
        bandwidth: f32,
        each: f32,
        on_f: bool,
        stop: Stop<'_>,
    ) -> Result<()> {
        let start = Instant::now();
        stop()?;
        let Parameters { decoder, extra, .. } = &self.parameters;
        let (main, near) = (&self.main, &mut self.auxiliary);
        near.slope.resize(near.latents.len(), 0.0);
        let slope = &mut near.slope;
        kernels::slopes(&near.latents, decoder, &main.error, 2.0 * main.weight, slope);
        let threshold = &extra.threshold;
        let bandwidth = f64::from(bandwidth);
        let sums = kernels::sums_by_latent(&near.latents, |at, i| {
            let (pre, theta) = (near.latents.value[at], f64::from(threshold[i]));
            let active = pre > threshold[i];
            let f = if active { pre } else { 0.0 };
            let by_penalty = match main.penalty {
                Penalty::Tanh { each, scale } => {
                    let c = scale * self.norms[i];
                    f64::from(each * c * (1.0 - (c * f).tanh().powi(2)))
                }
                _ => 0.0,
            };
            let by_count = if on_f && !active { 0.0 } else { f64::from(each) };
            -(theta * (f64::from(slope[at]) + by_penalty) + by_count) / bandwidth
        });
        for (g, sum) in self.extra.threshold.iter_mut().zip(sums) {
            *g += sum as f32;
        }
        if on_f {
            let rows = main.latents.rows() as f64;
            let active = kernels::sums_by_latent(&main.latents, |_, _| 1.0);
            for ((g, active), theta) in self.extra.threshold.iter_mut().zip(active).zip(threshold) {
                // A silent latent's activation, 0, lies in the window of a low threshold.
                if f64::from(*theta) < 0.5 * bandwidth {
                    *g -= ((rows - active) * f64::from(each) / bandwidth) as f32;
                }
            }
        }
        self.spent.scatter += start.elapsed().as_secs_f64();
        Ok(())
    }

    /// Every pre-activation stays in the auxiliary array, every activation in the main one.
    fn jump_densely(&mut self, start: Instant, stop: Stop<'_>) -> Result<()> {
        let seen = if self.wiring == Wiring::Centred { &self.centred } else { &self.batch };
        let threshold = &self.parameters.extra.threshold;
        let (pre, f) = (&mut self.auxiliary.dense, &mut self.main.dense);
        kernels::pre_dense(seen, &self.packed, pre, stop)?;
        f.resize(pre.len(), 0.0);
        let m = threshold.len();
        f.par_chunks_mut(m).zip(pre.par_chunks(m)).for_each(|(f, pre)| {
            for ((f, z), theta) in f.iter_mut().zip(pre).zip(threshold) {
                *f = if z > theta { *z } else { 0.0 };
            }
        });
        self.main.is_dense = true;
        self.main.count_dense();
        self.spent.encode += start.elapsed().as_secs_f64();
        Ok(())
    }

    /// All gradients of a dense step at once: those of the thresholds need the product of every
    /// direction with the error, of which the others need those of active latents.
    pub(super) fn scatter_jump_densely(
        &mut self,
        bandwidth: f32,
        each: f32,
        on_f: bool,
        stop: Stop<'_>,
    ) -> Result<()> {
        let start = Instant::now();
        let Parameters { decoder, extra, .. } = &self.parameters;
        let threshold = &extra.threshold;
        let seen = if self.wiring == Wiring::Centred { &self.centred } else { &self.batch };
        let (main, pre) = (&mut self.main, &self.auxiliary.dense);
        let twice = 2.0 * main.weight;
        let gradients = &mut self.gradients;
        kernels::touch_all(gradients);
        kernels::add_outer_dense(&mut gradients.decoder, &main.dense, &main.error, twice, stop)?;
        let (packed, slope) = (&mut self.packed_part, &mut main.dense);
        kernels::products_dense(&main.error, decoder, packed, slope, stop)?;
        let window = Window { half: 0.5 * bandwidth, twice, each, on_f };
        let sums = kernels::through_jumps(slope, pre, threshold, window);
        for (g, sum) in self.extra.threshold.iter_mut().zip(sums) {
            *g -= (sum / f64::from(bandwidth)) as f32;
        }
        kernels::add_columns(slope, &mut gradients.b_enc);
        kernels::add_outer_dense(&mut gradients.encoder, slope, seen, 1.0, stop)?;
        let weight = main.weight;
        self.add_direct(Set::Main, weight);
        self.finish_bias();
        self.spent.scatter += start.elapsed().as_secs_f64();
        Ok(())
    }

    /// See [`crate::sae::engine::Engine::pull_up`].
    pub(super) fn pull_up_silent(
        &mut self,
        among: &[u32],
        each: f32,
        stop: Stop<'_>,
    ) -> Result<f64> {
        let start = Instant::now();
        let Parameters { encoder, b_enc, decoder, extra, .. } = &self.parameters;
        self.norms = decoder.row_norms();
        self.packed_part.pack(encoder, b_enc, Some(among));
        let bounds: Vec<f32> = among.iter().map(|i| extra.threshold[*i as usize]).collect();
        let seen = if self.wiring == Wiring::Centred { &self.centred } else { &self.batch };
        let state = &mut self.auxiliary;
        let make = || Below { bounds: &bounds, kept: Vec::new() };
        kernels::sift(seen, &self.packed_part, Some(among), make, &mut state.latents, stop)?;
        let norms = &self.norms;
        state.slope.clear();
        state.slope.extend(state.latents.index.iter().map(|i| -each * norms[*i as usize]));
        let entries = state.latents.index.iter().zip(&state.latents.value);
        let sum = entries.map(|(i, v)| f64::from(*v) * f64::from(norms[*i as usize])).sum();
        let by_latent =
            kernels::sums_by_latent(&state.latents, |at, _| -f64::from(state.slope[at]));
        for (g, sum) in self.extra.threshold.iter_mut().zip(by_latent) {
            *g += sum as f32;
        }
        let how = Scatter {
            input: seen,
            error: &self.main.error,
            weight: 0.0,
            shrink: Some((decoder, norms, each)),
        };
        state.columns.sort(&state.latents, &state.slope);
        kernels::scatter(&state.columns, how, &mut self.gradients, stop)?;
        self.finish_bias();
        self.spent.scatter += start.elapsed().as_secs_f64();
        Ok(sum)
    }
}
