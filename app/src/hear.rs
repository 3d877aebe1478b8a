//! The one place where what came back from jobs becomes state.

use crate::app::Sparsescope;
use crate::events::Event;
use crate::jobs::Kind;
use crate::state::{Curves, NoticeText, SweepLine, SweepView};
use crate::work::sweep::{self, Swept};
use crate::work::tour::{self, Toured};
use crate::work::train::News;
use sparsescope_core::features::LatentDetail;
use sparsescope_core::llama::Site;
use sparsescope_core::training::TrainEvent;
use sparsescope_core::workspace::SaeId;
use sparsescope_core::{Error, Result};

impl Sparsescope {
    pub(crate) fn hear(&mut self, event: Event) {
        match event {
            Event::Dropped(path, Ok(kind)) => self.opened(path, kind),
            Event::Dropped(_, Err(error)) => self.say(NoticeText::Failed(error)),
            Event::Model(outcome) => self.model_opened(outcome),
            Event::Next(outcome) => self.next_answered(outcome),
            Event::Preview(outcome) => self.previewed(outcome),
            Event::Runs(outcome) => {
                self.state.train.listed = true;
                match outcome {
                    Ok(runs) => {
                        self.state.train.runs = runs;
                        self.state.train.unlisted = None;
                    }
                    Err(error) => {
                        self.state.train.unlisted = Some(error.clone());
                        self.say(NoticeText::Failed(error));
                    }
                }
            }
            Event::Evaluated(outcome) => {
                if let Err(error) = outcome {
                    self.failed(error);
                }
                self.list_runs();
            }
            Event::History(Ok((record, points))) => {
                let mut run = Self::run_view(&record);
                run.curves = Curves::of(&points);
                self.state.train.run = Some(run);
            }
            Event::History(Err(error)) => self.state.train.failure = Some(error),
            Event::Features(outcome) => self.features_opened(outcome),
            Event::Detail(sae, outcome) => self.detail_read(sae, outcome),
            Event::Run(news) => self.run_told(news),
            Event::Sweep(news) => self.sweep_told(news),
            Event::Swept(outcome) => self.swept(outcome),
            Event::Imported(outcome) => self.imported(outcome),
            Event::Trained(outcome) => self.trained(outcome),
            Event::Captured(outcome) => match outcome {
                Ok(done) => self.say(NoticeText::Good(format!(
                    "{} activations ({}) are in {}",
                    crate::format::grouped(done.rows),
                    crate::format::bytes(done.bytes),
                    done.out.display()
                ))),
                Err(error) => self.failed(error),
            },
            Event::Tour(news) => self.tour_told(news),
            Event::Latent(event) => self.hear_latent(event),
            Event::Prompt(event) => self.hear_prompt(event),
            Event::Circuit(event) => self.hear_circuit(event),
            Event::Shift(event) => self.hear_shift(event),
            Event::Steer(event) => self.hear_steer(event),
            Event::Directions(event) => self.hear_directions(event),
            Event::Labels(event) => self.hear_labels(event),
            Event::Pictured(outcome) => match outcome {
                Ok(path) => self.say(NoticeText::Good(format!("{} is saved", path.display()))),
                Err(error) => self.failed(error),
            },
            Event::Toured(outcome) => self.toured(*outcome),
        }
    }

    fn tour_told(&mut self, news: tour::News) {
        let tour = &mut self.state.tour;
        match news {
            tour::News::Stage(stage) => tour.stages.push(stage.to_owned()),
            tour::News::Point(point, total) => {
                tour.tokens = total;
                tour.curves.push(&point);
            }
        }
    }

    fn toured(&mut self, outcome: Result<Toured>) {
        self.state.tour.running = false;
        self.list_runs();
        match outcome {
            Ok(toured) => {
                self.state.tour.sae = Some(toured.record.id);
                self.state.tour.findings = Some(toured.findings);
                let best = self.state.tour.findings.as_ref();
                self.state.features.wanted =
                    best.and_then(|f| f.features.first()).map(|f| f.latent);
                self.features_opened(Ok((toured.record, Ok(toured.table))));
            }
            Err(error) if error.is_cancelled() => {}
            Err(error) => self.state.tour.failure = Some(error),
        }
    }

