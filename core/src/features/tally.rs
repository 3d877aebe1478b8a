//! The distribution of one latent's positive activations, in bounded memory, whatever their
//! bounds, and the same whatever their order.

use super::{ActivationHistogram, QUANTILES};

/// Up to so many values a latent's quantiles are exact.
pub const EXACT_VALUES: usize = 128;

/// Beyond [`EXACT_VALUES`], a quantile `q̂` of the true value `q` has `|q̂ - q| ≤ q / 64`: values
/// are counted in 32 buckets an octave, and the middle of the right bucket is given. This holds
/// for values down to 1/65,536 of the greatest; those below it are counted together.
pub const QUANTILE_ERROR: f64 = 1.0 / 64.0;

/// Bits of an f32 below those that name its bucket: exponent and 5 bits of the mantissa stay.
const SHIFT: u32 = 18;
/// Buckets kept: 16 octaves.
const BUCKETS: usize = 512;
/// Bins of the histogram.
const BINS: usize = 64;

/// Counts of positive values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tally {
    pub fired: u64,
    pub sum: f64,
    pub min: f32,
    pub max: f32,
    /// All values, as long as they are few; then empty.
    pub exact: Vec<f32>,
    /// Once they are many: the first bucket that is kept.
    pub lowest: u32,
    /// Values in it and in those that follow.
    pub buckets: Vec<u32>,
    /// Exponent of the histogram's bin width 2^exponent.
    pub exponent: i32,
    /// Values in each of [`BINS`] bins; empty before the first value.
    pub bins: Vec<u32>,
}

impl Tally {
    pub fn add(&mut self, value: f32) {
        self.min = if self.fired == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.fired += 1;
        self.sum += f64::from(value);
        self.add_to_bins(value);
        if !self.buckets.is_empty() {
            self.add_to_buckets(value);
        } else if self.exact.len() < EXACT_VALUES {
            self.exact.push(value);
        } else {
            self.lowest = value.to_bits() >> SHIFT;
            self.buckets.push(1);
            for value in std::mem::take(&mut self.exact) {
                self.add_to_buckets(value);
            }
        }
    }

    fn add_to_buckets(&mut self, value: f32) {
        let key = value.to_bits() >> SHIFT;
        let end = self.lowest + self.buckets.len() as u32;
        if key >= end {
            self.buckets.resize((key - self.lowest) as usize + 1, 0);
            if let Some(over) = self.buckets.len().checked_sub(BUCKETS) {
                let below: u32 = self.buckets.drain(..over).sum();
                self.lowest += over as u32;
                self.buckets[0] += below;
            }
        } else if key < self.lowest {
            let most = (BUCKETS - self.buckets.len()) as u32;
            let more = (self.lowest - key).min(most);
            self.buckets.splice(..0, std::iter::repeat_n(0, more as usize));
            self.lowest -= more;
        }
        self.buckets[key.saturating_sub(self.lowest) as usize] += 1;
    }

    fn add_to_bins(&mut self, value: f32) {
        let value = f64::from(value);
        if self.bins.is_empty() {
            self.bins = vec![0; BINS];
            // The value, 1 to 2 times a power of two, belongs to one of the bins 32 to 63.
            self.exponent = value.log2().floor() as i32 - 5;
        }
        while value >= BINS as f64 * width(self.exponent) {
            for i in 0..BINS / 2 {
                self.bins[i] = self.bins[2 * i] + self.bins[2 * i + 1];
            }
            self.bins[BINS / 2..].fill(0);
            self.exponent += 1;
        }
        let bin = (value / width(self.exponent)) as usize;
        self.bins[bin.min(BINS - 1)] += 1;
    }

    /// The least value that at least the share `q` of the values are at or below, within
    /// [`QUANTILE_ERROR`]; 0 if there is none.
    pub fn quantile(&self, sorted: &[f32], q: f64) -> f32 {
        if self.fired == 0 {
            return 0.0;
        }
        let rank = ((q * self.fired as f64).ceil() as u64).clamp(1, self.fired);
        if self.buckets.is_empty() {
            return sorted.get(rank as usize - 1).copied().unwrap_or(self.max);
        }
        let mut below = 0;
        for (i, count) in self.buckets.iter().enumerate() {
            below += u64::from(*count);
            if below >= rank {
                let edge = |key: u32| f32::from_bits(key << SHIFT);
                let key = self.lowest + i as u32;
                let middle = edge(key) + (edge(key + 1) - edge(key)) / 2.0;
                return middle.max(self.min).min(self.max);
            }
        }
        self.max
    }

