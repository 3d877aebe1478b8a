//! Latents of one row that may be among its k greatest, known only by bounds.

use super::simd::for_each_level;

/// Which latents of a row are wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wanted {
    /// The k greatest of the positive ones.
    Greatest(usize),
    /// Those above a bound.
    Above(f32),
}

/// Candidates after which those that fell behind are dropped for the first time.
const LONG: usize = 2048;

/// A growing list of candidates, with a threshold that k of them surely reach, or one that was
/// given.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    k: usize,
    threshold: f32,
    /// Lengths at which the threshold is raised, and at which the list is cut back.
    raise_at: usize,
    drop_at: usize,
    pub low: Vec<f32>,
    pub high: Vec<f32>,
    pub index: Vec<u32>,
}

impl Candidates {
    /// Begins a new row, keeping the memory.
    pub fn begin(&mut self, wanted: Wanted) {
        (self.k, self.threshold, self.raise_at) = match wanted {
            Wanted::Greatest(k) => (k, 0.0, 2 * k + 64),
            Wanted::Above(bound) => (usize::MAX, bound, usize::MAX),
        };
        self.drop_at = LONG;
        self.low.clear();
        self.high.clear();
        self.index.clear();
    }

    /// A latent whose value is below this is surely not among the k greatest positive ones.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Adds a latent; indices come in ascending order.
    pub fn push(&mut self, index: u32, low: f32, high: f32) {
        self.low.push(low);
        self.high.push(high);
        self.index.push(index);
        if self.low.len() >= self.raise_at {
            self.raise();
        }
    }

    fn raise(&mut self) {
        self.threshold = reached_by(&self.low, self.k, self.threshold);
        if self.low.len() >= self.drop_at {
            self.drop_fallen();
            self.drop_at = LONG.max(2 * self.low.len());
        }
        self.raise_at = self.low.len() + 2 * self.k + 64;
    }

    /// Raises the threshold as far as all that was seen allows, and drops who does not reach it.
    pub fn finish(&mut self) {
        if self.raise_at == usize::MAX {
            return;
        }
        self.threshold = reached_by(&self.low, self.k, self.threshold);
        self.drop_fallen();
    }

    fn drop_fallen(&mut self) {
        let mut kept = 0;
        for i in 0..self.low.len() {
            self.low[kept] = self.low[i];
            self.high[kept] = self.high[i];
            self.index[kept] = self.index[i];
            // What is no number stays.
            let below = self.high[i] < self.threshold;
            kept += usize::from(!below);
        }
        self.low.truncate(kept);
        self.high.truncate(kept);
        self.index.truncate(kept);
    }
}

for_each_level! {
    /// A number, as great as a few halvings find it, that at least `k` of `values` reach; or
    /// `least`, if that is greater.
    fn reached_by(values: &[f32], k: usize, least: f32) -> f32 {
        const HALVINGS: usize = 9;
        const LANES: usize = 64;
        let count = |limit: f32| values.iter().map(|v| u32::from(*v >= limit)).sum::<u32>() as usize;
        let mut greatest = [least; LANES];
        for values in values.chunks(LANES) {
            for (g, v) in greatest.iter_mut().zip(values) {
                *g = if *v > *g { *v } else { *g };
            }
        }
        let greatest = greatest.into_iter().fold(least, f32::max);
        let (mut reached, mut above) = (least, greatest);
        for _ in 0..HALVINGS {
            let middle = reached + 0.5 * (above - reached);
            if count(middle) >= k {
                reached = middle;
            } else {
                above = middle;
            }
        }
        reached
    }
}
