//! The arithmetic of a block, forward and backward: one function each, fast on a CPU, portable
//! elsewhere.
//!
//! Activations are `[rows, width]`, rows being batch × positions; matrices are `[out, in]`.

mod attention;
mod gemm;
mod pointwise;
mod portable;
mod real;
pub(super) mod vector;
mod wide;

use crate::error::Result;
use candle_core::{DType, Tensor};
use gemm::{Matrix, Threads, new_product, rows_times};
use real::{Real, takes, view};

/// Sizes of an attention.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttentionShape {
    pub batch: usize,
    pub positions: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// First position whose query is asked; there is an output for each from it on.
    pub from: usize,
}

impl AttentionShape {
    /// The same behind so many positions, whose queries are not asked.
    pub(super) fn behind(&self, first: usize) -> Self {
        Self { positions: first + self.positions, from: first, ..*self }
    }

    /// Positions whose queries are asked.
    fn asked(&self) -> usize {
        self.positions - self.from
    }

    fn scale(&self) -> f64 {
        1.0 / (self.head_dim as f64).sqrt()
    }
}

/// Cosines and sines, each `[positions, head_dim / 2]`.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub cos: Tensor,
    pub sin: Tensor,
}

/// What the backward pass treats as constant: the switches of linearised attribution (RelP).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// RMSNorm divides by a constant.
    pub freeze_norm: bool,
    /// Attention weights are constants.
    pub freeze_pattern: bool,
    /// silu(g) = g · σ(g) with σ(g) a constant.
    pub freeze_gate: bool,
    /// Of silu(gate) · up each factor gets half of its gradient.
    pub halve_products: bool,
}

/// The numbers of a tensor of f32 on the CPU, locked for reading.
pub(super) struct Numbers<'a>(real::View<'a>);

impl<'a> Numbers<'a> {
    pub(super) fn of(x: &'a Tensor) -> Self {
        Self(view(x))
    }

    pub(super) fn slice(&self) -> Result<&[f32]> {
        Ok(self.0.slice::<f32>()?)
    }
}

/// Calls a CPU kernel in the number type of `$x`, or else the portable form.
macro_rules! choose {
    ($x:expr, $name:ident in $fast:ident ($($arg:expr),*)) => {
        match $x.dtype() {
            _ if !takes($x) => Ok(portable::$name($($arg),*)?),
            DType::F64 => Ok($fast::$name::<f64>($($arg),*)?),
            _ => Ok($fast::$name::<f32>($($arg),*)?),
        }
    };
}

/// A product of two tensors whose numbers lie in rows, `left` and `right` saying how to read them.
fn multiply<R: Real>(
    x: &Tensor,
    y: &Tensor,
    size: (usize, usize, usize),
    read: impl for<'a> Fn(Matrix<'a, R>, Matrix<'a, R>) -> (Matrix<'a, R>, Matrix<'a, R>),
) -> candle_core::Result<Tensor> {
    let (xs, ys) = (view(x), view(y));
    let (left, right) =
        read(Matrix::rows(xs.slice::<R>()?, x.dim(1)?), Matrix::rows(ys.slice::<R>()?, y.dim(1)?));
    let out = new_product(size, left, right, Threads::All);
    Tensor::from_vec(out, (size.0, size.1), x.device())
}

/// x Wᵀ.
pub(super) fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    fn fast<R: Real>(x: &Tensor, w: &Tensor) -> candle_core::Result<Tensor> {
        let (xs, ws) = (view(x), view(w));
        let (m, n, k) = (x.dim(0)?, w.dim(0)?, w.dim(1)?);
        let out = rows_times((m, n, k), xs.slice::<R>()?, ws.slice::<R>()?);
        Tensor::from_vec(out, (m, n), x.device())
    }
    match x.dtype() {
        _ if !takes(x) => Ok(x.matmul(&w.t()?)?),
        DType::F64 => Ok(fast::<f64>(x, w)?),
        _ => Ok(fast::<f32>(x, w)?),
    }
}

/// x + y, of one shape. The library's own sum keeps a second set of threads for it.
pub(super) fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    choose!(x, add in pointwise(x, y))
}

