//! The training job: resume to the same bits, bad input, what is left on disk.

#![allow(clippy::unwrap_used)]

use sparsescope_core::activations::{PairedSource, Position, Provenance, Source};
use sparsescope_core::evaluation::LossRecovered;
use sparsescope_core::jobs::{JobContext, JobEvent, spawn};
use sparsescope_core::sae::{Architecture, Sae, Wiring};
use sparsescope_core::training::{Schedule, TrainConfig, TrainEvent, train};
use sparsescope_core::{Error, ErrorKind, Result};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const WIDTH: usize = 16;

/// From row, column and number to the number that is given out.
type Spoil = fn(u64, usize, f32) -> f32;

/// Rows that are a function of their number: sparse sums of fixed directions.
struct Rows {
    at: u64,
    /// Changes a number of a row.
    spoil: Spoil,
    pause: Duration,
}

impl Rows {
    fn new() -> Self {
        Self { at: 0, spoil: |_, _, v| v, pause: Duration::ZERO }
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

    fn read(
        &mut self,
        check: &dyn Fn() -> Result<()>,
        rows: usize,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        check()?;
        std::thread::sleep(self.pause);
        for _ in 0..rows {
            for c in 0..WIDTH {
                let v: f32 = (0..3)
                    .map(|j| {
                        let latent = hash(self.at, j) % 40;
                        (hash(latent, c as u64) % 2001) as f32 / 1000.0 - 1.0
                    })
                    .sum();
                out.push((self.spoil)(self.at, c, v));
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

fn config(architecture: Architecture) -> TrainConfig {
    let mut config = TrainConfig::preset(architecture, 64);
    config.batch = 96;
    config.tokens = 96 * 40;
    config.lr = 1e-3;
    config.warmup_steps = 4;
    config.dead_after = 500;
    config.checkpoint_every = 96 * 7;
    config.evaluate_every = 0;
    config.schedule = Schedule::Cosine;
    config
}

/// One of each kind, for 64 latents; p of the annealed one falls during short runs too.
fn every_architecture() -> Vec<Architecture> {
    let all = Architecture::NAMES.iter().map(|name| Architecture::named(name, 4).unwrap());
    all.collect()
}

fn topk() -> TrainConfig {
    config(Architecture::TopK { k: 4 })
}

fn run(rows: &mut Rows, config: &TrainConfig, out: &Path, resume: bool) -> Result<Sae> {
    train(&JobContext::unwatched(), rows, None, config, out, resume)
}

fn bits(sae: &Sae) -> Vec<u32> {
    let parts = [sae.encoder.data(), &sae.b_enc, sae.decoder.data(), &sae.b_dec];
    let extra = sae.extra.parts().into_iter().map(|(_, part)| part);
    parts.into_iter().chain(extra).flat_map(|p| p.iter().map(|v| v.to_bits())).collect()
}

#[test]
fn a_run_learns_and_leaves_the_dictionary_alone_in_its_folder() {
    for architecture in every_architecture() {
        let name = architecture.name();
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(architecture);
        (config.lr, config.tokens) = (3e-3, 96 * 300);
        let sae = run(&mut Rows::new(), &config, dir.path(), false).unwrap();
        let loaded = Sae::load(dir.path()).unwrap();
        assert_eq!(bits(&loaded), bits(&sae));
        assert_eq!(loaded.hash(), sae.hash());
        assert_eq!(loaded.about.history.len(), sae.about.history.len());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        let history = &sae.about.history;
        let (first, last) = (history[0], history[history.len() - 1]);
        assert_eq!(last.tokens, config.tokens);
        assert!(last.fvu < 0.5 * first.fvu, "{name}: {first:?} {last:?}");

        // The scale is folded: the dictionary rebuilds raw rows.
        let mut rows = Vec::new();
        Rows::new().read(&|| Ok(()), 200, &mut rows).unwrap();
        let back = sae.decode(&sae.encode(&rows).unwrap()).unwrap();
        let error: f32 = rows.iter().zip(&back).map(|(a, b)| (a - b).powi(2)).sum();
        let size: f32 = rows.iter().map(|a| a * a).sum();
        assert!(error < (last.fvu as f32 + 0.1) * size, "{name}: {}", error / size);
    }
}

#[test]
fn a_run_that_was_stopped_ends_with_the_same_bits() {
    for config in every_architecture().into_iter().map(config) {
        let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let undisturbed = run(&mut Rows::new(), &config, whole.path(), false).unwrap();
        let mut stops = 0;
        let resumed = loop {
            let ctx = JobContext::unwatched();
            let mut steps = 0;
            // Stops in the fifth step, from within: by the cancel flag as a click would.
            let mut stop_soon = |_: &Sae| {
                steps += 1;
                if steps == 5 {
                    ctx.cancel("enough");
                }
                Ok(LossRecovered::new(1.0, 1.5, 3.0))
            };
            let evaluated = TrainConfig { evaluate_every: 96, ..config.clone() };
            let mut rows = Rows::new();
            match train(&ctx, &mut rows, Some(&mut stop_soon), &evaluated, broken.path(), true) {
                Ok(sae) => break sae,
                Err(error) => {
                    assert!(error.is_cancelled(), "{error}");
                    assert!(error.remedy.contains("safely kept"), "{error}");
                    stops += 1;
                }
            }
        };
        assert!(stops >= 5, "{stops}");
        assert_eq!(bits(&resumed), bits(&undisturbed));
    }
}

#[test]
fn weights_do_not_depend_on_the_number_of_threads() {
    let pools = [1, 2, 4, 7]
        .map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    for architecture in every_architecture() {
        // Several blocks of rows and of latents, the last of each incomplete.
        let mut config = config(architecture);
        (config.latents, config.batch, config.tokens) = (600, 300, 300 * 6);
        let results = pools.each_ref().map(|pool| {
            let dir = tempfile::tempdir().unwrap();
            let sae = pool.install(|| run(&mut Rows::new(), &config, dir.path(), false)).unwrap();
            bits(&sae)
        });
        let name = config.architecture.name();
        assert!(results.iter().all(|r| *r == results[0]), "{name}");
    }
}

/// Not a test by itself: the process that the next test kills.
#[test]
#[ignore = "started by another test"]
fn child_that_trains_until_it_is_killed() {
    let Some(out) = std::env::var_os("SPARSESCOPE_TEST_OUT") else { return };
    let mut rows = Rows { pause: Duration::from_millis(10), ..Rows::new() };
    run(&mut rows, &topk(), Path::new(&out), true).unwrap();
}

#[test]
fn a_process_that_was_killed_goes_on_to_the_same_bits() {
    let (whole, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let undisturbed = run(&mut Rows::new(), &topk(), whole.path(), false).unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child_that_trains_until_it_is_killed"])
        .env("SPARSESCOPE_TEST_OUT", killed.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let checkpoint = killed.path().join("checkpoint.safetensors");
    let since = Instant::now();
    while !checkpoint.exists() && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(37));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(checkpoint.exists(), "the child never wrote a checkpoint, or ended too soon");
    let resumed = run(&mut Rows::new(), &topk(), killed.path(), true).unwrap();
    assert_eq!(bits(&resumed), bits(&undisturbed));
}

#[test]
fn other_settings_are_not_taken_for_a_resume() {
    let dir = tempfile::tempdir().unwrap();
    stopped_run(dir.path());
    let other = TrainConfig { l1: 0.25, ..topk() };
    let error = run(&mut Rows::new(), &other, dir.path(), true).unwrap_err();
    assert!(error.why.starts_with("l1 was"), "{error}");
    // How often to save is no matter.
    let often = TrainConfig { checkpoint_every: 96, ..topk() };
    run(&mut Rows::new(), &often, dir.path(), true).unwrap();
}

fn stopped_run(out: &Path) {
    let ctx = JobContext::unwatched();
    let mut stop = |_: &Sae| {
        ctx.cancel("test");
        Ok(LossRecovered::new(1.0, 1.5, 3.0))
    };
    let evaluated = TrainConfig { evaluate_every: 96 * 3, ..topk() };
    let error = train(&ctx, &mut Rows::new(), Some(&mut stop), &evaluated, out, false).unwrap_err();
    assert!(error.is_cancelled());
}

#[test]
fn nothing_that_is_there_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    stopped_run(dir.path());
    let error = run(&mut Rows::new(), &topk(), dir.path(), false).unwrap_err();
    assert!(error.why.contains("broken off"), "{error}");
    let sae = run(&mut Rows::new(), &topk(), dir.path(), true).unwrap();
    let error = run(&mut Rows::new(), &topk(), dir.path(), false).unwrap_err();
    assert!(error.why.contains("finished"), "{error}");
    let again = run(&mut Rows::new(), &topk(), dir.path(), true).unwrap();
    assert_eq!(bits(&again), bits(&sae));
    let other = TrainConfig { seed: 9, ..topk() };
    assert!(run(&mut Rows::new(), &other, dir.path(), true).is_err());
}

#[test]
fn damaged_checkpoints_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    stopped_run(dir.path());
    let path = dir.path().join("checkpoint.safetensors");
    let good = std::fs::read(&path).unwrap();
    for len in [0, 5, 100, good.len() - 1] {
        std::fs::write(&path, &good[..len]).unwrap();
        let error = run(&mut Rows::new(), &topk(), dir.path(), true).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Format, "{error}");
    }
}

#[test]
fn a_nan_is_named_and_the_checkpoint_kept() {
    let dir = tempfile::tempdir().unwrap();
    let spoil = |at: u64, c: usize, v: f32| if at == 96 * 20 + 5 && c == 3 { f32::NAN } else { v };
    let mut rows = Rows { spoil, ..Rows::new() };
    let error = run(&mut rows, &topk(), dir.path(), false).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Numeric);
    assert!(error.why.contains("row 5") && error.why.contains("NaN"), "{error}");
    assert!(error.remedy.contains("checkpoint is kept"), "{error}");
    run(&mut Rows::new(), &topk(), dir.path(), true).unwrap();
}

#[test]
fn strange_activations_are_survived() {
    let cases: [(&str, Spoil); 5] = [
        ("constant", |_, _, _| 3.0),
        ("identical rows", |_, c, _| c as f32 - 4.0),
        ("zero", |_, _, _| 0.0),
        ("huge", |_, _, v| v * 1e4),
        ("one outlier", |at, _, v| if at % 500 == 7 { v * 1e4 } else { v }),
    ];
    for (name, spoil) in cases {
        for normalize in [true, false] {
            let all_latents = [Architecture::TopK { k: 64 }, Architecture::BatchTopK { k: 64 }];
            for architecture in every_architecture().into_iter().chain(all_latents) {
                let dir = tempfile::tempdir().unwrap();
                let kind = architecture.name();
                let config = TrainConfig { normalize, ..config(architecture) };
                let mut rows = Rows { spoil, ..Rows::new() };
                let sae = run(&mut rows, &config, dir.path(), false)
                    .unwrap_or_else(|e| panic!("{kind}, {name}, normalize {normalize}: {e}"));
                assert!(sae.about.history.iter().all(|p| p.fvu.is_finite() && p.loss.is_finite()));
            }
        }
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let out = file.path().join("below-a-file");
    let error = run(&mut Rows::new(), &topk(), &out, false).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Io, "{error}");
}

#[test]
fn events_tell_the_story_and_a_stop_is_quick() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_owned();
    let long = TrainConfig { tokens: 96_000_000, ..topk() };
    let job = spawn("Train", Arc::new(|| {}), move |ctx| {
        let mut evaluate = |_: &Sae| Ok(LossRecovered::new(1.0, 2.0, 3.0));
        let config = TrainConfig { evaluate_every: 96 * 50, ..long };
        train(ctx, &mut Rows::new(), Some(&mut evaluate), &config, &out, false)
    });
    std::thread::sleep(Duration::from_millis(600));
    let stopped = Instant::now();
    job.cancel("seen enough");
    let (mut points, mut saved, mut recovered) = (0, 0, 0);
    let error: Error = job
        .wait(|event, _| match event {
            Some(JobEvent::Event(TrainEvent::Point(point))) => {
                points += 1;
                recovered += usize::from(point.loss_recovered == Some(0.5));
            }
            Some(JobEvent::Event(TrainEvent::Saved { .. })) => saved += 1,
            _ => {}
        })
        .unwrap_err();
    assert!(stopped.elapsed() < Duration::from_millis(600), "{:?}", stopped.elapsed());
    assert!(error.is_cancelled());
    assert!(points > 0 && saved > 0 && recovered > 0, "{points} {saved} {recovered}");
}

/// Rows of two sites: at the second, each direction of the first is turned into another.
struct TwoSites(Rows);

impl Source for TwoSites {
    fn width(&self) -> usize {
        WIDTH
    }

