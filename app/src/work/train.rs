//! A training run of the workspace: begun or gone on with, recorded as it goes, measured at its
//! end, and its features collected.

use super::model::open_again;
use serde::{Deserialize, Serialize};
use sparsescope_core::activations::{LiveSource, StreamSpec, check_of};
use sparsescope_core::corpus::{CorpusSpec, RowSpec};
use sparsescope_core::evaluation::{EvalSpec, Evaluation, LossProbe, evaluate};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Model, Site, memory};
use sparsescope_core::training::{self, Planned, Requests, TrainConfig, TrainEvent, TrainPoint};
use sparsescope_core::workspace::{NewRun, Run, SaeId, SaeRecord, Workspace};
use sparsescope_core::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tokens of the sample on which loss recovered is measured while the training runs.
const PROBED: u64 = 4096;

/// What a run tells while it goes.
pub enum News {
    /// The run has a number.
    Begun(Box<SaeRecord>, Vec<TrainPoint>),
    /// Something of the training.
    Training(TrainEvent),
    /// How good the dictionary is.
    Evaluated(Box<Evaluation>),
}

/// What a run that was broken off needs to go on, beside its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Where the model is; `None` for the built-in one.
    pub model: Option<PathBuf>,
    /// The text.
    pub corpus: CorpusSpec,
    /// How it is cut into rows.
    pub rows: RowSpec,
}

/// What the window holds of its model.
#[derive(Clone)]
pub struct InUse {
    /// The model.
    pub model: Model,
    /// Where it is; `None` for the built-in one.
    pub path: Option<PathBuf>,
    /// The device it computes on.
    pub device: String,
}

/// Begins a run and trains it to its end.
pub fn begin(
    ctx: &JobContext<News>,
    workspace: &Path,
    used: &InUse,
    site: Site,
    request: &Request,
    config: &TrainConfig,
    requests: &Requests,
) -> Result<SaeId> {
    let width = used.model.config().width;
    config.validate(width)?;
    check_memory(&used.model, site, request, config)?;
    let mut db = Workspace::open(workspace)?;
    let run = db.begin_run(&NewRun {
        model: used.model.hash().to_owned(),
        site,
        width,
        corpus: request.corpus.to_string(),
        config: config.clone(),
        request: serde_json::to_value(request)
            .map_err(|e| Error::internal("The run's settings could not be kept", e.to_string()))?,
    })?;
    ctx.emit(News::Begun(Box::new(db.sae(run.id)?), Vec::new()));
    go(ctx, db, run, &used.model, site, request, config, requests, false)
}

/// Goes on with a run that was broken off, with the model in use if it is the run's own.
pub fn go_on(
    ctx: &JobContext<News>,
    workspace: &Path,
    used: Option<&InUse>,
    id: SaeId,
    requests: &Requests,
) -> Result<SaeId> {
    let db = Workspace::open(workspace)?;
    let record = db.sae(id)?;
    let what = || format!("Could not go on with run {id}");
    let config = record.config.clone().ok_or_else(|| {
        Error::format(
            what(),
            "its settings are of a version of Sparsescope that this one does not know",
            "Use the version that began it",
        )
    })?;
    let request: Request = serde_json::from_value(record.request.clone()).map_err(|e| {
        Error::format(what(), e.to_string(), "Begin a new run with the same settings")
    })?;
    let model = match used {
        Some(used) if used.model.hash() == record.model => used.model.clone(),
        _ => {
            ctx.progress().stage("Reading the model's weights", "", 0, 0);
            let device = used.map_or("cpu", |u| u.device.as_str());
            open_again(request.model.as_deref(), device, &record.model)?
        }
    };
    check_memory(&model, record.site, &request, &config)?;
    let run = db.resume_run(id)?;
    let points = db.history(id)?;
    let site = record.site;
    ctx.emit(News::Begun(Box::new(db.sae(id)?), points));
    go(ctx, db, run, &model, site, &request, &config, requests, true)
}

fn stream(model: &Model, site: Site, request: &Request, seed: u64) -> StreamSpec {
    let width = model.config().width;
    StreamSpec { seed, ..StreamSpec::new(site, request.corpus.clone(), request.rows, width) }
}

/// Bytes that a run needs beside the model.
pub fn memory_needed(model: &Model, site: Site, request: &Request, config: &TrainConfig) -> u64 {
    let stream = stream(model, site, request, config.seed);
    training::memory_needed(config, model.config().width)
        .saturating_add(LiveSource::memory(model, &stream))
}

