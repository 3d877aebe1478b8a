//! Work latent by latent: the gradients of its encoder row, bias and direction.

use super::Stop;
use super::simd::{add_rows, for_each_level};
use crate::error::Result;
use crate::sae::{Latents, Matrix};
use rayon::prelude::*;

/// Latents that are worked on together.
const LATENTS: usize = 128;

/// Numbers of a band of rows: a block's gradients and a band of both inputs stay in cache.
const BAND: usize = 1 << 15;

/// Entries a latent from which bands pay.
const MANY: usize = 64;

/// The entries of some [`Latents`] sorted by latent (compressed sparse columns), so that each
/// latent's gradient is one sum, made by one thread in the order of the rows.
#[derive(Debug, Default)]
pub struct Columns {
    start: Vec<usize>,
    row: Vec<u32>,
    value: Vec<f32>,
    slope: Vec<f32>,
}

impl Columns {
    /// Sorts the entries, each with the gradient of the loss by its activation.
    pub fn sort(&mut self, latents: &Latents, slope: &[f32]) {
        let (m, entries) = (latents.width, latents.len());
        self.start.clear();
        self.start.resize(m + 2, 0);
        // Counted two places further on, so that after the running sum and the placing below
        // `start[i]` is where latent i begins.
        for i in &latents.index {
            self.start[*i as usize + 2] += 1;
        }
        for i in 2..m + 2 {
            self.start[i] += self.start[i - 1];
        }
        self.row.resize(entries, 0);
        self.value.resize(entries, 0.0);
        self.slope.resize(entries, 0.0);
        let mut slopes = slope.iter();
        for r in 0..latents.rows() {
            let (index, value) = latents.row(r);
            // The shortest ends the zip before a slope is taken.
            for ((i, f), slope) in index.iter().zip(value).zip(&mut slopes) {
                let place = &mut self.start[*i as usize + 1];
                self.row[*place] = r as u32;
                self.value[*place] = *f;
                self.slope[*place] = *slope;
                *place += 1;
            }
        }
    }
}

/// Gradients of a dictionary's weights. Rows of latents that are not `touched` stand for zeros,
/// whatever they hold.
#[derive(Debug, Default)]
pub struct Gradients {
    /// `[m, d]`.
    pub encoder: Matrix,
    /// `[m]`.
    pub b_enc: Vec<f32>,
    /// `[m, d]`.
    pub decoder: Matrix,
    /// `[d]`.
    pub b_dec: Vec<f32>,
    /// Whether latent i has a gradient.
    pub touched: Vec<bool>,
}

impl Gradients {
    /// None yet.
    pub fn new(m: usize, d: usize) -> Self {
        Self {
            encoder: Matrix::zeros(m, d),
            b_enc: vec![0.0; m],
            decoder: Matrix::zeros(m, d),
            b_dec: vec![0.0; d],
            touched: vec![false; m],
        }
    }
}

/// What goes into the gradients of the latents besides the sorted entries.
#[derive(Debug, Clone, Copy)]
pub struct Scatter<'a> {
    /// `[n, d]`, what the encoder saw.
    pub input: &'a [f32],
    /// `[n, d]`, the error of the reconstruction.
    pub error: &'a [f32],
    /// Loss of an error e: `weight * ‖e‖²`.
    pub weight: f32,
    /// Directions and their norms, with the penalty on `f ‖d‖` that pulls at them.
    pub shrink: Option<(&'a Matrix, &'a [f32], f32)>,
}

/// Adds the gradients of all entries:
/// encoder row i += Σ slope x, b_enc i += Σ slope, direction i += Σ 2 weight f e.
///
/// # Errors
/// `stop` said so.
pub fn scatter(
    columns: &Columns,
    how: Scatter<'_>,
    gradients: &mut Gradients,
    stop: Stop<'_>,
) -> Result<()> {
    let d = gradients.b_dec.len();
    let Gradients { encoder, b_enc, decoder, touched, .. } = gradients;
    encoder
        .data_mut()
        .par_chunks_mut(LATENTS * d)
        .zip(decoder.data_mut().par_chunks_mut(LATENTS * d))
        .zip(b_enc.par_chunks_mut(LATENTS).zip(touched.par_chunks_mut(LATENTS)))
        .enumerate()
        .try_for_each(|(block, ((encoder, decoder), (b_enc, touched)))| {
            stop()?;
            scatter_block(columns, block * LATENTS, d, how, encoder, decoder, b_enc, touched);
            Ok(())
        })
}

