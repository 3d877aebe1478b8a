//! Decoder rows of length one.

use crate::sae::{Matrix, Sae, kernels::add_product};
use rayon::prelude::*;

/// Directions of a panel.
pub(super) const PANEL: usize = 512;

/// The decoder directions of a dictionary, each scaled to length one; those that are zero are
/// left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Directions {
    rows: Matrix,
    latents: Vec<u32>,
    total: usize,
}

impl Directions {
    /// Those of `sae`.
    pub fn of(sae: &Sae) -> Self {
        Self::of_rows(&sae.decoder)
    }

    /// The rows of a matrix.
    pub fn of_rows(matrix: &Matrix) -> Self {
        let (total, d) = (matrix.rows(), matrix.cols());
        let norms: Vec<f64> =
            matrix.data().par_chunks(d.max(1)).map(super::nearest::norm).collect();
        let there = |i: &usize| norms[*i] > 0.0 && norms[*i].is_finite();
        let latents: Vec<u32> = (0..total).filter(there).map(|i| i as u32).collect();
        let mut rows = Matrix::zeros(latents.len(), d);
        rows.data_mut().par_chunks_mut(d.max(1)).zip(&latents).for_each(|(row, latent)| {
            let norm = norms[*latent as usize];
            for (to, from) in row.iter_mut().zip(matrix.row(*latent as usize)) {
                *to = (f64::from(*from) / norm) as f32;
            }
        });
        Self { rows, latents, total }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.latents.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.latents.is_empty()
    }

    /// Width d of each.
    pub fn width(&self) -> usize {
        self.rows.cols()
    }

    /// How many latents the dictionary has, those without a direction included.
    pub fn total(&self) -> usize {
        self.total
    }

    /// The latent that direction `i` belongs to, for every i; ascending.
    pub fn latents(&self) -> &[u32] {
        &self.latents
    }

    /// Direction `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        self.rows.row(i)
    }

    /// All of them, row after row.
    pub(super) fn data(&self) -> &[f32] {
        self.rows.data()
    }
}

/// Directions turned over panel by panel, to be the right side of a product.
pub(super) struct Panels {
    panels: Vec<Vec<f32>>,
    width: usize,
}

impl Panels {
    pub fn of(directions: &Directions) -> Self {
        let width = directions.width();
        let turn = |rows: &[f32]| {
            let n = rows.len() / width.max(1);
            let mut out = vec![0.0; rows.len()];
            for (i, row) in rows.chunks_exact(width).enumerate() {
                row.iter().enumerate().for_each(|(c, v)| out[c * n + i] = *v);
            }
            out
        };
        let rows = directions.data();
        Self { panels: rows.par_chunks((PANEL * width).max(1)).map(turn).collect(), width }
    }

    /// The cosines of `rows` (whole directions, one after the other) with every direction here,
    /// panel by panel: `f(first direction of the panel, [rows, directions of the panel])`.
    pub fn for_each<E>(
        &self,
        rows: &[f32],
        tile: &mut Vec<f32>,
        mut f: impl FnMut(usize, usize, &[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let n = rows.len() / self.width.max(1);
        for (p, panel) in self.panels.iter().enumerate() {
            let columns = panel.len() / self.width;
            tile.clear();
            tile.resize(n * columns, 0.0);
            add_product(n, columns, self.width, tile, rows, (self.width, 1), panel, 1.0);
            f(p * PANEL, columns, tile)?;
        }
        Ok(())
    }
}
