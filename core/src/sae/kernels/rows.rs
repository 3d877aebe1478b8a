//! Work row by row: decoding, the error, and the gradient of each active latent.

use super::Stop;
use super::simd::{add_rows, dot, for_each_level};
use crate::error::Result;
use crate::sae::{Latents, Matrix};
use rayon::prelude::*;

/// Rows that are worked on together; fixed, so that no result depends on the thread count.
const ROWS: usize = 64;

/// Numbers of a band of directions: what a block of rows reads again and again stays in cache.
const BAND: usize = 1 << 16;

/// Active latents a row from which bands pay.
const MANY: usize = 256;

/// Subtracts `offset` from every row of `rows`.
pub fn subtract_from_rows(rows: &mut [f32], offset: &[f32]) {
    rows.par_chunks_mut(ROWS * offset.len()).for_each(|block| {
        for row in block.chunks_mut(offset.len()) {
            row.iter_mut().zip(offset).for_each(|(x, b)| *x -= b);
        }
    });
}

/// `out = b_dec + Σ f_i d_i` for every row.
pub fn decode(latents: &Latents, decoder: &Matrix, b_dec: &[f32], out: &mut [f32]) {
    let d = decoder.cols();
    if out.len() <= ROWS * d {
        // A single block is not worth waking other threads for.
        return decode_block(latents, 0, decoder.data(), b_dec, out);
    }
    out.par_chunks_mut(ROWS * d).enumerate().for_each(|(block, out)| {
        decode_block(latents, block * ROWS, decoder.data(), b_dec, out);
    });
}

for_each_level! {
    fn decode_block(
        latents: &Latents,
        first: usize,
        decoder: &[f32],
        b_dec: &[f32],
        out: &mut [f32],
    ) {
        for (i, out) in out.chunks_mut(b_dec.len()).enumerate() {
            let (index, value) = latents.row(first + i);
            out.copy_from_slice(b_dec);
            add_rows::<FUSED>(out, decoder, index.len(), |j| (index[j] as usize, value[j]));
        }
    }
}

/// What the error of a reconstruction is measured against, and what it costs.
#[derive(Debug, Clone, Copy)]
pub struct Reconstruction<'a> {
    /// Added to every reconstruction: the decoder bias, or nothing.
    pub bias: Option<&'a [f32]>,
    /// Subtracted from every reconstruction: `[n, d]`, with this sign (+1: subtract, -1: add).
    pub target: &'a [f32],
    /// See `target`.
    pub sign: f32,
    /// Loss of an error e: `weight * ‖e‖²`.
    pub weight: f32,
    /// Loss of an activation f: `penalty * f`, times the norm of its direction if `norms` holds
    /// the norms.
    pub penalty: f32,
    /// See `penalty`.
    pub norms: Option<&'a [f32]>,
}

/// Sums over a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// Σ ‖e‖².
    pub squares: f64,
    /// Σ f, or Σ f ‖d‖: what the penalty is proportional to.
    pub activity: f64,
}

/// For every row the error `e = Σ f_i d_i + bias - target`, and for every active latent the
/// gradient of the loss by its activation, `2 weight <d_i, e> + penalty (‖d_i‖)`.
///
/// `partial` is working memory; `column_sums` gets Σ e over the rows.
///
/// # Errors
/// `stop` said so.
pub fn reconstruct(
    latents: &Latents,
    decoder: &Matrix,
    how: Reconstruction<'_>,
    error: &mut [f32],
    slope: &mut [f32],
    partial: &mut Vec<f64>,
    column_sums: &mut [f64],
    stop: Stop<'_>,
) -> Result<Sums> {
    let d = decoder.cols();
    let blocks = latents.rows().div_ceil(ROWS);
    partial.clear();
    partial.resize(blocks * (d + 2), 0.0);
    // Each block owns the slopes of its rows' entries.
    let mut slopes = Vec::with_capacity(blocks);
    let mut rest = slope;
    for block in 0..blocks {
        let ends = (block * ROWS, ((block + 1) * ROWS).min(latents.rows()));
        let (own, others) =
            rest.split_at_mut(latents.row_start[ends.1] - latents.row_start[ends.0]);
        slopes.push(own);
        rest = others;
    }
    error
        .par_chunks_mut(ROWS * d)
        .zip(slopes)
        .zip(partial.par_chunks_mut(d + 2))
        .enumerate()
        .try_for_each(|(block, ((error, slope), partial))| -> Result<()> {
            stop()?;
            reconstruct_block(latents, block * ROWS, decoder.data(), how, error, slope, partial);
            Ok(())
        })?;
    let mut sums = Sums::default();
    column_sums.fill(0.0);
    for partial in partial.chunks(d + 2) {
        column_sums.iter_mut().zip(partial).for_each(|(sum, p)| *sum += p);
        sums.squares += partial[d];
        sums.activity += partial[d + 1];
    }
    Ok(sums)
}

