//! The training job: rows in, events out, a checkpoint whenever one is due.

use super::checkpoint;
use super::config::{TrainConfig, TrainEvent};
use super::history::History;
use super::trainer::{Report, Trainer};
use crate::activations::{Position, Provenance, Source, check_of};
use crate::error::{Error, IoContext, Result};
use crate::evaluation::LossRecovered;
use crate::jobs::JobContext;
use crate::sae::{About, Sae, TrainPoint};
use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Batches that the scale of the activations is estimated from, before the first step. They are
/// trained on like all others.
const ESTIMATE_BATCHES: u64 = 4;

/// Least time between two points of the live curves.
const BETWEEN_POINTS: Duration = Duration::from_millis(100);

/// Long enough that the rate is that of model and trainer together: rows come from the model in
/// blocks, between which the trainer alone would seem fast.
const RATE_OVER: Duration = Duration::from_secs(4);

/// Evaluates a dictionary during training.
pub type Evaluate<'a> = &'a mut dyn FnMut(&Sae) -> Result<LossRecovered>;

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
    config.validate(source.width())?;
    let provenance = source.provenance();
    let found = if resume {
        if let Some(finished) = finished(out, config, &provenance)? {
            return Ok(finished);
        }
        checkpoint::read(out, config, source.width(), &provenance)?
    } else {
        check_free(out)?;
        None
    };
    // Before hours of work: can the folder be written at all?
    fs::create_dir_all(out).doing(|| format!("Could not make {}", out.display()))?;
    let mut waiting = VecDeque::new();
    let (trainer, position, history) = match found {
        Some((state, trainer)) => {
            ctx.progress().stage("Finding the place", "tokens", 0, 0);
            source.seek(&state.position)?;
            (trainer, state.position, state.history)
        }
        None => {
            let position = source.position();
            (begin(ctx, source, config, &mut waiting)?, position, Vec::new())
        }
    };
    ctx.progress().stage("Training", "tokens", trainer.counters().tokens, config.tokens);
    let now = Instant::now();
    let mut run = Run {
        ctx,
        evaluate,
        out,
        provenance,
        position,
        history: History::new(history),
        trainer,
        last_point: now,
        pace: VecDeque::new(),
        recovered: None,
    };
    run.pace.push_back((now, run.trainer.counters().tokens));
    match run.steps(source, &mut waiting, config) {
        Ok(()) => run.finish(),
        Err(error) => Err(run.break_off(error)),
    }
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

/// The dictionary in `out` if it is what this run would make.
fn finished(out: &Path, config: &TrainConfig, provenance: &Provenance) -> Result<Option<Sae>> {
    if !Sae::is_at(out) || checkpoint::path(out).exists() {
        return Ok(None);
    }
    let sae = Sae::load(out)?;
    let asked = serde_json::to_value(config).ok();
    let same = asked.zip(sae.about.config.as_ref()).is_some_and(|(a, b)| checkpoint::alike(&a, b))
        && sae.about.trained_on.as_ref() == Some(provenance);
    if same {
        return Ok(Some(sae));
    }
    check_free(out).map(|()| None)
}

/// Rows that were read ahead, and where the source stood after them.
type Waiting = VecDeque<(Vec<f32>, Position)>;

/// Reads ahead what the start needs, and sets the run up.
fn begin(
    ctx: &JobContext<TrainEvent>,
    source: &mut dyn Source,
    config: &TrainConfig,
    waiting: &mut Waiting,
) -> Result<Trainer> {
    let batches = ESTIMATE_BATCHES.min(config.steps());
    let total = batches * config.batch as u64;
    ctx.progress().stage("Looking at the first activations", "tokens", 0, total);
    let mut first = Vec::new();
    for _ in 0..batches {
        ctx.check()?;
        let mut rows = Vec::new();
        source.read(&check_of(ctx), config.batch, &mut rows)?;
        ctx.progress().add(config.batch as u64);
        first.extend_from_slice(&rows);
        waiting.push_back((rows, source.position()));
    }
    Trainer::new(config, source.width(), &first)
}

struct Run<'a, 'e> {
    ctx: &'a JobContext<TrainEvent>,
    evaluate: Option<Evaluate<'e>>,
    out: &'a Path,
    provenance: Provenance,
    /// Where the source stands after the last row that was trained on.
    position: Position,
    history: History,
    trainer: Trainer,
    last_point: Instant,
    /// When so many tokens were done, at the points of the last [`RATE_OVER`].
    pace: VecDeque<(Instant, u64)>,
    recovered: Option<f64>,
}

