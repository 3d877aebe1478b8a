//! Effects of all pairs, averaged: means, standard errors, which nodes are kept.

use super::effects::{Effect, PairEffects};
use super::{Estimate, FindSpec, Node, Unit};
use crate::llama::Site;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// A node's effect in one pair.
#[derive(Debug, Clone, Copy)]
struct Entry {
    position: Option<u32>,
    unit: Unit,
    pair: u32,
    effect: f32,
}

/// Effects of every node in every pair; where a node has none, its effect is 0.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pairs: usize,
    sites: BTreeMap<Site, Vec<Entry>>,
}

/// A node with its effect in each pair where it has one, pairs ascending.
pub(super) struct Candidate {
    pub node: Node,
    pub effects: Vec<(u32, f32)>,
}

impl Candidate {
    /// Mean and standard error over so many pairs.
    pub(super) fn estimate(&self, pairs: usize) -> Estimate {
        estimate(self.effects.iter().map(|(_, e)| f64::from(*e)), pairs)
    }

    /// The same over pairs drawn so many times each.
    pub(super) fn drawn(&self, times: &[u32], pairs: usize) -> f64 {
        let sum = |(pair, e): &(u32, f32)| f64::from(times[*pair as usize]) * f64::from(*e);
        self.effects.iter().map(sum).sum::<f64>() / pairs.max(1) as f64
    }
}

/// Mean and standard error over `pairs` numbers, of which those not given are 0.
pub(super) fn estimate(values: impl Iterator<Item = f64>, pairs: usize) -> Estimate {
    let (mut sum, mut squares) = (0.0, 0.0);
    for value in values {
        sum += value;
        squares += value * value;
    }
    let n = pairs.max(1) as f64;
    let mean = sum / n;
    let spread = (squares - n * mean * mean).max(0.0);
    let error = if pairs > 1 { (spread / (n - 1.0) / n).sqrt() } else { 0.0 };
    Estimate { mean, error }
}

impl Gathered {
    /// Adds the effects in one more pair, which is the `pairs`-th.
    pub(super) fn add(&mut self, effects: PairEffects) {
        let pair = self.pairs as u32;
        self.pairs += 1;
        for (site, effects) in effects.sites {
            let of =
                |Effect { position, unit, effect }: Effect| Entry { position, unit, pair, effect };
            self.sites.entry(site).or_default().extend(effects.into_iter().map(of));
        }
    }

    /// Every node, in the order of the forward pass, whose effect
    /// exceeds `least` in size in some pair; and how many have an effect at all.
    pub(super) fn candidates(mut self, least: f32) -> (Vec<Candidate>, usize) {
        let (mut out, mut all) = (Vec::new(), 0);
        for (site, entries) in &mut self.sites {
            entries.par_sort_unstable_by_key(|e| (e.position, e.unit, e.pair));
            for group in entries.chunk_by(|a, b| (a.position, a.unit) == (b.position, b.unit)) {
                all += 1;
                if !group.iter().any(|e| e.effect.abs() > least) {
                    continue;
                }
                let node = Node { site: *site, position: group[0].position, unit: group[0].unit };
                let effects = group.iter().map(|e| (e.pair, e.effect)).collect();
                out.push(Candidate { node, effects });
            }
        }
        (out, all)
    }
}

/// Which of these effects are kept: greater than the threshold in size, and of these the greatest;
/// of equals the earlier. Places in ascending order.
pub(super) fn kept(effects: &[f64], spec: &FindSpec) -> Vec<usize> {
    let threshold = f64::from(spec.node_threshold);
    let mut places: Vec<usize> =
        (0..effects.len()).filter(|i| effects[*i].abs() > threshold).collect();
    if places.len() > spec.most_nodes {
        places.sort_by(|a, b| effects[*b].abs().total_cmp(&effects[*a].abs()).then(a.cmp(b)));
        places.truncate(spec.most_nodes);
        places.sort_unstable();
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_without_an_effect_count_as_zero() {
        let found = estimate([3.0, 1.0].into_iter(), 4);
        // 3, 1, 0, 0: mean 1, sample variance 2.
        assert_eq!(found.mean, 1.0);
        assert!((found.error - (2.0f64 / 4.0).sqrt()).abs() < 1e-12);
        assert_eq!(estimate([2.0].into_iter(), 1), Estimate { mean: 2.0, error: 0.0 });
    }

    #[test]
    fn the_greatest_are_kept_in_order() {
        let spec = FindSpec { node_threshold: 0.5, most_nodes: 2, ..FindSpec::default() };
        assert_eq!(kept(&[0.6, -2.0, 0.5, 0.6, -0.4], &spec), [0, 1]);
        let spec = FindSpec { most_nodes: 9, ..spec };
        assert_eq!(kept(&[0.6, -2.0, 0.5, 0.6, -0.4], &spec), [0, 1, 3]);
    }
}
