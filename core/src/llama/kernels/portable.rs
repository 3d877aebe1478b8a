//! Every kernel in plain tensor operations, for any device; what the fast forms are tested against.

use super::{AttentionShape, Rules, Table};
use candle_core::{D, Result, Tensor};

/// x / rms(x) · w, with rms over the last axis; and 1 / rms.
fn normed(x: &Tensor, eps: f64) -> Result<(Tensor, Tensor)> {
    let inverse = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?.recip()?;
    Ok((x.broadcast_mul(&inverse)?, inverse))
}

pub(super) fn rms_norm(x: &Tensor, w: &Tensor, eps: f64) -> Result<Tensor> {
    normed(x, eps)?.0.broadcast_mul(w)
}

/// dx = (g − n · mean(g n)) / rms, with g = dy w and n = x / rms; and dw = Σ dy n.
pub(super) fn rms_norm_backward(
    dy: &Tensor,
    x: &Tensor,
    w: &Tensor,
    eps: f64,
    rules: &Rules,
    want_dw: bool,
) -> Result<(Tensor, Option<Tensor>)> {
    let (n, inverse) = normed(x, eps)?;
    let g = dy.broadcast_mul(w)?;
    let dx = if rules.freeze_norm {
        g.broadcast_mul(&inverse)?
    } else {
        let along = (&g * &n)?.mean_keepdim(D::Minus1)?;
        (g - n.broadcast_mul(&along)?)?.broadcast_mul(&inverse)?
    };
    let dw = if want_dw { Some((dy * n)?.sum(0)?) } else { None };
    Ok((dx, dw))
}

pub(super) fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    x + y
}

/// silu(gate) · up of `[rows, 2 hidden]`.
pub(super) fn silu_mul(gate_up: &Tensor) -> Result<Tensor> {
    let hidden = gate_up.dim(1)? / 2;
    let gate = gate_up.narrow(1, 0, hidden)?.contiguous()?;
    gate.silu()? * gate_up.narrow(1, hidden, hidden)?.contiguous()?
}

pub(super) fn silu_mul_backward(dy: &Tensor, gate_up: &Tensor, rules: &Rules) -> Result<Tensor> {
    let hidden = gate_up.dim(1)? / 2;
    let gate = gate_up.narrow(1, 0, hidden)?.contiguous()?;
    let up = gate_up.narrow(1, hidden, hidden)?.contiguous()?;
    let sigmoid = (gate.neg()?.exp()? + 1.0)?.recip()?;
    let slope = if rules.freeze_gate {
        sigmoid.clone()
    } else {
        // σ + g σ (1 − σ)
        ((&gate * &sigmoid)? * (1.0 - &sigmoid)?)?.add(&sigmoid)?
    };
    let half = if rules.halve_products { 0.5 } else { 1.0 };
    let dgate = ((dy * &up)? * slope)?.affine(half, 0.0)?;
    let dup = (dy * (gate * sigmoid)?)?.affine(half, 0.0)?;
    Tensor::cat(&[dgate, dup], 1)
}

/// Turns the query and key parts of `[rows, heads + 2 kv_heads, head_dim]` by their positions; the
/// other way round if `back`.
pub(super) fn rotate(
    qkv: &Tensor,
    s: &AttentionShape,
    table: &Table,
    back: bool,
) -> Result<Tensor> {
    let half = s.head_dim / 2;
    let turning = s.heads + s.kv_heads;
    let x = qkv.reshape((s.batch, s.positions, turning + s.kv_heads, s.head_dim))?;
    let a = x.narrow(2, 0, turning)?.narrow(3, 0, half)?;
    let b = x.narrow(2, 0, turning)?.narrow(3, half, half)?;
    let cos = table.cos.reshape((1, s.positions, 1, half))?;
    let sin = table.sin.reshape((1, s.positions, 1, half))?;
    let sin = if back { sin.neg()? } else { sin };
    let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
    let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
    let turned = Tensor::cat(&[first, second], 3)?;
    let still = x.narrow(2, turning, s.kv_heads)?;
    Tensor::cat(&[turned, still], 2)?.reshape(qkv.shape())
}

/// Queries, keys, values of rotated `qkv`, each `[batch, heads or kv_heads, positions, head_dim]`.
pub(super) fn split(qkv: &Tensor, s: &AttentionShape) -> Result<[Tensor; 3]> {
    let x = qkv.reshape((s.batch, s.positions, s.heads + 2 * s.kv_heads, s.head_dim))?;
    let x = x.transpose(1, 2)?;
    Ok([
        x.narrow(1, 0, s.heads)?.contiguous()?,
        x.narrow(1, s.heads, s.kv_heads)?.contiguous()?,
        x.narrow(1, s.heads + s.kv_heads, s.kv_heads)?.contiguous()?,
    ])
}

