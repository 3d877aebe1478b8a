//! A sweep: several dictionaries on one pass, in the workspace (the window) or in a folder (the
//! terminal).

use super::train::{InUse, Recorder, Request};
use serde::{Deserialize, Serialize};
use sparsescope_core::activations::{LiveSource, StreamSpec};
use sparsescope_core::evaluation::{EvalSpec, Evaluation, evaluate};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Model, Site, memory};
use sparsescope_core::sae::Sae;
use sparsescope_core::training::{
    Planned, Requests, RunEvent, SweepRun, SweepSpec, TrainEvent, plan_sweep, train_all,
};
use sparsescope_core::workspace::{NewRun, Run, SaeId, SaeRecord, Workspace};
use sparsescope_core::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What to sweep over, and on which text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepRequest {
    /// The sites, in the order that the runs number them.
    pub sites: Vec<Site>,
    /// The text and how it is read.
    pub stream: StreamSpec,
    /// Architectures and L0s.
    pub spec: SweepSpec,
}

impl SweepRequest {
    /// Whether it makes sense for the model and fits into memory.
    ///
    /// # Errors
    /// Says what does not.
    pub fn check(&self, model: &Model) -> Result<()> {
        let config = model.config();
        for (i, site) in self.sites.iter().enumerate() {
            site.within(config.layers)?;
            if self.sites[..i].contains(site) {
                return Err(Error::setting(
                    format!("The site {site} is named twice"),
                    "its dictionaries would be trained twice",
                    "Name each site once",
                ));
            }
        }
        self.spec.validate(config.width)?;
        let what = format!("train {} dictionaries at once", self.spec.count());
        memory::check_fits(&what, self.memory(model), model.device())
    }

    /// Bytes that it needs beside the model.
    pub fn memory(&self, model: &Model) -> u64 {
        let source = LiveSource::memory_of(model, &self.stream, &self.sites);
        self.spec.memory(model.config().width).saturating_add(source)
    }

    /// The stream of all its sites.
    ///
    /// # Errors
    /// As [`LiveSource::several`].
    pub fn open(&self, model: &Model) -> Result<LiveSource> {
        LiveSource::several(model.clone(), self.stream.clone(), &self.sites)
    }

    /// Plans it: looks for coefficients where there are any.
    ///
    /// # Errors
    /// As [`plan_sweep`].
    pub fn plan<E>(&self, ctx: &JobContext<E>, model: &Model) -> Result<Vec<SweepRun>> {
        plan_sweep(ctx, &mut self.open(model)?, &self.spec)
    }

    /// What a dictionary of it is evaluated on.
    pub fn evaluation(&self, tokens: u64) -> EvalSpec {
        EvalSpec {
            tokens,
            seed: self.stream.seed,
            ..EvalSpec::new(self.stream.corpus.clone(), self.stream.rows)
        }
    }
}

/// What a sweep tells while it goes.
pub enum News {
    /// What it will train, with each dictionary's entry, and what it will not.
    Planned(Vec<(SaeRecord, f64)>, Vec<Error>),
    /// Something of the dictionary.
    Training(SaeId, TrainEvent),
    /// How good a dictionary is.
    Evaluated(SaeId, Box<Evaluation>),
}

/// What a sweep came to.
#[derive(Debug, Clone, Default)]
pub struct Swept {
    /// The dictionaries that were trained.
    pub done: Vec<SaeId>,
    /// What went wrong with others.
    pub failed: Vec<Error>,
}