    /// A failure is said, a stop that was asked for is not.
    pub(crate) fn failed(&mut self, error: Error) {
        if !error.is_cancelled() {
            self.say(NoticeText::Failed(error));
        }
    }

    fn run_told(&mut self, news: News) {
        let train = &mut self.state.train;
        match news {
            News::Begun(record, points) => {
                let mut run = Self::run_view(&record);
                run.curves = Curves::of(&points);
                train.run = Some(run);
                train.runs.retain(|r| r.id != record.id);
                train.runs.insert(0, *record);
            }
            News::Training(TrainEvent::Point(point)) => {
                if let Some(run) = &mut train.run {
                    run.curves.push(&point);
                }
            }
            News::Training(TrainEvent::Saved { tokens }) => {
                if let Some(run) = &mut train.run {
                    run.saved = Some(tokens);
                }
            }
            News::Training(TrainEvent::Resampled { tokens, latents }) => {
                if let Some(run) = &mut train.run {
                    run.resampled = Some((tokens, latents));
                }
            }
            News::Evaluated(evaluation) => {
                if let Some(run) = &mut train.run {
                    run.evaluation = Some(*evaluation);
                }
            }
        }
    }

    fn sweep_told(&mut self, news: sweep::News) {
        let train = &mut self.state.train;
        match news {
            sweep::News::Planned(records, refused) => {
                for (record, _) in &records {
                    train.runs.insert(0, record.clone());
                }
                train.run = records.first().map(|(record, _)| Self::run_view(record));
                let line =
                    |(record, target)| SweepLine { record, target, curves: Curves::default() };
                let lines = records.into_iter().map(line).collect();
                train.sweep = Some(SweepView { planning: false, lines, refused });
            }
            sweep::News::Training(id, TrainEvent::Point(point)) => {
                let lines = train.sweep.as_mut().map(|s| &mut s.lines);
                if let Some(line) = lines.into_iter().flatten().find(|l| l.record.id == id) {
                    line.curves.push(&point);
                }
                if let Some(run) = train.run.as_mut().filter(|r| r.id == Some(id)) {
                    run.curves.push(&point);
                }
            }
            sweep::News::Training(id, TrainEvent::Saved { tokens }) => {
                if let Some(run) = train.run.as_mut().filter(|r| r.id == Some(id)) {
                    run.saved = Some(tokens);
                }
            }
            sweep::News::Training(_, TrainEvent::Resampled { .. }) => {}
            sweep::News::Evaluated(id, evaluation) => {
                let lines = train.sweep.as_mut().map(|s| &mut s.lines);
                if let Some(line) = lines.into_iter().flatten().find(|l| l.record.id == id) {
                    line.record.evaluation = Some(*evaluation);
                }
            }
        }
    }

    fn swept(&mut self, outcome: Result<Swept>) {
        self.state.train.job = None;
        if let Some(sweep) = &mut self.state.train.sweep {
            sweep.planning = false;
        }
        match outcome {
            Ok(swept) => {
                self.say(NoticeText::Good(format!(
                    "{} dictionaries are trained: they stand on the Pareto screen",
                    swept.done.len()
                )));
                for error in swept.failed {
                    self.say(NoticeText::Failed(error));
                }
            }
            Err(error) if error.is_cancelled() => {}
            Err(error) => self.state.train.failure = Some(error),
        }
        self.list_runs();
    }

    fn imported(&mut self, outcome: Result<Vec<SaeId>>) {
        match outcome.as_deref() {
            Ok([id]) => self.open_sae(*id),
            Ok(many) => {
                self.say(NoticeText::Good(format!("{} dictionaries were brought in", many.len())));
                self.state.screen = crate::state::Screen::Pareto;
            }
            Err(error) => self.failed(error.clone()),
        }
        self.list_runs();
    }

    fn trained(&mut self, outcome: Result<SaeId>) {
        self.state.train.job = None;
        match outcome {
            Ok(id) => {
                // A run that went on has other directions than before.
                if self.state.directions.sae == Some(id) {
                    self.state.directions.sae = None;
                }
                self.say(NoticeText::Good(format!(
                    "Run {id} is done; its features are ready to read"
                )));
            }
            Err(error) if error.is_cancelled() => {}
            Err(error) => self.state.train.failure = Some(error),
        }
        self.list_runs();
    }

