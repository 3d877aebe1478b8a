//! Collecting features against the forward pass alone, on the same tokens.

use super::{Lap, Stopwatch};
use crate::activations::{Group, groups};
use crate::corpus::{Bos, CorpusSpec, Row, RowSpec, Split};
use crate::error::{Error, IoContext as _, Result};
use crate::evaluation::Sample;
use crate::features::{CollectSpec, collect as collect_features};
use crate::jobs::JobContext;
use crate::llama::{Logits, Model, Site};
use crate::sae::{About, Architecture, Extra, Matrix, Sae, Wiring};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectShape {
    /// The site.
    pub site: Site,
    /// Latents of the dictionary, a random one.
    pub latents: usize,
    /// Latents that fire on each token.
    pub k: usize,
    /// Tokens of a repetition.
    pub tokens: u64,
    /// Repetitions, of which the median counts.
    pub repetitions: usize,
    /// Folder for the file of features, which is deleted at the end.
    pub folder: PathBuf,
    /// Seed of text and weights.
    pub seed: u64,
}

/// Tokens a second: the median, by the clock on the wall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectFigures {
    /// Tokens of a repetition.
    pub tokens: u64,
    /// The whole collection, from the text to the file on disk.
    pub collect: f64,
    /// The forward pass alone up to the site, on tokens that are ready in memory.
    pub to_site: f64,
    /// The whole forward pass alone, with the logits of all positions.
    pub whole_pass: f64,
    /// The whole forward pass alone, without logits.
    pub whole_pass_without_logits: f64,
    /// `collect` as a share of `to_site`.
    pub share_of_site: f64,
    /// `collect` as a share of `whole_pass`.
    pub share_of_whole: f64,
    /// Seconds of each repetition: collection, to the site, whole pass, without logits.
    pub seconds: Vec<[f64; 4]>,
}

/// Measures. The four take turns, so that a machine that slows down slows all of them.
///
/// # Errors
/// A shape that makes no sense, those of the collection, cancelled.
pub fn collect<E>(
    ctx: &JobContext<E>,
    model: &Model,
    shape: &CollectShape,
) -> Result<CollectFigures> {
    if shape.repetitions == 0 || shape.tokens == 0 {
        return Err(Error::setting(
            "There is nothing to measure",
            "tokens and repetitions must be at least 1",
            "Give numbers from 1 on",
        ));
    }
    shape.site.within(model.config().layers)?;
    let sae = dictionary(model.config().width, shape.latents, shape.k, shape.seed)?;
    let length = model.config().context.min(128);
    let rows = RowSpec { split: Split::Packed, bos: Bos::Drop, length };
    let spec = CollectSpec {
        site: Some(shape.site),
        tokens: shape.tokens,
        seed: shape.seed,
        allow_foreign: true,
        ..CollectSpec::new(CorpusSpec::Builtin(None), rows)
    };
    let out = shape.folder.join(format!("sparsescope-bench-{}.safetensors", std::process::id()));
    let check = || ctx.check();
    let mut sample = Sample::open(model, &spec.corpus, rows, spec.tokens, 0, spec.seed)?;
    let mut read: Vec<Vec<Row>> = Vec::new();
    while let Some(rows) = sample.next(spec.batch, &check)? {
        read.push(rows);
    }
    let tokens: u64 = read.iter().flatten().map(|r| r.used_tokens() as u64).sum();
    let site = shape.site;
    let inner = ctx.without_events::<()>();
    let mut all = Vec::new();
    // Once unmeasured: memory is first touched and the file system warmed up.
    for repetition in 0..=shape.repetitions {
        let mut laps = [0.0; 4];
        laps[0] = lap(|| collect_features(&inner, model, &sae, &spec, &out).map(|_| ()))?;
        ctx.progress().stage(
            "Measuring",
            "repetitions",
            repetition as u64,
            shape.repetitions as u64,
        );
        laps[1] = lap(|| bare(model, &read, spec.batch, Some(site), Logits::None, &check))?;
        laps[2] = lap(|| bare(model, &read, spec.batch, None, Logits::All, &check))?;
        let last = Site::Resid(model.config().layers - 1);
        laps[3] = lap(|| bare(model, &read, spec.batch, Some(last), Logits::None, &check))?;
        if repetition > 0 {
            all.push(laps);
        }
    }
    std::fs::remove_file(&out).doing(|| format!("Could not delete {}", out.display()))?;
    let rate = |which: usize| {
        let lap = |l: &[f64; 4]| Lap { seconds: l[which], cpu_seconds: None };
        let laps: Vec<Lap> = all.iter().map(lap).collect();
        Lap::median(&laps).map_or(0.0, |l| tokens as f64 / l.seconds)
    };
    let (collect, to_site, whole_pass) = (rate(0), rate(1), rate(2));
    Ok(CollectFigures {
        tokens,
        collect,
        to_site,
        whole_pass,
        whole_pass_without_logits: rate(3),
        share_of_site: collect / to_site,
        share_of_whole: collect / whole_pass,
        seconds: all,
    })
}

fn lap(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let watch = Stopwatch::start();
    work()?;
    Ok(watch.lap().seconds)
}

/// The forward pass alone, in the groups that the collection makes.
fn bare(
    model: &Model,
    read: &[Vec<Row>],
    batch: usize,
    site: Option<Site>,
    logits: Logits,
    check: &dyn Fn() -> Result<()>,
) -> Result<()> {
    for rows in read {
        for members in groups(rows, batch) {
            check()?;
            Group::new(rows, &members)?.forward(model, site, &[], logits, check)?;
        }
    }
    Ok(())
}

/// A random TopK dictionary with unit directions.
pub(super) fn dictionary(width: usize, latents: usize, k: usize, seed: u64) -> Result<Sae> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut decoder = Vec::with_capacity(latents * width);
    for _ in 0..latents {
        let row: Vec<f32> = (0..width).map(|_| StandardNormal.sample(&mut rng)).collect();
        let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-6);
        decoder.extend(row.iter().map(|v| v / norm));
    }
    let sae = Sae {
        architecture: Architecture::TopK { k },
        encoder: Matrix::new(latents, width, decoder.clone())?,
        b_enc: vec![0.0; latents],
        decoder: Matrix::new(latents, width, decoder)?,
        b_dec: vec![0.0; width],
        extra: Extra::default(),
        wiring: Wiring::Centred,
        about: About::default(),
    };
    sae.validate()?;
    Ok(sae)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activations::testing::tiny_model;

    #[test]
    fn a_small_collection_is_measured_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let shape = CollectShape {
            site: Site::Resid(1),
            latents: 64,
            k: 4,
            tokens: 500,
            repetitions: 2,
            folder: folder.path().to_owned(),
            seed: 0,
        };
        let model = tiny_model();
        let ctx = JobContext::<()>::unwatched();
        let figures = collect(&ctx, &model, &shape).unwrap();
        assert!(figures.tokens >= 500 && figures.seconds.len() == 2);
        assert!((figures.share_of_site - figures.collect / figures.to_site).abs() < 1e-12);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(collect(&ctx, &model, &CollectShape { tokens: 0, ..shape }).is_err());
    }
}