    /// The values in ascending order, if they are still known one by one.
    pub fn sorted(&self) -> Vec<f32> {
        let mut sorted = self.exact.clone();
        sorted.sort_by(f32::total_cmp);
        sorted
    }

    /// All of [`QUANTILES`].
    pub fn quantiles(&self) -> [f32; QUANTILES.len()] {
        let sorted = self.sorted();
        QUANTILES.map(|q| self.quantile(&sorted, q))
    }

    /// The bins up to that of the greatest value.
    pub fn histogram(&self) -> ActivationHistogram {
        let used = self.bins.iter().rposition(|c| *c > 0).map_or(0, |last| last + 1);
        let counts = self.bins[..used].to_vec();
        let width = if used == 0 { 0.0 } else { width(self.exponent) as f32 };
        ActivationHistogram { width, counts }
    }

    pub fn mean(&self) -> f32 {
        if self.fired == 0 { 0.0 } else { (self.sum / self.fired as f64) as f32 }
    }
}

/// 2^exponent, made of its bits: this is asked for every firing. Activations are f32, so the
/// exponent is far from the bounds of an f64.
fn width(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tally(values: &[f32]) -> Tally {
        let mut tally = Tally::default();
        values.iter().for_each(|v| tally.add(*v));
        tally
    }

    /// Positive values over many orders of magnitude, with ties.
    fn values() -> impl Strategy<Value = Vec<f32>> {
        let value =
            (-8.0f32..6.0, 0.0f32..1.0).prop_map(|(e, tie)| if tie < 0.1 { 1.5 } else { e.exp2() });
        prop::collection::vec(value, 1..700)
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_a_sort_within_the_bound(values in values(), q in 0.0f64..=1.0) {
            let tally = tally(&values);
            let mut sorted = values.clone();
            sorted.sort_by(f32::total_cmp);
            // Nearest rank, by its definition.
            let n = values.len() as f64;
            let want = *sorted
                .iter()
                .find(|v| sorted.iter().filter(|w| w <= v).count() as f64 >= q * n)
                .unwrap();
            let got = tally.quantile(&tally.sorted(), q);
            if values.len() <= EXACT_VALUES {
                prop_assert_eq!(got, want);
            } else {
                prop_assert!(f64::from((got - want).abs()) <= f64::from(want) * QUANTILE_ERROR, "{} {}", got, want);
            }
        }

        #[test]
        fn the_histogram_is_exact(values in values()) {
            let histogram = tally(&values).histogram();
            let max = values.iter().copied().fold(0.0, f32::max);
            prop_assert!((32..=63).contains(&((max / histogram.width) as usize)));
            let count = |i: usize| {
                let (low, high) = (i as f32 * histogram.width, (i + 1) as f32 * histogram.width);
                values.iter().filter(|v| low <= **v && **v < high).count() as u32
            };
            let want: Vec<u32> = (0..=(max / histogram.width) as usize).map(count).collect();
            prop_assert_eq!(&histogram.counts, &want);
        }

        #[test]
        fn order_plays_no_part(mut values in prop::collection::vec(prop::num::f32::POSITIVE | prop::num::f32::SUBNORMAL, 1..700), seed: u64) {
            values.iter_mut().for_each(|v| *v = v.abs());
            values.retain(|v| *v > 0.0);
            let forward = tally(&values);
            values.sort_by_key(|v| u64::from(v.to_bits()).wrapping_add(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let mut shuffled = tally(&values);
            shuffled.sum = forward.sum;
            prop_assert_eq!(shuffled.sorted(), forward.sorted());
            shuffled.exact.clone_from(&forward.exact);
            prop_assert_eq!(shuffled, forward);
        }
    }

    #[test]
    fn a_latent_that_never_fires_has_nothing() {
        let tally = Tally::default();
        assert_eq!(tally.quantiles(), [0.0; 7]);
        assert_eq!(tally.histogram(), ActivationHistogram::default());
        assert_eq!(tally.mean(), 0.0);
    }
}
