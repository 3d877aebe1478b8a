//! Encoder product with any rule of choice fused into its tiles, one sieve a row.

use super::Stop;
use super::packed::{MAX_PANEL, Packed, TILE_ROWS};
use crate::error::Result;
use crate::sae::Latents;
use rayon::prelude::*;

/// Rows of a block of work.
const BLOCK: usize = 128;

/// Of a block of rows: where the entries of each row end, which latents, their values.
type Kept = (Vec<usize>, Vec<u32>, Vec<f32>);

/// What a row keeps of its pre-activations, which come in ascending order of the latents.
pub(crate) trait Sieve {
    /// Looks at the pre-activations of the latents from `first` on.
    fn see(&mut self, first: usize, pre: &[f32]);

    /// Gives what was kept, latents ascending, and is empty again.
    fn finish(&mut self, take: &mut dyn FnMut(u32, f32));
}

/// Pre-activations `W_enc x + b_enc` of each row of `rows` (`[n, d]`), of which each row keeps
/// what a sieve made by `make` keeps. Indices are those of the packed encoder, or through
/// `names` those that its rows had before packing.
///
/// # Errors
/// `stop` said so.
pub(crate) fn sift<S: Sieve>(
    rows: &[f32],
    packed: &Packed,
    names: Option<&[u32]>,
    make: impl Fn() -> S + Sync,
    out: &mut Latents,
    stop: Stop<'_>,
) -> Result<()> {
    let (d, panel) = (packed.width(), packed.panel());
    let name = |i: u32| names.map_or(i, |names| names[i as usize]);
    let block = |rows: &[f32]| -> Result<Kept> {
        let n = rows.len() / d;
        let whole = n / TILE_ROWS * TILE_ROWS;
        let mut padded = vec![0.0; TILE_ROWS * d];
        padded[..(n - whole) * d].copy_from_slice(&rows[whole * d..]);
        let mut sieves: Vec<S> = (0..n).map(|_| make()).collect();
        let mut tile = [0.0; TILE_ROWS * MAX_PANEL];
        for p in 0..packed.panels() {
            if p.is_multiple_of(32) {
                stop()?;
            }
            let first = p * panel;
            let columns = panel.min(packed.latents() - first);
            for at in (0..n).step_by(TILE_ROWS) {
                let group = if at < whole { &rows[at * d..][..TILE_ROWS * d] } else { &padded };
                packed.tile(p, group, n - at, &mut tile);
                let own = &mut sieves[at..(at + TILE_ROWS).min(n)];
                for (sieve, pre) in own.iter_mut().zip(tile.chunks(panel)) {
                    sieve.see(first, &pre[..columns]);
                }
            }
        }
        let (mut ends, mut index, mut value) = (Vec::with_capacity(n), Vec::new(), Vec::new());
        for mut sieve in sieves {
            sieve.finish(&mut |i, v| {
                index.push(name(i));
                value.push(v);
            });
            ends.push(index.len());
        }
        Ok((ends, index, value))
    };
    // A single block is not worth waking other threads for.
    let blocks: Vec<Kept> = if rows.len() <= BLOCK * d {
        vec![block(rows)?]
    } else {
        rows.par_chunks(BLOCK * d).map(block).collect::<Result<_>>()?
    };
    out.clear();
    for (ends, index, value) in blocks {
        let base = out.index.len();
        out.index.extend(index);
        out.value.extend(value);
        out.row_start.extend(ends.iter().map(|end| base + end));
    }
    Ok(())
}

/// A bound that pre-activations are measured against.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound<'a> {
    /// The same for all latents.
    All(f32),
    /// One for each latent, in the order of the packed encoder.
    Each(&'a [f32]),
}

/// Keeps what is above the bound.
pub(crate) struct Above<'a> {
    bound: Bound<'a>,
    kept: Vec<(u32, f32)>,
}

impl<'a> Above<'a> {
    pub(crate) fn new(bound: Bound<'a>) -> Self {
        Self { bound, kept: Vec::new() }
    }
}

impl Sieve for Above<'_> {
    fn see(&mut self, first: usize, pre: &[f32]) {
        match self.bound {
            Bound::All(bound) => {
                if !pre.iter().fold(false, |any, v| any | (*v > bound)) {
                    return;
                }
                for (j, v) in pre.iter().enumerate() {
                    if *v > bound {
                        self.kept.push(((first + j) as u32, *v));
                    }
                }
            }
            Bound::Each(bounds) => {
                let bounds = &bounds[first..][..pre.len()];
                for (j, (v, bound)) in pre.iter().zip(bounds).enumerate() {
                    if v > bound {
                        self.kept.push(((first + j) as u32, *v));
                    }
                }
            }
        }
    }

    fn finish(&mut self, take: &mut dyn FnMut(u32, f32)) {
        self.kept.drain(..).for_each(|(i, v)| take(i, v));
    }
}

/// Keeps what is below the latent's bound, as the distance to it.
pub(crate) struct Below<'a> {
    pub bounds: &'a [f32],
    pub kept: Vec<(u32, f32)>,
}

