//! The same work on a dense `[n, m]` array of activations: cheaper than lists where a good part
//! of the latents is active, as at the start of training with an L1 penalty.

use super::columns::Gradients;
use super::packed::{MAX_PANEL, Packed, TILE_ROWS};
use super::rows::{Reconstruction, Sums};
use super::{Scatter, Stop};
use crate::error::Result;
use crate::sae::Matrix;
use rayon::prelude::*;

/// Rows of a block of work.
const ROWS: usize = 256;

/// Latents of a block of work, and of a step through all of them.
pub(super) const LATENTS: usize = 512;

/// Every product with the packed weights for every row: `act(row, latent, value)` says what is
/// kept of it, given also what stood in `out` (`[n, m]`).
pub(super) fn for_each_product(
    rows: &[f32],
    packed: &Packed,
    out: &mut [f32],
    stop: Stop<'_>,
    act: impl Fn(usize, f32, f32) -> f32 + Sync,
) -> Result<()> {
    let (m, d, panel) = (packed.latents(), packed.width(), packed.panel());
    rows.par_chunks(TILE_ROWS * 16 * d).zip(out.par_chunks_mut(TILE_ROWS * 16 * m)).try_for_each(
        |(rows, out)| -> Result<()> {
            let n = rows.len() / d;
            let whole = n / TILE_ROWS * TILE_ROWS;
            let mut padded = vec![0.0; TILE_ROWS * d];
            padded[..(n - whole) * d].copy_from_slice(&rows[whole * d..]);
            let mut tile = [0.0; TILE_ROWS * MAX_PANEL];
            for p in 0..packed.panels() {
                if p.is_multiple_of(64) {
                    stop()?;
                }
                let first = p * panel;
                let columns = panel.min(m - first);
                for at in (0..n).step_by(TILE_ROWS) {
                    let group = if at < whole { &rows[at * d..][..TILE_ROWS * d] } else { &padded };
                    packed.tile(p, group, TILE_ROWS, &mut tile);
                    for (r, tile) in tile.chunks(panel).take(TILE_ROWS.min(n - at)).enumerate() {
                        let out = &mut out[(at + r) * m + first..][..columns];
                        for (j, (o, t)) in out.iter_mut().zip(tile).enumerate() {
                            *o = act(first + j, *t, *o);
                        }
                    }
                }
            }
            Ok(())
        },
    )
}

/// `f = ReLU(W_enc (x - b_dec) + b_enc)` of every row, zeros included.
pub(crate) fn encode_dense(
    centred: &[f32],
    packed: &Packed,
    out: &mut Vec<f32>,
    stop: Stop<'_>,
) -> Result<()> {
    out.resize(centred.len() / packed.width() * packed.latents(), 0.0);
    for_each_product(centred, packed, out, stop, |_, pre, _| if pre > 0.0 { pre } else { 0.0 })
}

/// Errors `e = f W_dec + bias - target` of every row; see [`super::reconstruct`].
pub(crate) fn reconstruct_dense(
    activations: &[f32],
    decoder: &Matrix,
    how: Reconstruction<'_>,
    error: &mut [f32],
    column_sums: &mut [f64],
    stop: Stop<'_>,
) -> Result<Sums> {
    let (m, d) = (decoder.rows(), decoder.cols());
    let partial: Vec<(Vec<f64>, Sums)> = error
        .par_chunks_mut(ROWS * d)
        .zip(activations.par_chunks(ROWS * m))
        .zip(how.target.par_chunks(ROWS * d))
        .map(|((error, f), target)| {
            for (e, target) in error.chunks_mut(d).zip(target.chunks(d)) {
                for (c, (e, t)) in e.iter_mut().zip(target).enumerate() {
                    *e = how.bias.map_or(0.0, |b| b[c]) - how.sign * t;
                }
            }
            let n = error.len() / d;
            for first in (0..m).step_by(8 * LATENTS) {
                stop()?;
                let count = (8 * LATENTS).min(m - first);
                let weights = &decoder.data()[first * d..][..count * d];
                add_product(n, d, count, error, &f[first..], (m, 1), weights, 1.0);
            }
            let mut columns = vec![0.0f64; d];
            let mut sums = Sums::default();
            for (e, f) in error.chunks(d).zip(f.chunks(m)) {
                columns.iter_mut().zip(e).for_each(|(sum, e)| *sum += f64::from(*e));
                sums.squares += e.iter().map(|e| f64::from(*e) * f64::from(*e)).sum::<f64>();
                sums.activity += match how.norms {
                    Some(norms) => f.iter().zip(norms).map(|(f, n)| f64::from(f * n)).sum::<f64>(),
                    None => f.iter().map(|f| f64::from(*f)).sum(),
                };
            }
            Ok((columns, sums))
        })
        .collect::<Result<_>>()?;
    let mut sums = Sums::default();
    column_sums.fill(0.0);
    for (columns, part) in partial {
        column_sums.iter_mut().zip(columns).for_each(|(sum, c)| *sum += c);
        sums.squares += part.squares;
        sums.activity += part.activity;
    }
    Ok(sums)
}

