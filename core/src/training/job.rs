//! The training jobs: rows in, events out, a checkpoint whenever one is due. One dictionary, or
//! several on one pass over the activations.

use super::checkpoint;
use super::config::{TrainConfig, TrainEvent};
use super::requests::Requests;
use super::run::{Run, finished};
use super::trainer::Trainer;
use crate::activations::{Position, Source, check_of};
use crate::error::{Error, IoContext, Result};
use crate::evaluation::LossRecovered;
use crate::jobs::JobContext;
use crate::sae::Sae;
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

/// Batches that the scale of the activations is estimated from, before the first step. They are
/// trained on like all others.
const ESTIMATE_BATCHES: u64 = 4;

/// Evaluates a dictionary during training.
pub type Evaluate<'a> = &'a mut dyn FnMut(&Sae) -> Result<LossRecovered>;

/// One dictionary of those that [`train_all`] trains at once.
pub struct Planned<'a> {
    /// Which of the source's sites it is for.
    pub site: usize,
    /// Every setting.
    pub config: TrainConfig,
    /// Its folder.
    pub out: PathBuf,
    /// How it is evaluated on the way, if it is.
    pub evaluate: Option<Evaluate<'a>>,
    /// What may be asked of it while it trains.
    pub requests: Requests,
}

/// What one of several runs tells.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEvent {
    /// Which run.
    pub run: usize,
    /// What it tells.
    pub event: TrainEvent,
}

/// Trains a dictionary on `source` and saves it in the folder `out`.
///
/// While it runs, `out` holds a checkpoint, written every `config.checkpoint_every` tokens and
/// when the job is stopped; the finished dictionary takes its place. With `resume`, a run that
/// was broken off goes on from its checkpoint, to the same weights, bit for bit, as if it had
/// not been; a run that was never begun begins, and one that is finished is read back. Without,
/// `out` must hold neither.
///
/// # Errors
/// Settings that make no sense or differ from those of the checkpoint; a folder that is taken
/// or cannot be written; what the source or `evaluate` say; a NaN in activations or loss, after
/// which the last checkpoint still stands; the job was stopped.
pub fn train(
    ctx: &JobContext<TrainEvent>,
    source: &mut dyn Source,
    evaluate: Option<Evaluate<'_>>,
    config: &TrainConfig,
    out: &Path,
    resume: bool,
) -> Result<Sae> {
    let (config, out) = (config.clone(), out.to_owned());
    let requests = Requests::default();
    let plan = Planned { site: 0, config, out, evaluate, requests };
    train_planned(ctx, source, plan, resume)
}

/// As [`train`], of a run that things may be asked of while it goes.
///
/// # Errors
/// As [`train`].
pub fn train_planned(
    ctx: &JobContext<TrainEvent>,
    source: &mut dyn Source,
    plan: Planned<'_>,
    resume: bool,
) -> Result<Sae> {
    let outer = ctx.clone();
    let inner = ctx.hearing(move |told: RunEvent| outer.emit(told.event));
    let mut all = train_all(&inner, source, vec![plan], resume)?;
    all.pop().unwrap_or_else(|| Err(Error::internal("Nothing was trained", "no run ended")))
}

