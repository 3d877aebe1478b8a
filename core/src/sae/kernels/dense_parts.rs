//! The parts of a step on dense `[n, m]` arrays, one by one: for architectures that do something
//! of their own between them.

use super::columns::Gradients;
use super::dense::{LATENTS, column_sums, for_each_product, transposed};
use super::{Packed, Stop};
use crate::error::Result;
use crate::sae::Matrix;
use rayon::prelude::*;

/// `W_enc x + b_enc` of every row, `[n, m]`.
pub(crate) fn pre_dense(
    rows: &[f32],
    packed: &Packed,
    out: &mut Vec<f32>,
    stop: Stop<'_>,
) -> Result<()> {
    out.resize(rows.len() / packed.width() * packed.latents(), 0.0);
    for_each_product(rows, packed, out, stop, |_, pre, _| pre)
}

/// `<d_i, row>` of every latent and row, `[n, m]`.
pub(crate) fn products_dense(
    rows: &[f32],
    decoder: &Matrix,
    packed: &mut Packed,
    out: &mut Vec<f32>,
    stop: Stop<'_>,
) -> Result<()> {
    packed.pack(decoder, &vec![0.0; decoder.rows()], None);
    pre_dense(rows, packed, out, stop)
}

/// Every latent has a gradient from now on, if only 0.
pub(crate) fn touch_all(gradients: &mut Gradients) {
    let Gradients { encoder, b_enc, decoder, touched, .. } = gradients;
    for (i, touched) in touched.iter_mut().enumerate().filter(|(_, touched)| !**touched) {
        *touched = true;
        b_enc[i] = 0.0;
        encoder.row_mut(i).fill(0.0);
        decoder.row_mut(i).fill(0.0);
    }
}

/// `out += factor valuesᵀ rows`: `values` is `[n, m]`, `rows` `[n, d]`, `out` `[m, d]`.
pub(crate) fn add_outer_dense(
    out: &mut Matrix,
    values: &[f32],
    rows: &[f32],
    factor: f32,
    stop: Stop<'_>,
) -> Result<()> {
    let (m, d) = (out.rows(), out.cols());
    let n = rows.len() / d;
    out.data_mut().par_chunks_mut(LATENTS * d).enumerate().try_for_each(|(block, out)| {
        transposed(out, &values[block * LATENTS..], m, n, rows, d, factor, stop)
    })
}

/// Adds to `sums` (`[m]`) the sum of each column of `values` (`[n, m]`).
pub(crate) fn add_columns(values: &[f32], sums: &mut [f32]) {
    let m = sums.len();
    sums.par_chunks_mut(LATENTS).enumerate().for_each(|(block, sums)| {
        column_sums(&values[block * LATENTS..], m, sums);
    });
}
