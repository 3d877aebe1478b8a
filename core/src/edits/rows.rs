//! Changes of single rows of a batch: each row with edits, or a shift, of its own.

use super::bound::within_bounds;
use super::compile::{fits, like};
use super::edit::Op;
use crate::activations::numbers;
use crate::error::{Error, Result};
use crate::llama::Change;
use crate::sae::Sae;
use candle_core::{D, Tensor};
use std::collections::BTreeMap;

/// Adds `Σ (f' − f) · d` to `x`, with f = `active(latent)` and f' what the ops make of it, one
/// after another. Whether anything changed.
pub(super) fn edit_row(
    sae: &Sae,
    active: impl Fn(u32) -> f32,
    ops: impl Iterator<Item = (u32, Op)>,
    x: &mut [f32],
) -> bool {
    let mut new: BTreeMap<u32, (f32, f32)> = BTreeMap::new();
    for (latent, op) in ops {
        let f = active(latent);
        let (_, to) = new.entry(latent).or_insert((f, f));
        *to = op.apply(*to);
    }
    let mut changed = false;
    for (latent, (from, to)) in new {
        if from == to {
            continue;
        }
        changed = true;
        along(x, to - from, sae.direction(latent as usize));
    }
    changed
}

/// `x += by · d`.
pub(super) fn along(x: &mut [f32], by: f32, d: &[f32]) {
    for (x, d) in x.iter_mut().zip(d) {
        *x += by * d;
    }
}

/// What happens to which latents in which rows of the flattened `[batch * positions]`: the
/// meaning is that of [`Edit`](super::Edit), but texts of one batch differ in where they are
/// edited and how.
#[derive(Debug, Clone)]
pub struct RowEdits<'a> {
    /// The dictionary.
    pub sae: &'a Sae,
    /// Each row to edit with what happens there; the others stay as they are.
    pub rows: Vec<(usize, &'a [(u32, Op)])>,
}

impl Change for RowEdits<'_> {
    fn apply(&self, x: &Tensor, _first: usize) -> Result<Tensor> {
        let width = x.dim(D::Minus1)?;
        fits(self.sae, width)?;
        let mut values = numbers(x)?;
        within(self.rows.iter().map(|(row, _)| *row), values.len() / width)?;
        let taken: Vec<f32> = self
            .rows
            .iter()
            .flat_map(|(row, _)| &values[row * width..][..width])
            .copied()
            .collect();
        let latents = self.sae.encode(&taken)?;
        for (i, (row, ops)) in self.rows.iter().enumerate() {
            let x = &mut values[row * width..][..width];
            edit_row(self.sae, |latent| latents.get(i, latent), ops.iter().copied(), x);
            within_bounds(x)?;
        }
        like(x, values)
    }
}

/// A vector of its own added to each of some rows of the flattened `[batch * positions]`.
#[derive(Debug, Clone)]
pub struct Shift {
    /// Each row to shift with what is added, as wide as the site; the others stay as they are.
    pub rows: Vec<(usize, Vec<f32>)>,
}

impl Change for Shift {
    fn apply(&self, x: &Tensor, _first: usize) -> Result<Tensor> {
        let width = x.dim(D::Minus1)?;
        let mut values = numbers(x)?;
        within(self.rows.iter().map(|(row, _)| *row), values.len() / width)?;
        for (row, by) in &self.rows {
            if by.len() != width {
                return Err(Error::internal(
                    "The site cannot be shifted",
                    format!("it is {width} wide and the vector {}", by.len()),
                ));
            }
            values[row * width..][..width].iter_mut().zip(by).for_each(|(x, by)| *x += by);
        }
        like(x, values)
    }
}

/// Refuses rows that the batch does not have.
fn within(mut rows: impl Iterator<Item = usize>, all: usize) -> Result<()> {
    let Some(row) = rows.find(|row| *row >= all) else { return Ok(()) };
    Err(Error::internal(
        "The rows cannot be changed",
        format!("row {row} was asked for and the batch has {all}"),
    ))
}
