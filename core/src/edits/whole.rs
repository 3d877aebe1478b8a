//! Changes of a whole site: replaced by its reconstruction, by zero, by given values.

use super::compile::{fits, like};
use crate::activations::numbers;
use crate::error::{Error, Result};
use crate::llama::Change;
use crate::sae::Sae;
use crate::sae::kernels::Packed;
use candle_core::{D, Tensor};
use std::sync::Arc;

/// The site replaced by its reconstruction x̂: whatever the dictionary fails to reconstruct is
/// dropped.
#[derive(Debug, Clone, Copy)]
pub struct Splice<'a> {
    /// The dictionary.
    pub sae: &'a Sae,
    /// Rows of the flattened `[batch * positions]` to replace, in ascending order; the others stay
    /// as they are. `None` for all.
    pub rows: Option<&'a [usize]>,
}

impl Change for Splice<'_> {
    fn apply(&self, x: &Tensor, _first: usize) -> Result<Tensor> {
        let width = x.dim(D::Minus1)?;
        fits(self.sae, width)?;
        let mut values = numbers(x)?;
        let Some(rows) = self.rows else {
            return like(x, self.sae.decode(&self.sae.encode(&values)?)?);
        };
        let taken: Vec<f32> =
            rows.iter().flat_map(|r| &values[r * width..(r + 1) * width]).copied().collect();
        let decoded = self.sae.decode(&self.sae.encode(&taken)?)?;
        for (row, new) in rows.iter().zip(decoded.chunks_exact(width)) {
            values[row * width..(row + 1) * width].copy_from_slice(new);
        }
        like(x, values)
    }
}

/// [`Splice`] of every row, with an encoder that is packed once: for a site that is replaced at
/// every position of a text that is written.
#[derive(Debug)]
pub struct Reconstruct {
    sae: Arc<Sae>,
    packed: Packed,
}

impl Reconstruct {
    /// By this dictionary.
    pub fn new(sae: Arc<Sae>) -> Self {
        let packed = sae.packed();
        Self { sae, packed }
    }
}

impl Change for Reconstruct {
    fn apply(&self, x: &Tensor, _first: usize) -> Result<Tensor> {
        fits(&self.sae, x.dim(D::Minus1)?)?;
        let latents = self.sae.encode_by(&self.packed, &numbers(x)?)?;
        like(x, self.sae.decode(&latents)?)
    }
}

/// The site replaced by zero (zero ablation).
#[derive(Debug, Clone, Copy, Default)]
pub struct ZeroSite<'a> {
    /// Rows of the flattened `[batch * positions]` to replace; the others stay as they are. `None`
    /// for all.
    pub rows: Option<&'a [usize]>,
}

impl Change for ZeroSite<'_> {
    fn apply(&self, x: &Tensor, _first: usize) -> Result<Tensor> {
        let Some(rows) = self.rows else { return Ok(x.zeros_like()?) };
        let width = x.dim(D::Minus1)?;
        let mut values = numbers(x)?;
        for row in rows {
            values[row * width..(row + 1) * width].fill(0.0);
        }
        like(x, values)
    }
}

/// The site replaced by given values.
#[derive(Debug, Clone)]
pub struct Replace(
    /// `[batch, positions, width]`.
    pub Tensor,
);

impl Change for Replace {
    fn apply(&self, x: &Tensor, _first: usize) -> Result<Tensor> {
        if self.0.dims() != x.dims() {
            return Err(Error::setting(
                "The values cannot take the site's place",
                format!("they have the shape {:?} and the site has {:?}", self.0.dims(), x.dims()),
                "Read them from a pass over as many tokens",
            ));
        }
        Ok(self.0.to_device(x.device())?.to_dtype(x.dtype())?)
    }
}
