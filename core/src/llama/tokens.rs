//! Token rows of one length, the input of a forward pass.

use crate::error::{Error, Result};

/// A batch of token rows, `[batch, positions]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    ids: Vec<u32>,
    batch: usize,
    positions: usize,
}

impl Tokens {
    /// A batch from `batch * positions` token numbers, row by row.
    ///
    /// # Errors
    /// No tokens, or not as many as the shape says.
    pub fn new(ids: Vec<u32>, batch: usize, positions: usize) -> Result<Self> {
        if ids.is_empty() {
            return Err(empty());
        }
        if batch.checked_mul(positions) != Some(ids.len()) {
            return Err(Error::internal(
                "Token rows have a wrong shape",
                format!("{} tokens are not {batch} rows of {positions}", ids.len()),
            ));
        }
        Ok(Self { ids, batch, positions })
    }

    /// One row.
    ///
    /// # Errors
    /// No tokens.
    pub fn row(ids: &[u32]) -> Result<Self> {
        Self::new(ids.to_vec(), 1, ids.len())
    }

    /// Rows of one length.
    ///
    /// # Errors
    /// No tokens, or rows of different lengths.
    pub fn rows<R: AsRef<[u32]>>(rows: &[R]) -> Result<Self> {
        let positions = rows.first().map_or(0, |r| r.as_ref().len());
        if rows.iter().any(|r| r.as_ref().len() != positions) {
            return Err(Error::internal(
                "Token rows have a wrong shape",
                "they differ in length; padding them is a separate call",
            ));
        }
        let ids = rows.iter().flat_map(|r| r.as_ref()).copied().collect();
        Self::new(ids, rows.len(), positions)
    }

    /// Rows of different lengths, filled up on the right with `pad`. Attention looks only back, so
    /// the outputs at the true positions are those of the row alone.
    ///
    /// # Errors
    /// No tokens.
    pub fn padded<R: AsRef<[u32]>>(rows: &[R], pad: u32) -> Result<Self> {
        let positions = rows.iter().map(|r| r.as_ref().len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(rows.len() * positions);
        for row in rows {
            ids.extend_from_slice(row.as_ref());
            ids.resize(ids.len() + positions - row.as_ref().len(), pad);
        }
        Self::new(ids, rows.len(), positions)
    }

    /// Number of rows.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Length of a row.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// All token numbers, row by row.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Itself, if a model of `vocab` tokens and `context` positions can read it from position
    /// `first` on.
    pub(super) fn within(&self, vocab: usize, context: usize, first: usize) -> Result<()> {
        if let Some(id) = self.ids.iter().find(|&&id| id as usize >= vocab) {
            return Err(Error::setting(
                format!("The model has no token {id}"),
                format!("it has {vocab} tokens, 0 to {}", vocab - 1),
                "Use the tokenizer that belongs to the model",
            ));
        }
        if first.saturating_add(self.positions) > context {
            return Err(Error::setting(
                format!("A text of {} tokens is too long", first.saturating_add(self.positions)),
                format!("the model was made for {context} positions"),
                "Cut the text into shorter pieces",
            ));
        }
        Ok(())
    }
}

fn empty() -> Error {
    Error::setting("There is no text to read", "it has no tokens", "Give some text")
}