/// Adds all gradients of a dense set; see [`super::scatter`]. The activations are used up: the
/// gradients of the loss by them take their place.
pub(crate) fn scatter_dense(
    activations: &mut [f32],
    decoder: &Matrix,
    packed: &mut Packed,
    how: Scatter<'_>,
    penalty: f32,
    gradients: &mut Gradients,
    stop: Stop<'_>,
) -> Result<()> {
    let (m, d) = (decoder.rows(), decoder.cols());
    let n = how.error.len() / d;
    let twice = 2.0 * how.weight;
    let Gradients { encoder, b_enc, decoder: of_decoder, touched, .. } = gradients;
    for (i, touched) in touched.iter_mut().enumerate() {
        if !*touched {
            *touched = true;
            b_enc[i] = 0.0;
            encoder.row_mut(i).fill(0.0);
            of_decoder.row_mut(i).fill(0.0);
        }
    }
    let f: &[f32] = activations;
    of_decoder.data_mut().par_chunks_mut(LATENTS * d).enumerate().try_for_each(
        |(block, out)| -> Result<()> {
            let first = block * LATENTS;
            transposed(out, &f[first..], m, n, how.error, d, twice, stop)?;
            let Some((directions, norms, pull)) = how.shrink else { return Ok(()) };
            let mut sums = vec![0.0f32; out.len() / d];
            column_sums(&f[first..], m, &mut sums);
            for (j, out) in out.chunks_mut(d).enumerate() {
                let by = pull * sums[j] / norms[first + j].max(f32::MIN_POSITIVE);
                out.iter_mut().zip(directions.row(first + j)).for_each(|(o, w)| *o += by * w);
            }
            Ok(())
        },
    )?;
    // The product with the directions is made by the same tiles as the encoder's.
    packed.pack(decoder, &vec![0.0; m], None);
    let norms = how.shrink.map(|(_, norms, _)| norms);
    for_each_product(how.error, packed, activations, stop, |i, product, f| {
        if f > 0.0 { twice * product + penalty * norms.map_or(1.0, |norms| norms[i]) } else { 0.0 }
    })?;
    let slope: &[f32] = activations;
    encoder
        .data_mut()
        .par_chunks_mut(LATENTS * d)
        .zip(b_enc.par_chunks_mut(LATENTS))
        .enumerate()
        .try_for_each(|(block, (out, b_enc))| {
            column_sums(&slope[block * LATENTS..], m, b_enc);
            transposed(out, &slope[block * LATENTS..], m, n, how.input, d, 1.0, stop)
        })
}

/// Adds the sums of the first `sums.len()` columns of a `[n, m]` array.
pub(super) fn column_sums(values: &[f32], m: usize, sums: &mut [f32]) {
    for row in values.chunks(m) {
        sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
    }
}

/// `out += factor valuesᵀ rows`: `values` are columns of an `[n, m]` array, `rows` is `[n, d]`.
pub(super) fn transposed(
    out: &mut [f32],
    values: &[f32],
    m: usize,
    n: usize,
    rows: &[f32],
    d: usize,
    factor: f32,
    stop: Stop<'_>,
) -> Result<()> {
    const STEP: usize = 2048;
    for first in (0..n).step_by(STEP) {
        stop()?;
        let count = STEP.min(n - first);
        let rows = &rows[first * d..][..count * d];
        add_product(out.len() / d, d, count, out, &values[first * m..], (1, m), rows, factor);
    }
    Ok(())
}

/// `out[rows, columns] += factor left[rows, inner] right[inner, columns]`; `out` and `right` are
/// row-major, `left` has the strides given (of a row, of a column).
#[allow(unsafe_code)]
pub(crate) fn add_product(
    rows: usize,
    columns: usize,
    inner: usize,
    out: &mut [f32],
    left: &[f32],
    strides: (usize, usize),
    right: &[f32],
    factor: f32,
) {
    if rows == 0 || columns == 0 || inner == 0 {
        return;
    }
    assert!(out.len() >= rows * columns && right.len() >= inner * columns);
    assert!(left.len() > (rows - 1) * strides.0 + (inner - 1) * strides.1);
    // SAFETY: the sizes and strides reach no element beyond the slices (asserted above), and
    // `out` is borrowed mutably, so it overlaps neither of the others.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            columns as isize,
            true,
            left.as_ptr(),
            strides.1 as isize,
            strides.0 as isize,
            right.as_ptr(),
            1,
            columns as isize,
            1.0,
            factor,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