impl Sieve for Below<'_> {
    fn see(&mut self, first: usize, pre: &[f32]) {
        for (j, (v, bound)) in pre.iter().zip(&self.bounds[first..]).enumerate() {
            let short = bound - v;
            if short > 0.0 {
                self.kept.push(((first + j) as u32, short));
            }
        }
    }

    fn finish(&mut self, take: &mut dyn FnMut(u32, f32)) {
        self.kept.drain(..).for_each(|(i, v)| take(i, v));
    }
}

/// Keeps the greatest positive one of each group of `size` neighbouring latents; of equal ones
/// that with the smaller index.
pub(crate) struct GroupMax {
    pub size: usize,
    pub kept: Vec<(u32, f32)>,
}

impl Sieve for GroupMax {
    fn see(&mut self, first: usize, pre: &[f32]) {
        for (j, v) in pre.iter().enumerate().filter(|(_, v)| **v > 0.0) {
            let i = first + j;
            match self.kept.last_mut() {
                Some(last) if last.0 as usize / self.size == i / self.size => {
                    if *v > last.1 {
                        *last = (i as u32, *v);
                    }
                }
                _ => self.kept.push((i as u32, *v)),
            }
        }
    }

    fn finish(&mut self, take: &mut dyn FnMut(u32, f32)) {
        self.kept.drain(..).for_each(|(i, v)| take(i, v));
    }
}

/// Keeps the k greatest, positive or not; of equal ones those with the smaller index.
pub(crate) struct AnySign {
    pub k: usize,
    pub kept: Vec<(u32, f32)>,
}

impl Sieve for AnySign {
    fn see(&mut self, first: usize, pre: &[f32]) {
        let seen = pre.iter().enumerate().filter(|(_, v)| !v.is_nan());
        self.kept.extend(seen.map(|(j, v)| ((first + j) as u32, *v)));
    }

    fn finish(&mut self, take: &mut dyn FnMut(u32, f32)) {
        self.kept.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        self.kept.truncate(self.k);
        self.kept.sort_unstable_by_key(|(i, _)| *i);
        self.kept.drain(..).for_each(|(i, v)| take(i, v));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sae::Matrix;
    use crate::sae::kernels::portable::dot;

    #[test]
    fn sieves_keep_what_they_say() {
        let (n, m, d) = (150, 108, 5);
        let numbers = |n: usize, by: f32| (0..n).map(|i| ((i * i) as f32 * by).sin()).collect();
        let rows: Vec<f32> = numbers(n * d, 0.3);
        let encoder = Matrix::new(m, d, numbers(m * d, 0.7)).unwrap();
        let (b_enc, bounds): (Vec<f32>, Vec<f32>) = (numbers(m, 0.1), numbers(m, 0.9));
        let mut packed = Packed::new();
        packed.pack(&encoder, &b_enc, None);
        let go_on = || Ok(());
        let run = |which: usize| {
            let mut out = Latents::new(m);
            let (p, o) = (&packed, &mut out);
            match which {
                0 => sift(&rows, p, None, || Above::new(Bound::All(0.2)), o, &go_on),
                1 => sift(&rows, p, None, || Above::new(Bound::Each(&bounds)), o, &go_on),
                2 => {
                    let make = || Below { bounds: &bounds, kept: Vec::new() };
                    sift(&rows, p, None, make, o, &go_on)
                }
                3 => sift(&rows, p, None, || GroupMax { size: 9, kept: Vec::new() }, o, &go_on),
                _ => sift(&rows, p, None, || AnySign { k: 100, kept: Vec::new() }, o, &go_on),
            }
            .unwrap();
            out.validate(m).unwrap();
            out
        };
        let results: Vec<Latents> = (0..5).map(run).collect();
        for (r, row) in rows.chunks(d).enumerate() {
            let pre: Vec<f32> =
                (0..m).map(|i| (dot(encoder.row(i), row) + f64::from(b_enc[i])) as f32).collect();
            let order = |a: &usize, b: &usize| pre[*b].total_cmp(&pre[*a]);
            let mut sorted: Vec<usize> = (0..m).collect();
            sorted.sort_by(order);
            for i in 0..m {
                let group = (i / 9 * 9)..(i / 9 * 9 + 9);
                let best = group.min_by(order) == Some(i) && pre[i] > 0.0;
                let want = [
                    (pre[i] > 0.2, pre[i]),
                    (pre[i] > bounds[i], pre[i]),
                    (pre[i] < bounds[i], bounds[i] - pre[i]),
                    (best, pre[i]),
                    (sorted[..100].contains(&i), pre[i]),
                ];
                for (which, (kept, value)) in want.into_iter().enumerate() {
                    let got = results[which].get(r, i as u32);
                    let want = if kept { value } else { 0.0 };
                    assert!((got - want).abs() < 1e-5, "sieve {which}, row {r}, latent {i}");
                }
            }
        }
    }
}
