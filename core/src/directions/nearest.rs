//! The nearest directions of one direction, exactly.

use crate::error::{Error, Result};
use crate::sae::Sae;
use rayon::prelude::*;

/// Rows of a block of work.
const ROWS: usize = 1024;

/// The `k` latents of `sae` whose decoder directions are nearest to that of `latent`, itself left
/// out: index and cosine, nearest first, the lower index first where two are equally near.
///
/// Exact: each cosine is computed in f64 and then rounded. Empty where `latent` has no direction.
///
/// # Errors
/// There is no such latent.
pub fn nearest(sae: &Sae, latent: u32, k: usize) -> Result<Vec<(u32, f32)>> {
    if latent as usize >= sae.latents() {
        return Err(Error::setting(
            format!("The dictionary has no latent {latent}"),
            format!("its latents are 0 to {}", sae.latents().saturating_sub(1)),
            "Choose one of them",
        ));
    }
    let mut found = nearest_to(sae.direction(latent as usize), sae, k.saturating_add(1))?;
    found.retain(|(index, _)| *index != latent);
    found.truncate(k);
    Ok(found)
}

/// The `k` latents of `sae` whose decoder directions are nearest to `direction`: as [`nearest`],
/// for a direction from elsewhere, such as a latent of another dictionary of the same site.
///
/// # Errors
/// `direction` has another width than the dictionary.
pub fn nearest_to(direction: &[f32], sae: &Sae, k: usize) -> Result<Vec<(u32, f32)>> {
    let d = sae.width();
    if direction.len() != d {
        return Err(Error::setting(
            "The direction does not fit the dictionary",
            format!("the direction has {} numbers, the dictionary's have {d}", direction.len()),
            "Compare dictionaries of the same site of the same model",
        ));
    }
    let length = norm(direction);
    if length == 0.0 || !length.is_finite() {
        return Ok(Vec::new());
    }
    let cosines = |(block, rows): (usize, &[f32])| -> Vec<(u32, f64)> {
        let one = |(i, row): (usize, &[f32])| {
            let (product, square) = products(row, direction);
            let index = (block * ROWS + i) as u32;
            (square > 0.0).then(|| (index, product / (square.sqrt() * length)))
        };
        let mut found: Vec<_> = rows.chunks_exact(d).enumerate().filter_map(one).collect();
        keep_nearest(&mut found, k);
        found
    };
    let blocks = sae.decoder.data().par_chunks(ROWS * d).enumerate().map(cosines);
    let mut all: Vec<(u32, f64)> = blocks.collect::<Vec<_>>().concat();
    keep_nearest(&mut all, k);
    Ok(all.into_iter().map(|(index, c)| (index, c.clamp(-1.0, 1.0) as f32)).collect())
}

/// The L2 norm.
pub(super) fn norm(x: &[f32]) -> f64 {
    x.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt()
}

/// `x·y` and `x·x`, in eight running sums, so that they can be kept in vectors.
fn products(x: &[f32], y: &[f32]) -> (f64, f64) {
    const LANES: usize = 8;
    let (mut xy, mut xx) = ([0.0f64; LANES], [0.0f64; LANES]);
    let (xs, ys) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in xs.0.iter().zip(ys.0) {
        for i in 0..LANES {
            let (x, y) = (f64::from(x[i]), f64::from(y[i]));
            xy[i] += x * y;
            xx[i] += x * x;
        }
    }
    for (i, (x, y)) in xs.1.iter().zip(ys.1).enumerate() {
        xy[i] += f64::from(*x) * f64::from(*y);
        xx[i] += f64::from(*x) * f64::from(*x);
    }
    (xy.iter().sum(), xx.iter().sum())
}

/// Keeps the `k` greatest in order, the lower index first among equals.
pub(super) fn keep_nearest<I: Ord + Copy>(found: &mut Vec<(I, f64)>, k: usize) {
    let before = |a: &(I, f64), b: &(I, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if k == 0 {
        found.clear();
    } else if k < found.len() {
        found.select_nth_unstable_by(k - 1, before);
        found.truncate(k);
    }
    found.sort_unstable_by(before);
}
