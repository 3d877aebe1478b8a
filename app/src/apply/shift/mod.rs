//! What the SHIFT screen asks for, and what comes back.

mod study;

use crate::app::Sparsescope;
use crate::commands::{Command, ShiftCommand};
use crate::events::{Event, ShiftEvent};
use crate::jobs::Kind;
use crate::state::{CardState, Judged, LiveState, NoticeText, Results, Screen};
use crate::work::browse::Wanted;
use crate::work::shift::{self as work, FindRequest, Found, Needs};
use egui::Context;
use sparsescope_core::circuits::Node;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::shift::is_feature;
use std::path::PathBuf;
use std::sync::Arc;

impl Sparsescope {
    pub(super) fn apply_shift(&mut self, ctx: &Context, command: ShiftCommand) {
        match command {
            ShiftCommand::Step(step) => self.forms.shift.step = step,
            ShiftCommand::Site(site) => self.forms.shift.probe.site = site,
            ShiftCommand::BrowseTexts => self.browse(ctx, Wanted::LabelledTexts),
            ShiftCommand::Texts(path) => self.shift_columns(path),
            ShiftCommand::Read => self.shift_read(),
            ShiftCommand::Train => self.shift_train(),
            ShiftCommand::TrainMissing => self.shift_train_missing(),
            ShiftCommand::Find => self.shift_find(),
            ShiftCommand::Card(node) => self.shift_card(node),
            ShiftCommand::Judge(node, verdict) => {
                self.state.shift.judged.judge(node, verdict);
                self.shift_changed();
            }
            ShiftCommand::Note(node, note) => {
                self.state.shift.judged.note(node, note);
                self.shift_changed();
            }
            ShiftCommand::Undo => {
                if self.state.shift.judged.undo() {
                    self.shift_changed();
                }
            }
            ShiftCommand::Redo => {
                if self.state.shift.judged.redo() {
                    self.shift_changed();
                }
            }
            ShiftCommand::JudgeByTruth => self.shift_tell(true),
            ShiftCommand::Reveal => self.shift_tell(false),
            ShiftCommand::Measure => self.shift_measure(),
            ShiftCommand::Fill => self.shift_fill(),
            ShiftCommand::StopFilling => {
                self.state.shift.results.filling = false;
                self.jobs.cancel_kind(Kind::ShiftTable, "you stopped it");
            }
            ShiftCommand::Ask(file) => self.shift_ask_file(ctx, file),
            ShiftCommand::To(file, path) => self.shift_file(file, path),
            ShiftCommand::KeepEdits(name) => self.shift_keep_edits(name),
            ShiftCommand::TakeEdits(id) => self.shift_take_edits(id),
            ShiftCommand::List => self.shift_list(|_| Ok(())),
            ShiftCommand::Open(id) => self.shift_open(id),
            ShiftCommand::Rename(name) => self.shift_rename(name),
            ShiftCommand::Delete(id) => self.shift_delete(id),
            ShiftCommand::New => self.shift_new(),
        }
    }

    /// Looks at the columns of a file, and uses it.
    fn shift_columns(&mut self, path: PathBuf) {
        self.state.screen = Screen::Shift;
        let form = &mut self.forms.shift;
        form.from_file = true;
        form.path = path.display().to_string();
        self.state.shift.failure = None;
        self.jobs.start::<_, ()>(
            Kind::Workspace,
            "Look at a file of texts",
            move |_| work::columns(&path),
            |()| None,
            |outcome| shift(ShiftEvent::Columns(outcome)),
        );
    }

    fn shift_read(&mut self) {
        let (Some(model), Some(spec)) = (self.model.clone(), self.forms.shift.texts()) else {
            return;
        };
        let state = &mut self.state.shift;
        state.asked = Some(spec.clone());
        state.reading = true;
        state.failure = None;
        self.jobs.start(
            Kind::ShiftProbe,
            "Read the texts",
            move |ctx: &JobContext| work::read(ctx, &model, &spec),
            |()| None,
            |outcome| shift(ShiftEvent::Read(Box::new(outcome))),
        );
    }

    fn shift_train(&mut self) {
        let (Some(model), Some(texts)) = (self.model.clone(), self.state.shift.texts.clone())
        else {
            return;
        };
        self.state.shift.failure = None;
        let spec = self.forms.shift.probe.clone();
        self.jobs.start(
            Kind::ShiftProbe,
            format!("Train a probe at {}", spec.site),
            move |ctx: &JobContext| work::train(ctx, &model, texts, &spec),
            |()| None,
            |outcome| shift(ShiftEvent::Trained(Box::new(outcome))),
        );
    }

