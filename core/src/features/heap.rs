//! The best few of many, with bounded memory.

use std::cmp::Ordering;

/// A context as it is kept while text goes by: token ids, not yet texts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept {
    /// The latent's activation at the peak.
    pub value: f32,
    /// Number of the token row in the sample; of equal values the earlier row is the better.
    pub row: u64,
    pub document: u64,
    /// Position of the first token in the document.
    pub start: u32,
    /// Index of the peak.
    pub peak: u32,
    pub tokens: Box<[u32]>,
    pub activations: Box<[f32]>,
}

/// Best first.
fn compare(a: (f32, u64), b: (f32, u64)) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

/// The best contexts of one latent, at most a given number.
#[derive(Debug, Clone, Default)]
pub(super) struct Best {
    /// A heap with the worst at the root.
    entries: Vec<Kept>,
}

impl Best {
    /// Whether a context with this value, from this row, is among the best `most` so far.
    pub fn wants(&self, most: usize, value: f32, row: u64) -> bool {
        match self.entries.first() {
            _ if most == 0 => false,
            Some(worst) if self.entries.len() >= most => {
                compare((value, row), (worst.value, worst.row)).is_lt()
            }
            _ => true,
        }
    }

    /// Takes a context that [`Best::wants`] has approved.
    pub fn put(&mut self, most: usize, kept: Kept) {
        if self.entries.len() < most {
            self.entries.push(kept);
            self.rise(self.entries.len() - 1);
        } else {
            self.entries[0] = kept;
            self.sink(0);
        }
    }

    /// The contexts, best first.
    pub fn into_sorted(mut self) -> Vec<Kept> {
        self.entries.sort_by(|a, b| compare((a.value, a.row), (b.value, b.row)));
        self.entries
    }

    /// Whether entry `a` is worse than entry `b`.
    fn worse(&self, a: usize, b: usize) -> bool {
        let key = |i: usize| (self.entries[i].value, self.entries[i].row);
        compare(key(a), key(b)).is_gt()
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 && self.worse(at, (at - 1) / 2) {
            self.entries.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let children = [2 * at + 1, 2 * at + 2].into_iter().filter(|c| *c < self.entries.len());
            let worst = children.fold(at, |worst, c| if self.worse(c, worst) { c } else { worst });
            if worst == at {
                return;
            }
            self.entries.swap(at, worst);
            at = worst;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(value: f32, row: u64) -> Kept {
        let (tokens, activations) = (Box::default(), Box::default());
        Kept { value, row, document: 0, start: 0, peak: 0, tokens, activations }
    }

    proptest! {
        #[test]
        fn the_best_are_those_of_a_full_sort(values in prop::collection::vec(0u8..20, 0..200), most in 0usize..12) {
            let mut best = Best::default();
            for (row, value) in values.iter().enumerate() {
                let (value, row) = (f32::from(*value), row as u64);
                if best.wants(most, value, row) {
                    best.put(most, kept(value, row));
                }
            }
            let mut all: Vec<_> =
                values.iter().enumerate().map(|(r, v)| (f32::from(*v), r as u64)).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            all.truncate(most);
            let got: Vec<_> = best.into_sorted().iter().map(|k| (k.value, k.row)).collect();
            prop_assert_eq!(got, all);
        }
    }
}