for_each_level! {
    fn scatter_block(
        columns: &Columns,
        first: usize,
        d: usize,
        how: Scatter<'_>,
        encoder: &mut [f32],
        decoder: &mut [f32],
        b_enc: &mut [f32],
        touched: &mut [bool],
    ) {
        let twice = 2.0 * how.weight;
        let starts = &columns.start[first..=first + b_enc.len()];
        for (i, touched) in touched.iter_mut().enumerate() {
            let span = starts[i]..starts[i + 1];
            if span.is_empty() {
                continue;
            }
            if !*touched {
                *touched = true;
                b_enc[i] = 0.0;
                encoder[i * d..][..d].fill(0.0);
                decoder[i * d..][..d].fill(0.0);
            }
            b_enc[i] += columns.slope[span].iter().sum::<f32>();
        }
        // Band after band of rows, or all at once; a latent's entries come in the same order.
        let entries = starts[b_enc.len()] - starts[0];
        let band = if entries > MANY * b_enc.len() { BAND.div_ceil(d) } else { usize::MAX };
        let rows = how.error.len() / d;
        let mut done = [0; LATENTS];
        done[..b_enc.len()].copy_from_slice(&starts[..b_enc.len()]);
        let mut end = 0usize;
        while end < rows {
            end = end.saturating_add(band);
            for i in 0..b_enc.len() {
                let rest = &columns.row[done[i]..starts[i + 1]];
                let count = if end >= rows {
                    rest.len()
                } else {
                    rest.iter().take_while(|r| (**r as usize) < end).count()
                };
                let row = &rest[..count];
                let slope = &columns.slope[done[i]..][..count];
                let value = &columns.value[done[i]..][..count];
                done[i] += count;
                let out = &mut encoder[i * d..][..d];
                add_rows::<FUSED>(out, how.input, count, |j| (row[j] as usize, slope[j]));
                let out = &mut decoder[i * d..][..d];
                add_rows::<FUSED>(out, how.error, count, |j| (row[j] as usize, twice * value[j]));
            }
        }
        if let Some((directions, norms, penalty)) = how.shrink {
            for i in 0..b_enc.len() {
                let value = &columns.value[starts[i]..starts[i + 1]];
                if value.is_empty() {
                    continue;
                }
                let norm = norms[first + i].max(f32::MIN_POSITIVE);
                let pull = penalty * value.iter().sum::<f32>() / norm;
                let direction = directions.row(first + i);
                for c in 0..d {
                    decoder[i * d + c] += pull * direction[c];
                }
            }
        }
    }
}

/// Σ_i b_enc_i W_enc_i over the touched latents: how the bias that is subtracted before the
/// encoder enters the gradient of the decoder bias. `partial` is working memory.
pub fn pull_on_bias(
    gradients: &Gradients,
    encoder: &Matrix,
    partial: &mut Vec<f64>,
    out: &mut [f64],
) {
    let d = encoder.cols();
    partial.clear();
    partial.resize(encoder.rows().div_ceil(LATENTS) * d, 0.0);
    partial.par_chunks_mut(d).enumerate().for_each(|(block, partial)| {
        let first = block * LATENTS;
        for i in first..(first + LATENTS).min(encoder.rows()) {
            if !gradients.touched[i] {
                continue;
            }
            let g = f64::from(gradients.b_enc[i]);
            partial.iter_mut().zip(encoder.row(i)).for_each(|(p, w)| *p += g * f64::from(*w));
        }
    });
    out.fill(0.0);
    for partial in partial.chunks(d) {
        out.iter_mut().zip(partial).for_each(|(o, p)| *o += p);
    }
}
