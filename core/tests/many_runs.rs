//! Several dictionaries on one pass: each as if it were trained alone, whatever happens on the way.

#![allow(clippy::unwrap_used)]

use sparsescope_core::activations::{Position, Provenance, Source};
use sparsescope_core::jobs::{JobContext, spawn};
use sparsescope_core::sae::{Architecture, L1Penalty, Sae};
use sparsescope_core::training::{
    KAnneal, Planned, Requests, Resample, RunEvent, TrainConfig, TrainEvent, train, train_all,
};
use sparsescope_core::{Error, ErrorKind, Result};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const WIDTH: usize = 12;
const BATCH: usize = 64;

/// Rows at several sites that are a function of their number and the site's.
struct Rows {
    sites: Vec<u64>,
    at: u64,
    /// How many rows were computed in all, by whoever shares it.
    computed: Arc<AtomicU64>,
}

impl Rows {
    fn at_sites(sites: &[u64]) -> Self {
        Self { sites: sites.to_vec(), at: 0, computed: Arc::default() }
    }
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
        self.read_sites(check, n, &mut [out])
    }

    fn sites(&self) -> usize {
        self.sites.len()
    }

    fn read_sites(
        &mut self,
        check: &dyn Fn() -> Result<()>,
        rows: usize,
        out: &mut [&mut Vec<f32>],
    ) -> Result<()> {
        check()?;
        for _ in 0..rows {
            for (site, out) in self.sites.iter().zip(out.iter_mut()) {
                for c in 0..WIDTH as u64 {
                    let v: f32 = (0..3)
                        .map(|j| {
                            let latent = hash(self.at, j) % 30 + 100 * site;
                            (hash(latent, c) % 2001) as f32 / 1000.0 - 1.0
                        })
                        .sum();
                    out.push(v);
                }
            }
            self.at += 1;
        }
        self.computed.fetch_add(rows as u64, Ordering::Relaxed);
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
        self.provenance_of(0)
    }

    fn provenance_of(&self, site: usize) -> Provenance {
        Provenance {
            model: "none".to_owned(),
            site: format!("resid.{}", self.sites[site]).parse().unwrap(),
            target: None,
            corpus: "arithmetic".to_owned(),
            rows: "one by one".to_owned(),
            seed: 1,
        }
    }
}

fn config(architecture: Architecture, seed: u64) -> TrainConfig {
    let mut config = TrainConfig::preset(architecture, 48);
    config.batch = BATCH;
    config.tokens = BATCH as u64 * 40;
    config.lr = 2e-3;
    config.dead_after = 500;
    config.checkpoint_every = BATCH as u64 * 7;
    config.evaluate_every = 0;
    config.seed = seed;
    config
}

/// Two sites, two architectures, several sparsities; a resampled one, one with k falling, one
/// with averaged weights; one that is shorter than the others.
fn plans() -> Vec<(usize, TrainConfig)> {
    let standard =
        |l1: f64, penalty| TrainConfig { l1, ..config(Architecture::Standard { penalty }, 2) };
    let annealed = TrainConfig {
        k_anneal: Some(KAnneal { from: 12, steps: 20 }),
        ema: Some(0.9),
        ..config(Architecture::TopK { k: 3 }, 5)
    };
    let resampled = TrainConfig {
        resample: Some(Resample { every: 9, until: 30 }),
        dead_after: BATCH as u64,
        lr: 0.03,
        sparsity_warmup_steps: 0,
        ..standard(4.0, L1Penalty::UnitNorm)
    };
    let short = TrainConfig { tokens: BATCH as u64 * 11, ..config(Architecture::TopK { k: 6 }, 0) };
    vec![
        (0, config(Architecture::TopK { k: 4 }, 0)),
        (1, config(Architecture::TopK { k: 4 }, 0)),
        (1, TrainConfig { target_l0: Some(6.0), ..standard(0.05, L1Penalty::DecoderNorm) }),
        (0, resampled),
        (1, annealed),
        (0, short),
    ]
}

fn planned<'a>(plans: &[(usize, TrainConfig)], dir: &Path) -> Vec<Planned<'a>> {
    let plan = |(i, (site, config)): (usize, &(usize, TrainConfig))| Planned {
        site: *site,
        config: config.clone(),
        out: folder(dir, i),
        evaluate: None,
        requests: Requests::default(),
    };
    plans.iter().enumerate().map(plan).collect()
}

fn folder(dir: &Path, i: usize) -> PathBuf {
    dir.join(format!("run-{i}"))
}

/// Names the weights by their bits.
fn bits(sae: &Sae) -> String {
    sae.hash()
}

