//! The parts of a step on dense `[n, m]` arrays, one by one: for architectures that do something
//! of their own between them.

use super::columns::Gradients;
use super::dense::{LATENTS, column_sums, for_each_product, transposed};
use super::simd::for_each_level;
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

/// Rows of a block of work, and of a sum in f32 before it goes into one in f64.
const ROWS: usize = 64;

/// Adds the blocks' sums in their order.
fn in_order(blocks: Vec<Vec<f32>>, len: usize) -> Vec<f64> {
    let mut sums = vec![0.0; len];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, b)| *sum += f64::from(b));
    }
    sums
}

/// Gated: turns magnitudes f into what they pass on to the encoder, `s e^r` with `s = twice
/// product` where f > 0; returns for each latent Σ s (f - b_mag) and Σ s.
pub(crate) fn through_magnitudes(
    f: &mut [f32],
    products: &[f32],
    b_mag: &[f32],
    ratio: &[f32],
    twice: f32,
) -> (Vec<f64>, Vec<f64>) {
    let m = b_mag.len();
    let blocks: Vec<Vec<f32>> = f
        .par_chunks_mut(ROWS * m)
        .zip(products.par_chunks(ROWS * m))
        .map(|(f, products)| {
            let mut sums = vec![0.0; 2 * m];
            magnitudes_block(f, products, b_mag, ratio, twice, &mut sums);
            sums
        })
        .collect();
    let mut by_ratio = in_order(blocks, 2 * m);
    let by_bias = by_ratio.split_off(m);
    (by_ratio, by_bias)
}

for_each_level! {
    fn magnitudes_block(
        f: &mut [f32],
        products: &[f32],
        b_mag: &[f32],
        ratio: &[f32],
        twice: f32,
        sums: &mut [f32],
    ) {
        let m = b_mag.len();
        let (by_ratio, by_bias) = sums.split_at_mut(m);
        let (by_bias, ratio) = (&mut by_bias[..m], &ratio[..m]);
        for (f, product) in f.chunks_exact_mut(m).zip(products.chunks_exact(m)) {
            for i in 0..m {
                let s = if f[i] > 0.0 { twice * product[i] } else { 0.0 };
                by_ratio[i] += s * (f[i] - b_mag[i]);
                by_bias[i] += s;
                f[i] = s * ratio[i];
            }
        }
    }
}

/// How the threshold of a JumpReLU latent feels what is near it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Half the bandwidth.
    pub half: f32,
    /// Factor that makes of a product with the error a gradient by the activation.
    pub twice: f32,
    /// Gradient of the loss by the number of active latents.
    pub each: f32,
    /// Whether that part goes by activations, not pre-activations.
    pub on_f: bool,
}

/// JumpReLU: turns products of directions and errors into gradients by the pre-activations
/// (`twice product` where `pre` is above the threshold); returns for each latent what its
/// threshold's gradient is, times minus the bandwidth.
pub(crate) fn through_jumps(
    products: &mut [f32],
    pre: &[f32],
    threshold: &[f32],
    window: Window,
) -> Vec<f64> {
    let m = threshold.len();
    let blocks: Vec<Vec<f32>> = products
        .par_chunks_mut(ROWS * m)
        .zip(pre.par_chunks(ROWS * m))
        .map(|(products, pre)| {
            let mut sums = vec![0.0; m];
            jumps_block(products, pre, threshold, window, &mut sums);
            sums
        })
        .collect();
    in_order(blocks, m)
}

for_each_level! {
    fn jumps_block(
        products: &mut [f32],
        pre: &[f32],
        threshold: &[f32],
        window: Window,
        sums: &mut [f32],
    ) {
        let m = threshold.len();
        let Window { half, twice, each, on_f } = window;
        let sums = &mut sums[..m];
        for (product, pre) in products.chunks_exact_mut(m).zip(pre.chunks_exact(m)) {
            for i in 0..m {
                let (theta, z) = (threshold[i], pre[i]);
                let (active, slope) = (z > theta, twice * product[i]);
                product[i] = if active { slope } else { 0.0 };
                let near = (z > theta - half) & (z < theta + half);
                // A silent latent's activation, 0, lies in the window of a low threshold.
                let counts = if on_f { (active & near) | (!active & (theta < half)) } else { near };
                sums[i] += if near { theta * slope } else { 0.0 };
                sums[i] += if counts { each } else { 0.0 };
            }
        }
    }
}
