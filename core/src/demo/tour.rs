//! The tour: from the built-in model to features whose meaning is known.

use super::truth_report::{TruthReport, TruthRequest, truth_report};
use crate::activations::{LiveSource, StreamSpec};
use crate::corpus::{Bos, CorpusSpec, RowSpec, Split};
use crate::error::{Error, Result};
use crate::evaluation::{EvalSpec, Evaluation, LossProbe, evaluate};
use crate::features::{CollectSpec, Context, FeatureFile, FeatureTable, collect};
use crate::jobs::JobContext;
use crate::llama::{Model, Site};
use crate::sae::{Architecture, Sae};
use crate::training::{TrainConfig, TrainEvent, train};
use crate::world::Variable;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Instant;

/// Tokens on which loss recovered is measured while training.
const PROBED: u64 = 4096;
/// Least F1, on documents it was not chosen on, of a latent that is said to mean something.
const READABLE: f64 = 0.5;
/// Contexts shown of each feature.
const SHOWN: usize = 3;

/// What the tour does; the defaults are those of `sparsescope demo`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TourRequest {
    /// Folder for the dictionary and its features.
    pub out: PathBuf,
    /// The site that the dictionary is trained on.
    pub site: Site,
    /// Number of latents.
    pub latents: usize,
    /// Latents active on each token.
    pub k: usize,
    /// Tokens to train on.
    pub tokens: u64,
    /// Peak learning rate.
    pub lr: f64,
    /// Tokens to collect features from.
    pub collect_tokens: u64,
    /// Documents of the truth report.
    pub truth_documents: usize,
    /// Seed of weights and text.
    pub seed: u64,
}

impl TourRequest {
    /// The usual tour.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            site: Site::Resid(2),
            latents: 512,
            k: 16,
            tokens: 1_500_000,
            lr: 1e-3,
            collect_tokens: 200_000,
            truth_documents: 1000,
            seed: 0,
        }
    }

    /// Settings of the training.
    pub fn train_config(&self) -> TrainConfig {
        let mut config = TrainConfig::preset(Architecture::TopK { k: self.k }, self.latents);
        config.tokens = self.tokens;
        config.lr = self.lr;
        config.batch = 1024;
        config.seed = self.seed;
        config.dead_after = 100_000;
        config.evaluate_every = (self.tokens / 6).max(1);
        config.checkpoint_every = self.tokens;
        config
    }

    /// Settings of the stream of activations: whole rows of text, as the model learnt from.
    pub fn stream(&self, model: &Model) -> StreamSpec {
        let rows = RowSpec {
            split: Split::Packed,
            bos: Bos::Drop,
            length: model.config().context.min(128),
        };
        let corpus = CorpusSpec::Builtin(None);
        let mut stream = StreamSpec::new(self.site, corpus, rows, model.config().width);
        stream.buffer = 16_384;
        stream.seed = self.seed;
        stream
    }
}

/// What the tour sends while it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum TourEvent {
    /// The training of the dictionary.
    Train(TrainEvent),
    /// The dictionary is trained and lies in its folder.
    Trained {
        /// Where.
        out: PathBuf,
    },
    /// How good it is.
    Evaluated(Box<Evaluation>),
    /// Its features are collected and lie in its folder.
    Collected {
        /// Latents that fired on the sample.
        alive: usize,
    },
}

/// A latent whose meaning is known from the truth of the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadableFeature {
    /// The latent.
    pub latent: u32,
    /// What it tells: "topic: garden".
    pub meaning: String,
    /// The variable.
    pub variable: Variable,
    /// Its value.
    pub value: String,
    /// F1 of the latent alone on documents it was not chosen on.
    pub f1: f64,
    /// Share of tokens on which it fires.
    pub density: f32,
    /// Where it fires most strongly.
    pub contexts: Vec<Context>,
}

