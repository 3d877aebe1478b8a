//! The arithmetic of one position on a CPU in f32, on plain slices: what a tensor for every step
//! would cost is more than the step itself.

use super::pointwise::inverse_rms;
use super::real::Real;
use super::wide::wide;
use rayon::prelude::*;

/// Products (of single numbers) from which other threads are woken for a matrix.
const WORTH_SHARING: usize = 1 << 21;
/// Rows of a matrix that a thread works on at once.
const SHARE: usize = 64;

/// x / rms(x) · w for each row of `x` (`[_, width]`).
pub(in crate::llama) fn norm(x: &[f32], w: &[f32], eps: f64, out: &mut Vec<f32>) {
    out.clear();
    out.resize(x.len(), 0.0);
    wide(
        #[inline(always)]
        || {
            for (out, x) in out.chunks_exact_mut(w.len()).zip(x.chunks_exact(w.len())) {
                let inverse = inverse_rms(x, eps);
                for ((o, x), w) in out.iter_mut().zip(x).zip(w) {
                    *o = *x * inverse * *w;
                }
            }
        },
    );
}

/// x Wᵀ: `x` is `[rows, k]`, `w` `[n, k]`, `out` `[rows, n]`. `w` is read once.
pub(in crate::llama) fn product(x: &[f32], w: &[f32], k: usize, out: &mut Vec<f32>) {
    let (rows, n) = (x.len() / k, w.len() / k);
    out.clear();
    out.resize(rows * n, 0.0);
    if rows == 1 {
        return columns(x, w, k, out);
    }
    let mut turned = vec![0.0; rows * n];
    columns(x, w, k, &mut turned);
    for (i, column) in turned.chunks_exact(rows).enumerate() {
        for (row, value) in column.iter().enumerate() {
            out[row * n + i] = *value;
        }
    }
}

/// W xᵀ, `[n, rows]`.
fn columns(x: &[f32], w: &[f32], k: usize, out: &mut [f32]) {
    let rows = x.len() / k;
    let work = |out: &mut [f32], w: &[f32]| {
        wide(
            #[inline(always)]
            || {
                for (out, w) in out.chunks_exact_mut(rows).zip(w.chunks_exact(k)) {
                    for (out, x) in out.iter_mut().zip(x.chunks_exact(k)) {
                        *out = dot(w, x);
                    }
                }
            },
        );
    };
    if w.len() * rows < WORTH_SHARING {
        return work(out, w);
    }
    out.par_chunks_mut(SHARE * rows).zip(w.par_chunks(SHARE * k)).for_each(|(o, w)| work(o, w));
}

/// Σ a b in sixteen sums that are added up in pairs.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = (&a[..a.len().min(b.len())], &b[..a.len().min(b.len())]);
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut sums = [0f32; 16];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..16 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let mut half = 8;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums[0] + rest
}

/// silu(gate) · up of each row of `[_, 2 hidden]`.
pub(in crate::llama) fn silu_mul(gate_up: &[f32], hidden: usize, out: &mut Vec<f32>) {
    out.clear();
    out.resize(gate_up.len() / 2, 0.0);
    wide(
        #[inline(always)]
        || {
            let rows = out.chunks_exact_mut(hidden).zip(gate_up.chunks_exact(2 * hidden));
            for (out, both) in rows {
                let (gate, up) = both.split_at(hidden);
                for ((o, g), u) in out.iter_mut().zip(gate).zip(up) {
                    *o = *g * *u / (1.0 + Real::exp(-*g));
                }
            }
        },
    );
}

/// Turns heads, one after another, by the angles of one position.
pub(in crate::llama) fn turn(heads: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    wide(
        #[inline(always)]
        || {
            for head in heads.chunks_exact_mut(2 * half) {
                let (a, b) = head.split_at_mut(half);
                for j in 0..half {
                    let (x, y) = (a[j], b[j]);
                    a[j] = x * cos[j] - y * sin[j];
                    b[j] = y * cos[j] + x * sin[j];
                }
            }
        },
    );
}

/// One head's output for a query: keys and values are `[positions, stride]`, the head's numbers of
/// a position the first of each stretch. `scores` is room for one a position.
pub(in crate::llama) fn attend(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    stride: usize,
    scores: &mut [f32],
    out: &mut [f32],
) {
    let d = q.len();
    let scale = 1.0 / (d as f64).sqrt() as f32;
    wide(
        #[inline(always)]
        || {
            let mut top = f32::NEG_INFINITY;
            for (i, score) in scores.iter_mut().enumerate() {
                *score = dot(q, &k[i * stride..][..d]);
                top = if *score > top { *score } else { top };
            }
            let mut sum = 0.0;
            for score in scores.iter_mut() {
                *score = Real::exp((*score - top) * scale);
            }
            for score in scores.iter() {
                sum += *score;
            }
            out.fill(0.0);
            for (i, score) in scores.iter().enumerate() {
                let share = *score / sum;
                for (o, v) in out.iter_mut().zip(&v[i * stride..][..d]) {
                    *o += share * v;
                }
            }
        },
    );
}
