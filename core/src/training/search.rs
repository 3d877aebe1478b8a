//! The coefficient of a sparsity penalty that leads to a wanted L0.

use super::config::TrainConfig;
use super::probe::{Probe, ProbeRows};
use crate::error::{Error, Result};
use crate::jobs::JobContext;

/// How near the wanted L0 is near enough: log of the ratio.
const NEAR: f64 = 0.04;

/// Rounds of probes at most; each looks at a few coefficients at once.
const ROUNDS: usize = 7;

/// Factor from one coefficient of the first round to the next, and to the next beyond them.
const STRIDE: f64 = 6.0;

/// Rounds in which the range may be widened.
const WIDER: usize = 3;

/// One probe of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried {
    /// The coefficient.
    pub coefficient: f64,
    /// What it led to.
    pub probe: Probe,
}

/// What a search for one L0 found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// A coefficient that leads there, with the probe nearest to it.
    Near(Tried),
    /// No coefficient does: the least and the greatest L0 that one led to.
    Unreachable {
        /// The sparsest.
        least: f64,
        /// The densest.
        most: f64,
        /// The coefficient that led to the sparsest.
        sparsest: f64,
    },
}

/// What is searched for: an architecture with a penalty, at one site, for some L0s.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which of the source's sites.
    pub site: usize,
    /// Its settings; the coefficient in them is where the search begins.
    pub config: TrainConfig,
    /// The L0s that are wanted.
    pub targets: Vec<f64>,
}

/// Looks for the coefficients of all these at once, on the same rows: in each round every
/// search names a few coefficients, and all are probed on one pass.
///
/// The first round tries five coefficients around the given one, a factor of six apart. Then a
/// target between two of them is approached by regula falsi in the logarithms of both
/// coefficient and L0 (or halving the interval where that is slow); a target outside widens the
/// range, three times at most.
///
/// What a probe says of L0 is of a short run: the whole run may end sparser.
///
/// # Errors
/// A target that is no L0; settings that make no sense; what the source says; stopped.
pub fn search<E>(
    ctx: &JobContext<E>,
    rows: &mut ProbeRows<'_>,
    wanted: &[Wanted],
    at_once: usize,
) -> Result<Vec<Vec<Found>>> {
    for one in wanted {
        check_targets(&one.config, &one.targets)?;
    }
    let mut tried: Vec<Vec<Tried>> = vec![Vec::new(); wanted.len()];
    for round in 0..ROUNDS {
        let mut asked: Vec<(usize, f64)> = Vec::new();
        for (i, one) in wanted.iter().enumerate() {
            let next = match round {
                0 => first(one.config.l1),
                _ => next(&tried[i], &one.targets, round),
            };
            asked.extend(next.into_iter().map(|coefficient| (i, coefficient)));
        }
        if asked.is_empty() {
            break;
        }
        for part in asked.chunks(at_once.max(1)) {
            let runs: Vec<(usize, TrainConfig)> = part
                .iter()
                .map(|(i, l1)| {
                    (wanted[*i].site, TrainConfig { l1: *l1, ..wanted[*i].config.clone() })
                })
                .collect();
            for ((i, coefficient), probe) in part.iter().zip(rows.run(ctx, &runs)?) {
                // A coefficient at which the run breaks down counts as leading nowhere.
                let probe = probe.unwrap_or(Probe { l0: 0.0, fvu: f64::NAN, dead: 1.0 });
                tried[*i].push(Tried { coefficient: *coefficient, probe });
                tried[*i].sort_by(|a, b| a.coefficient.total_cmp(&b.coefficient));
            }
        }
    }
    let found = |(one, tried): (&Wanted, Vec<Tried>)| {
        one.targets.iter().map(|target| conclude(&tried, *target)).collect()
    };
    Ok(wanted.iter().zip(tried).map(found).collect())
}

