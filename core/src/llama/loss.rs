//! Negative log-likelihood of the next token, and its gradient at the logits.

use super::Tokens;
use crate::error::{Error, Result};
use candle_core::{DType, Tensor};
use rayon::prelude::*;

/// −log p(token t+1 | tokens ≤ t) in nats for every position but the last, row by row:
/// `batch * (positions − 1)` numbers. `logits` is `[batch, positions, vocab]`; sums run in f64.
///
/// # Errors
/// Logits of another shape.
pub fn next_token_nll(logits: &Tensor, tokens: &Tokens) -> Result<Vec<f64>> {
    let (batch, positions, vocab) = shape(logits, tokens)?;
    let logits = logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    let ids = tokens.ids();
    let nll = (0..batch * positions).into_par_iter().filter(|i| i % positions + 1 < positions);
    Ok(nll
        .map(|i| {
            let row = &logits[i * vocab..][..vocab];
            log_sum_exp(row) - f64::from(row[ids[i + 1] as usize])
        })
        .collect())
}

/// Mean of `weight · −log p(target)` over all rows, and its gradient at the logits.
///
/// `logits` is `[.., vocab]` in f32; `targets` and `weights` have one entry a row. The mean divides
/// by the sum of the weights; rows of weight 0 (padding) are passed over.
///
/// # Errors
/// Sizes that do not fit, a target that is no token.
pub fn cross_entropy(
    logits: &Tensor,
    targets: &[u32],
    weights: Option<&[f32]>,
) -> Result<(f64, Tensor)> {
    let vocab = logits.dims().last().copied().unwrap_or(0);
    let rows = logits.elem_count() / vocab.max(1);
    let fits = targets.len() == rows && weights.is_none_or(|w| w.len() == rows);
    if !fits || targets.iter().any(|&t| t as usize >= vocab) {
        return Err(Error::internal(
            "The loss cannot be computed",
            format!("{} targets for logits {:?}", targets.len(), logits.dims()),
        ));
    }
    let weight = |i: usize| weights.map_or(1.0, |w| f64::from(w[i]));
    let total: f64 = (0..rows).map(weight).sum();
    let mut grad = logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    let losses: Vec<f64> = grad
        .par_chunks_mut(vocab.max(1))
        .enumerate()
        .map(|(i, row)| {
            let target = targets[i] as usize;
            if weight(i) == 0.0 {
                row.fill(0.0);
                return 0.0;
            }
            let scale = (weight(i) / total) as f32;
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let at = row[target];
            let mut sum = 0.0f64;
            for x in row.iter_mut() {
                *x = (*x - top).exp();
                sum += f64::from(*x);
            }
            let norm = scale / sum as f32;
            row.iter_mut().for_each(|x| *x *= norm);
            row[target] -= scale;
            weight(i) * (f64::from(top) + sum.ln() - f64::from(at))
        })
        .collect();
    // Summed in order, so that the loss does not depend on the number of threads.
    let loss = losses.iter().sum::<f64>() / total;
    Ok((loss, Tensor::from_vec(grad, logits.dims(), logits.device())?))
}

/// ln p(token `id`) by one row of logits, in nats, computed in f64; NaN if a logit is.
pub fn log_probability(logits: &[f32], id: u32) -> f64 {
    let at = logits.get(id as usize).copied().unwrap_or(f32::NEG_INFINITY);
    f64::from(at) - log_sum_exp(logits)
}

pub(super) fn log_sum_exp(row: &[f32]) -> f64 {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|x| f64::from(*x - top).exp()).sum();
    f64::from(top) + sum.ln()
}

fn shape(logits: &Tensor, tokens: &Tokens) -> Result<(usize, usize, usize)> {
    match *logits.dims() {
        [b, t, v] if b == tokens.batch() && t == tokens.positions() => Ok((b, t, v)),
        ref other => Err(Error::internal(
            "The likelihood cannot be computed",
            format!(
                "logits {other:?} do not belong to tokens [{}, {}]",
                tokens.batch(),
                tokens.positions()
            ),
        )),
    }
}