for_each_level! {
    fn reconstruct_block(
        latents: &Latents,
        first: usize,
        decoder: &[f32],
        how: Reconstruction<'_>,
        error: &mut [f32],
        slope: &mut [f32],
        partial: &mut [f64],
    ) {
        let d = partial.len() - 2;
        let (columns, sums) = partial.split_at_mut(d);
        for (i, e) in error.chunks_mut(d).enumerate() {
            let target = &how.target[(first + i) * d..][..d];
            match how.bias {
                Some(bias) => for c in 0..d {
                    e[c] = bias[c] - how.sign * target[c];
                },
                None => for c in 0..d {
                    e[c] = -how.sign * target[c];
                },
            }
        }
        // Band after band of latents, or all at once; a row's entries come in the same order.
        let rows = error.len() / d;
        let starts = &latents.row_start[first..=first + rows];
        let all = decoder.len() / d;
        let many = starts[rows] - starts[0] > MANY * rows;
        let band = if many { BAND.div_ceil(d) } else { all };
        let mut done = [0; ROWS];
        done[..rows].copy_from_slice(&starts[..rows]);
        for end in (0..all).step_by(band).map(|from| from + band) {
            for (i, e) in error.chunks_mut(d).enumerate() {
                let from = done[i];
                let count = entries_before(&latents.index[from..starts[i + 1]], end, all);
                done[i] += count;
                let (index, value) = (&latents.index[from..][..count], &latents.value[from..][..count]);
                add_rows::<FUSED>(e, decoder, count, |j| (index[j] as usize, value[j]));
            }
        }
        for e in error.chunks(d) {
            for c in 0..d {
                columns[c] += f64::from(e[c]);
            }
            sums[0] += f64::from(dot::<FUSED>(e, e));
        }
        let twice = 2.0 * how.weight;
        done[..rows].copy_from_slice(&starts[..rows]);
        for end in (0..all).step_by(band).map(|from| from + band) {
            for (i, e) in error.chunks(d).enumerate() {
                let from = done[i];
                let count = entries_before(&latents.index[from..starts[i + 1]], end, all);
                done[i] += count;
                for at in from..from + count {
                    let (j, f) = (latents.index[at] as usize, latents.value[at]);
                    let direction = &decoder[j * d..][..d];
                    let norm = how.norms.map_or(1.0, |norms| norms[j]);
                    sums[1] += f64::from(f * norm);
                    slope[at - starts[0]] = twice * dot::<FUSED>(direction, e) + how.penalty * norm;
                }
            }
        }
    }
}

/// How many of the ascending `index` are below `end`.
#[inline(always)]
fn entries_before(index: &[u32], end: usize, all: usize) -> usize {
    if end >= all {
        return index.len();
    }
    index.iter().take_while(|j| (**j as usize) < end).count()
}

/// Σ‖x - mean x‖² over the rows of `batch` (width `d`), and 0 where that is not above what
/// rounding leaves of rows that are all the same.
pub fn variance(batch: &[f32], d: usize) -> f64 {
    let rows = (batch.len() / d.max(1)).max(1) as f64;
    let blocks: Vec<(Vec<f64>, f64)> = batch
        .par_chunks(ROWS * d)
        .map(|block| {
            let (mut sums, mut squares) = (vec![0.0f64; d], 0.0f64);
            for row in block.chunks(d) {
                for (sum, x) in sums.iter_mut().zip(row) {
                    let x = f64::from(*x);
                    *sum += x;
                    squares += x * x;
                }
            }
            (sums, squares)
        })
        .collect();
    let squares: f64 = blocks.iter().map(|b| b.1).sum();
    let of_mean: f64 =
        (0..d).map(|c| blocks.iter().map(|b| b.0[c]).sum::<f64>().powi(2)).sum::<f64>() / rows;
    let variance = squares - of_mean;
    if variance > squares * 1e-12 { variance } else { 0.0 }
}