/// Whether these L0s make sense for a dictionary.
///
/// # Errors
/// Says which does not.
pub fn check_targets(config: &TrainConfig, targets: &[f64]) -> Result<()> {
    for target in targets {
        let (name, m) = (config.architecture.name(), config.latents);
        if !(*target > 0.0 && target.is_finite()) {
            return Err(Error::setting(
                format!("{name} cannot be trained to an L0 of {target}"),
                "an L0 is a mean number of active latents, above 0",
                "Choose for example 8, 16 or 32",
            ));
        }
        if *target > m as f64 {
            return Err(Error::setting(
                format!("{name} cannot be trained to an L0 of {target}"),
                format!("it has {m} latents, so that no more than {m} can be active"),
                format!("Choose an L0 of at most {m}, or more latents"),
            ));
        }
        if config.architecture.k().is_some() && (target.fract() != 0.0 || *target < 1.0) {
            return Err(Error::setting(
                format!("{name} cannot be trained to an L0 of {target}"),
                "it keeps k latents a token, a whole number",
                format!("Choose {}", target.round().max(1.0)),
            ));
        }
    }
    Ok(())
}

/// The coefficients to begin with.
fn first(around: f64) -> Vec<f64> {
    let around = if around > 0.0 { around } else { 0.1 };
    (-2..=2).map(|i| around * STRIDE.powi(i)).collect()
}

/// The coefficients to try next; none if every target is settled.
fn next(tried: &[Tried], targets: &[f64], round: usize) -> Vec<f64> {
    let mut all: Vec<f64> = Vec::new();
    for target in targets {
        if nearest(tried, *target).is_some_and(|t| distance(t.probe.l0, *target) <= NEAR) {
            continue;
        }
        all.extend(match bracket(tried, *target) {
            Some((below, above)) => between(below, above, *target),
            None if round <= WIDER => beyond(tried, *target),
            None => None,
        });
    }
    all.sort_by(f64::total_cmp);
    // Two targets may ask for the same place.
    all.dedup_by(|a, b| (*a / *b).ln().abs() < 0.01);
    all.retain(|c| tried.iter().all(|t| (t.coefficient / c).ln().abs() > 1e-6));
    all
}

/// |log of the ratio|.
fn distance(l0: f64, target: f64) -> f64 {
    if l0 > 0.0 { (l0 / target).ln().abs() } else { f64::INFINITY }
}

fn nearest(tried: &[Tried], target: f64) -> Option<Tried> {
    let by = |t: &&Tried| distance(t.probe.l0, target);
    tried.iter().min_by(|a, b| by(a).total_cmp(&by(b))).copied()
}

/// Neighbouring coefficients between whose L0s the target lies: the denser, the sparser one.
fn bracket(tried: &[Tried], target: f64) -> Option<(Tried, Tried)> {
    let holds = |pair: &&[Tried]| pair[0].probe.l0 >= target && target >= pair[1].probe.l0;
    tried.windows(2).find(holds).map(|pair| (pair[0], pair[1]))
}

/// A coefficient between two, where the straight line through both logarithms meets the target.
fn between(dense: Tried, sparse: Tried, target: f64) -> Option<f64> {
    let (low, high) = (dense.coefficient.ln(), sparse.coefficient.ln());
    if high - low < 1e-4 {
        return None;
    }
    // Where nothing fires there is no logarithm: the middle will do.
    let share = match sparse.probe.l0 > 0.0 && dense.probe.l0 > sparse.probe.l0 {
        true => (dense.probe.l0 / target).ln() / (dense.probe.l0 / sparse.probe.l0).ln(),
        false => 0.5,
    };
    // Never so near an end that the interval hardly shrinks.
    Some((low + share.clamp(0.12, 0.88) * (high - low)).exp())
}

/// A coefficient beyond the range, on the side where the target lies.
fn beyond(tried: &[Tried], target: f64) -> Option<f64> {
    let (first, last) = (tried.first()?, tried.last()?);
    let step = STRIDE * STRIDE;
    if target > first.probe.l0 {
        Some(first.coefficient / step)
    } else if target < last.probe.l0 {
        Some(last.coefficient * step)
    } else {
        None
    }
}