/// Plans a sweep and trains it, every dictionary a run of the workspace.
///
/// # Errors
/// What concerns all of it; one dictionary's failure is in the outcome.
pub fn begin(
    ctx: &JobContext<News>,
    workspace: &Path,
    used: &InUse,
    request: &SweepRequest,
) -> Result<Swept> {
    let model = &used.model;
    request.check(model)?;
    let plan = request.plan(ctx, model)?;
    let mut db = Workspace::open(workspace)?;
    let kept = Request {
        model: used.path.clone(),
        corpus: request.stream.corpus.clone(),
        rows: request.stream.rows,
    };
    let kept = serde_json::to_value(&kept)
        .map_err(|e| Error::internal("The sweep's settings could not be kept", e.to_string()))?;
    let mut swept = Swept::default();
    let (mut runs, mut told) = (Vec::new(), Vec::new());
    for one in plan {
        if let Some(refused) = one.refusal() {
            swept.failed.push(refused);
            continue;
        }
        let run = db.begin_run(&NewRun {
            model: model.hash().to_owned(),
            site: request.sites[one.site],
            width: model.config().width,
            corpus: request.stream.corpus.to_string(),
            config: one.config.clone(),
            request: kept.clone(),
        })?;
        told.push((db.sae(run.id)?, one.target));
        runs.push((run, one));
    }
    ctx.emit(News::Planned(told, swept.failed.clone()));
    if runs.is_empty() {
        let first = swept.failed.into_iter().next();
        return Err(first.unwrap_or_else(|| Error::internal("Nothing was swept", "no run")));
    }
    train(ctx, db, model, request, runs, &mut swept)?;
    Ok(swept)
}

fn train(
    ctx: &JobContext<News>,
    db: Workspace,
    model: &Model,
    request: &SweepRequest,
    runs: Vec<(Run, SweepRun)>,
    swept: &mut Swept,
) -> Result<()> {
    let db = Arc::new(Mutex::new(db));
    let ids: Vec<SaeId> = runs.iter().map(|(run, _)| run.id).collect();
    let recorders: Vec<Mutex<Recorder>> =
        ids.iter().map(|id| Mutex::new(Recorder::new(db.clone(), *id))).collect();
    let recorders = Arc::new(recorders);
    let inner = {
        let (outer, recorders, ids) = (ctx.clone(), recorders.clone(), ids.clone());
        ctx.hearing(move |told: RunEvent| {
            let mut recorder = recorders[told.run].lock().unwrap_or_else(PoisonError::into_inner);
            recorder.hear(&told.event);
            outer.emit(News::Training(ids[told.run], told.event));
        })
    };
    let plans = runs.iter().map(|(run, one)| planned(one, run.dir.clone())).collect();
    let mut source = request.open(model)?;
    let outcome = train_all(&inner, &mut source, plans, true);
    for recorder in recorders.iter() {
        recorder.lock().unwrap_or_else(PoisonError::into_inner).write();
    }
    let db = db.lock().unwrap_or_else(PoisonError::into_inner);
    let outcomes = match outcome {
        Ok(outcomes) => outcomes,
        Err(error) => {
            for (run, _) in runs {
                db.finish_run::<Sae>(run, &Err(error.clone()))?;
            }
            return Err(error);
        }
    };
    let mut trained = Vec::new();
    for ((run, _), outcome) in runs.into_iter().zip(outcomes) {
        let id = run.id;
        db.finish_run(run, &outcome)?;
        match outcome {
            Ok(sae) => trained.push((id, sae)),
            Err(error) => swept.failed.push(error),
        }
    }
    let spec = request.evaluation(EVALUATED);
    for (id, sae) in trained {
        swept.done.push(id);
        let evaluation = evaluate(ctx, model, &sae, &spec)?;
        db.save_evaluation(id, &evaluation)?;
        ctx.emit(News::Evaluated(id, Box::new(evaluation)));
    }
    Ok(())
}

/// Tokens that each dictionary is evaluated on.
pub const EVALUATED: u64 = 50_000;

/// A run of a sweep as the training job takes it.
pub fn planned<'a>(one: &SweepRun, out: PathBuf) -> Planned<'a> {
    Planned {
        site: one.site,
        config: one.config.clone(),
        out,
        evaluate: None,
        requests: Requests::default(),
    }
}