    fn sites(&self) -> usize {
        2
    }

    fn read(&mut self, _: &dyn Fn() -> Result<()>, _: usize, _: &mut Vec<f32>) -> Result<()> {
        unreachable!("both sites are asked for at once")
    }

    fn read_sites(
        &mut self,
        check: &dyn Fn() -> Result<()>,
        rows: usize,
        out: &mut [&mut Vec<f32>],
    ) -> Result<()> {
        let mut x = Vec::new();
        self.0.read(check, rows, &mut x)?;
        for row in x.chunks(WIDTH) {
            out[0].extend_from_slice(row);
            out[1].extend((0..WIDTH).map(|c| 10.0 * row[(c + 5) % WIDTH] + 2.0));
        }
        Ok(())
    }

    fn position(&self) -> Position {
        self.0.position()
    }

    fn seek(&mut self, position: &Position) -> Result<()> {
        self.0.seek(position)
    }

    fn provenance(&self) -> Provenance {
        self.0.provenance()
    }

    fn provenance_of(&self, site: usize) -> Provenance {
        let site = if site == 0 { "resid.0" } else { "mlp.1" }.parse().unwrap();
        Provenance { site, ..self.0.provenance() }
    }
}

#[test]
fn a_transcoder_gives_the_other_site_with_every_activation() {
    let mut rows = Rows::new();
    assert!(PairedSource::new(&mut rows).is_err(), "one site is not enough");
    for architecture in every_architecture() {
        let name = architecture.name();
        for skip in [false, true] {
            let mut config = config(architecture.clone());
            config.wiring = Wiring::Transcoder { skip };
            (config.lr, config.tokens) = (3e-3, 96 * 300);
            let dir = tempfile::tempdir().unwrap();
            let mut sites = TwoSites(Rows::new());
            let mut pairs = PairedSource::new(&mut sites).unwrap();
            let ctx = JobContext::unwatched();
            let sae = train(&ctx, &mut pairs, None, &config, dir.path(), false).unwrap();
            assert_eq!(Sae::load(dir.path()).unwrap(), sae);
            let trained_on = sae.about.trained_on.clone().unwrap();
            assert_eq!(trained_on.site.to_string(), "resid.0");
            assert_eq!(trained_on.target.unwrap().to_string(), "mlp.1");
            let history = &sae.about.history;
            let (first, last) = (history[0], history[history.len() - 1]);
            assert!(last.fvu < 0.5 * first.fvu, "{name}, skip {skip}: {first:?} {last:?}");
            // Raw rows of one site in, raw rows of the other out.
            let (mut x, mut y) = (Vec::new(), Vec::new());
            TwoSites(Rows::new()).read_sites(&|| Ok(()), 200, &mut [&mut x, &mut y]).unwrap();
            let back = sae.reconstruct(&x).unwrap();
            let error: f32 = y.iter().zip(&back).map(|(a, b)| (a - b).powi(2)).sum();
            let size: f32 = y.iter().map(|a| a * a).sum();
            assert!(error < (last.fvu as f32 + 0.1) * size, "{name}: {}", error / size);
        }
    }
}

#[test]
fn a_transcoder_that_was_stopped_ends_with_the_same_bits() {
    let mut config = config(Architecture::Gated);
    config.wiring = Wiring::Transcoder { skip: true };
    let go =
        |ctx: &JobContext<TrainEvent>, evaluate: Option<&mut dyn FnMut(&Sae) -> _>, out: &Path| {
            let mut sites = TwoSites(Rows::new());
            let mut pairs = PairedSource::new(&mut sites).unwrap();
            let every = if evaluate.is_some() { 96 * 9 } else { 0 };
            let config = TrainConfig { evaluate_every: every, ..config.clone() };
            train(ctx, &mut pairs, evaluate, &config, out, true)
        };
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let undisturbed = go(&JobContext::unwatched(), None, whole.path()).unwrap();
    let ctx = JobContext::unwatched();
    let mut stop = |_: &Sae| {
        ctx.cancel("enough");
        Ok(LossRecovered::new(1.0, 1.5, 3.0))
    };
    assert!(go(&ctx, Some(&mut stop), broken.path()).unwrap_err().is_cancelled());
    let resumed = go(&JobContext::unwatched(), None, broken.path()).unwrap();
    assert_eq!(bits(&resumed), bits(&undisturbed));
}
