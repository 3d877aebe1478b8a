//! Encoder product with the selection of active latents fused into its blocks.

use super::{ROWS, Select, TopK};
use crate::sae::{Latents, Matrix};
use rayon::prelude::*;

/// Latents whose pre-activations are computed together.
const COLUMNS: usize = 512;

/// Active latents of each row of `centred` (`x - b_dec`, `[n, d]`):
/// `pre = W_enc (x - b_dec) + b_enc`, of which `select` says which are kept.
///
/// The `[n, m]` matrix of pre-activations never exists: blocks of `ROWS x COLUMNS` do.
pub fn encode(centred: &[f32], encoder: &Matrix, b_enc: &[f32], select: Select, out: &mut Latents) {
    let d = encoder.cols();
    out.clear();
    out.width = encoder.rows();
    let blocks: Vec<Latents> = centred
        .par_chunks(ROWS * d)
        .map(|rows| encode_block(rows, encoder, b_enc, select))
        .collect();
    for block in blocks {
        for i in 0..block.rows() {
            let (index, value) = block.row(i);
            out.push_row(index.iter().copied().zip(value.iter().copied()));
        }
    }
}

fn encode_block(rows: &[f32], encoder: &Matrix, b_enc: &[f32], select: Select) -> Latents {
    let (m, d) = (encoder.rows(), encoder.cols());
    let n = rows.len() / d;
    // Always whole blocks: the product's order of summation must not depend on how many rows
    // happen to come together.
    let mut padded = vec![0.0; ROWS * d];
    padded[..rows.len()].copy_from_slice(rows);
    let mut pre = vec![0.0; ROWS * COLUMNS];
    let mut top: Vec<TopK> = (0..n).map(|_| TopK::default()).collect();
    let mut positive = vec![Vec::new(); n];
    if let Select::TopK(k) = select {
        top.iter_mut().for_each(|t| t.begin(k));
    }
    for first in (0..m).step_by(COLUMNS) {
        let columns = COLUMNS.min(m - first);
        product(&padded, &encoder.data()[first * d..], d, columns, &mut pre);
        for i in 0..n {
            let pre = &mut pre[i * COLUMNS..][..columns];
            pre.iter_mut().zip(&b_enc[first..]).for_each(|(p, b)| *p += b);
            match select {
                Select::TopK(_) => top[i].see(first, pre),
                Select::Positive => positive[i].extend(
                    pre.iter()
                        .enumerate()
                        .filter(|(_, v)| **v > 0.0)
                        .map(|(j, v)| ((first + j) as u32, *v)),
                ),
            }
        }
    }
    let mut out = Latents::new(m);
    for i in 0..n {
        match select {
            Select::TopK(_) => {
                let mut entries = Vec::new();
                top[i].finish(|j, v| entries.push((j, v)));
                out.push_row(entries);
            }
            Select::Positive => out.push_row(positive[i].drain(..)),
        }
    }
    out
}

/// `pre[r, c] = rows[r] . weights[c]` for `ROWS` rows and `columns` rows of `weights`.
#[allow(unsafe_code)]
fn product(rows: &[f32], weights: &[f32], d: usize, columns: usize, pre: &mut [f32]) {
    assert!(rows.len() >= ROWS * d && weights.len() >= columns * d && columns <= COLUMNS);
    assert!(pre.len() >= ROWS * COLUMNS);
    // SAFETY: the three slices hold the elements that the sizes and strides reach (asserted
    // above), and `pre` is borrowed mutably, so it overlaps neither of the others.
    unsafe {
        gemm::gemm(
            columns,
            ROWS,
            d,
            pre.as_mut_ptr(),
            COLUMNS as isize,
            1,
            false,
            weights.as_ptr(),
            1,
            d as isize,
            rows.as_ptr(),
            d as isize,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
