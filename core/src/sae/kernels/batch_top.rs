//! The greatest activations of a whole batch.

use super::encode_top::{encode_above, encode_top};
use super::sift::{Above, Bound, sift};
use super::{Coarse, Packed, Stop, TopEncoding};
use crate::error::Result;
use crate::sae::{Latents, Matrix};

/// Rows that are looked at to guess where the bound will be.
const SAMPLE: usize = 128;

/// Of all positive pre-activations of the batch (`rows`: `[n, d]`) the `total` greatest; of equal
/// ones those of earlier rows, then of smaller index.
///
/// A guess from the first rows keeps most of what cannot be chosen out of the lists; where it
/// was too high, all is looked at again without it. The result does not depend on it.
///
/// # Errors
/// `stop` said so.
pub(crate) fn encode_batch(
    rows: &[f32],
    packed: &Packed,
    total: usize,
    out: &mut Latents,
    stop: Stop<'_>,
) -> Result<()> {
    let d = packed.width();
    let n = rows.len() / d;
    let mut guess = 0.0;
    if n > 2 * SAMPLE {
        sift(&rows[..SAMPLE * d], packed, None, || Above::new(Bound::All(0.0)), out, stop)?;
        // Room for half as much again: the sample may be richer than the rest.
        let wanted = (total as f64 / n as f64 * SAMPLE as f64 * 1.5) as usize + 64;
        if wanted < out.len() {
            let (_, at, _) = out.value.select_nth_unstable_by(wanted, |a, b| b.total_cmp(a));
            guess = *at;
        }
    }
    sift(rows, packed, None, || Above::new(Bound::All(guess)), out, stop)?;
    if guess > 0.0 && out.len() < total {
        sift(rows, packed, None, || Above::new(Bound::All(0.0)), out, stop)?;
    }
    keep_greatest(out, total);
    Ok(())
}

/// The same by way of a coarse product, bit for bit; `coarse` holds the weights of `encoder` and
/// `b_enc`. Returns how many pre-activations were computed exactly.
///
/// # Errors
/// `stop` said so.
pub(crate) fn encode_batch_coarse(
    rows: &[f32],
    encoder: &Matrix,
    b_enc: &[f32],
    coarse: &Coarse,
    total: usize,
    memory: &mut TopEncoding,
    out: &mut Latents,
    stop: Stop<'_>,
) -> Result<usize> {
    let d = encoder.cols();
    let n = rows.len() / d;
    let mut guess = 0.0;
    let mut computed = 0;
    if n > 2 * SAMPLE {
        // The greatest of each row of the sample, twice as many as are wanted: most likely all
        // that are above the bound are among them. If not, the guess is only a worse one.
        let each = (2 * total).div_ceil(n).min(encoder.rows());
        let sample = &rows[..SAMPLE * d];
        computed += encode_top(sample, encoder, b_enc, coarse, each, memory, out, stop)?;
        let wanted = (total as f64 / n as f64 * SAMPLE as f64 * 1.25) as usize + 64;
        if wanted < out.len() {
            let (_, at, _) = out.value.select_nth_unstable_by(wanted, |a, b| b.total_cmp(a));
            guess = *at;
        }
    }
    // Where the sample was richer than the rest, a lower guess is cheaper than none.
    for bound in [guess, 0.8 * guess, 0.5 * guess, 0.0] {
        computed += encode_above(rows, encoder, b_enc, coarse, bound, memory, out, stop)?;
        if bound == 0.0 || out.len() >= total {
            break;
        }
    }
    keep_greatest(out, total);
    Ok(computed)
}

/// Forgets all but the `total` greatest entries; of equal ones the first stay.
fn keep_greatest(latents: &mut Latents, total: usize) {
    if latents.len() <= total {
        return;
    }
    let mut values = latents.value.clone();
    let bound = match total.checked_sub(1) {
        Some(last) => *values.select_nth_unstable_by(last, |a, b| b.total_cmp(a)).1,
        None => f32::INFINITY,
    };
    let above = latents.value.iter().filter(|v| **v > bound).count();
    let mut equal = total.saturating_sub(above);
    let (mut kept, mut from) = (0, 0);
    for r in 0..latents.rows() {
        let to = latents.row_start[r + 1];
        for at in from..to {
            let value = latents.value[at];
            if value < bound || (value == bound && equal == 0) {
                continue;
            }
            equal -= usize::from(value == bound);
            (latents.index[kept], latents.value[kept]) = (latents.index[at], value);
            kept += 1;
        }
        from = to;
        latents.row_start[r + 1] = kept;
    }
    latents.index.truncate(kept);
    latents.value.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sae::kernels::Grain;

    #[test]
    fn keeps_what_a_sort_of_the_whole_batch_would() {
        let (m, d) = (70, 4);
        // Few distinct numbers, so that ties abound; the first rows are the richest.
        let numbers = |n: usize, by: usize| (0..n).map(move |i| ((i * i * by) % 7) as f32 - 3.0);
        let encoder = Matrix::new(m, d, numbers(m * d, 5).collect()).unwrap();
        let mut packed = Packed::new();
        packed.pack(&encoder, &vec![0.0; m], None);
        for (n, rich) in [(3, 1.0), (300, 1.0), (700, 30.0)] {
            let rows: Vec<f32> = numbers(n * d, 3)
                .enumerate()
                .map(|(i, x)| if i < 128 * d { x * rich } else { x })
                .collect();
            let mut all = Latents::new(m);
            sift(&rows, &packed, None, || Above::new(Bound::All(0.0)), &mut all, &|| Ok(()))
                .unwrap();
            for k in [1, 4, 40, 70] {
                let mut got = Latents::new(m);
                encode_batch(&rows, &packed, k * n, &mut got, &|| Ok(())).unwrap();
                let mut order: Vec<usize> = (0..all.len()).collect();
                order.sort_by(|a, b| all.value[*b].total_cmp(&all.value[*a]).then(a.cmp(b)));
                order.truncate(k * n);
                order.sort_unstable();
                let want: Vec<f32> = order.iter().map(|i| all.value[*i]).collect();
                let index: Vec<u32> = order.iter().map(|i| all.index[*i]).collect();
                assert_eq!((&got.value, &got.index), (&want, &index), "n {n}, k {k}");
                for grain in [Grain::Int8, Grain::Bf16] {
                    let mut coarse = Coarse::new(grain);
                    coarse.pack(grain, &encoder, &vec![0.0; m]);
                    let (mut too, memory) = (Latents::new(m), &mut TopEncoding::default());
                    let (c, t) = (&coarse, &mut too);
                    let b_enc = vec![0.0; m];
                    encode_batch_coarse(&rows, &encoder, &b_enc, c, k * n, memory, t, &|| Ok(()))
                        .unwrap();
                    assert_eq!(too, got, "{grain:?}");
                }
                for r in 0..n {
                    let span = all.row_start[r]..all.row_start[r + 1];
                    let count = order.iter().filter(|i| span.contains(i)).count();
                    assert_eq!(got.row(r).0.len(), count, "row {r}");
                }
            }
        }
    }
}