    fn shift_train_missing(&mut self) {
        let Some(facts) = &self.state.model.facts else { return };
        let choice = self.forms.shift.choice(facts.layers, &facts.hash, &self.state.train.runs);
        let missing = choice.iter().filter(|(_, id)| id.is_none());
        let sites: Vec<_> = missing.map(|(site, _)| *site).collect();
        if let Some(request) = self.forms.circuit.task.sweep(&self.forms.data, facts, &sites) {
            self.ask(Command::Sweep(Box::new(request)));
        }
    }

    fn shift_find(&mut self) {
        let (Some(model), Some(facts)) = (self.model.clone(), &self.state.model.facts) else {
            return;
        };
        let Some(trained) = self.state.shift.trained.clone() else { return };
        let form = &self.forms.shift;
        let request = FindRequest {
            choice: {
                // Sites up to that of the probe that is there, not of one that is set for later.
                let mut choice = form.choice(facts.layers, &facts.hash, &self.state.train.runs);
                choice.retain(|site, _| *site <= trained.probe.site);
                choice
            },
            trained,
            spec: form.circuit.clone(),
            anyway: form.anyway,
            model_name: facts.name.clone(),
        };
        self.state.shift.failure = None;
        let (workspace, bases) = (self.state.workspace.clone(), self.bases.clone());
        self.jobs.start(
            Kind::ShiftFind,
            "Find what the probe uses",
            move |ctx: &JobContext| work::find(ctx, &workspace, &bases, &model, &request),
            |()| None,
            |outcome| shift(ShiftEvent::Found(Box::new(outcome))),
        );
    }

    fn shift_card(&mut self, node: Node) {
        let state = &mut self.state.shift;
        let (Some(model), Some(texts), Some(found)) =
            (self.model.clone(), state.texts.clone(), state.found.clone())
        else {
            return;
        };
        state.card.reading = Some(node);
        let version = state.version;
        let (workspace, saes) = (self.state.workspace.clone(), self.saes.clone());
        self.jobs.start(
            Kind::ShiftCard,
            format!("Read {node}"),
            move |ctx: &JobContext| {
                work::card(ctx, &workspace, &saes, &model, &texts, &found, node)
            },
            |()| None,
            move |outcome| shift(ShiftEvent::Card(version, node, Box::new(outcome))),
        );
    }

    /// What measuring and telling needs of the open circuit.
    fn shift_needs(&self) -> Option<Needs> {
        Some(Needs {
            workspace: self.state.workspace.clone(),
            bases: self.bases.clone(),
            measurer: self.measurer.clone(),
            model: self.model.clone()?,
            trained: self.state.shift.trained.clone()?,
            found: self.state.shift.found.clone()?,
        })
    }

    fn shift_tell(&mut self, judge: bool) {
        let Some(needs) = self.shift_needs() else { return };
        let version = self.state.shift.version;
        self.jobs.start(
            Kind::ShiftTold,
            "Read balanced texts",
            move |ctx: &JobContext| needs.told(ctx),
            |()| None,
            move |outcome| shift(ShiftEvent::Told(version, outcome, judge)),
        );
    }

    fn shift_measure(&mut self) {
        let state = &mut self.state.shift;
        let asked = (state.version, state.judged.now.trimmed());
        state.live.asked = Some(asked.clone());
        state.live.pending = true;
        let Some(needs) = self.shift_needs() else { return };
        self.jobs.start(
            Kind::ShiftLive,
            "Measure the probe without what is trimmed",
            move |ctx| needs.measure(ctx, &asked),
            |half| shift(ShiftEvent::Halfway(Box::new(half))),
            |outcome| shift(ShiftEvent::Live(Box::new(outcome))),
        );
    }

    /// Something was judged: it is kept at once.
    fn shift_changed(&mut self) {
        let state = &mut self.state.shift;
        state.judged_by = match &state.tellings {
            // Whoever judges after having looked there does not judge by the features alone.
            Some(_) => "by hand, with what balanced texts tell at hand".to_owned(),
            None => "by hand".to_owned(),
        };
        self.shift_save();
    }

