//! Norm, gate and rotation on a CPU, forward and backward, each in one sweep over the rows.

use super::real::{Real, part_mut, sum, view};
use super::wide::wide;
use super::{AttentionShape, Rules, Table};
use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Result, Tensor};
use rayon::prelude::*;

/// Rows that one task works on: fixed, so that sums over rows do not depend on the threads.
const ROWS: usize = 32;

pub(super) fn rms_norm<R: Real>(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    let (xs, ws) = (view(x), view(w));
    let (xv, wv) = (xs.slice::<R>()?, ws.slice::<R>()?);
    let width = wv.len();
    let mut out = vec![R::zero(); xv.len()];
    let chunk = ROWS * width;
    out.par_chunks_mut(chunk).zip(xv.par_chunks(chunk)).for_each(|(out, x)| {
        wide(
            #[inline(always)]
            || {
                for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                    let inverse = inverse_rms(x, eps);
                    for ((o, x), w) in out.iter_mut().zip(x).zip(wv) {
                        *o = *x * inverse * *w;
                    }
                }
            },
        );
    });
    Tensor::from_vec(out, x.shape(), x.device())
}

#[inline(always)]
pub(super) fn inverse_rms<R: Real>(x: &[R], eps: f64) -> R {
    let mean = sum(x.len(), |i| x[i] * x[i]) / R::of(x.len() as f64);
    R::one() / (mean + R::of(eps)).sqrt()
}

pub(super) fn rms_norm_backward<R: Real>(
    dy: &Tensor,
    x: &Tensor,
    w: &Tensor,
    eps: f64,
    rules: &Rules,
    want_dw: bool,
) -> Result<(Tensor, Option<Tensor>)> {
    let (dys, xs, ws) = (view(dy), view(x), view(w));
    let (dyv, xv, wv) = (dys.slice::<R>()?, xs.slice::<R>()?, ws.slice::<R>()?);
    let width = wv.len();
    let chunk = ROWS * width;
    let mut out = vec![R::zero(); xv.len()];
    let task = |((out, dy), x): ((&mut [R], &[R]), &[R])| {
        let mut dw = vec![R::zero(); if want_dw { width } else { 0 }];
        wide(
            #[inline(always)]
            || {
                let rows = out.chunks_exact_mut(width).zip(dy.chunks_exact(width));
                for ((out, dy), x) in rows.zip(x.chunks_exact(width)) {
                    let inverse = inverse_rms(x, eps);
                    // (1/d) Σ dy w n with n = x / rms, and once more 1 / rms for d n.
                    let along = if rules.freeze_norm {
                        R::zero()
                    } else {
                        sum(width, |i| dy[i] * wv[i] * x[i]) * inverse * inverse
                            / R::of(width as f64)
                    };
                    for i in 0..width {
                        out[i] = (dy[i] * wv[i] - x[i] * along) * inverse;
                    }
                    for (dw, i) in dw.iter_mut().zip(0..width) {
                        *dw += dy[i] * x[i] * inverse;
                    }
                }
            },
        );
        dw
    };
    let parts: Vec<Vec<R>> = out
        .par_chunks_mut(chunk)
        .zip(dyv.par_chunks(chunk))
        .zip(xv.par_chunks(chunk))
        .map(task)
        .collect();
    let dw = want_dw.then(|| {
        let mut total = vec![R::zero(); width];
        for part in &parts {
            for (t, p) in total.iter_mut().zip(part) {
                *t += *p;
            }
        }
        total
    });
    let dw = dw.map(|dw| Tensor::from_vec(dw, width, x.device())).transpose()?;
    Ok((Tensor::from_vec(out, x.shape(), x.device())?, dw))
}

pub(super) fn add<R: Real>(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    const CHUNK: usize = 1 << 13;
    let (xs, ys) = (view(x), view(y));
    let (xv, yv) = (xs.slice::<R>()?, ys.slice::<R>()?);
    if xv.len() != yv.len() {
        return Err(candle_core::Error::Msg("a sum of different lengths".to_owned()));
    }
    let mut out = xv.to_vec();
    out.par_chunks_mut(CHUNK).zip(yv.par_chunks(CHUNK)).for_each(|(out, y)| {
        wide(
            #[inline(always)]
            || {
                for (o, y) in out.iter_mut().zip(y) {
                    *o += *y;
                }
            },
        );
    });
    Tensor::from_vec(out, x.shape(), x.device())
}