/// Each of the plans trained alone, on a source of its own site.
fn alone(plans: &[(usize, TrainConfig)]) -> Vec<String> {
    let one = |(site, config): &(usize, TrainConfig)| {
        let dir = tempfile::tempdir().unwrap();
        let mut rows = Rows::at_sites(&[*site as u64]);
        let ctx = JobContext::unwatched();
        bits(&train(&ctx, &mut rows, None, config, dir.path(), false).unwrap())
    };
    plans.iter().map(one).collect()
}

#[test]
fn each_of_many_is_bit_for_bit_what_it_is_alone_and_the_rows_are_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let plans = plans();
    let mut rows = Rows::at_sites(&[0, 1]);
    let ctx = JobContext::unwatched();
    let all = train_all(&ctx, &mut rows, planned(&plans, dir.path()), false).unwrap();
    assert_eq!(rows.computed.load(Ordering::Relaxed), BATCH as u64 * 40);
    for (i, (sae, alone)) in all.into_iter().zip(alone(&plans)).enumerate() {
        let sae = sae.unwrap();
        assert_eq!(bits(&sae), alone, "run {i}");
        assert_eq!(bits(&Sae::load(&folder(dir.path(), i)).unwrap()), alone, "run {i}");
    }
}

#[test]
fn a_job_that_was_stopped_again_and_again_ends_with_the_same_bits() {
    let plans = plans();
    let dir = tempfile::tempdir().unwrap();
    let mut stops = 0;
    let all = loop {
        let ctx: JobContext<RunEvent> = JobContext::unwatched();
        let (asked, own) = (Cell::new(0), ctx.clone());
        let mut all = planned(&plans, dir.path());
        // Stops in the middle of a batch: some runs have had it, others not.
        let mut stop = |_: &Sae| {
            asked.set(asked.get() + 1);
            if asked.get() == 5 {
                own.cancel("enough");
            }
            Ok(sparsescope_core::evaluation::LossRecovered::new(1.0, 1.5, 3.0))
        };
        all[2].config.evaluate_every = BATCH as u64;
        all[2].evaluate = Some(&mut stop);
        match train_all(&ctx, &mut Rows::at_sites(&[0, 1]), all, true) {
            Ok(all) => break all,
            Err(error) => {
                assert!(error.is_cancelled() && error.remedy.contains("safely kept"), "{error}");
                stops += 1;
            }
        }
    };
    assert!(stops >= 5, "{stops}");
    for (i, (sae, alone)) in all.into_iter().zip(alone(&plans)).enumerate() {
        assert_eq!(bits(&sae.unwrap()), alone, "run {i}");
    }
}

#[test]
fn checkpoints_at_different_places_are_gone_on_with_together() {
    // As a kill between two checkpoints leaves them: one run is ahead of the others, one was
    // gone on with alone to its end.
    let plans = plans();
    let dir = tempfile::tempdir().unwrap();
    for (i, steps) in [(0, 9), (1, 23), (2, 40)] {
        let (site, config) = &plans[i];
        let ctx = JobContext::unwatched();
        let own = ctx.clone();
        let count = Cell::new(0);
        let mut stop = |_: &Sae| {
            count.set(count.get() + 1);
            if count.get() == steps {
                own.cancel("here");
            }
            Ok(sparsescope_core::evaluation::LossRecovered::new(1.0, 1.5, 3.0))
        };
        let config = TrainConfig { evaluate_every: BATCH as u64, ..config.clone() };
        let mut rows = Rows::at_sites(&[*site as u64]);
        let out = folder(dir.path(), i);
        let done = train(&ctx, &mut rows, Some(&mut stop), &config, &out, false);
        assert_eq!(done.is_ok(), steps == 40);
    }
    // The finished one is found finished only with the settings it was made with.
    let mut plans = plans;
    plans[2].1.evaluate_every = BATCH as u64;
    let mut rows = Rows::at_sites(&[0, 1]);
    let ctx = JobContext::unwatched();
    let all = train_all(&ctx, &mut rows, planned(&plans, dir.path()), true).unwrap();
    for (i, (sae, alone)) in all.into_iter().zip(alone(&plans)).enumerate() {
        assert_eq!(bits(&sae.unwrap()), alone, "run {i}");
    }
}

