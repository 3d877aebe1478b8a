//! Stretches of text as they are kept while text goes by, and the best few of many.

/// A stretch of a row, as it is kept and as it lies in the file: where it is, and what the latent
/// does there. Its tokens stand in the rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept {
    /// What decides between stretches: the smaller, the better.
    pub key: u64,
    /// The activation, or the sentence's score.
    pub value: f32,
    /// Number of the token row in the sample.
    pub row: u32,
    /// See [`Span`].
    pub span: Box<[u8]>,
}

/// A stretch of a row and the latent's activations in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    /// Index in the row of its first token.
    pub first: usize,
    /// Index in the span of the token it was chosen for.
    pub peak: usize,
    /// The activation on each token.
    pub activations: Vec<f32>,
}

/// Key by which greater (positive) values are better, and of equal ones that of the earlier row.
pub(super) fn by_value(value: f32, row: u32) -> u64 {
    (u64::from(!value.to_bits()) << 32) | u64::from(row)
}

/// Bytes of a span of `len` tokens from token `first` of its row; `active` gives the tokens on
/// which the latent fires, counted from the span's first, ascending.
pub(super) fn encode(
    first: usize,
    len: usize,
    peak: usize,
    active: impl Iterator<Item = (usize, f32)>,
) -> Box<[u8]> {
    let mut out = Vec::with_capacity(32);
    for n in [first, len, peak] {
        put(&mut out, n);
    }
    let mut last = 0;
    for (at, value) in active {
        put(&mut out, at - last);
        last = at;
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.into_boxed_slice()
}

/// A span from its bytes; `None` if they are damaged. `longest` is the length of its row.
pub(super) fn decode(mut bytes: &[u8], longest: usize) -> Option<Span> {
    let (first, len, peak) = (take(&mut bytes)?, take(&mut bytes)?, take(&mut bytes)?);
    if peak >= len || first.checked_add(len)? > longest {
        return None;
    }
    let mut activations = vec![0.0; len];
    let mut at = 0usize;
    while !bytes.is_empty() {
        at = at.checked_add(take(&mut bytes)?)?;
        let (value, rest) = bytes.split_first_chunk::<4>()?;
        bytes = rest;
        *activations.get_mut(at)? = f32::from_le_bytes(*value);
    }
    Some(Span { first, peak, activations })
}

/// Seven bits a byte, the lowest first.
fn put(out: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn take(bytes: &mut &[u8]) -> Option<usize> {
    let mut n = 0;
    for shift in (0..35).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// The best stretches of one latent, at most a given number: those with the smallest keys, in
/// whatever order they come.
#[derive(Debug, Clone, Default)]
pub(super) struct Best {
    /// A heap with the worst at the root.
    entries: Vec<Kept>,
}

impl Best {
    /// Whether a stretch with this key is among the best `most` so far.
    pub fn wants(&self, most: usize, key: u64) -> bool {
        match self.entries.first() {
            _ if most == 0 => false,
            Some(worst) if self.entries.len() >= most => key < worst.key,
            _ => true,
        }
    }

    /// Takes a stretch that [`Best::wants`] has approved.
    pub fn put(&mut self, most: usize, kept: Kept) {
        if self.entries.len() < most {
            self.entries.push(kept);
            self.rise(self.entries.len() - 1);
        } else {
            self.entries[0] = kept;
            self.sink(0);
        }
    }

    /// The stretches, best first.
    pub fn into_sorted(mut self) -> Vec<Kept> {
        self.entries.sort_by_key(|k| k.key);
        self.entries
    }

    /// The stretches as they lie, for a checkpoint.
    pub fn entries(&self) -> &[Kept] {
        &self.entries
    }

    /// The same from what [`Best::entries`] gave.
    pub fn of(entries: Vec<Kept>) -> Self {
        Self { entries }
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 && self.entries[at].key > self.entries[(at - 1) / 2].key {
            self.entries.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let children = [2 * at + 1, 2 * at + 2].into_iter().filter(|c| *c < self.entries.len());
            let worst = children.fold(at, |worst, c| {
                if self.entries[c].key > self.entries[worst].key { c } else { worst }
            });
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

    proptest! {
        #[test]
        fn the_best_are_those_of_a_full_sort(values in prop::collection::vec(1u8..20, 0..200), most in 0usize..12) {
            let mut best = Best::default();
            for (row, value) in values.iter().enumerate() {
                let (value, row) = (f32::from(*value), row as u32);
                let key = by_value(value, row);
                if best.wants(most, key) {
                    best.put(most, Kept { key, value, row, span: Box::default() });
                }
            }
            let mut all: Vec<_> =
                values.iter().enumerate().map(|(r, v)| (f32::from(*v), r as u32)).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            all.truncate(most);
            let got: Vec<_> = best.into_sorted().iter().map(|k| (k.value, k.row)).collect();
            prop_assert_eq!(got, all);
        }

        #[test]
        fn spans_are_read_as_written(first in 0usize..300_000, activations in prop::collection::vec(0u8..4, 1..300), peak: prop::sample::Index) {
            let activations: Vec<f32> = activations.iter().map(|v| f32::from(*v) * 0.3).collect();
            let (len, peak) = (activations.len(), peak.index(activations.len()));
            let active = activations.iter().copied().enumerate().filter(|(_, v)| *v > 0.0);
            let bytes = encode(first, len, peak, active);
            prop_assert!(decode(&bytes, first + len - 1).is_none());
            prop_assert_eq!(decode(&bytes, first + len), Some(Span { first, peak, activations }));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, longest in 0usize..5000) {
            if let Some(span) = decode(&bytes, longest) {
                prop_assert!(span.peak < span.activations.len());
            }
        }
    }
}