fn check_memory(model: &Model, site: Site, request: &Request, config: &TrainConfig) -> Result<()> {
    memory::check_fits("train", memory_needed(model, site, request, config), model.device())
}

fn go(
    ctx: &JobContext<News>,
    db: Workspace,
    run: Run,
    model: &Model,
    site: Site,
    request: &Request,
    config: &TrainConfig,
    requests: &Requests,
    resume: bool,
) -> Result<SaeId> {
    let (id, dir) = (run.id, run.dir.clone());
    let db = Arc::new(Mutex::new(db));
    let trained = train(ctx, &db, id, &dir, model, site, request, config, requests, resume);
    let db = db.lock().unwrap_or_else(PoisonError::into_inner);
    db.finish_run(run, &trained)?;
    let sae = trained?;
    // What follows is measured of a dictionary that is already safe.
    let rows = request.rows;
    let spec = EvalSpec {
        seed: config.seed,
        allow_foreign: false,
        ..EvalSpec::new(request.corpus.clone(), rows)
    };
    let evaluation = evaluate(ctx, model, &sae, &spec)?;
    db.save_evaluation(id, &evaluation)?;
    ctx.emit(News::Evaluated(Box::new(evaluation)));
    let out = db.sae(id)?.features_path();
    super::features::collect(ctx, model, &sae, &request.corpus, rows, config.seed, &out)?;
    db.keep_features(id)?;
    Ok(id)
}

fn train(
    ctx: &JobContext<News>,
    db: &Arc<Mutex<Workspace>>,
    id: SaeId,
    dir: &Path,
    model: &Model,
    site: Site,
    request: &Request,
    config: &TrainConfig,
    requests: &Requests,
    resume: bool,
) -> Result<sparsescope_core::sae::Sae> {
    let stream = stream(model, site, request, config.seed);
    let mut source = LiveSource::new(model.clone(), stream)?;
    let check = check_of(ctx);
    let probe = match config.evaluate_every {
        0 => None,
        _ => {
            ctx.progress().stage("Measuring the model's own loss", "", 0, 0);
            let (corpus, rows) = (&request.corpus, request.rows);
            Some(LossProbe::new(model, site, corpus, rows, PROBED, config.seed, &check)?)
        }
    };
    let mut measure = |sae: &sparsescope_core::sae::Sae| match &probe {
        Some(probe) => probe.evaluate(sae, &check),
        None => Err(Error::internal("No loss was measured", "there is no probe")),
    };
    let recorder = Arc::new(Mutex::new(Recorder::new(db.clone(), id)));
    let inner = {
        let (outer, recorder) = (ctx.clone(), recorder.clone());
        ctx.hearing(move |event: TrainEvent| {
            recorder.lock().unwrap_or_else(PoisonError::into_inner).hear(&event);
            outer.emit(News::Training(event));
        })
    };
    let evaluate: Option<training::Evaluate<'_>> =
        if probe.is_some() { Some(&mut measure) } else { None };
    let plan = Planned {
        site: 0,
        config: config.clone(),
        out: dir.to_owned(),
        evaluate,
        requests: requests.clone(),
    };
    let outcome = training::train_planned(&inner, &mut source, plan, resume);
    recorder.lock().unwrap_or_else(PoisonError::into_inner).write();
    outcome
}

/// Writes a run's curves to the workspace, about once a second.
pub struct Recorder {
    db: Arc<Mutex<Workspace>>,
    id: SaeId,
    waiting: Vec<TrainPoint>,
    written: Instant,
}

impl Recorder {
    /// Nothing is waiting yet.
    pub fn new(db: Arc<Mutex<Workspace>>, id: SaeId) -> Self {
        Self { db, id, waiting: Vec::new(), written: Instant::now() }
    }

    /// Keeps a point, and writes those that wait if it is time.
    pub fn hear(&mut self, event: &TrainEvent) {
        if let TrainEvent::Point(point) = event {
            self.waiting.push(*point);
        }
        let saved = matches!(event, TrainEvent::Saved { .. });
        if saved || self.written.elapsed() > Duration::from_secs(1) {
            self.write();
        }
    }

    /// Writes what waits. A curve that cannot be kept does not stop a training whose checkpoints
    /// can.
    pub fn write(&mut self) {
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        match db.record_points(self.id, &self.waiting) {
            Ok(()) => self.waiting.clear(),
            Err(error) => tracing::warn!("{error}"),
        }
        self.written = Instant::now();
    }
}
