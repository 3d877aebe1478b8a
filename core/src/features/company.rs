//! Which latents fire together, counted exactly on a sample of tokens.
//!
//! The sample is uniform, and a function of the seed and the text alone: all tokens at first; once
//! their firings are more than can be kept, every second one (by lots) is dropped, and so on.

use super::CoActive;
use super::batch::Batch;
use super::file::Finished;
use super::latent::mix;
use crate::sae::Latents;
use rayon::prelude::*;

/// Firings kept at most: 32 MB.
const FIRINGS: usize = 4 << 20;
/// Pairs of firings on one token that are counted at most, over all tokens: some seconds of work.
const PAIRS: u64 = 1 << 30;
/// Tokens on which two latents must fire together to be called co-active.
const LEAST: u32 = 2;

/// The sampled tokens and what fires on them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Company {
    pub firings: usize,
    pub pairs: u64,
    /// Tokens are kept whose lots begin with so many zero bits.
    pub zeros: u32,
    /// Lot of each token kept.
    pub lots: Vec<u64>,
    /// Where its firings end.
    pub ends: Vec<u64>,
    pub index: Vec<u32>,
    pub value: Vec<f32>,
}

impl Default for Company {
    fn default() -> Self {
        Self::at_most(FIRINGS, PAIRS)
    }
}

impl Company {
    pub fn at_most(firings: usize, pairs: u64) -> Self {
        let (lots, ends, index, value) = Default::default();
        Self { firings, pairs, zeros: 0, lots, ends, index, value }
    }

    /// Takes the tokens of a batch.
    pub fn see(&mut self, seed: u64, batch: &Batch, latents: &Latents) {
        for (t, token) in batch.tokens.iter().enumerate() {
            let place = u64::from(token.row) << 32 | u64::from(token.index);
            let lot = mix(mix(seed ^ 0x636F_6D70) ^ mix(place));
            if lot.leading_zeros() < self.zeros {
                continue;
            }
            let (index, value) = latents.row(t);
            self.lots.push(lot);
            self.index.extend_from_slice(index);
            self.value.extend_from_slice(value);
            self.ends.push(self.index.len() as u64);
        }
        while self.index.len() > self.firings || self.pairs() > self.pairs {
            self.thin();
        }
    }

    fn pairs(&self) -> u64 {
        let mut last = 0;
        self.ends.iter().map(|end| (end - std::mem::replace(&mut last, *end)).pow(2)).sum()
    }

    /// Drops every second token.
    fn thin(&mut self) {
        self.zeros += 1;
        let (mut tokens, mut firings, mut from) = (0, 0, 0);
        for t in 0..self.lots.len() {
            let end = self.ends[t] as usize;
            if self.lots[t].leading_zeros() >= self.zeros {
                self.index.copy_within(from..end, firings);
                self.value.copy_within(from..end, firings);
                firings += end - from;
                self.lots[tokens] = self.lots[t];
                self.ends[tokens] = firings as u64;
                tokens += 1;
            }
            from = end;
        }
        self.lots.truncate(tokens);
        self.ends.truncate(tokens);
        self.index.truncate(firings);
        self.value.truncate(firings);
    }

    /// Number of tokens of the sample.
    pub fn tokens(&self) -> u64 {
        self.lots.len() as u64
    }

