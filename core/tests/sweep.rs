//! Sweeps and searches on rows that are a function of their number: targets that are reached,
//! targets that cannot be, rows that are no good.

#![allow(clippy::unwrap_used)]

use sparsescope_core::activations::{Position, Provenance, Source};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::sae::{Architecture, L1Penalty};
use sparsescope_core::training::{
    Planned, Requests, RunEvent, SweepRun, SweepSpec, TrainConfig, auto, plan_sweep, train_all,
};
use sparsescope_core::{ErrorKind, Result};

const WIDTH: usize = 16;
const BATCH: usize = 64;

/// From row, column and number to the number that is given out.
type Spoil = fn(u64, usize, f32) -> f32;

/// Sparse sums of fixed directions; `spoil` makes of each number what it likes.
struct Rows {
    at: u64,
    spoil: fn(u64, usize, f32) -> f32,
}

fn hash(a: u64, b: u64) -> u64 {
    let mut h = a.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b.wrapping_mul(0xD1B5_4A32_D192_ED03);
    h ^= h >> 29;
    h = h.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    h ^ (h >> 32)
}

impl Source for Rows {
    fn width(&self) -> usize {
        WIDTH
    }

    fn read(&mut self, check: &dyn Fn() -> Result<()>, n: usize, out: &mut Vec<f32>) -> Result<()> {
        check()?;
        for _ in 0..n {
            for c in 0..WIDTH {
                let part = |j| (hash(hash(self.at, j) % 40, c as u64) % 2001) as f32 / 1000.0 - 1.0;
                out.push((self.spoil)(self.at, c, (0..3).map(part).sum()));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn position(&self) -> Position {
        Position { rows: self.at }
    }

    fn seek(&mut self, position: &Position) -> Result<()> {
        self.at = position.rows;
        Ok(())
    }

    fn provenance(&self) -> Provenance {
        Provenance {
            model: "none".to_owned(),
            site: "resid.0".parse().unwrap(),
            target: None,
            corpus: "arithmetic".to_owned(),
            rows: "one by one".to_owned(),
            seed: 1,
        }
    }
}

fn rows(spoil: fn(u64, usize, f32) -> f32) -> Rows {
    Rows { at: 0, spoil }
}

fn config(architecture: Architecture) -> TrainConfig {
    let mut config = TrainConfig::preset(architecture, 64);
    (config.batch, config.tokens, config.lr) = (BATCH, BATCH as u64 * 400, 5e-3);
    (config.evaluate_every, config.dead_after) = (0, 2000);
    config
}

fn standard() -> TrainConfig {
    config(Architecture::Standard { penalty: L1Penalty::UnitNorm })
}

fn spec(configs: Vec<TrainConfig>, targets: &[f64]) -> SweepSpec {
    let targets = targets.to_vec();
    SweepSpec { sites: 1, configs, targets, probe_tokens: BATCH as u64 * 120 }
}

/// L0 that each run of the sweep ended with, over its last tenth; `None` if it was not trained.
fn sweep(spec: &SweepSpec, spoil: fn(u64, usize, f32) -> f32) -> Result<Vec<Option<f64>>> {
    let ctx = JobContext::<RunEvent>::unwatched();
    let dir = tempfile::tempdir().unwrap();
    let plan = plan_sweep(&ctx, &mut rows(spoil), spec)?;
    assert_eq!(plan.len(), spec.count());
    let trained: Vec<_> = plan.iter().enumerate().filter(|(_, r)| r.refusal().is_none()).collect();
    let planned = |(i, run): &(usize, &SweepRun)| Planned {
        site: 0,
        config: run.config.clone(),
        out: dir.path().join(i.to_string()),
        evaluate: None,
        requests: Requests::default(),
    };
    let mut l0s = vec![None; plan.len()];
    if trained.is_empty() {
        return Ok(l0s);
    }
    let plans = trained.iter().map(planned).collect();
    let outcomes = train_all(&ctx, &mut rows(spoil), plans, false)?;
    for ((i, _), sae) in trained.iter().zip(outcomes) {
        let history = sae?.about.history;
        let tail = &history[history.len() * 9 / 10..];
        l0s[*i] = Some(tail.iter().map(|p| p.l0).sum::<f64>() / tail.len() as f64);
    }
    Ok(l0s)
}

#[test]
fn k_and_penalties_come_to_the_l0_that_is_wanted() {
    let targets = [3.0, 6.0];
    let configs = vec![
        config(Architecture::TopK { k: 1 }),
        standard(),
        config(Architecture::Standard { penalty: L1Penalty::DecoderNorm }),
        config(Architecture::Gated),
    ];
    let names: Vec<_> = configs.iter().map(|c| c.architecture.name()).collect();
    let l0s = sweep(&spec(configs, &targets), |_, _, v| v).unwrap();
    for (i, l0) in l0s.into_iter().enumerate() {
        let (name, target) = (names[i / 2], targets[i % 2]);
        let l0 = l0.unwrap_or_else(|| panic!("{name} did not reach {target}"));
        assert!((l0 / target).ln().abs() < 0.2, "{name} came to {l0} where {target} was wanted");
    }
}

#[test]
fn an_l0_out_of_reach_is_named_and_not_trained() {
    let ctx = JobContext::<()>::unwatched();
    // Where nothing ever fires, no coefficient leads to any L0.
    let nothing = |_: u64, _: usize, _: f32| 0.0;
    let both = spec(vec![config(Architecture::TopK { k: 1 }), standard()], &[6.0]);
    let plan = plan_sweep(&ctx, &mut rows(nothing), &both).unwrap();
    assert!(plan[0].refusal().is_none(), "k needs no search");
    let error = plan[1].refusal().unwrap();
    assert_eq!((error.kind, plan[1].unreachable), (ErrorKind::Setting, Some((0.0, 0.0))));
    assert!(error.what.contains("L0 of 6") && error.why.contains("alive"), "{error}");
    let l0s = sweep(&both, nothing).unwrap();
    assert!(l0s[0].is_some() && l0s[1].is_none());
    let error = auto(&ctx, &mut rows(nothing), &standard(), 6.0, 4000).unwrap_err();
    assert!(error.what.contains("L0 of 6"), "{error}");
}

#[test]
fn senseless_sweeps_are_named() {
    let ctx = JobContext::<()>::unwatched();
    let refuse = |spec: &SweepSpec| plan_sweep(&ctx, &mut rows(|_, _, v| v), spec).unwrap_err();
    let topk = || config(Architecture::TopK { k: 2 });
    assert!(refuse(&spec(vec![topk()], &[65.0])).why.contains("64 latents"));
    assert!(refuse(&spec(vec![topk()], &[2.5])).why.contains("whole number"));
    assert_eq!(refuse(&spec(vec![standard()], &[-1.0])).kind, ErrorKind::Setting);
    assert_eq!(refuse(&spec(vec![], &[4.0])).kind, ErrorKind::Setting);
    assert_eq!(refuse(&spec(vec![standard()], &[])).kind, ErrorKind::Setting);
    let negative = TrainConfig { l1: -0.1, ..standard() };
    assert!(refuse(&spec(vec![negative], &[4.0])).what.contains("l1"));
    let nan = |at: u64, _: usize, v: f32| if at == 70 { f32::NAN } else { v };
    let error = plan_sweep(&ctx, &mut rows(nan), &spec(vec![standard()], &[4.0])).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Numeric, "{error}");
}

#[test]
fn strange_rows_are_survived() {
    let cases: [(&str, Spoil); 4] = [
        ("constant", |_, _, _| 3.0),
        ("identical rows", |_, c, _| c as f32 - 4.0),
        ("zero", |_, _, _| 0.0),
        ("huge", |_, _, v| v * 1e4),
    ];
    for (name, spoil) in cases {
        let configs = vec![config(Architecture::TopK { k: 2 }), standard()];
        let l0s = sweep(&spec(configs, &[4.0]), spoil).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(l0s[0].is_some_and(|l0| l0 <= 4.0), "{name}: {l0s:?}");
    }
}

#[test]
fn settings_found_by_trying_say_why() {
    let ctx = JobContext::<()>::unwatched();
    let usual = standard();
    let chosen = auto(&ctx, &mut rows(|_, _, v| v), &usual, 5.0, BATCH as u64 * 100).unwrap();
    let tried = [0.1, 0.3, 1.0, 3.0, 10.0].map(|r| usual.lr * r);
    assert!(tried.iter().any(|lr| (lr - chosen.config.lr).abs() < 1e-9), "{chosen:?}");
    assert!(chosen.config.l1 != usual.l1 && chosen.reasons.len() >= 3, "{chosen:?}");
    assert!(chosen.reasons[1].contains("Learning rates tried"));
    let topk = config(Architecture::TopK { k: 1 });
    let chosen = auto(&ctx, &mut rows(|_, _, v| v), &topk, 5.0, BATCH as u64 * 100).unwrap();
    assert_eq!(chosen.config.architecture.k(), Some(5));
}
