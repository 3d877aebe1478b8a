//! The arithmetic of a block, forward and backward: one function each, fast on a CPU, portable
//! elsewhere.
//!
//! Activations are `[rows, width]`, rows being batch × positions; matrices are `[out, in]`.

mod portable;

use crate::error::Result;
use candle_core::Tensor;

/// Sizes of an attention.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttentionShape {
    pub batch: usize,
    pub positions: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
}

impl AttentionShape {
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

/// x Wᵀ.
pub(super) fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    Ok(x.matmul(&w.t()?)?)
}

/// dy W, the gradient at the input of [`linear`].
pub(super) fn linear_backward(dy: &Tensor, w: &Tensor) -> Result<Tensor> {
    Ok(dy.matmul(w)?)
}

/// dyᵀ x, the gradient at the matrix of [`linear`].
pub(super) fn linear_weight(dy: &Tensor, x: &Tensor) -> Result<Tensor> {
    Ok(dy.t()?.matmul(x)?)
}

/// x / rms(x) · w.
pub(super) fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    Ok(portable::rms_norm(x, w, eps)?)
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
    Ok(portable::rms_norm_backward(dy, x, w, eps, rules, want_dw)?)
}

/// silu(gate) · up of `[rows, 2 hidden]`.
pub(super) fn silu_mul(gate_up: &Tensor) -> Result<Tensor> {
    Ok(portable::silu_mul(gate_up)?)
}

/// Gradient at the input of [`silu_mul`].
pub(super) fn silu_mul_backward(dy: &Tensor, gate_up: &Tensor, rules: &Rules) -> Result<Tensor> {
    Ok(portable::silu_mul_backward(dy, gate_up, rules)?)
}

/// Turns queries and keys by their positions. Takes the only handle, and may work in place.
pub(super) fn rotate(qkv: Tensor, s: &AttentionShape, table: &Table) -> Result<Tensor> {
    Ok(portable::rotate(&qkv, s, table, false)?)
}

/// Gradient at the input of [`rotate`]. Takes the only handle, and may work in place.
pub(super) fn rotate_back(dqkv: Tensor, s: &AttentionShape, table: &Table) -> Result<Tensor> {
    Ok(portable::rotate(&dqkv, s, table, true)?)
}

/// Outputs of the heads, `[rows, heads · head_dim]`, from rotated queries, keys and values.
pub(super) fn attention(qkv: &Tensor, s: &AttentionShape) -> Result<Tensor> {
    Ok(portable::attention(qkv, s)?)
}

/// Gradient at the input of [`attention`].
pub(super) fn attention_backward(
    dz: &Tensor,
    qkv: &Tensor,
    s: &AttentionShape,
    rules: &Rules,
) -> Result<Tensor> {
    Ok(portable::attention_backward(dz, qkv, s, rules)?)
}

/// Rotated queries, keys and values, each `[batch, heads, positions, head_dim]`.
pub(super) fn split(qkv: &Tensor, s: &AttentionShape) -> Result<[Tensor; 3]> {
    Ok(portable::split(qkv, s)?)
}

/// [`attention`] with keys and values that begin before the queries.
pub(super) fn attend(q: &Tensor, k: &Tensor, v: &Tensor, s: &AttentionShape) -> Result<Tensor> {
    Ok(portable::attend(q, k, v, s)?)
}
