//! Finding the active latents.

use super::super::Matrix;
use super::super::engine::{Choose, Parameters, Set};
use super::super::kernels::{self, AnySign, Grain, GroupMax, Select, Stop};
use super::{Cpu, Wiring};
use crate::error::Result;
use std::time::Instant;

/// Rows that are looked at to find out whether a dense array is cheaper.
pub(super) const SAMPLE: usize = 128;

impl Cpu {
    /// The k greatest latents of each row, or with `batch` of all rows together k for each, by
    /// way of a coarse product.
    fn encode_coarse(
        &mut self,
        set: Set,
        k: usize,
        batch: bool,
        grain: Grain,
        stop: Stop<'_>,
    ) -> Result<()> {
        let start = Instant::now();
        let Parameters { encoder, b_enc, .. } = &self.parameters;
        if self.coarse_stale || self.coarse.grain() != grain {
            self.coarse.pack(grain, encoder, b_enc);
            self.coarse_stale = false;
        }
        self.spent.prepare += start.elapsed().as_secs_f64();
        let start = Instant::now();
        let rows = if self.wiring == Wiring::Centred { &self.centred } else { &self.batch };
        let state = match set {
            Set::Main => &mut self.main,
            Set::Auxiliary => &mut self.auxiliary,
        };
        state.is_dense = false;
        let (memory, out) = (&mut self.top_encoding, &mut state.latents);
        let coarse = &self.coarse;
        let rescored = if batch {
            let total = k * (rows.len() / encoder.cols());
            kernels::encode_batch_coarse(rows, encoder, b_enc, coarse, total, memory, out, stop)?
        } else {
            kernels::encode_top(rows, encoder, b_enc, coarse, k, memory, out, stop)?
        };
        state.least_by_norm = None;
        let rows = state.latents.rows().max(1) as f64;
        self.choice.learn(grain, rescored as f64 / rows);
        self.spent.encode += start.elapsed().as_secs_f64();
        Ok(())
    }

    pub(super) fn choose(
        &mut self,
        set: Set,
        among: Option<&[u32]>,
        choose: Choose,
        by_norm: bool,
        stop: Stop<'_>,
    ) -> Result<()> {
        if let (Choose::TopK(k) | Choose::Batch(k), None, false) = (choose, among, by_norm) {
            let (m, d) = (self.parameters.b_enc.len(), self.width());
            if let Some(grain) = self.choice.grain(m, d, k) {
                let batch = matches!(choose, Choose::Batch(_));
                return self.encode_coarse(set, k, batch, grain, stop);
            }
        }
        let start = Instant::now();
        let Parameters { encoder, b_enc, decoder, .. } = &self.parameters;
        let packed = if by_norm {
            self.norms = decoder.row_norms();
            let (encoder, b_enc) = times_norms(encoder, b_enc, &self.norms);
            self.packed_part.pack(&encoder, &b_enc, among);
            &self.packed_part
        } else if among.is_some() {
            self.packed_part.pack(encoder, b_enc, among);
            &self.packed_part
        } else {
            if self.stale {
                self.packed.pack(encoder, b_enc, None);
                self.stale = false;
            }
            &self.packed
        };
        let rows = if self.wiring == Wiring::Centred { &self.centred } else { &self.batch };
        let (m, d) = (encoder.rows(), encoder.cols());
        let state = match set {
            Set::Main => &mut self.main,
            Set::Auxiliary => &mut self.auxiliary,
        };
        self.spent.prepare += start.elapsed().as_secs_f64();
        let start = Instant::now();
        let (memory, out) = (&mut self.encoding, &mut state.latents);
        state.is_dense = false;
        match choose {
            Choose::TopK(k) => {
                kernels::encode(rows, packed, among, Select::TopK(k), memory, out, stop)?;
            }
            Choose::Positive | Choose::PositiveListed => {
                let select = Select::Positive;
                if choose == Choose::Positive && among.is_none() {
                    // The first rows tell which form is cheaper: at any thread count the same.
                    let sample = &rows[..rows.len().min(SAMPLE * d)];
                    kernels::encode(sample, packed, None, select, memory, out, stop)?;
                    state.is_dense = out.l0() > self.dense_above * m as f64;
                }
                if state.is_dense {
                    kernels::encode_dense(rows, packed, &mut state.dense, stop)?;
                } else {
                    kernels::encode(rows, packed, among, select, memory, out, stop)?;
                }
            }
            Choose::Batch(k) => {
                kernels::encode_batch(rows, packed, k * (rows.len() / d), out, stop)?;
            }
            Choose::GroupMax(k) => {
                let make = || GroupMax { size: m / k, kept: Vec::new() };
                kernels::sift(rows, packed, among, make, out, stop)?;
            }
            Choose::AnySign(k) => {
                let make = || AnySign { k, kept: Vec::new() };
                kernels::sift(rows, packed, among, make, out, stop)?;
            }
        }
        state.least_by_norm = None;
        if by_norm {
            state.least_by_norm = Some((state.least(), state.mean_least()));
            let out = &mut state.latents;
            for (i, f) in out.index.iter().zip(&mut out.value) {
                *f /= self.norms[*i as usize].max(f32::MIN_POSITIVE);
            }
        }
        self.spent.encode += start.elapsed().as_secs_f64();
        Ok(())
    }
}

/// Encoder rows and biases times the norms of the directions.
fn times_norms(encoder: &Matrix, b_enc: &[f32], norms: &[f32]) -> (Matrix, Vec<f32>) {
    let mut scaled = encoder.clone();
    for (i, norm) in norms.iter().enumerate() {
        scaled.row_mut(i).iter_mut().for_each(|w| *w *= norm);
    }
    (scaled, b_enc.iter().zip(norms).map(|(b, n)| b * n).collect())
}
