//! Which nodes would be kept with other pairs of the same kind: a bootstrap.

use super::FindSpec;
use super::gathered::{Candidate, kept};
use crate::error::Result;
use crate::jobs::JobContext;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// How the kept nodes fare on resamples of the pairs.
pub(super) struct Stability {
    /// Share of resamples in which each kept node is kept.
    pub of_nodes: Vec<f32>,
    /// Mean Jaccard index of the sets kept there with the set kept here.
    pub mean: f64,
}

/// Draws as many pairs as there are, with replacement, `spec.resamples` times, and keeps nodes of
/// their means as those of all pairs were kept. `None` if that was not asked for, or there are
/// fewer than two pairs.
pub(super) fn stability<E>(
    ctx: &JobContext<E>,
    candidates: &[Candidate],
    here: &[usize],
    pairs: usize,
    spec: &FindSpec,
) -> Result<Option<Stability>> {
    if spec.resamples == 0 || pairs < 2 {
        return Ok(None);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(spec.seed);
    rng.set_stream(2);
    let mut counts = vec![0u32; here.len()];
    let mut jaccard = 0.0;
    for _ in 0..spec.resamples {
        ctx.check()?;
        let mut times = vec![0u32; pairs];
        for _ in 0..pairs {
            times[rng.random_range(0..pairs)] += 1;
        }
        let means: Vec<f64> = candidates.iter().map(|c| c.drawn(&times, pairs)).collect();
        let there = kept(&means, spec);
        let mut both = 0;
        for (count, place) in counts.iter_mut().zip(here) {
            if there.binary_search(place).is_ok() {
                *count += 1;
                both += 1;
            }
        }
        let either = here.len() + there.len() - both;
        jaccard += if either == 0 { 1.0 } else { both as f64 / either as f64 };
    }
    let n = spec.resamples as f64;
    let of_nodes = counts.into_iter().map(|c| (f64::from(c) / n) as f32).collect();
    Ok(Some(Stability { of_nodes, mean: jaccard / n }))
}

#[cfg(test)]
mod tests {
    use super::super::{Node, Unit};
    use super::*;
    use crate::llama::Site;

    fn candidate(latent: u32, effects: &[f32]) -> Candidate {
        let node = Node { site: Site::Embed, position: None, unit: Unit::Latent(latent) };
        Candidate { node, effects: (0..).zip(effects.iter().copied()).collect() }
    }

    #[test]
    fn what_all_pairs_agree_on_is_stable_and_what_one_pair_carries_is_not() {
        let candidates =
            [candidate(0, &[1.0; 8]), candidate(1, &[8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])];
        let spec = FindSpec { node_threshold: 0.5, resamples: 400, ..FindSpec::default() };
        let ctx = JobContext::<()>::unwatched();
        let found = stability(&ctx, &candidates, &[0, 1], 8, &spec).unwrap().unwrap();
        assert_eq!(found.of_nodes[0], 1.0);
        // The one pair is drawn at all with probability 1 − (7/8)⁸ = 0.656.
        assert!((found.of_nodes[1] - 0.656).abs() < 0.08, "{}", found.of_nodes[1]);
        let expected = (1.0 + f64::from(found.of_nodes[1])) / 2.0;
        assert!((found.mean - expected).abs() < 1e-6);
        let again = stability(&ctx, &candidates, &[0, 1], 8, &spec).unwrap().unwrap();
        assert_eq!(found.of_nodes, again.of_nodes);
        assert!(stability(&ctx, &candidates, &[0], 1, &spec).unwrap().is_none());
    }
}
