//! Vectors of the residual stream seen through the final norm and the unembedding: the direct path
//! to the logits, past all later blocks.

use super::Model;
use crate::error::{Error, Result};
use candle_core::{DType, Tensor};

impl Model {
    /// `W_U (γ ⊙ v)` of each vector v: the logits it adds for each unit of 1/rms, with γ the weight
    /// of the final norm. `vectors` is `[n, width]`; the outcome `[n, vocabulary]`.
    ///
    /// # Errors
    /// Vectors of another width.
    pub fn unembed(&self, vectors: &[f32]) -> Result<Vec<f32>> {
        let width = self.config().width;
        if !vectors.len().is_multiple_of(width) {
            return Err(Error::internal(
                "Directions cannot be unembedded",
                format!("{} numbers are no vectors of width {width}", vectors.len()),
            ));
        }
        let v = Tensor::from_slice(vectors, (vectors.len() / width, width), self.device())?;
        let v = v.to_dtype(self.dtype())?.broadcast_mul(&self.parts().norm)?;
        let logits = v.matmul(&self.parts().head().t()?)?;
        Ok(logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
    }

    /// `γ ⊙ W_U[token]` less `γ ⊙` the mean row of W_U: the vector u for which `⟨u, x⟩ / rms(x)` is
    /// the token's logit at a final residual stream x, less the mean logit.
    ///
    /// # Errors
    /// There is no such token.
    pub fn logit_direction(&self, token: u32) -> Result<Vec<f32>> {
        let head = self.parts().head();
        if token as usize >= head.dim(0)? {
            return Err(Error::setting(
                "The token's logit cannot be looked at",
                format!("{token} is no token of this model: it has {}", head.dim(0)?),
                "Choose one of its tokens",
            ));
        }
        let row = head.get(token as usize)?;
        // A logit without the mean does not move when all logits move together, which says nothing.
        let u = (row - head.mean(0)?)?.mul(&self.parts().norm)?;
        Ok(u.to_dtype(DType::F32)?.to_vec1()?)
    }

    /// `1 / √(mean x² + ε)`, what the final norm multiplies each row x by; `x` is `[n, width]`.
    pub fn inverse_rms(&self, x: &[f32]) -> Vec<f32> {
        let (width, eps) = (self.config().width, self.config().norm_eps);
        x.chunks_exact(width)
            .map(|row| {
                let square: f64 = row.iter().map(|v| f64::from(*v).powi(2)).sum();
                (square / width as f64 + eps).sqrt().recip() as f32
            })
            .collect()
    }
}