/// One key-value head for each query head.
fn shared(x: &Tensor, s: &AttentionShape) -> Result<Tensor> {
    let (b, kv, t, d) = x.dims4()?;
    let group = s.heads / kv;
    x.unsqueeze(2)?.expand((b, kv, group, t, d))?.reshape((b, s.heads, t, d))
}

/// Softmax of scores that look back only; `[batch, heads, positions, keys]`, the last `positions`
/// keys being those of the queries.
fn pattern(q: &Tensor, k: &Tensor, s: &AttentionShape) -> Result<Tensor> {
    let keys = k.dim(2)?;
    let scores = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? * s.scale())?;
    let before = keys - s.positions;
    let mask: Vec<f32> = (0..s.positions)
        .flat_map(|i| (0..keys).map(move |j| if j > before + i { f32::NEG_INFINITY } else { 0.0 }))
        .collect();
    let mask = Tensor::from_vec(mask, (s.positions, keys), q.device())?.to_dtype(q.dtype())?;
    let scores = scores.broadcast_add(&mask)?;
    let top = scores.max_keepdim(D::Minus1)?;
    let powers = scores.broadcast_sub(&top)?.exp()?;
    let sum = powers.sum_keepdim(D::Minus1)?;
    powers.broadcast_div(&sum)
}

fn together(z: &Tensor, s: &AttentionShape) -> Result<Tensor> {
    z.transpose(1, 2)?.reshape((s.batch * s.positions, s.heads * s.head_dim))
}

/// Attention over keys and values that reach further back than the queries.
pub(super) fn attend(q: &Tensor, k: &Tensor, v: &Tensor, s: &AttentionShape) -> Result<Tensor> {
    let (k, v) = (shared(k, s)?, shared(v, s)?);
    together(&pattern(q, &k, s)?.matmul(&v)?, s)
}

pub(super) fn attention(qkv: &Tensor, s: &AttentionShape) -> Result<Tensor> {
    let [q, k, v] = split(qkv, s)?;
    attend(&asked(&q, s)?, &k, &v, &queries(s))
}

/// The rows of the positions whose queries are asked.
fn asked(x: &Tensor, s: &AttentionShape) -> Result<Tensor> {
    x.narrow(2, s.from, s.asked())?.contiguous()
}

/// The shape as [`attend`] wants it: positions are those of the queries.
fn queries(s: &AttentionShape) -> AttentionShape {
    AttentionShape { positions: s.asked(), from: 0, ..*s }
}

/// Gradient at the rotated `qkv`, from that at the heads' outputs.
pub(super) fn attention_backward(
    dz: &Tensor,
    qkv: &Tensor,
    s: &AttentionShape,
    rules: &Rules,
) -> Result<Tensor> {
    let [q, k, v] = split(qkv, s)?;
    let q = asked(&q, s)?;
    let (k, v) = (shared(&k, s)?, shared(&v, s)?);
    let p = pattern(&q, &k, &queries(s))?;
    let dz =
        dz.reshape((s.batch, s.asked(), s.heads, s.head_dim))?.transpose(1, 2)?.contiguous()?;
    let dv = p.transpose(2, 3)?.contiguous()?.matmul(&dz)?;
    let (dq, dk) = if rules.freeze_pattern {
        (q.zeros_like()?, k.zeros_like()?)
    } else {
        let dp = dz.matmul(&v.transpose(2, 3)?.contiguous()?)?;
        let along = (&dp * &p)?.sum_keepdim(D::Minus1)?;
        let ds = ((dp.broadcast_sub(&along)? * p)? * s.scale())?;
        (ds.matmul(&k)?, ds.transpose(2, 3)?.contiguous()?.matmul(&q)?)
    };
    let group = s.heads / s.kv_heads;
    let gathered =
        |x: &Tensor| x.reshape((s.batch, s.kv_heads, group, s.positions, s.head_dim))?.sum(2);
    let all = Tensor::cat(&[dq, asked(&gathered(&dk)?, s)?, asked(&gathered(&dv)?, s)?], 1)?;
    all.transpose(1, 2)?.reshape((s.batch * s.asked(), qkv.dim(1)?))
}