/// dy W, the gradient at the input of [`linear`].
pub(super) fn linear_backward(dy: &Tensor, w: &Tensor) -> Result<Tensor> {
    let size = (dy.dim(0)?, w.dim(1)?, w.dim(0)?);
    match dy.dtype() {
        _ if !takes(dy) => Ok(dy.matmul(w)?),
        DType::F64 => Ok(multiply::<f64>(dy, w, size, |dy, w| (dy, w))?),
        _ => Ok(multiply::<f32>(dy, w, size, |dy, w| (dy, w))?),
    }
}

/// dyᵀ x, the gradient at the matrix of [`linear`].
pub(super) fn linear_weight(dy: &Tensor, x: &Tensor) -> Result<Tensor> {
    let size = (dy.dim(1)?, x.dim(1)?, dy.dim(0)?);
    match dy.dtype() {
        _ if !takes(dy) => Ok(dy.t()?.matmul(x)?),
        DType::F64 => Ok(multiply::<f64>(dy, x, size, |dy, x| (dy.t(), x))?),
        _ => Ok(multiply::<f32>(dy, x, size, |dy, x| (dy.t(), x))?),
    }
}

/// x / rms(x) · w.
pub(super) fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    choose!(x, rms_norm in pointwise(x, w, eps))
}

/// Gradient at the input of [`rms_norm`] and, if wanted, at its weight.
pub(super) fn rms_norm_backward(
    dy: &Tensor,
    x: &Tensor,
    w: &Tensor,
    eps: f64,
    rules: &Rules,
    want_dw: bool,
) -> Result<(Tensor, Option<Tensor>)> {
    choose!(x, rms_norm_backward in pointwise(dy, x, w, eps, rules, want_dw))
}

/// silu(gate) · up of `[rows, 2 hidden]`.
pub(super) fn silu_mul(gate_up: &Tensor) -> Result<Tensor> {
    choose!(gate_up, silu_mul in pointwise(gate_up))
}

/// Gradient at the input of [`silu_mul`].
pub(super) fn silu_mul_backward(dy: &Tensor, gate_up: &Tensor, rules: &Rules) -> Result<Tensor> {
    choose!(gate_up, silu_mul_backward in pointwise(dy, gate_up, rules))
}

/// Turns queries and keys by their positions. Takes the only handle, and may work in place.
pub(super) fn rotate(qkv: Tensor, s: &AttentionShape, table: &Table) -> Result<Tensor> {
    turn(qkv, s, table, false)
}

/// Gradient at the input of [`rotate`]. Takes the only handle, and may work in place.
pub(super) fn rotate_back(dqkv: Tensor, s: &AttentionShape, table: &Table) -> Result<Tensor> {
    turn(dqkv, s, table, true)
}

fn turn(qkv: Tensor, s: &AttentionShape, table: &Table, back: bool) -> Result<Tensor> {
    if !takes(&qkv) {
        return Ok(portable::rotate(&qkv, s, table, back)?);
    }
    qkv.inplace_op1(&pointwise::Rotate { shape: *s, table, back })?;
    Ok(qkv)
}

/// Outputs of the heads, `[batch · asked, heads · head_dim]`, from rotated queries, keys and values
/// of all positions.
pub(super) fn attention(qkv: &Tensor, s: &AttentionShape) -> Result<Tensor> {
    choose!(qkv, attention in attention(qkv, s))
}

/// Gradient at the input of [`attention`], for the positions from the first asked on.
pub(super) fn attention_backward(
    dz: &Tensor,
    qkv: &Tensor,
    s: &AttentionShape,
    rules: &Rules,
) -> Result<Tensor> {
    choose!(qkv, attention_backward in attention(dz, qkv, s, rules))
}

/// Rotated queries, keys and values, each `[batch, heads, positions, head_dim]`.
pub(super) fn split(qkv: &Tensor, s: &AttentionShape) -> Result<[Tensor; 3]> {
    Ok(portable::split(qkv, s)?)
}

/// [`attention`] with keys and values that begin before the queries.
pub(super) fn attend(q: &Tensor, k: &Tensor, v: &Tensor, s: &AttentionShape) -> Result<Tensor> {
    Ok(portable::attend(q, k, v, s)?)
}

#[cfg(test)]
mod tests;
