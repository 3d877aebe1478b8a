//! Choosing the active latents of a row from its pre-activations, a block at a time.

/// Which latents of a row are active.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Select {
    /// The k greatest of the positive ones; of equal ones those with the smaller index.
    TopK(usize),
    /// All positive ones.
    Positive,
}

/// The k greatest positive values seen so far, with a threshold that rises as more are seen.
///
/// Order is by value, then by smaller index; NaN is never chosen. A candidate is one number:
/// the bits of a positive float order as the float does, and the complement of the index below
/// them breaks ties.
#[derive(Debug, Default)]
pub struct TopK {
    k: usize,
    threshold: f32,
    candidates: Vec<u64>,
}

impl TopK {
    /// Begins a new row, keeping the memory.
    pub fn begin(&mut self, k: usize) {
        self.k = k;
        self.threshold = 0.0;
        self.candidates.clear();
    }

    /// Looks at `pre`, the values of the latents from `first` on. Blocks come in ascending order.
    pub fn see(&mut self, first: usize, pre: &[f32]) {
        for (i, chunk) in pre.chunks(16).enumerate() {
            // One test for sixteen: hardly any value passes once the threshold has risen.
            if !chunk.iter().fold(false, |any, v| any | (*v > self.threshold)) {
                continue;
            }
            for (j, v) in chunk.iter().enumerate() {
                if *v > self.threshold {
                    self.push(first + i * 16 + j, *v);
                }
            }
        }
    }

    fn push(&mut self, index: usize, value: f32) {
        self.candidates.push(u64::from(value.to_bits()) << 32 | u64::from(!(index as u32)));
        if self.candidates.len() >= 2 * self.k + 64 {
            self.shrink();
        }
    }

    /// Takes a value into account if it is positive; indices come in any order, each once.
    pub(super) fn offer(&mut self, index: u32, value: f32) {
        if value > 0.0 {
            self.candidates.push(u64::from(value.to_bits()) << 32 | u64::from(!index));
        }
    }

    /// The k-th greatest value so far, or 0.
    pub(super) fn kth(&mut self) -> f32 {
        if self.k == 0 || self.candidates.len() < self.k {
            return 0.0;
        }
        let (_, kth, _) = self.candidates.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
        f32::from_bits((*kth >> 32) as u32)
    }

    fn shrink(&mut self) {
        if self.candidates.len() <= self.k {
            return;
        }
        let (_, kth, _) = self.candidates.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
        // Later latents have greater indices: one equal to the k-th would lose the tie.
        self.threshold = f32::from_bits((*kth >> 32) as u32);
        self.candidates.truncate(self.k);
    }

    /// The chosen latents in ascending order.
    pub fn finish(&mut self, mut take: impl FnMut(u32, f32)) {
        self.shrink();
        self.candidates.sort_unstable_by_key(|c| !(*c as u32));
        for c in &self.candidates {
            take(!(*c as u32), f32::from_bits((*c >> 32) as u32));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn oracle(pre: &[f32], k: usize) -> Vec<(u32, f32)> {
        let mut all: Vec<(u32, f32)> =
            pre.iter().enumerate().map(|(i, v)| (i as u32, *v)).filter(|(_, v)| *v > 0.0).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(k);
        all.sort_by_key(|(i, _)| *i);
        all
    }

    fn value() -> impl Strategy<Value = f32> {
        prop_oneof![
            8 => -3.0f32..3.0,
            // Few distinct values, so that ties abound.
            4 => (-2i8..4).prop_map(f32::from),
            1 => Just(f32::NAN),
            1 => Just(-0.0f32),
            1 => Just(f32::MIN_POSITIVE / 4.0),
            1 => Just(f32::INFINITY),
        ]
    }

    proptest! {
        #[test]
        fn keeps_what_a_sort_would(
            pre in prop::collection::vec(value(), 1..400),
            k in 1usize..80,
            block in 1usize..90,
        ) {
            let k = k.min(pre.len());
            let mut top = TopK::default();
            top.begin(k);
            for (i, chunk) in pre.chunks(block).enumerate() {
                top.see(i * block, chunk);
            }
            let mut got = Vec::new();
            top.finish(|i, v| got.push((i, v)));
            prop_assert_eq!(got, oracle(&pre, k));
        }

        #[test]
        fn k_of_all_keeps_every_positive_one(pre in prop::collection::vec(value(), 1..200)) {
            let mut top = TopK::default();
            top.begin(pre.len());
            top.see(0, &pre);
            let mut got = Vec::new();
            top.finish(|i, v| got.push((i, v)));
            prop_assert_eq!(got, oracle(&pre, pre.len()));
        }
    }
}