fn conclude(tried: &[Tried], target: f64) -> Found {
    let alive = || tried.iter().map(|t| t.probe.l0).filter(|l0| *l0 > 0.0);
    let (least, most) = (alive().fold(f64::INFINITY, f64::min), alive().fold(0.0, f64::max));
    let sparsest = tried.iter().find(|t| t.probe.l0 == least).map_or(0.0, |t| t.coefficient);
    // Between two coefficients a run can still be brought to it, beyond all of them it cannot.
    let enough = if bracket(tried, target).is_some() { 0.25 } else { 2.0 * NEAR };
    match nearest(tried, target) {
        Some(near) if distance(near.probe.l0, target) <= enough => Found::Near(near),
        _ => {
            let least = if least.is_finite() { least } else { 0.0 };
            Found::Unreachable { least, most, sparsest }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probed(l1: f64, l0: f64) -> Tried {
        Tried { coefficient: l1, probe: Probe { l0, fvu: 0.1, dead: 0.0 } }
    }

    /// Follows the search on a known curve from coefficient to L0.
    fn follow(curve: impl Fn(f64) -> f64, targets: &[f64]) -> (Vec<Found>, usize) {
        let mut tried: Vec<Tried> = Vec::new();
        for round in 0..ROUNDS {
            let asked = if round == 0 { first(0.1) } else { next(&tried, targets, round) };
            tried.extend(asked.into_iter().map(|c| probed(c, curve(c))));
            tried.sort_by(|a, b| a.coefficient.total_cmp(&b.coefficient));
        }
        (targets.iter().map(|t| conclude(&tried, *t)).collect(), tried.len())
    }

    #[test]
    fn targets_on_a_curve_are_found() {
        let targets = [2.0, 8.0, 16.0, 100.0];
        // Steep, flat, and one that dies altogether.
        for (name, curve) in [
            ("power", &(|c: f64| 3.0 / c.powf(0.8)) as &dyn Fn(f64) -> f64),
            ("step", &|c: f64| 240.0 / (1.0 + (c / 0.02).powi(3))),
            ("dies", &|c: f64| if c > 3.0 { 0.0 } else { 1.0 / c + 0.5 }),
        ] {
            let (found, probes) = follow(curve, &targets);
            for (target, found) in targets.iter().zip(found) {
                let Found::Near(near) = found else { panic!("{name}: {target} was not found") };
                assert!(distance(near.probe.l0, *target) < 0.1, "{name} {target}: {near:?}");
            }
            assert!(probes < 30, "{name} took {probes}");
        }
    }

    #[test]
    fn what_cannot_be_reached_says_what_can() {
        // It saturates, as JumpReLU does: from 26 to 478, whatever the coefficient.
        let curve = |c: f64| 26.0 + 452.0 / (1.0 + c * 10.0);
        let (found, _) = follow(curve, &[4.0, 60.0, 900.0]);
        assert!(matches!(found[1], Found::Near(_)));
        for i in [0, 2] {
            let Found::Unreachable { least, most, .. } = found[i] else { panic!("{:?}", found[i]) };
            assert!((26.0..27.0).contains(&least) && (470.0..478.1).contains(&most));
        }
        let (found, _) = follow(|_| 0.0, &[8.0]);
        assert_eq!(found, [Found::Unreachable { least: 0.0, most: 0.0, sparsest: 0.0 }]);
    }

    #[test]
    fn senseless_targets_are_named() {
        use crate::sae::{Architecture, L1Penalty};
        let penalty = L1Penalty::UnitNorm;
        let standard = TrainConfig::preset(Architecture::Standard { penalty }, 64);
        let topk = TrainConfig::preset(Architecture::TopK { k: 4 }, 64);
        check_targets(&standard, &[0.5, 64.0]).unwrap();
        check_targets(&topk, &[1.0, 64.0]).unwrap();
        for bad in [0.0, -3.0, f64::NAN, 65.0] {
            assert!(check_targets(&standard, &[8.0, bad]).is_err());
            assert!(check_targets(&topk, &[bad]).is_err());
        }
        assert!(check_targets(&topk, &[7.5]).is_err());
        let error = check_targets(&topk, &[65.0]).unwrap_err();
        assert!(error.why.contains("64 latents"), "{error}");
    }
}