/// Trains several dictionaries on one pass over `source`: each batch is read once and given to
/// every run, in turn.
///
/// Each run is, bit for bit, what [`train`] makes of it alone on a source of its site, and keeps
/// its own checkpoint in its own folder; so any of them can also be gone on with alone. Where
/// the checkpoints of a broken job stand at different places, the stream is read from the
/// earliest, and each run joins in at its own. A run that breaks down (a NaN in its loss, say)
/// is an error in its place of the outcome; the others go on.
///
/// # Errors
/// As [`train`] of what concerns all: settings, folders, the source, a stop; batches of
/// different sizes, a folder that is named twice, a site that the source does not read.
pub fn train_all(
    ctx: &JobContext<RunEvent>,
    source: &mut dyn Source,
    plans: Vec<Planned<'_>>,
    resume: bool,
) -> Result<Vec<Result<Sae>>> {
    let batch = check_plans(source, &plans)?;
    let mut seats = Vec::with_capacity(plans.len());
    let mut fresh = Vec::new();
    for (number, plan) in plans.into_iter().enumerate() {
        let provenance = source.provenance_of(plan.site);
        if !resume {
            check_free(&plan.out)?;
        } else if let Some(sae) = finished(&plan.out, &plan.config, &provenance)? {
            seats.push(Seat::Ended(Box::new(Ok(sae))));
            continue;
        }
        let found = match resume {
            true => checkpoint::read(&plan.out, &plan.config, source.width(), &provenance)?,
            false => None,
        };
        // Before hours of work: can the folder be written at all?
        fs::create_dir_all(&plan.out).doing(|| format!("Could not make {}", plan.out.display()))?;
        seats.push(match found {
            Some((state, trainer)) => {
                Seat::Running(Box::new(Run::new(number, plan, provenance, trainer, state)))
            }
            None => {
                fresh.push((number, plan));
                Seat::Waiting
            }
        });
    }
    let mut waiting = VecDeque::new();
    if fresh.is_empty() {
        let positions = seats.iter().filter_map(|s| s.run().map(|r| r.position));
        if let Some(first) = positions.min_by_key(|p| p.rows) {
            ctx.progress().stage("Finding the place", "tokens", 0, 0);
            source.seek(&first)?;
        }
    } else {
        begin(ctx, source, fresh, batch, &mut waiting, &mut seats)?;
    }
    let mut all = All { ctx, source, waiting, seats, batch };
    all.show();
    match all.steps() {
        Ok(()) => Ok(all.seats.into_iter().map(Seat::outcome).collect()),
        Err(error) => Err(all.break_off(error)),
    }
}

