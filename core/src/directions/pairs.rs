//! The nearest directions of every direction.

use super::unit::{Directions, Panels};
use crate::error::Result;
use crate::jobs::JobContext;
use rayon::prelude::*;

/// Directions of a block of work.
const ROWS: usize = 128;

/// For each direction the nearest ones, nearest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    /// How many there are for each.
    pub k: usize,
    /// `[n, k]`: the place of each neighbour among the other's [`Directions`].
    pub places: Vec<u32>,
    /// `[n, k]`: their cosines.
    pub cosines: Vec<f32>,
}

impl Nearest {
    /// The neighbours of direction `i`: place and cosine.
    pub fn of(&self, i: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let range = i * self.k..(i + 1) * self.k;
        let cosines = &self.cosines[range.clone()];
        self.places[range].iter().zip(cosines).map(|(p, c)| (*p as usize, *c))
    }
}

/// The `k` directions of `b` nearest to each of `a` (fewer where `b` has fewer): every pair is
/// looked at. The lower place comes first among equals. With `others` the two are the same set,
/// and a direction is not its own neighbour.
///
/// The products are in f32, in blocks of one size, so that the outcome does not depend on the
/// number of threads.
///
/// # Errors
/// The job was stopped.
pub fn nearest_of_all<E>(
    ctx: &JobContext<E>,
    a: &Directions,
    b: &Directions,
    k: usize,
    others: bool,
) -> Result<Nearest> {
    let k = k.min(b.len().saturating_sub(usize::from(others)));
    let d = a.width();
    let mut places = vec![0; a.len() * k];
    let mut cosines = vec![0.0; a.len() * k];
    ctx.progress().stage("Comparing directions", "directions", 0, a.len() as u64);
    if k == 0 || d == 0 {
        return Ok(Nearest { k, places, cosines });
    }
    ctx.check()?;
    let panels = Panels::of(b);
    let ctx = &ctx.without_events::<()>();
    a.data()
        .par_chunks(ROWS * d)
        .zip(places.par_chunks_mut(ROWS * k).zip(cosines.par_chunks_mut(ROWS * k)))
        .enumerate()
        .try_for_each_init(Vec::new, |tile, (block, (rows, (places, cosines)))| {
            let n = rows.len() / d;
            let mut filled = vec![0; n];
            panels.for_each(rows, tile, |first, columns, tile| {
                ctx.check_cancelled()?;
                for (i, tile) in tile.chunks_exact(columns).enumerate() {
                    let own = if others { block * ROWS + i } else { usize::MAX };
                    let places = &mut places[i * k..][..k];
                    let cosines = &mut cosines[i * k..][..k];
                    for (j, cosine) in tile.iter().enumerate() {
                        let full = filled[i] == k;
                        if (full && *cosine <= cosines[k - 1]) || first + j == own {
                            continue;
                        }
                        let at = cosines[..filled[i]].partition_point(|c| *c >= *cosine);
                        let end = if full { k - 1 } else { filled[i] };
                        places.copy_within(at..end, at + 1);
                        cosines.copy_within(at..end, at + 1);
                        (places[at], cosines[at]) = ((first + j) as u32, *cosine);
                        filled[i] = end + 1;
                    }
                }
                Ok::<(), crate::Error>(())
            })?;
            cosines.iter_mut().for_each(|c| *c = c.clamp(-1.0, 1.0));
            ctx.progress().add(n as u64);
            Ok::<(), crate::Error>(())
        })?;
    Ok(Nearest { k, places, cosines })
}
