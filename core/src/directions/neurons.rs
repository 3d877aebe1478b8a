//! The model's own neurons that write in a direction.

use super::nearest::{keep_nearest, norm};
use crate::error::{Error, Result};
use crate::llama::{Model, Site};
use candle_core::{DType, Device, Storage, Tensor};
use rayon::prelude::*;

/// Neurons of a block of work.
const COLUMNS: usize = 512;

/// A neuron of the model that writes nearly in a direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neuron {
    /// The block whose MLP it is in.
    pub layer: u32,
    /// Its place in the MLP's hidden layer.
    pub index: u32,
    /// Cosine of what it writes, its column of `down_proj`, with the direction.
    pub cosine: f32,
}

/// The `k` neurons whose output directions are nearest to `direction`, nearest first; among
/// equals the lower layer, then the lower index.
///
/// A neuron's output direction is its column of its layer's `down_proj`. All layers are looked
/// at, since what any of them writes is added to the same residual stream; for a dictionary on
/// the output of one MLP only that MLP's.
///
/// # Errors
/// `direction` has another width than the model.
pub fn nearest_neurons(
    model: &Model,
    site: Site,
    direction: &[f32],
    k: usize,
) -> Result<Vec<Neuron>> {
    let config = model.config();
    if direction.len() != config.width {
        return Err(Error::setting(
            "The direction does not fit the model",
            format!(
                "the direction has {} numbers, the model has {}",
                direction.len(),
                config.width
            ),
            "Open the model that the dictionary was trained on",
        ));
    }
    let length = norm(direction);
    if length == 0.0 || !length.is_finite() {
        return Ok(Vec::new());
    }
    let unit: Vec<f64> = direction.iter().map(|v| f64::from(*v) / length).collect();
    let weights = model.weights()?;
    let mut found = Vec::new();
    for layer in 0..config.layers {
        if matches!(site, Site::Mlp(only) if only != layer) {
            continue;
        }
        let name = format!("model.layers.{layer}.mlp.down_proj.weight");
        let Some(down) = weights.get(&name) else { continue };
        with_numbers(down, |numbers| {
            let cosines = cosines_of_columns(numbers, config.hidden, &unit);
            let place = |i: usize| (layer as u32, i as u32);
            let mut best: Vec<_> =
                cosines.into_iter().enumerate().map(|(i, c)| (place(i), c)).collect();
            best.retain(|(_, c)| c.is_finite());
            keep_nearest(&mut best, k);
            found.extend(best);
        })?;
    }
    keep_nearest(&mut found, k);
    let neuron = |((layer, index), c): ((u32, u32), f64)| Neuron {
        layer,
        index,
        cosine: c.clamp(-1.0, 1.0) as f32,
    };
    Ok(found.into_iter().map(neuron).collect())
}

/// The cosine of each column of a `[unit.len(), columns]` matrix with `unit`; NaN where the
/// column is zero.
fn cosines_of_columns(matrix: &[f32], columns: usize, unit: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; columns];
    out.par_chunks_mut(COLUMNS).enumerate().for_each(|(block, out)| {
        let mut squares = vec![0.0f64; out.len()];
        for (row, u) in matrix.chunks_exact(columns).zip(unit) {
            let row = &row[block * COLUMNS..][..out.len()];
            for ((w, o), s) in row.iter().zip(out.iter_mut()).zip(&mut squares) {
                let w = f64::from(*w);
                *o += u * w;
                *s += w * w;
            }
        }
        out.iter_mut().zip(squares).for_each(|(o, s)| *o /= s.sqrt());
    });
    out
}

/// Hands the numbers of a matrix on, without a copy where they lie in memory as f32.
fn with_numbers(tensor: &Tensor, f: impl FnOnce(&[f32])) -> Result<()> {
    let tensor = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    if let (Storage::Cpu(storage), Some((from, to))) = (&*storage, layout.contiguous_offsets()) {
        f(&storage.as_slice::<f32>()?[from..to]);
    }
    Ok(())
}