/// What the tour found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TourReport {
    /// What was done.
    pub request: TourRequest,
    /// Content hash of the model.
    pub model: String,
    /// Content hash of the dictionary.
    pub sae: String,
    /// How good the dictionary is.
    pub evaluation: Evaluation,
    /// Latents that fired while features were collected.
    pub alive: usize,
    /// The latents that tell a true variable best, clearest first.
    pub readable: Vec<ReadableFeature>,
    /// How well the true variables are held, and what the number latents do.
    pub truth: TruthReport,
    /// Seconds it took in all.
    pub seconds: f64,
    /// Seconds of the training.
    pub training_seconds: f64,
}

/// Trains a dictionary on the built-in model, looks how good it is, collects its features and
/// compares them with the truth. Dictionary and features are left in the folder of the request.
///
/// # Errors
/// A folder that is taken or cannot be written, too little memory, the job was stopped.
pub fn tour(
    ctx: &JobContext<TourEvent>,
    model: &Model,
    request: &TourRequest,
) -> Result<TourReport> {
    let started = Instant::now();
    request.site.within(model.config().layers)?;
    let stream = request.stream(model);
    let check = || ctx.check();
    ctx.progress().stage("Measuring the model's own loss", "", 0, 0);
    let probe = LossProbe::new(
        model,
        request.site,
        &stream.corpus,
        stream.rows,
        PROBED,
        request.seed,
        &check,
    )?;
    let mut source = LiveSource::new(model.clone(), stream.clone())?;
    let config = request.train_config();
    let outer = ctx.clone();
    let inner = ctx.hearing(move |event| outer.emit(TourEvent::Train(event)));
    let mut recovered = |sae: &Sae| probe.evaluate(sae, &check);
    let trained = train(&inner, &mut source, Some(&mut recovered), &config, &request.out, false)?;
    let training_seconds = started.elapsed().as_secs_f64();
    ctx.emit(TourEvent::Trained { out: request.out.clone() });

    let mut spec = EvalSpec::new(stream.corpus.clone(), stream.rows);
    spec.seed = request.seed;
    let evaluation = evaluate(ctx, model, &trained, &spec)?;
    ctx.emit(TourEvent::Evaluated(Box::new(evaluation.clone())));

    let mut spec = CollectSpec::new(stream.corpus, stream.rows);
    spec.tokens = request.collect_tokens;
    spec.seed = request.seed;
    let features = request.out.join("features.safetensors");
    let table = collect(ctx, model, &trained, &spec, &features)?;
    let alive = table.latents.iter().filter(|l| l.density > 0.0).count();
    ctx.emit(TourEvent::Collected { alive });

    let truth = TruthRequest { documents: request.truth_documents, ..TruthRequest::default() };
    let truth = truth_report(ctx, model, &trained, &truth)?;
    let readable = readable(&truth, &table, &mut FeatureFile::open(&features)?)?;
    Ok(TourReport {
        request: request.clone(),
        model: model.hash().to_owned(),
        sae: trained.hash(),
        evaluation,
        alive,
        readable,
        truth,
        seconds: started.elapsed().as_secs_f64(),
        training_seconds,
    })
}

/// For each value of each variable the latent that tells it best, clearest first: only those with
/// an F1 of [`READABLE`], and each latent once.
fn readable(
    truth: &TruthReport,
    table: &FeatureTable,
    file: &mut FeatureFile,
) -> Result<Vec<ReadableFeature>> {
    let mut out = Vec::new();
    for report in &truth.variables {
        for class in report.classes.iter().filter(|c| c.best_latent_f1 >= READABLE) {
            let summary = table.latents.get(class.best_latent as usize).ok_or_else(|| {
                Error::internal(
                    "The features cannot be read",
                    format!("there is no latent {}", class.best_latent),
                )
            })?;
            out.push(ReadableFeature {
                latent: class.best_latent,
                meaning: format!("{}: {}", report.variable.name(), class.value),
                variable: report.variable,
                value: class.value.clone(),
                f1: class.best_latent_f1,
                density: summary.density,
                contexts: file
                    .detail(class.best_latent as usize)?
                    .top()
                    .iter()
                    .take(SHOWN)
                    .cloned()
                    .collect(),
            });
        }
    }
    out.sort_by(|a, b| b.f1.total_cmp(&a.f1));
    // A latent means what it tells best.
    let mut seen = HashSet::new();
    out.retain(|f| seen.insert(f.latent));
    Ok(out)
}