    pub(crate) fn hear_shift(&mut self, event: ShiftEvent) {
        let state = &mut self.state.shift;
        match event {
            ShiftEvent::Columns(Ok(columns)) => {
                let form = &mut self.forms.shift;
                let known = [&form.columns.text, &form.columns.label, &form.columns.spurious];
                if !known.iter().all(|name| columns.names.contains(name)) {
                    form.columns = columns.guess();
                }
                state.columns = Some(columns);
                // It may be another file of the same name by now.
                state.asked = None;
            }
            ShiftEvent::Read(outcome) => match *outcome {
                Ok(texts) => {
                    state.reading = false;
                    state.texts = Some(Arc::new(texts));
                }
                // A newer question is on its way.
                Err(error) if error.is_cancelled() => {}
                Err(error) => {
                    state.reading = false;
                    state.texts = None;
                    state.failure = Some(error);
                }
            },
            ShiftEvent::Trained(outcome) => match *outcome {
                Ok(trained) => self.shift_trained(trained),
                Err(error) if error.is_cancelled() => {}
                Err(error) => state.failure = Some(error),
            },
            ShiftEvent::Found(outcome) => match *outcome {
                Ok(found) => self.shift_found(found),
                Err(error) if error.is_cancelled() => {}
                Err(error) => state.failure = Some(error),
            },
            ShiftEvent::Card(version, node, outcome) => {
                if version != state.version {
                    return;
                }
                if state.card.reading == Some(node) {
                    state.card.reading = None;
                }
                match *outcome {
                    Ok(card) => _ = state.card.cards.insert(node, Arc::new(card)),
                    Err(error) if error.is_cancelled() => {}
                    // It is not asked for again with every frame.
                    Err(error) => state.card.failure = Some((node, error)),
                }
            }
            ShiftEvent::Told(version, outcome, judge) => {
                if version != state.version {
                    return;
                }
                match outcome {
                    Ok((judgements, tellings)) => {
                        let by_node = tellings.into_iter().map(|t| (t.node, t)).collect();
                        state.tellings = Some(Arc::new(by_node));
                        if judge {
                            state.judged.change(judgements);
                            state.judged_by = "the truth of the balanced training part".to_owned();
                        }
                        self.shift_save();
                    }
                    Err(error) => self.failed(error),
                }
            }
            ShiftEvent::Live(outcome) => match *outcome {
                Ok(live) => {
                    state.live.pending = false;
                    state.live.failure = None;
                    state.live.last = Some(live);
                    // The rows that moved belong to the study too.
                    self.shift_save();
                }
                Err(error) if error.is_cancelled() => {}
                Err(error) => {
                    state.live.pending = false;
                    state.live.last = None;
                    state.live.failure = Some(error);
                }
            },
            ShiftEvent::Halfway(live) => {
                state.live.failure = None;
                state.live.last = Some(*live);
            }
            ShiftEvent::Filled(told) => self.shift_filled(*told),
            ShiftEvent::Full(outcome) => self.shift_full(outcome),
            ShiftEvent::Listed(Ok((studies, edit_sets))) => {
                state.studies = studies;
                self.state.steer.sets = edit_sets;
            }
            ShiftEvent::Listed(Err(error)) => self.failed(error),
            ShiftEvent::Saved(version, change, outcome) => {
                self.shift_saved(version, change, outcome);
            }
            ShiftEvent::Opened(outcome) => self.shift_opened(*outcome),
            ShiftEvent::Kept(outcome) => self.shift_kept(outcome),
            ShiftEvent::Taken(version, outcome) => self.shift_taken(version, outcome),
            ShiftEvent::Columns(Err(error)) => state.failure = Some(error),
        }
    }

    fn shift_trained(&mut self, trained: crate::work::shift::Trained) {
        self.state.shift.trained = Some(Arc::new(trained));
        // What was found and judged is of the probe before.
        self.shift_forget_circuit();
    }

    /// Another model reads texts otherwise, and no probe is of two models.
    pub(crate) fn shift_forget_model(&mut self) {
        self.shift_forget_circuit();
        let state = &mut self.state.shift;
        state.asked = None;
        state.texts = None;
        state.trained = None;
    }

    fn shift_forget_circuit(&mut self) {
        let state = &mut self.state.shift;
        state.version += 1;
        state.found = None;
        state.judged = Judged::default();
        state.tellings = None;
        state.card = CardState::default();
        state.live = LiveState::default();
        state.results = Results::default();
        state.study = None;
        state.saved = false;
        state.name = String::new();
        state.judged_by = String::new();
        self.jobs.cancel_kind(Kind::ShiftTable, "its circuit is gone");
        self.forms.shift.revealed = false;
        self.forms.shift.chosen = None;
    }

    fn shift_found(&mut self, found: Found) {
        self.shift_forget_circuit();
        let features = found.circuit.nodes.iter().filter(|n| is_feature(n)).count();
        let state = &mut self.state.shift;
        if let Some(trained) = &state.trained {
            let source = trained.texts.spec.source.name();
            state.name = format!("{source}, probe at {}", trained.probe.site);
        }
        state.found = Some(Arc::new(found));
        self.say(NoticeText::Good(format!(
            "The probe leans on {features} features; the study is kept in the workspace"
        )));
        self.shift_save();
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the form in which jobs hand on what they tell")]
fn shift(event: ShiftEvent) -> Option<Event> {
    Some(Event::Shift(event))
}
