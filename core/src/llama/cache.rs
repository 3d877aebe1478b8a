//! Keys and values of the text so far, so that generation computes each position once.

use crate::error::{Error, Result};
use candle_core::Tensor;

/// Keys and values of every block for the positions read so far.
#[derive(Debug, Default)]
pub struct Cache {
    blocks: Vec<(Tensor, Tensor)>,
    positions: usize,
    partial: bool,
}

impl Cache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of positions it holds.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Adds keys and values `[batch, kv_heads, new, head_dim]` of a block; all of them, old and new.
    pub(super) fn extend(
        &mut self,
        layer: usize,
        k: &Tensor,
        v: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        if self.partial {
            return Err(Error::internal(
                "The cache cannot be continued",
                "the pass before stopped early, or failed, and its later blocks are missing",
            ));
        }
        let both = match self.blocks.get(layer) {
            Some((old_k, old_v)) => (Tensor::cat(&[old_k, k], 2)?, Tensor::cat(&[old_v, v], 2)?),
            None => (k.clone(), v.clone()),
        };
        if layer < self.blocks.len() {
            self.blocks[layer] = both.clone();
        } else {
            self.blocks.push(both.clone());
        }
        Ok(both)
    }

    /// The rows of its batch become these of them, in this order; a row may be left out, or come
    /// more than once.
    ///
    /// # Errors
    /// A row that it does not have.
    pub fn select(&mut self, rows: &[usize]) -> Result<()> {
        let rows: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
        for (k, v) in &mut self.blocks {
            let rows = Tensor::new(&rows[..], k.device())?;
            (*k, *v) = (k.index_select(&rows, 0)?, v.index_select(&rows, 0)?);
        }
        Ok(())
    }

    pub(super) fn advance(&mut self, positions: usize, whole: bool) {
        self.positions += positions;
        self.partial |= !whole;
    }
}