#[test]
fn a_run_that_breaks_down_leaves_the_others_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut plans = plans();
    plans[0].1.lr = 1e30;
    plans[0].1.clip = None;
    plans[0].1.normalize = false;
    let ctx = JobContext::unwatched();
    let mut rows = Rows::at_sites(&[0, 1]);
    let mut all = train_all(&ctx, &mut rows, planned(&plans, dir.path()), false).unwrap();
    let error = all.remove(0).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Numeric, "{error}");
    for (sae, alone) in all.into_iter().zip(alone(&plans[1..])) {
        assert_eq!(bits(&sae.unwrap()), alone);
    }
}

#[test]
fn what_cannot_be_trained_together_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |change: fn(&mut Vec<Planned<'_>>)| {
        let mut all = planned(&plans(), dir.path());
        change(&mut all);
        let ctx = JobContext::unwatched();
        train_all(&ctx, &mut Rows::at_sites(&[0, 1]), all, false).err().unwrap()
    };
    let batch = refused(|all| all[1].config.batch = 32);
    assert!(batch.why.contains("32") && batch.why.contains("64"), "{batch}");
    assert!(refused(|all| all[3].out = all[0].out.clone()).why.contains("run-0"));
    assert_eq!(refused(|all| all.truncate(0)).kind, ErrorKind::Setting);
    let k = refused(|all| all[5].config.architecture = Architecture::TopK { k: 49 });
    assert!(k.why.contains("49") && k.why.contains("48"), "{k}");
}

#[test]
fn a_stop_is_quick_with_many_runs() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_owned();
    let job = spawn("Sweep", Arc::new(|| {}), move |ctx: &JobContext<RunEvent>| {
        let mut plans = plans();
        plans.iter_mut().for_each(|(_, config)| config.tokens = BATCH as u64 * 1_000_000);
        train_all(ctx, &mut Rows::at_sites(&[0, 1]), planned(&plans, &out), false)
    });
    std::thread::sleep(Duration::from_millis(500));
    let since = Instant::now();
    job.cancel("seen enough");
    let mut runs_heard = [false; 6];
    let error: Error = job
        .wait(|event, _| {
            if let Some(sparsescope_core::jobs::JobEvent::Event(told)) = event {
                runs_heard[told.run] |= matches!(told.event, TrainEvent::Point(_));
            }
        })
        .unwrap_err();
    // Six checkpoints are written after the stop; the stop itself is looked for in every step.
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    assert!(error.is_cancelled());
    assert_eq!(runs_heard, [true; 6]);
}

#[test]
fn a_click_is_kept_and_gives_the_same_bits_when_gone_on_with_or_asked_for() {
    let config = TrainConfig { resample: None, ..plans()[3].1.clone() };
    let dir = tempfile::tempdir().unwrap();
    let ctx: JobContext<RunEvent> = JobContext::unwatched();
    let requests = Requests::default();
    let (click, own) = (requests.clone(), ctx.clone());
    let asked = Cell::new(0);
    // A click in step 20; a stop a little later, after no further checkpoint was due.
    let mut watch = |_: &Sae| {
        asked.set(asked.get() + 1);
        match asked.get() {
            20 => click.resample(),
            22 => own.cancel("a break"),
            _ => (),
        }
        Ok(sparsescope_core::evaluation::LossRecovered::new(1.0, 1.5, 3.0))
    };
    let plan = |evaluate, requests| Planned {
        site: 0,
        config: TrainConfig { evaluate_every: BATCH as u64, ..config.clone() },
        out: dir.path().to_owned(),
        evaluate,
        requests,
    };
    let mut rows = Rows::at_sites(&[0]);
    let error =
        train_all(&ctx, &mut rows, vec![plan(Some(&mut watch), requests)], false).err().unwrap();
    assert!(error.is_cancelled());
    let ctx = JobContext::unwatched();
    let plans = vec![plan(None, Requests::default())];
    let resumed = train_all(&ctx, &mut Rows::at_sites(&[0]), plans, true).unwrap().remove(0);
    let resumed = resumed.unwrap();
    let kept: TrainConfig = serde_json::from_value(resumed.about.config.clone().unwrap()).unwrap();
    assert_eq!(kept.resample_at, [21]);

    let asked_for = TrainConfig { resample_at: vec![21], ..config.clone() };
    let whole = alone(&[(0, asked_for), (0, config.clone())]);
    assert_eq!(bits(&resumed), whole[0]);
    assert_ne!(whole[0], whole[1], "nothing was dead: the test tests nothing");
    // And it is found finished by who asks for what it was begun with.
    let plans = vec![plan(None, Requests::default())];
    let again = train_all(&ctx, &mut Rows::at_sites(&[0]), plans, true).unwrap().remove(0);
    assert_eq!(bits(&again.unwrap()), whole[0]);
}