pub(super) fn silu_mul<R: Real>(gate_up: &Tensor) -> Result<Tensor> {
    let (rows, both) = gate_up.dims2()?;
    let hidden = both / 2;
    let locked = view(gate_up);
    let x = locked.slice::<R>()?;
    let mut out = vec![R::zero(); rows * hidden];
    out.par_chunks_mut(ROWS * hidden).zip(x.par_chunks(ROWS * both)).for_each(|(out, x)| {
        wide(
            #[inline(always)]
            || {
                for (out, x) in out.chunks_exact_mut(hidden).zip(x.chunks_exact(both)) {
                    let (gate, up) = x.split_at(hidden);
                    for ((o, g), u) in out.iter_mut().zip(gate).zip(up) {
                        *o = *g * *u / (R::one() + (R::zero() - *g).exp());
                    }
                }
            },
        );
    });
    Tensor::from_vec(out, (rows, hidden), gate_up.device())
}

pub(super) fn silu_mul_backward<R: Real>(
    dy: &Tensor,
    gate_up: &Tensor,
    rules: &Rules,
) -> Result<Tensor> {
    let (rows, both) = gate_up.dims2()?;
    let hidden = both / 2;
    let (dys, xs) = (view(dy), view(gate_up));
    let (dyv, xv) = (dys.slice::<R>()?, xs.slice::<R>()?);
    let half = R::of(if rules.halve_products { 0.5 } else { 1.0 });
    let bend = if rules.freeze_gate { R::zero() } else { R::one() };
    let mut out = vec![R::zero(); rows * both];
    let task = |((out, dy), x): ((&mut [R], &[R]), &[R])| {
        wide(
            #[inline(always)]
            || {
                let rows = out.chunks_exact_mut(both).zip(dy.chunks_exact(hidden));
                for ((out, dy), x) in rows.zip(x.chunks_exact(both)) {
                    let (gate, up) = x.split_at(hidden);
                    let (dgate, dup) = out.split_at_mut(hidden);
                    for i in 0..hidden {
                        let sigmoid = R::one() / (R::one() + (R::zero() - gate[i]).exp());
                        let slope = sigmoid + bend * gate[i] * sigmoid * (R::one() - sigmoid);
                        dgate[i] = half * dy[i] * up[i] * slope;
                        dup[i] = half * dy[i] * gate[i] * sigmoid;
                    }
                }
            },
        );
    };
    out.par_chunks_mut(ROWS * both)
        .zip(dyv.par_chunks(ROWS * hidden))
        .zip(xv.par_chunks(ROWS * both))
        .for_each(task);
    Tensor::from_vec(out, (rows, both), gate_up.device())
}

/// Turns queries and keys in place.
pub(super) struct Rotate<'a> {
    pub shape: AttentionShape,
    pub table: &'a Table,
    pub back: bool,
}

impl InplaceOp1 for Rotate<'_> {
    fn name(&self) -> &'static str {
        "rotate"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        match self.table.cos.dtype() {
            DType::F64 => self.turn(part_mut::<f64>(storage, layout)?),
            _ => self.turn(part_mut::<f32>(storage, layout)?),
        }
    }
}

impl Rotate<'_> {
    fn turn<R: Real>(&self, x: &mut [R]) -> Result<()> {
        let s = &self.shape;
        let (cos, sin) = (view(&self.table.cos), view(&self.table.sin));
        let (cos, sin) = (cos.slice::<R>()?, sin.slice::<R>()?);
        let half = s.head_dim / 2;
        let turning = (s.heads + s.kv_heads) * s.head_dim;
        let width = turning + s.kv_heads * s.head_dim;
        let sign = if self.back { R::zero() - R::one() } else { R::one() };
        x.par_chunks_mut(ROWS * width).enumerate().for_each(|(chunk, rows)| {
            wide(
                #[inline(always)]
                || {
                    for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                        let position = (chunk * ROWS + i) % s.positions;
                        let cos = &cos[position * half..][..half];
                        let sin = &sin[position * half..][..half];
                        for head in row[..turning].chunks_exact_mut(s.head_dim) {
                            let (a, b) = head.split_at_mut(half);
                            for j in 0..half {
                                let (c, s) = (cos[j], sign * sin[j]);
                                let (x, y) = (a[j], b[j]);
                                a[j] = x * c - y * s;
                                b[j] = y * c + x * s;
                            }
                        }
                    }
                },
            );
        });
        Ok(())
    }
}