    /// Tells each latent which others fire with it: `most` of them, by Jaccard index, of equal
    /// ones by correlation, then by number.
    pub fn finish(&self, most: usize, latents: &mut [Finished]) {
        let m = latents.len();
        // On which tokens each latent fires, and how strongly.
        let mut first = vec![0usize; m + 1];
        self.index.iter().for_each(|l| first[*l as usize + 1] += 1);
        (0..m).for_each(|l| first[l + 1] += first[l]);
        let mut next = first.clone();
        let mut fires = vec![(0u32, 0.0f32); self.index.len()];
        let (mut sum, mut square) = (vec![0.0f64; m], vec![0.0f64; m]);
        let span = |t: usize| {
            let from = if t == 0 { 0 } else { self.ends[t - 1] as usize };
            from..self.ends[t] as usize
        };
        for t in 0..self.lots.len() {
            for i in span(t) {
                let (l, v) = (self.index[i] as usize, self.value[i]);
                fires[next[l]] = (t as u32, v);
                next[l] += 1;
                sum[l] += f64::from(v);
                square[l] += f64::from(v) * f64::from(v);
            }
        }
        let n = self.lots.len().max(1) as f64;
        let count = |l: usize| (first[l + 1] - first[l]) as u32;
        let variance = |l: usize| (square[l] / n - (sum[l] / n).powi(2)).max(0.0);
        let scratch = || (vec![0u32; m], vec![0.0f64; m], Vec::<u32>::new());
        latents.par_iter_mut().enumerate().for_each_init(
            scratch,
            |(both, dot, met), (a, latent)| {
                latent.sampled = count(a);
                for (t, v) in &fires[first[a]..first[a + 1]] {
                    for i in span(*t as usize) {
                        let b = self.index[i] as usize;
                        if both[b] == 0 {
                            met.push(b as u32);
                        }
                        both[b] += 1;
                        dot[b] += f64::from(*v) * f64::from(self.value[i]);
                    }
                }
                let mut all: Vec<CoActive> = Vec::new();
                for b in met.drain(..) {
                    let l = b as usize;
                    let (both, dot) = (std::mem::take(&mut both[l]), std::mem::take(&mut dot[l]));
                    if l == a || both < LEAST {
                        continue;
                    }
                    let together = dot / n - sum[a] / n * (sum[l] / n);
                    let spread = (variance(a) * variance(l)).sqrt();
                    let correlation = if spread > 0.0 { (together / spread) as f32 } else { 0.0 };
                    let jaccard = f64::from(both) / f64::from(count(a) + count(l) - both);
                    all.push(CoActive { latent: b, both, jaccard: jaccard as f32, correlation });
                }
                let order = |x: &CoActive, y: &CoActive| {
                    let by = y
                        .jaccard
                        .total_cmp(&x.jaccard)
                        .then(y.correlation.total_cmp(&x.correlation));
                    by.then(x.latent.cmp(&y.latent))
                };
                if all.len() > most && most > 0 {
                    all.select_nth_unstable_by(most - 1, order);
                }
                all.truncate(most);
                all.sort_by(order);
                latent.coactive = all;
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Row;

    /// A batch of one row of `tokens` tokens on each of which 1 to 4 of 9 latents fire.
    fn batch(row: u32, tokens: usize) -> (Batch, Latents) {
        let mut latents = Latents::new(9);
        for t in 0..tokens as u64 {
            let lot = mix(u64::from(row) * 1000 + t);
            let mut index: Vec<u32> =
                (0..1 + lot % 4).map(|i| (lot >> (8 * i + 8)) as u32 % 9).collect();
            index.sort_unstable();
            index.dedup();
            latents
                .push_row(index.into_iter().map(|i| (i, 0.5 + (lot % 97) as f32 / (i + 3) as f32)));
        }
        let row_of = Row {
            tokens: vec![0; tokens],
            document: vec![0; tokens],
            position: (0..tokens as u32).collect(),
            is_bos: vec![false; tokens],
            used: vec![true; tokens],
        };
        let mut batch = Batch::default();
        batch.fill([(row, &row_of)].into_iter(), &latents);
        (batch, latents)
    }

    #[test]
    fn counts_shares_and_correlations_are_those_of_brute_force() {
        let mut company = Company::at_most(700, u64::MAX);
        let mut dense: Vec<(u64, Vec<f32>)> = Vec::new();
        for row in 0..40 {
            let (batch, latents) = batch(row, 20);
            company.see(3, &batch, &latents);
            for (t, x) in latents.to_dense().chunks(9).enumerate() {
                dense.push((
                    mix(mix(3 ^ 0x636F_6D70) ^ mix(u64::from(row) << 32 | t as u64)),
                    x.to_vec(),
                ));
            }
        }
        // 800 tokens with some 1,900 firings: a quarter of the tokens stays.
        assert_eq!(company.zeros, 2);
        dense.retain(|(lot, _)| lot.leading_zeros() >= 2);
        assert_eq!(company.tokens(), dense.len() as u64);
        let x: Vec<Vec<f32>> = dense.into_iter().map(|d| d.1).collect();
        let n = x.len() as f64;
        let mut got: Vec<Finished> = (0..9).map(|_| Finished::default()).collect();
        company.finish(3, &mut got);
        for (a, got) in got.iter().enumerate() {
            let fires = |l: usize| x.iter().filter(|x| x[l] > 0.0).count();
            assert_eq!(got.sampled as usize, fires(a));
            let mut want: Vec<(f64, f64, usize, usize)> = (0..9)
                .filter(|b| *b != a)
                .map(|b| {
                    let both = x.iter().filter(|x| x[a] > 0.0 && x[b] > 0.0).count();
                    let either = x.iter().filter(|x| x[a] > 0.0 || x[b] > 0.0).count();
                    let mean = |l: usize| x.iter().map(|x| f64::from(x[l])).sum::<f64>() / n;
                    let moment = |l: usize, k: usize| {
                        let parts = x
                            .iter()
                            .map(|x| (f64::from(x[l]) - mean(l)) * (f64::from(x[k]) - mean(k)));
                        parts.sum::<f64>() / n
                    };
                    let r = moment(a, b) / (moment(a, a) * moment(b, b)).sqrt();
                    (both as f64 / either as f64, r, b, both)
                })
                .filter(|w| w.3 >= 2)
                .collect();
            want.sort_by(|x, y| y.0.total_cmp(&x.0).then(y.1.total_cmp(&x.1)));
            assert_eq!(got.coactive.len(), 3);
            for (got, want) in got.coactive.iter().zip(want) {
                assert_eq!((got.latent as usize, got.both as usize), (want.2, want.3));
                assert!((f64::from(got.jaccard) - want.0).abs() < 1e-6);
                assert!((f64::from(got.correlation) - want.1).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_sample_does_not_depend_on_the_order_of_the_text() {
        let order = |rows: &mut dyn Iterator<Item = u32>, most, pairs| {
            let mut company = Company::at_most(most, pairs);
            for row in rows {
                let (batch, latents) = batch(row, 20);
                company.see(3, &batch, &latents);
            }
            let mut lots = company.lots;
            lots.sort_unstable();
            (company.zeros, lots)
        };
        for (most, pairs) in [(300, u64::MAX), (usize::MAX, 500)] {
            let forward = order(&mut (0..40), most, pairs);
            assert!(forward.0 > 0 && !forward.1.is_empty());
            assert_eq!(forward, order(&mut (0..40).rev(), most, pairs));
        }
    }
}
