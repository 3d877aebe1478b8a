//! One run of a training job: its trainer, its folder, its curves.

use super::checkpoint::{self, State};
use super::config::{TrainConfig, TrainEvent};
use super::history::History;
use super::job::{Evaluate, Planned, RunEvent, check_free};
use super::requests::Requests;
use super::trainer::{Report, Trainer};
use crate::activations::{Position, Provenance};
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::sae::{About, Sae, TrainPoint};
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Least time between two points of the live curves, of all runs of a job together.
const BETWEEN_POINTS: Duration = Duration::from_millis(100);

/// Long enough that the rate is that of model and trainer together: rows come from the model in
/// blocks, between which the trainer alone would seem fast.
const RATE_OVER: Duration = Duration::from_secs(4);

/// The dictionary in `out` if it is what this run would make.
pub(super) fn finished(
    out: &Path,
    config: &TrainConfig,
    provenance: &Provenance,
) -> Result<Option<Sae>> {
    if !Sae::is_at(out) || checkpoint::path(out).exists() {
        return Ok(None);
    }
    let sae = Sae::load(out)?;
    let made_by = sae.about.config.clone().and_then(|c| serde_json::from_value(c).ok());
    let same = made_by.is_some_and(|was| checkpoint::goes_on(&was, config))
        && sae.about.trained_on.as_ref() == Some(provenance);
    if same {
        return Ok(Some(sae));
    }
    check_free(out).map(|()| None)
}

/// One run of a training job.
pub(super) struct Run<'e> {
    /// Which one of the job.
    number: usize,
    /// Which of the source's sites.
    pub site: usize,
    evaluate: Option<Evaluate<'e>>,
    requests: Requests,
    out: PathBuf,
    provenance: Provenance,
    /// Where the source stands after the last row that was trained on.
    pub position: Position,
    history: History,
    trainer: Trainer,
    last_point: Instant,
    /// When so many tokens were done, at the points of the last [`RATE_OVER`].
    pace: VecDeque<(Instant, u64)>,
}

impl<'e> Run<'e> {
    /// A run as its checkpoint says.
    pub fn new(
        number: usize,
        plan: Planned<'e>,
        provenance: Provenance,
        trainer: Trainer,
        state: State,
    ) -> Self {
        Self::at(number, plan, provenance, trainer, state.position, state.history)
    }

    /// A run at its start; the source stands at `position`.
    pub fn begun(
        number: usize,
        plan: Planned<'e>,
        provenance: Provenance,
        trainer: Trainer,
        position: Position,
    ) -> Self {
        Self::at(number, plan, provenance, trainer, position, Vec::new())
    }

    fn at(
        number: usize,
        plan: Planned<'e>,
        provenance: Provenance,
        trainer: Trainer,
        position: Position,
        history: Vec<TrainPoint>,
    ) -> Self {
        let now = Instant::now();
        Self {
            number,
            site: plan.site,
            evaluate: plan.evaluate,
            requests: plan.requests,
            out: plan.out,
            provenance,
            position,
            history: History::new(history),
            pace: VecDeque::from([(now, trainer.counters().tokens)]),
            trainer,
            last_point: now,
        }
    }

    pub fn tokens(&self) -> u64 {
        self.trainer.counters().tokens
    }

    pub fn config(&self) -> &TrainConfig {
        self.trainer.config()
    }

    pub fn is_complete(&self) -> bool {
        self.trainer.counters().step >= self.config().steps()
    }

    /// One step on `rows`, after which the source stands at `after`; `at_once` runs share the
    /// job's attention.
    pub fn step(
        &mut self,
        ctx: &JobContext<RunEvent>,
        rows: &[f32],
        after: Position,
        at_once: u32,
    ) -> Result<()> {
        let before = self.tokens();
        // Within a step only a stop counts: a pause there would hold threads that others use.
        let stop = || ctx.check_cancelled();
        let report = self.trainer.step(rows, &stop)?;
        self.position = after;
        let step = self.trainer.counters().step;
        let by_hand = self.requests.take_resample();
        if by_hand || self.config().resamples_at(step) {
            let latents = self.trainer.resample(rows, by_hand)?;
            // A click is not told again on a second way from an older checkpoint: it is kept now.
            if by_hand && !self.is_complete() {
                self.save(ctx)?;
            }
            self.emit(ctx, TrainEvent::Resampled { tokens: self.tokens(), latents });
        }
        let (tokens, last) = (self.tokens(), self.is_complete());
        let due = |every: u64| every > 0 && tokens / every > before / every;
        let evaluate_every = self.config().evaluate_every;
        let evaluated = due(evaluate_every) || (last && evaluate_every > 0);
        self.note(ctx, &report, last, evaluated, at_once)?;
        if !last && due(self.config().checkpoint_every) {
            self.save(ctx)?;
        }
        Ok(())
    }

    fn emit(&self, ctx: &JobContext<RunEvent>, event: TrainEvent) {
        ctx.emit(RunEvent { run: self.number, event });
    }

    /// Puts the step into the curves, and shows it if it is time.
    fn note(
        &mut self,
        ctx: &JobContext<RunEvent>,
        report: &Report,
        last: bool,
        evaluate: bool,
        at_once: u32,
    ) -> Result<()> {
        let (step, tokens) = (self.trainer.counters().step, self.tokens());
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
        if evaluate && let Some(evaluate) = self.evaluate.as_mut() {
            let sae = self.trainer.dictionary(About::default());
            point.loss_recovered = Some(evaluate(&sae)?.recovered);
            self.history.keep(point);
        }
        // A curve begins where the run does, however fast the machine is.
        let first = step == 1;
        let due = since >= BETWEEN_POINTS * at_once;
        if first || last || due || point.loss_recovered.is_some() {
            self.emit(ctx, TrainEvent::Point(point));
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

    /// Writes a checkpoint.
    pub fn save(&self, ctx: &JobContext<RunEvent>) -> Result<()> {
        let points = self.history.points();
        checkpoint::write(&self.out, &self.trainer, &self.provenance, self.position, points)?;
        self.emit(ctx, TrainEvent::Saved { tokens: self.tokens() });
        Ok(())
    }

    /// An error that broke the run, with a word on what is kept of it.
    pub fn with_last_checkpoint(&self, error: Error) -> Error {
        const KEPT: &str = "; the last checkpoint is kept";
        match checkpoint::path(&self.out).exists() && !error.remedy.ends_with(KEPT) {
            true => Error { remedy: error.remedy + KEPT, ..error },
            false => error,
        }
    }

    /// Saves the dictionary in the place of its checkpoint.
    pub fn finish(self) -> Result<Sae> {
        let sae = self.trainer.dictionary(About {
            trained_on: Some(self.provenance),
            config: serde_json::to_value(self.trainer.config()).ok(),
            history: self.history.points().to_vec(),
            ..About::default()
        });
        sae.save(&self.out)?;
        // Only now is the checkpoint of no more use; should it stay, the next run says so.
        let _ = fs::remove_file(checkpoint::path(&self.out));
        Ok(sae)
    }
}
