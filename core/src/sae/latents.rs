//! What a dictionary says of some rows: for each, the few latents that are active.

use crate::error::{Error, Result};

/// Active latents of a batch of rows, in compressed sparse rows. Within a row the indices ascend
/// and every value is positive.
#[derive(Debug, Clone, PartialEq)]
pub struct Latents {
    /// Number of latents of the dictionary, m.
    pub width: usize,
    /// Row `i` owns the entries `row_start[i] .. row_start[i + 1]`; one longer than there are rows.
    pub row_start: Vec<usize>,
    /// Which latent.
    pub index: Vec<u32>,
    /// Its activation.
    pub value: Vec<f32>,
}

impl Latents {
    /// No rows yet, of a dictionary of `width` latents.
    pub fn new(width: usize) -> Self {
        Self { width, row_start: vec![0], index: Vec::new(), value: Vec::new() }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.row_start.len().saturating_sub(1)
    }

    /// Number of active latents over all rows.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no latent is active in any row.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The active latents of row `i` and their activations.
    pub fn row(&self, i: usize) -> (&[u32], &[f32]) {
        let span = self.row_start[i]..self.row_start[i + 1];
        (&self.index[span.clone()], &self.value[span])
    }

    /// The activation of `latent` in row `i`; 0 where it is silent.
    pub fn get(&self, i: usize, latent: u32) -> f32 {
        let (index, value) = self.row(i);
        index.binary_search(&latent).map_or(0.0, |at| value[at])
    }

    /// Appends a row: latents in ascending order with their activations.
    pub fn push_row(&mut self, entries: impl IntoIterator<Item = (u32, f32)>) {
        for (index, value) in entries {
            self.index.push(index);
            self.value.push(value);
        }
        self.row_start.push(self.index.len());
    }

    /// Mean number of active latents a row.
    pub fn l0(&self) -> f64 {
        if self.rows() == 0 { 0.0 } else { self.len() as f64 / self.rows() as f64 }
    }

    /// The same as a dense `[rows, width]` array.
    pub fn to_dense(&self) -> Vec<f32> {
        let mut dense = vec![0.0; self.rows() * self.width];
        for i in 0..self.rows() {
            let (index, value) = self.row(i);
            for (j, v) in index.iter().zip(value) {
                dense[i * self.width + *j as usize] = *v;
            }
        }
        dense
    }

    /// Forgets all rows, keeping the memory.
    pub fn clear(&mut self) {
        self.row_start.clear();
        self.row_start.push(0);
        self.index.clear();
        self.value.clear();
    }

    /// Whether the arrays fit together and fit a dictionary of `width` latents.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn validate(&self, width: usize) -> Result<()> {
        let shapes = self.width == width
            && self.row_start.first() == Some(&0)
            && self.row_start.last() == Some(&self.index.len())
            && self.row_start.is_sorted()
            && self.index.len() == self.value.len();
        if shapes && self.index.iter().all(|i| (*i as usize) < width) {
            return Ok(());
        }
        Err(Error::internal(
            format!("Latents do not fit a dictionary of {width}"),
            format!("they are {} entries of a dictionary of {}", self.index.len(), self.width),
        ))
    }
}