    fn model_opened(
        &mut self,
        outcome: Result<(sparsescope_core::llama::Model, crate::state::ModelFacts)>,
    ) {
        let superseded =
            matches!(&outcome, Err(e) if e.is_cancelled()) && self.jobs.is_running(Kind::Load);
        if superseded {
            return;
        }
        self.state.model.loading = None;
        match outcome {
            Ok((model, facts)) => {
                let middle = Site::Resid((facts.layers / 2).min(facts.layers.saturating_sub(1)));
                self.state.model.site = Some(middle);
                self.state.model.failure = None;
                self.forms.data.rows.length = self.forms.data.rows.length.min(facts.context);
                self.state.model.facts = Some(facts);
                self.model = Some(model);
                // What was read of a prompt, and what the chosen latent does, depends on the model.
                self.state.prompt.asked = None;
                self.state.prompt.reading = None;
                // So does which pairs of a task can be used, and how the model does on them.
                self.state.circuit.task.asked = None;
                self.state.circuit.task.prepared = None;
                self.shift_forget_model();
                self.study_latent();
                self.state.model.next = Default::default();
                self.state.data.preview = None;
                let text = self.forms.model.text.clone();
                self.ask_next(text);
                self.preview_again();
            }
            Err(error) if error.is_cancelled() => {}
            Err(error) => self.state.model.failure = Some(error),
        }
    }

    fn next_answered(&mut self, outcome: Result<crate::state::NextAnswer>) {
        let next = &mut self.state.model.next;
        match outcome {
            Ok(answer) => {
                next.answer = Some(answer);
                next.pending = false;
            }
            // A newer question is on its way.
            Err(error) if error.is_cancelled() => {}
            Err(error) => {
                next.failure = Some(error);
                next.pending = false;
            }
        }
    }

    fn previewed(&mut self, outcome: Result<crate::state::Preview>) {
        let data = &mut self.state.data;
        match outcome {
            Ok(preview) => {
                data.preview = Some(preview);
                data.failure = None;
                data.pending = false;
            }
            Err(error) if error.is_cancelled() => {}
            Err(error) => {
                data.failure = Some(error);
                data.pending = false;
            }
        }
    }

    fn features_opened(&mut self, outcome: Result<crate::work::runs::Opened>) {
        let features = &mut self.state.features;
        features.pending = false;
        match outcome {
            Ok((sae, table)) => {
                features.sae = Some(sae);
                let (table, failure) = match table {
                    Ok(table) => (table, None),
                    Err(error) => (None, Some(error)),
                };
                let wanted =
                    features.wanted.take().or_else(|| table.as_ref().and_then(|t| strongest(t)));
                features.failure = failure;
                features.table = table;
                features.version += 1;
                features.detail = None;
                self.choose_latent(wanted);
                self.labels_of_opened();
            }
            Err(error) => self.feature_failure(error),
        }
    }

    fn detail_read(&mut self, sae: SaeId, outcome: Result<std::sync::Arc<LatentDetail>>) {
        let features = &mut self.state.features;
        if features.sae.as_ref().map(|s| s.id) != Some(sae) {
            return;
        }
        match outcome {
            Ok(detail) if features.latent == Some(detail.latent) => {
                features.detail = Some(detail);
                self.study_latent();
            }
            Ok(_) => {}
            Err(error) => self.feature_failure(error),
        }
    }

    fn feature_failure(&mut self, error: Error) {
        if !error.is_cancelled() {
            self.state.features.failure = Some(error);
        }
    }
}

/// The latent to show first: the one that fires most often without firing everywhere.
fn strongest(table: &sparsescope_core::features::FeatureTable) -> Option<u32> {
    let readable =
        |l: &&sparsescope_core::features::LatentSummary| l.density > 0.0 && l.density < 0.1;
    let best = table.latents.iter().filter(readable).max_by(|a, b| a.max.total_cmp(&b.max));
    best.or(table.latents.first()).map(|l| l.index)
}
