//! The tour, as a run of the workspace: what it trains can be read and opened again later.

use super::circuit::told;
use super::model::builtin;
use super::train::{Recorder, Request};
use crate::format;
use crate::state::{Edited, Figure, Finding, Findings};
use sparsescope_core::Error;
use sparsescope_core::Result;
use sparsescope_core::demo::{
    CausalEdit, ReadableFeature, TourEvent, TourReport, TourRequest, tour,
};
use sparsescope_core::features::FeatureTable;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::labels::{LabelSource, NewLabel, index_contexts};
use sparsescope_core::training::{TrainEvent, TrainPoint};
use sparsescope_core::workspace::{NewRun, SaeRecord, Workspace};
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What the tour tells while it goes.
pub enum News {
    /// It has come to another stage.
    Stage(&'static str),
    /// A point of its training, of so many tokens.
    Point(TrainPoint, u64),
}

/// What the tour leaves.
pub struct Toured {
    /// Its run.
    pub record: SaeRecord,
    /// What is known of its latents.
    pub table: Option<Arc<FeatureTable>>,
    /// What it found.
    pub findings: Findings,
}

/// Features shown.
const SHOWN: usize = 16;

/// Runs the tour on the built-in model.
pub fn run(ctx: &JobContext<News>, workspace: &Path, device: &str) -> Result<Toured> {
    ctx.emit(News::Stage("Opening the built-in model"));
    let model = builtin(device)?;
    let mut db = Workspace::open(workspace)?;
    let mut request = TourRequest::new(workspace);
    let stream = request.stream(&model);
    let kept = Request { model: None, corpus: stream.corpus.clone(), rows: stream.rows };
    let run = db.begin_run(&NewRun {
        model: model.hash().to_owned(),
        site: request.site,
        width: model.config().width,
        corpus: stream.corpus.to_string(),
        config: request.train_config(),
        request: serde_json::to_value(&kept)
            .map_err(|e| Error::internal("The tour's settings could not be kept", e.to_string()))?,
    })?;
    request.out = run.dir.clone();
    let id = run.id;
    let db = Arc::new(Mutex::new(db));
    let recorder = Arc::new(Mutex::new(Recorder::new(db.clone(), id)));
    ctx.emit(News::Stage("Training a dictionary"));
    let inner = {
        let (outer, recorder, total) = (ctx.clone(), recorder.clone(), request.tokens);
        ctx.hearing(move |event: TourEvent| match event {
            TourEvent::Train(event) => {
                recorder.lock().unwrap_or_else(PoisonError::into_inner).hear(&event);
                if let TrainEvent::Point(point) = event {
                    outer.emit(News::Point(point, total));
                }
            }
            TourEvent::Trained { .. } => outer.emit(News::Stage("Measuring it")),
            TourEvent::Evaluated(_) => outer.emit(News::Stage("Collecting features")),
            TourEvent::Collected { .. } => outer.emit(News::Stage("Comparing with the truth")),
        })
    };
    let toured = tour(&inner, &model, &request);
    recorder.lock().unwrap_or_else(PoisonError::into_inner).write();
    let mut db = db.lock().unwrap_or_else(PoisonError::into_inner);
    db.finish_run(run, &toured)?;
    let report = toured?;
    db.save_evaluation(id, &report.evaluation)?;
    db.add_labels(id, &labels(&report))?;
    db.keep_features(id)?;
    index_contexts(ctx, &db, id)?;
    let (record, table) = super::runs::features(workspace, id)?;
    Ok(Toured { record, table: table?, findings: findings(&report) })
}

/// What the truth says of the features that were found, as labels of theirs.
fn labels(report: &TourReport) -> Vec<NewLabel> {
    let label = |feature: &ReadableFeature| NewLabel {
        latent: feature.latent,
        text: feature.meaning.clone(),
        source: LabelSource::Truth {
            f1: feature.f1,
            definition: told(report.truth.documents, &report.truth.definition),
        },
        scores: None,
    };
    report.readable.iter().map(label).collect()
}

/// The report as the home screen shows it.
fn findings(report: &TourReport) -> Findings {
    let e = &report.evaluation;
    let sample = format!("Over {} held-out tokens.", format::grouped(e.tokens));
    let mut figures = vec![Figure {
        name: "FVU".into(),
        value: format::figure(e.fvu),
        definition: format!("Σ‖x − x̂‖² / Σ‖x − mean x‖², pooled. {sample}"),
        good: None,
    }];
    if let Some(loss) = &e.loss {
        figures.push(Figure {
            name: "Loss recovered".into(),
            value: format::percent(loss.recovered),
            definition: format!("(CE_zero − CE_sae) / (CE_zero − CE_model). {sample}"),
            good: None,
        });
    }
    figures.push(Figure {
        name: "Latents that fire".into(),
        value: format!("{} of {}", format::grouped(report.alive as u64), report.request.latents),
        definition: "Latents that fired while features were collected.".into(),
        good: None,
    });
    let bar = |name: &str| matches!(name, "subject number" | "gender");
    for variable in &report.truth.variables {
        let name = variable.variable.name();
        figures.push(Figure {
            name: format!("F1, {name}"),
            value: format!("{:.3}", variable.sparse_probe_f1),
            definition: format!(
                "Mean over its classes of the F1 of a sparse probe on 5 latents, on {} tokens that \
                 no latent was chosen on; of the best single latent it is {:.3}. {}",
                format::grouped(variable.tokens as u64),
                variable.best_latent_f1,
                report.truth.definition
            ),
            good: bar(name).then_some(variable.sparse_probe_f1 >= 0.95),
        });
    }
    let mut seen = HashSet::new();
    let features = report.readable.iter().filter(|f| seen.insert(f.latent)).take(SHOWN);
    Findings {
        features: features
            .map(|f| Finding {
                latent: f.latent,
                meaning: f.meaning.clone(),
                f1: f.f1,
                example: f.contexts.first().cloned(),
            })
            .collect(),
        figures,
        edits: report.truth.causal.edits.iter().map(edit).collect(),
        edits_definition: report.truth.causal.definition.clone(),
    }
}

fn edit(edit: &CausalEdit) -> Edited {
    Edited {
        name: edit.edit.clone(),
        flipped: edit.flip_share(),
        kept: edit.kept_share(),
        definition: format!(
            "{} of {} verbs change to the wrong number; {} of {} pronouns keep their gender. Mean \
             change of logit(right) − logit(wrong): {:.2} at verbs, {:.2} at pronouns.",
            format::grouped(edit.flipped as u64),
            format::grouped(edit.verbs as u64),
            format::grouped(edit.kept as u64),
            format::grouped(edit.pronouns as u64),
            edit.verb_shift,
            edit.pronoun_shift
        ),
    }
}
