//! The final norm and rows of the unembedding on single rows of the residual stream.

use super::Model;
use super::kernels::{self, Rules};
use crate::error::{Error, Result};
use candle_core::Tensor;

/// Logits of some tokens, or of all, and their gradient: what a metric needs of the output.
#[derive(Debug, Clone)]
pub struct Readout {
    model: Model,
    /// `[tokens, width]`.
    head: Tensor,
}

impl Model {
    /// The read-out of `tokens`, in this order; of the whole vocabulary if there are none named.
    ///
    /// # Errors
    /// The model has no such token.
    pub fn readout(&self, tokens: Option<&[u32]>) -> Result<Readout> {
        let head = self.parts().head();
        let Some(tokens) = tokens else {
            return Ok(Readout { model: self.clone(), head: head.clone() });
        };
        let vocab = head.dim(0)?;
        if let Some(id) = tokens.iter().find(|id| **id as usize >= vocab) {
            return Err(Error::setting(
                format!("The model has no token {id}"),
                format!("it has {vocab} tokens, 0 to {}", vocab.saturating_sub(1)),
                "Use the tokenizer that belongs to the model",
            ));
        }
        let ids = Tensor::new(tokens, self.device())?;
        Ok(Readout { model: self.clone(), head: head.index_select(&ids, 0)? })
    }
}

impl Readout {
    /// The logits `[n, tokens]` of rows `[n, width]` of the residual stream after the last block.
    ///
    /// # Errors
    /// Rows of another width.
    pub fn logits(&self, rows: &Tensor) -> Result<Tensor> {
        let norm = &self.model.parts().norm;
        let normed = kernels::rms_norm(rows, norm, self.model.config().norm_eps)?;
        kernels::linear(&normed, &self.head)
    }

    /// The gradient at `rows` of a scalar of which `grad` `[n, tokens]` is that at their logits.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn backward(&self, rows: &Tensor, grad: &Tensor, rules: &Rules) -> Result<Tensor> {
        let norm = &self.model.parts().norm;
        let d_normed = kernels::linear_backward(grad, &self.head)?;
        let eps = self.model.config().norm_eps;
        Ok(kernels::rms_norm_backward(&d_normed, rows, norm, eps, rules, false)?.0)
    }
}