/// Whether these runs can be trained together; the batch size of all.
fn check_plans(source: &dyn Source, plans: &[Planned<'_>]) -> Result<usize> {
    let what = "The dictionaries cannot be trained together";
    let Some(first) = plans.first() else {
        return Err(Error::setting(
            "There is nothing to train",
            "no dictionary was named",
            "Name at least one site, one architecture and one sparsity",
        ));
    };
    for (i, plan) in plans.iter().enumerate() {
        plan.config.validate(source.width())?;
        if plan.config.batch != first.config.batch {
            return Err(Error::setting(
                what,
                format!(
                    "one takes {} tokens a step, another {}",
                    first.config.batch, plan.config.batch
                ),
                "Give all the same batch, or train them one after the other",
            ));
        }
        if plan.site >= source.sites() {
            return Err(Error::internal(
                what,
                format!("site {} of {} is meant", plan.site, source.sites()),
            ));
        }
        if plans[..i].iter().any(|other| other.out == plan.out) {
            return Err(Error::setting(
                what,
                format!("two of them would be kept in {}", plan.out.display()),
                "Give each a folder of its own",
            ));
        }
    }
    Ok(first.config.batch)
}

/// Whether `out` may be used for a new run.
///
/// # Errors
/// It holds a finished dictionary, or a run that was broken off.
pub fn check_free(out: &Path) -> Result<()> {
    let (what, how) = if Sae::is_at(out) {
        ("a finished dictionary", "move it away")
    } else if checkpoint::path(out).exists() {
        ("a run that was broken off", "go on with it (resume)")
    } else {
        return Ok(());
    };
    Err(Error::setting(
        format!("No new run can begin in {}", out.display()),
        format!("the folder holds {what}, which would be lost"),
        format!("Choose another folder, or {how}"),
    ))
}

/// Rows that were read ahead (of each site), and where the source stood after them.
type Waiting = VecDeque<(Vec<Vec<f32>>, Position)>;

/// Reads ahead what the start needs, and sets new runs up.
fn begin<'e>(
    ctx: &JobContext<RunEvent>,
    source: &mut dyn Source,
    fresh: Vec<(usize, Planned<'e>)>,
    batch: usize,
    waiting: &mut Waiting,
    seats: &mut [Seat<'e>],
) -> Result<()> {
    let start = source.position();
    let of = |config: &TrainConfig| ESTIMATE_BATCHES.min(config.steps());
    let batches = fresh.iter().map(|(_, plan)| of(&plan.config)).max().unwrap_or(0);
    let total = batches * batch as u64;
    ctx.progress().stage("Looking at the first activations", "tokens", 0, total);
    let mut first = vec![Vec::new(); source.sites()];
    for _ in 0..batches {
        ctx.check()?;
        let parts = read(ctx, source, batch)?;
        ctx.progress().add(batch as u64);
        first.iter_mut().zip(&parts).for_each(|(all, part)| all.extend_from_slice(part));
        waiting.push_back((parts, source.position()));
    }
    let width = source.width();
    for (number, plan) in fresh {
        ctx.check()?;
        let rows = of(&plan.config) as usize * batch;
        let trainer = Trainer::new(&plan.config, width, &first[plan.site][..rows * width])?;
        let provenance = source.provenance_of(plan.site);
        seats[number] =
            Seat::Running(Box::new(Run::begun(number, plan, provenance, trainer, start)));
    }
    Ok(())
}

fn read(
    ctx: &JobContext<RunEvent>,
    source: &mut dyn Source,
    batch: usize,
) -> Result<Vec<Vec<f32>>> {
    let mut parts = vec![Vec::new(); source.sites()];
    let mut out: Vec<&mut Vec<f32>> = parts.iter_mut().collect();
    source.read_sites(&check_of(ctx), batch, &mut out)?;
    Ok(parts)
}

/// Where one of the runs stands.
enum Seat<'e> {
    Waiting,
    Running(Box<Run<'e>>),
    Ended(Box<Result<Sae>>),
}

impl<'e> Seat<'e> {
    fn run(&self) -> Option<&Run<'e>> {
        match self {
            Self::Running(run) => Some(run),
            _ => None,
        }
    }

    fn outcome(self) -> Result<Sae> {
        match self {
            Self::Ended(outcome) => *outcome,
            _ => Err(Error::internal("A run has no end", "it was left on its way")),
        }
    }
}

/// All runs on their way.
struct All<'a, 'e> {
    ctx: &'a JobContext<RunEvent>,
    source: &'a mut dyn Source,
    waiting: Waiting,
    seats: Vec<Seat<'e>>,
    batch: usize,
}

impl<'e> All<'_, 'e> {
    fn running(&self) -> impl Iterator<Item = &Run<'e>> {
        self.seats.iter().filter_map(Seat::run)
    }

    /// Tokens trained on and to train on, over the runs on their way.
    fn show(&self) {
        let done = self.running().map(|r| r.tokens().min(r.config().tokens)).sum();
        let total = self.running().map(|r| r.config().tokens).sum();
        self.ctx.progress().stage("Training", "tokens", done, total);
    }

    fn steps(&mut self) -> Result<()> {
        self.end()?;
        while self.running().next().is_some() {
            self.ctx.check()?;
            let (parts, after) = match self.waiting.pop_front() {
                Some(read) => read,
                None => {
                    let parts = read(self.ctx, self.source, self.batch)?;
                    (parts, self.source.position())
                }
            };
            let at_once = self.running().count() as u32;
            for seat in &mut self.seats {
                let Seat::Running(run) = seat else { continue };
                // It was here already before the job was broken off.
                if run.position.rows >= after.rows {
                    continue;
                }
                let before = run.tokens();
                match run.step(self.ctx, &parts[run.site], after, at_once) {
                    Ok(()) => {
                        let most = run.config().tokens;
                        self.ctx.progress().add(run.tokens().min(most) - before.min(most));
                    }
                    Err(error) if error.is_cancelled() => return Err(error),
                    Err(error) => {
                        let error = run.with_last_checkpoint(error);
                        *seat = Seat::Ended(Box::new(Err(error)));
                    }
                }
            }
            self.end()?;
        }
        Ok(())
    }

    /// Saves the runs that have come to their end.
    fn end(&mut self) -> Result<()> {
        for seat in &mut self.seats {
            if seat.run().is_some_and(Run::is_complete)
                && let Seat::Running(run) = std::mem::replace(seat, Seat::Waiting)
            {
                *seat = Seat::Ended(Box::new(run.finish()));
            }
        }
        Ok(())
    }

    /// The job was stopped or the source failed: what can be kept is kept, and the error says so.
    fn break_off(&mut self, error: Error) -> Error {
        if !error.is_cancelled() {
            // A broken run's own state is not to be trusted over its last good checkpoint.
            return self.running().fold(error, |error, run| run.with_last_checkpoint(error));
        }
        self.ctx.log("Stopping: writing a checkpoint");
        let mut tokens = 0;
        for run in self.running() {
            if let Err(failed) = run.save(self.ctx) {
                return Error {
                    what: format!("{}, but the run could not be saved", error.what),
                    why: failed.to_string(),
                    ..failed
                };
            }
            tokens = tokens.max(run.tokens());
        }
        let of = match self.running().count() {
            0 | 1 => String::new(),
            n => format!(" of {n} dictionaries"),
        };
        let remedy = format!("Resume it when you like: {tokens} tokens{of} are safely kept");
        Error { remedy, ..error }
    }
}
