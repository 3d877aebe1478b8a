//! What is kept of one latent while text goes by. Nothing of it depends on the order in which the
//! batches come, but for the last bits of the sum.

use super::batch::{Batch, Sentence};
use super::file::{Finished, list};
use super::kept::{Best, Kept, by_value, encode};
use super::tally::Tally;
use super::{CollectSpec, FIFTHS, LatentSummary};

#[derive(Debug, Clone, Default)]
pub(super) struct Latent {
    pub tally: Tally,
    /// Contexts of the greatest activations, one a row.
    pub top: Best,
    /// Firings drawn at random, all with the same chance: those with the smallest lots.
    pub drawn: Best,
    pub by_mean: Best,
    pub by_last: Best,
    pub by_max: Best,
}

impl Latent {
    /// Takes what the batch says of this latent, number `latent`.
    pub fn see(&mut self, latent: u32, batch: &Batch, spec: &CollectSpec) {
        let (at, value) = batch.firings(latent as usize);
        let mut i = 0;
        while i < at.len() {
            let row = batch.tokens[at[i] as usize].row;
            // The row's strongest firing, the first of equal ones.
            let mut peak = i;
            while i < at.len() && batch.tokens[at[i] as usize].row == row {
                i = self.see_sentence(latent, row, i, (at, value), batch, spec, &mut peak);
            }
            let key = by_value(value[peak], row);
            if self.top.wants(spec.contexts_per_latent, key) {
                let span = window(batch, at, value, peak, spec.window);
                let kept = Kept { key, value: value[peak], row, span };
                self.top.put(spec.contexts_per_latent, kept);
            }
        }
    }

    /// Takes the sentence of firing `from`; returns the first firing after it.
    fn see_sentence(
        &mut self,
        latent: u32,
        row: u32,
        from: usize,
        (at, value): (&[u32], &[f32]),
        batch: &Batch,
        spec: &CollectSpec,
        peak: &mut usize,
    ) -> usize {
        let Sentence { start, end } =
            batch.sentences[batch.tokens[at[from] as usize].sentence as usize];
        let (mut i, mut sum, mut strongest) = (from, 0.0, from);
        while i < at.len() && at[i] < end {
            self.tally.add(value[i]);
            sum += f64::from(value[i]);
            if value[i] > value[strongest] {
                strongest = i;
            }
            let key = lot(spec.seed, latent, row, batch.tokens[at[i] as usize].index);
            if self.drawn.wants(spec.drawn(), key) {
                let span = window(batch, at, value, i, spec.window);
                self.drawn.put(spec.drawn(), Kept { key, value: value[i], row, span });
            }
            i += 1;
        }
        if value[strongest] > value[*peak] {
            *peak = strongest;
        }
        let mean = (sum / f64::from(end - start)) as f32;
        let last = if at[i - 1] + 1 == end { value[i - 1] } else { 0.0 };
        let most = spec.sentences_per_latent;
        let whole = || {
            let firings = (from..i).map(|i| ((at[i] - start) as usize, value[i]));
            let first = batch.tokens[start as usize].index as usize;
            let (len, peak) = ((end - start) as usize, (at[strongest] - start) as usize);
            encode(first, len, peak, firings)
        };
        let lists = [
            (&mut self.by_mean, mean),
            (&mut self.by_last, last),
            (&mut self.by_max, value[strongest]),
        ];
        for (best, score) in lists {
            let key = by_value(score, row);
            if score > 0.0 && best.wants(most, key) {
                best.put(most, Kept { key, value: score, row, span: whole() });
            }
        }
        i
    }

    /// What is to be written of it.
    pub fn finish(self, latent: u32, tokens: u64, spec: &CollectSpec) -> Finished {
        let tally = &self.tally;
        let summary = LatentSummary {
            index: latent,
            fired: tally.fired,
            density: (tally.fired as f64 / tokens.max(1) as f64) as f32,
            mean: tally.mean(),
            max: tally.max,
            quantiles: tally.quantiles(),
            histogram: tally.histogram(),
        };
        let sorted = tally.sorted();
        let between = FIFTHS.map(|q| tally.quantile(&sorted, q));
        let [a, b, c, d] = between;
        let bounds = [tally.min, a, b, c, d, tally.max];
        let mut kept = Vec::new();
        let mut put = |list: u8, best: Vec<Kept>| kept.extend(best.into_iter().map(|k| (list, k)));
        put(list::TOP, self.top.into_sorted());
        let mut fifths: [Vec<Kept>; 5] = Default::default();
        for one in self.drawn.into_sorted() {
            let fifth = &mut fifths[between.iter().filter(|bound| one.value > **bound).count()];
            if fifth.len() < spec.contexts_per_fifth {
                fifth.push(one);
            }
        }
        for (i, mut fifth) in fifths.into_iter().enumerate() {
            fifth.sort_by(|a, b| b.value.total_cmp(&a.value).then(a.key.cmp(&b.key)));
            put(list::FIFTH + i as u8, fifth);
        }
        put(list::MEAN, self.by_mean.into_sorted());
        put(list::LAST, self.by_last.into_sorted());
        put(list::MAX, self.by_max.into_sorted());
        Finished { summary, bounds, kept, ..Finished::default() }
    }

    /// Its lists of stretches, for a checkpoint.
    pub fn lists(&self) -> [&Best; 5] {
        [&self.top, &self.drawn, &self.by_mean, &self.by_last, &self.by_max]
    }
}

/// The firing `i` with `width` tokens around it, fewer where its sentence ends: the firing in the
/// middle where there is room.
fn window(batch: &Batch, at: &[u32], value: &[f32], i: usize, width: usize) -> Box<[u8]> {
    let peak = at[i] as usize;
    let Sentence { start, end } = batch.sentences[batch.tokens[peak].sentence as usize];
    let (low, high) = (start as usize, end as usize);
    let from = peak.saturating_sub(width / 2).max(low);
    let to = (from + width).min(high);
    let from = to.saturating_sub(width).max(low);
    let first = at[..=i].partition_point(|t| (*t as usize) < from);
    let inside = at[first..].iter().zip(&value[first..]).take_while(|(t, _)| (**t as usize) < to);
    let active = inside.map(|(t, v)| (*t as usize - from, *v));
    encode(batch.tokens[from].index as usize, to - from, peak - from, active)
}

/// The lot of a firing: as good as random, and a function of the firing alone.
pub(super) fn lot(seed: u64, latent: u32, row: u32, index: u32) -> u64 {
    let firing = mix(seed ^ mix(u64::from(latent) + 1));
    mix(firing ^ mix(u64::from(row) << 32 | u64::from(index)))
}

/// A permutation of the 64-bit numbers that leaves no pattern (the finaliser of SplitMix64).
pub(super) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
