//! Work entry by entry on active latents: what Gated, JumpReLU and penalties other than L1 need
//! besides decoding and scattering.

use super::dense::add_product;
use super::simd::{add_rows, dot, for_each_level};
use crate::sae::{Extra, Latents, Matrix};
use rayon::prelude::*;

/// Rows that are worked on together; fixed, so that no result depends on the thread count.
const ROWS: usize = 64;

/// Cuts a slice with one number an entry into those of each block of [`ROWS`] rows.
fn by_rows<'a>(latents: &Latents, mut entries: &'a mut [f32]) -> Vec<&'a mut [f32]> {
    let mut blocks = Vec::with_capacity(latents.rows().div_ceil(ROWS));
    for first in (0..latents.rows()).step_by(ROWS) {
        let last = (first + ROWS).min(latents.rows());
        let (own, rest) = entries.split_at_mut(latents.row_start[last] - latents.row_start[first]);
        blocks.push(own);
        entries = rest;
    }
    blocks
}

/// `rows += Σ f_i d_i` for every row.
pub(crate) fn add_decoded(latents: &Latents, decoder: &Matrix, rows: &mut [f32]) {
    let d = decoder.cols();
    rows.par_chunks_mut(ROWS * d).enumerate().for_each(|(block, rows)| {
        add_decoded_block(latents, block * ROWS, decoder.data(), d, rows);
    });
}

for_each_level! {
    fn add_decoded_block(
        latents: &Latents,
        first: usize,
        decoder: &[f32],
        d: usize,
        rows: &mut [f32],
    ) {
        for (i, row) in rows.chunks_mut(d).enumerate() {
            let (index, value) = latents.row(first + i);
            add_rows::<FUSED>(row, decoder, index.len(), |j| (index[j] as usize, value[j]));
        }
    }
}

/// `slope = factor <d_i, row>` for every entry.
pub(crate) fn slopes(
    latents: &Latents,
    decoder: &Matrix,
    rows: &[f32],
    factor: f32,
    slope: &mut [f32],
) {
    by_rows(latents, slope).into_par_iter().enumerate().for_each(|(block, slope)| {
        slopes_block(latents, block * ROWS, decoder.data(), decoder.cols(), rows, factor, slope);
    });
}

for_each_level! {
    fn slopes_block(
        latents: &Latents,
        first: usize,
        decoder: &[f32],
        d: usize,
        rows: &[f32],
        factor: f32,
        slope: &mut [f32],
    ) {
        let mut slope = slope.iter_mut();
        for r in first..(first + ROWS).min(latents.rows()) {
            let row = &rows[r * d..][..d];
            for (i, slope) in latents.row(r).0.iter().zip(&mut slope) {
                *slope = factor * dot::<FUSED>(&decoder[*i as usize * d..][..d], row);
            }
        }
    }
}

/// What a penalty says of a row: its size, and for each entry its gradient by the activation and
/// by the norm of the direction.
pub(crate) trait RowPenalty: Sync {
    /// `entry(j, by activation, by norm)` for the row's j-th entry; returns the penalty's size.
    fn row(&self, index: &[u32], value: &[f32], entry: &mut dyn FnMut(usize, f32, f32)) -> f64;
}

/// Adds a penalty's gradients to `slope`, writes those by the norms to `pull`, and returns its
/// size over all rows.
pub(crate) fn penalise(
    latents: &Latents,
    penalty: &impl RowPenalty,
    slope: &mut [f32],
    pull: &mut [f32],
) -> f64 {
    let blocks = by_rows(latents, slope).into_par_iter().zip(by_rows(latents, pull));
    let sums: Vec<f64> = blocks
        .enumerate()
        .map(|(block, (slope, pull))| {
            let first = block * ROWS;
            let start = latents.row_start[first];
            let rows = first..(first + ROWS).min(latents.rows());
            rows.map(|r| {
                let base = latents.row_start[r] - start;
                let (index, value) = latents.row(r);
                penalty.row(index, value, &mut |j, by_activation, by_norm| {
                    slope[base + j] += by_activation;
                    pull[base + j] = by_norm;
                })
            })
            .sum()
        })
        .collect();
    sums.iter().sum()
}

/// Σ of `of(entry, latent)` over the entries of each latent, in the order of the rows.
pub(crate) fn sums_by_latent(latents: &Latents, of: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let mut sums = vec![0.0; latents.width];
    for (at, i) in latents.index.iter().enumerate() {
        let i = *i as usize;
        sums[i] += of(at, i);
    }
    sums
}

/// `ReLU(e^r_mag (gate - b_gate) + b_mag)` of every gate, where it is positive.
pub(crate) fn magnitudes(gates: &Latents, b_gate: &[f32], extra: &Extra, out: &mut Latents) {
    let ratio: Vec<f32> = extra.r_mag.iter().map(|r| r.exp()).collect();
    out.clear();
    for r in 0..gates.rows() {
        let (index, value) = gates.row(r);
        for (i, gate) in index.iter().zip(value) {
            let at = *i as usize;
            let f = ratio[at] * (gate - b_gate[at]) + extra.b_mag[at];
            if f > 0.0 {
                out.index.push(*i);
                out.value.push(f);
            }
        }
        out.row_start.push(out.index.len());
    }
}

/// `rows += factor matrix x` for every row x of `input`; nothing for an empty matrix.
pub(crate) fn add_product_of_rows(rows: &mut [f32], matrix: &Matrix, input: &[f32], factor: f32) {
    let (to, from) = (matrix.rows(), matrix.cols());
    if to == 0 || from == 0 {
        return;
    }
    let mut transposed = vec![0.0; to * from];
    for c in 0..to {
        matrix.row(c).iter().enumerate().for_each(|(i, w)| transposed[i * to + c] = *w);
    }
    let blocks = rows.par_chunks_mut(ROWS * to).zip(input.par_chunks(ROWS * from));
    blocks.for_each(|(rows, input)| {
        let n = rows.len() / to;
        add_product(n, to, from, rows, input, (from, 1), &transposed, factor);
    });
}
