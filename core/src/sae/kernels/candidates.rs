//! Latents of one row that may be among its k greatest, known only by bounds.

use super::simd::for_each_level;

/// A growing list of candidates, with a threshold that k of them surely reach.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    k: usize,
    /// Length at which the threshold is raised.
    full: usize,
    threshold: f32,
    pub low: Vec<f32>,
    pub high: Vec<f32>,
    pub index: Vec<u32>,
}

impl Candidates {
    /// Begins a new row, keeping the memory.
    pub fn begin(&mut self, k: usize) {
        (self.k, self.full, self.threshold) = (k, 4 * k + 128, 0.0);
        self.low.clear();
        self.high.clear();
        self.index.clear();
    }

    pub fn len(&self) -> usize {
        self.index.len()
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
        if self.len() >= self.full {
            self.raise();
            self.full = self.full.max(2 * self.len());
        }
    }

    /// Raises the threshold as far as what was seen allows, and drops who does not reach it.
    pub fn raise(&mut self) {
        self.threshold = reached_by(&self.low, self.k, self.threshold);
        let mut kept = 0;
        for i in 0..self.len() {
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
        const HALVINGS: usize = 10;
        let count = |limit: f32| values.iter().map(|v| u32::from(*v >= limit)).sum::<u32>() as usize;
        let greatest = values.iter().fold(least, |a, b| if *b > a { *b } else { a });
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