impl Run<'_, '_> {
    fn steps(
        &mut self,
        source: &mut dyn Source,
        waiting: &mut Waiting,
        config: &TrainConfig,
    ) -> Result<()> {
        let mut rows = Vec::new();
        while self.trainer.counters().step < config.steps() {
            self.ctx.check()?;
            let after = match waiting.pop_front() {
                Some((read, after)) => {
                    rows = read;
                    after
                }
                None => {
                    rows.clear();
                    source.read(&check_of(self.ctx), config.batch, &mut rows)?;
                    source.position()
                }
            };
            let before = self.trainer.counters().tokens;
            let ctx = self.ctx;
            // Within a step only a stop counts: a pause there would hold threads that others use.
            let report = self.trainer.step(&rows, &|| ctx.check_cancelled())?;
            self.position = after;
            let tokens = self.trainer.counters().tokens;
            self.ctx.progress().set(tokens.min(config.tokens));
            let last = self.trainer.counters().step == config.steps();
            let due = |every: u64| every > 0 && tokens / every > before / every;
            let evaluated = due(config.evaluate_every) || (last && config.evaluate_every > 0);
            self.note(&report, last, evaluated)?;
            if !last && due(config.checkpoint_every) {
                self.save()?;
            }
        }
        Ok(())
    }

    /// Puts the step into the curves, and shows it if it is time.
    fn note(&mut self, report: &Report, last: bool, evaluate: bool) -> Result<()> {
        let (step, tokens) = (self.trainer.counters().step, self.trainer.counters().tokens);
        let since = self.last_point.elapsed();
        let mut point = TrainPoint {
            step,
            tokens,
            loss: report.losses.total,
            fvu: report.fvu,
            l0: report.l0,
            dead: report.dead,
            lr: report.lr,
            rate: self.rate(tokens),
            loss_recovered: None,
        };
        self.history.push(point);
        if evaluate && self.evaluate.is_some() {
            let sae = self.trainer.dictionary(About::default());
            if let Some(evaluate) = self.evaluate.as_mut() {
                point.loss_recovered = Some(evaluate(&sae)?.recovered);
                self.recovered = point.loss_recovered;
                self.history.keep(point);
            }
        }
        // A curve begins where the run does, however fast the machine is.
        let first = step == 1;
        if first || last || since >= BETWEEN_POINTS || point.loss_recovered.is_some() {
            self.ctx.emit(TrainEvent::Point(point));
            self.last_point = Instant::now();
            self.pace.push_back((self.last_point, tokens));
            while self.pace.len() > 1 && self.pace[0].0.elapsed() > RATE_OVER {
                self.pace.pop_front();
            }
        }
        Ok(())
    }

    /// Tokens a second over the last [`RATE_OVER`].
    fn rate(&self, tokens: u64) -> f64 {
        let (since, before) = self.pace.front().copied().unwrap_or((self.last_point, tokens));
        (tokens - before) as f64 / since.elapsed().as_secs_f64().max(1e-9)
    }

    fn save(&self) -> Result<()> {
        let points = self.history.points();
        checkpoint::write(self.out, &self.trainer, &self.provenance, self.position, points)?;
        self.ctx.emit(TrainEvent::Saved { tokens: self.trainer.counters().tokens });
        Ok(())
    }

    /// The run was stopped or failed: what can be kept is kept, and the error says so.
    fn break_off(&self, error: Error) -> Error {
        let tokens = self.trainer.counters().tokens;
        if !error.is_cancelled() {
            // A broken run's own state is not to be trusted over its last good checkpoint.
            let remedy = match checkpoint::path(self.out).exists() {
                true => format!("{}; the last checkpoint is kept", error.remedy),
                false => error.remedy,
            };
            return Error { remedy, ..error };
        }
        self.ctx.log("Stopping: writing a checkpoint");
        match self.save() {
            Ok(()) => Error {
                remedy: format!("Resume it when you like: {tokens} tokens are safely kept"),
                ..error
            },
            Err(failed) => Error {
                what: format!("{}, but the run could not be saved", error.what),
                why: failed.to_string(),
                ..failed
            },
        }
    }

    fn finish(self) -> Result<Sae> {
        let sae = self.trainer.dictionary(About {
            trained_on: Some(self.provenance),
            config: serde_json::to_value(self.trainer.config()).ok(),
            history: self.history.points().to_vec(),
            ..About::default()
        });
        sae.save(self.out)?;
        // Only now is the checkpoint of no more use; should it stay, the next run says so.
        let _ = fs::remove_file(checkpoint::path(self.out));
        Ok(sae)
    }
}
