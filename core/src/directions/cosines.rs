//! The cosines of a selection of latents with one another.

use super::unit::Directions;
use crate::error::{Error, Result};
use crate::sae::{Matrix, Sae};
use rayon::prelude::*;

/// More latents than this are no picture.
pub const MOST: usize = 200;

/// The cosines of some latents with one another, in an order in which like stands beside like.
#[derive(Debug, Clone, PartialEq)]
pub struct CosineBlock {
    /// The latents, as they are to be drawn: those without a direction are left out.
    ///
    /// The order is that of average linkage on `1 - cos`: the two groups that are most alike are
    /// joined, again and again, each time turned so that their most alike ends touch.
    pub latents: Vec<u32>,
    /// `[n, n]`, in this order.
    pub cosines: Vec<f32>,
}

impl CosineBlock {
    /// The cosine of the latents at places `i` and `j`.
    pub fn at(&self, i: usize, j: usize) -> f32 {
        self.cosines[i * self.latents.len() + j]
    }
}

/// The cosines of `latents` with one another, computed in f64.
///
/// # Errors
/// A latent does not exist, or there are more than [`MOST`].
pub fn cosine_block(sae: &Sae, latents: &[u32]) -> Result<CosineBlock> {
    let mut wanted = latents.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.len() > MOST {
        return Err(Error::setting(
            format!("A heat map of {} latents would show nothing", wanted.len()),
            format!("it has room for {MOST}"),
            "Select fewer",
        ));
    }
    if let Some(wrong) = wanted.iter().find(|l| **l as usize >= sae.latents()) {
        return Err(Error::setting(
            format!("The dictionary has no latent {wrong}"),
            format!("its latents are 0 to {}", sae.latents().saturating_sub(1)),
            "Choose one of them",
        ));
    }
    let rows = wanted.iter().flat_map(|l| sae.direction(*l as usize).iter().copied()).collect();
    let of = Directions::of_rows(&Matrix::new(wanted.len(), sae.width(), rows)?);
    let n = of.len();
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    let line = |i: usize| (0..n).map(move |j| (i, j));
    let raw: Vec<f64> = (0..n)
        .into_par_iter()
        .flat_map_iter(line)
        .map(|(i, j)| if i == j { 1.0 } else { dot(of.row(i), of.row(j)).clamp(-1.0, 1.0) })
        .collect();
    let order = seriate(&raw, n);
    let raw = &raw;
    let cosines =
        order.iter().flat_map(|i| order.iter().map(move |j| raw[i * n + j] as f32)).collect();
    let latent = |i: &usize| wanted[of.latents()[*i] as usize];
    Ok(CosineBlock { latents: order.iter().map(latent).collect(), cosines })
}

/// The order of average linkage; see [`CosineBlock::latents`].
fn seriate(likeness: &[f64], n: usize) -> Vec<usize> {
    let mut groups: Vec<Vec<usize>> = (0..n).map(|i| vec![i]).collect();
    // Mean likeness of the members of two groups.
    let mut mean = likeness.to_vec();
    let mut live: Vec<usize> = (0..n).collect();
    while live.len() > 1 {
        let mut best = (f64::NEG_INFINITY, 0, 0);
        for (x, i) in live.iter().enumerate() {
            for j in &live[x + 1..] {
                if mean[i * n + j] > best.0 {
                    best = (mean[i * n + j], *i, *j);
                }
            }
        }
        let (_, i, j) = best;
        let (a, b) = (groups[i].len() as f64, groups[j].len() as f64);
        for k in &live {
            let joined = (a * mean[i * n + k] + b * mean[j * n + k]) / (a + b);
            (mean[i * n + k], mean[k * n + i]) = (joined, joined);
        }
        let (mut left, mut right) =
            (std::mem::take(&mut groups[i]), std::mem::take(&mut groups[j]));
        let like = |x: usize, y: usize| likeness[x * n + y];
        let ends = |g: &[usize]| (g[0], g[g.len() - 1]);
        let ((l0, l1), (r0, r1)) = (ends(&left), ends(&right));
        let turns = [(l1, r0), (l1, r1), (l0, r0), (l0, r1)].map(|(x, y)| like(x, y));
        let most = (0..4).fold(0, |m, t| if turns[t] > turns[m] { t } else { m });
        if most >= 2 {
            left.reverse();
        }
        if most % 2 == 1 {
            right.reverse();
        }
        left.extend(right);
        groups[i] = left;
        live.retain(|k| *k != j);
    }
    live.first().map(|i| std::mem::take(&mut groups[*i])).unwrap_or_default()
}
