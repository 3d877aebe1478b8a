//! What the SHIFT screen asks for of its table and of studies, and what comes back.

use super::shift;
use crate::app::Sparsescope;
use crate::commands::ShiftFile;
use crate::events::ShiftEvent;
use crate::forms::ShiftStep;
use crate::jobs::Kind;
use crate::state::{Judged, NoticeText, Results, Screen};
use crate::work::browse;
use crate::work::shift::{self as work, Filled, Opened, Parts};
use egui::Context;
use sparsescope_core::Result;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::shift::Judgements;
use sparsescope_core::workspace::{StudyId, Workspace};
use std::path::PathBuf;
use std::sync::Arc;

impl Sparsescope {
    pub(super) fn shift_fill(&mut self) {
        let Some(needs) = self.shift_needs() else { return };
        let state = &mut self.state.shift;
        let judgements = state.judged.now.clone();
        // Rows that do not depend on the trim stay to be read until they are there anew.
        state.results = Results {
            filling: true,
            of: judgements.trimmed(),
            rows: state.table().rows,
            ..Results::default()
        };
        let spec = needs.found.spec.clone();
        self.jobs.start(
            Kind::ShiftTable,
            "Fill the table",
            move |ctx: &JobContext<Filled>| needs.fill(ctx, &judgements, &spec),
            |told| shift(ShiftEvent::Filled(Box::new(told))),
            |outcome| shift(ShiftEvent::Full(outcome)),
        );
    }

    pub(super) fn shift_filled(&mut self, told: Filled) {
        let results = &mut self.state.shift.results;
        match told {
            Filled::Row(row) => {
                results.rows.retain(|known| known.kind != row.kind);
                results.rows.push(row);
                results.rows.sort_by_key(|row| row.kind);
            }
            Filled::Pronouns(report) => results.pronouns = Some(report),
        }
        self.shift_save();
    }

    pub(super) fn shift_full(&mut self, outcome: Result<()>) {
        // A new filling took the place of one that was stopped.
        if self.jobs.is_running(Kind::ShiftTable) {
            return;
        }
        let results = &mut self.state.shift.results;
        results.filling = false;
        results.failure = outcome.err().filter(|error| !error.is_cancelled());
        self.shift_save();
    }

    /// What the open study is made of; `None` before its circuit is found.
    fn shift_parts(&self) -> Option<Parts> {
        let state = &self.state.shift;
        Some(Parts {
            name: state.name.clone(),
            trained: state.trained.clone()?,
            found: state.found.clone()?,
            judgements: state.judged.now.clone(),
            judged_by: state.judged_by.clone(),
            tellings: state.tellings.clone(),
            table: state.table(),
            pronouns: state
                .results
                .pronouns
                .clone()
                .filter(|_| state.results.of == state.judged.now.trimmed()),
        })
    }

    /// Keeps the open study as it is now.
    pub(super) fn shift_save(&mut self) {
        let Some(parts) = self.shift_parts() else { return };
        let state = &mut self.state.shift;
        state.changes += 1;
        state.saved = false;
        let (version, change, id) = (state.version, state.changes, state.study);
        let (workspace, saver) = (self.state.workspace.clone(), self.saver.clone());
        self.jobs.start::<_, ()>(
            Kind::Workspace,
            "Keep the study",
            move |_| saver.save(&workspace, version, id, change, &parts),
            |()| None,
            move |outcome| shift(ShiftEvent::Saved(version, change, outcome)),
        );
    }

    pub(super) fn shift_saved(&mut self, version: u64, change: u64, outcome: Result<StudyId>) {
        match outcome {
            Ok(id) => {
                let state = &mut self.state.shift;
                if version != state.version {
                    return;
                }
                let new = state.study != Some(id);
                state.study = Some(id);
                // News of an older change may come after that of the last one.
                state.saved |= change == state.changes;
                if new || state.saved {
                    self.shift_list(|_| Ok(()));
                }
            }
            Err(error) => self.failed(error),
        }
    }

    /// Changes something in the workspace, and reads what it has then.
    pub(super) fn shift_list(
        &mut self,
        change: impl FnOnce(&Workspace) -> Result<()> + Send + 'static,
    ) {
        self.state.shift.listed = true;
        let workspace = self.state.workspace.clone();
        self.jobs.start::<_, ()>(
            Kind::Workspace,
            "Read the studies",
            move |_| {
                let db = Workspace::open(&workspace)?;
                change(&db)?;
                Ok((db.list_studies()?, db.list_edit_sets()?))
            },
            |()| None,
            |outcome| shift(ShiftEvent::Listed(outcome)),
        );
    }

    pub(super) fn shift_ask_file(&self, ctx: &Context, file: ShiftFile) {
        let ctx = ctx.clone();
        let wake = Arc::new(move || ctx.request_repaint());
        browse::ask_shift(file, self.sender.clone(), wake);
    }

    pub(super) fn shift_file(&mut self, file: ShiftFile, path: PathBuf) {
        let Some(parts) = self.shift_parts() else { return };
        let version = self.state.shift.version;
        if file.is_read() {
            self.jobs.start::<_, ()>(
                Kind::Workspace,
                "Read judgements",
                move |_| work::read_judgements(&parts, file, &path),
                |()| None,
                move |outcome| shift(ShiftEvent::Taken(version, outcome)),
            );
            return;
        }
        self.jobs.start::<_, ()>(
            Kind::Workspace,
            "Write a file of the study",
            move |_| {
                work::write(&parts, file, &path)?;
                Ok(format!("{} is saved", path.display()))
            },
            |()| None,
            |outcome| shift(ShiftEvent::Kept(outcome)),
        );
    }

    pub(super) fn shift_keep_edits(&mut self, name: String) {
        let Some(parts) = self.shift_parts() else { return };
        let workspace = self.state.workspace.clone();
        self.jobs.start::<_, ()>(
            Kind::Workspace,
            "Keep the trim",
            move |_| {
                let set = work::edit_set(&parts, &name);
                Workspace::open(&workspace)?.save_edit_set(&set)?;
                Ok(format!("The trim is kept as the edits {name:?}"))
            },
            |()| None,
            |outcome| shift(ShiftEvent::Kept(outcome)),
        );
    }

    pub(super) fn shift_take_edits(&mut self, id: i64) {
        let Some(parts) = self.shift_parts() else { return };
        let version = self.state.shift.version;
        let workspace = self.state.workspace.clone();
        self.jobs.start::<_, ()>(
            Kind::Workspace,
            "Take a set of edits",
            move |_| work::taken(&Workspace::open(&workspace)?.edit_set(id)?, &parts),
            |()| None,
            move |outcome| shift(ShiftEvent::Taken(version, outcome)),
        );
    }

    pub(super) fn shift_taken(&mut self, version: u64, outcome: Result<Judgements>) {
        match outcome {
            Ok(judgements) if version == self.state.shift.version => {
                self.state.shift.judged.change(judgements);
                self.shift_changed();
            }
            Ok(_) => {}
            Err(error) => self.failed(error),
        }
    }

    pub(super) fn shift_open(&mut self, id: StudyId) {
        let Some(model) = self.model.clone() else { return };
        let state = &mut self.state.shift;
        state.failure = None;
        state.opening = Some(id);
        let (workspace, bases) = (self.state.workspace.clone(), self.bases.clone());
        self.jobs.start(
            Kind::ShiftFind,
            "Open a study",
            move |ctx: &JobContext| work::open(ctx, &workspace, &bases, &model, id),
            |()| None,
            |outcome| shift(ShiftEvent::Opened(Box::new(outcome))),
        );
    }

    pub(super) fn shift_opened(&mut self, outcome: Result<Opened>) {
        self.state.shift.opening = None;
        let opened = match outcome {
            Ok(opened) => opened,
            Err(error) => {
                if !error.is_cancelled() {
                    self.state.shift.failure = Some(error);
                }
                return;
            }
        };
        self.shift_forget_circuit();
        let Opened { id, study, trained, found } = opened;
        self.forms.shift.show_texts(&trained.texts.spec);
        self.forms.shift.probe = trained.spec.clone();
        self.forms.shift.circuit = found.spec.clone();
        self.forms.shift.to_judge = found.spec.most;
        self.forms.shift.step = ShiftStep::Judge;
        self.state.screen = Screen::Shift;
        let state = &mut self.state.shift;
        state.asked = Some(trained.texts.spec.clone());
        state.reading = false;
        state.texts = Some(trained.texts.clone());
        state.trained = Some(trained);
        state.found = Some(Arc::new(found));
        state.results = Results {
            of: study.judgements.trimmed(),
            rows: study.table.map(|table| table.rows).unwrap_or_default(),
            pronouns: study.pronouns,
            ..Results::default()
        };
        state.judged = Judged::begin(study.judgements);
        let tellings = study.tellings;
        state.tellings = (!tellings.is_empty())
            .then(|| Arc::new(tellings.into_iter().map(|t| (t.node, t)).collect()));
        state.study = Some(id);
        state.name.clone_from(&study.name);
        state.judged_by = study.judged_by;
        state.saved = true;
    }

    pub(super) fn shift_rename(&mut self, name: String) {
        self.state.shift.name = name;
        self.shift_save();
    }

    pub(super) fn shift_delete(&mut self, id: StudyId) {
        let state = &mut self.state.shift;
        if state.study == Some(id) {
            // What is on screen stays until something else is; the next judgement keeps it anew.
            state.version += 1;
            state.study = None;
            state.saved = false;
            state.live.asked = None;
        }
        self.shift_list(move |db| db.delete_study(id));
    }

    pub(super) fn shift_new(&mut self) {
        self.shift_forget_circuit();
        self.state.shift.trained = None;
        self.forms.shift.step = ShiftStep::Data;
    }

    pub(super) fn shift_kept(&mut self, outcome: Result<String>) {
        match outcome {
            Ok(said) => {
                self.say(NoticeText::Good(said));
                self.shift_list(|_| Ok(()));
            }
            Err(error) => self.failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

    use crate::app::{RunOptions, Sparsescope};
    use egui::Context;

    #[test]
    fn news_of_an_older_change_does_not_take_the_last_one_for_unsaved() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Some(dir.path().to_owned());
        let options = RunOptions { workspace, ..RunOptions::default() };
        let mut app = Sparsescope::new(&Context::default(), options);
        app.state.shift.changes = 5;
        app.shift_saved(0, 5, Ok(1));
        assert!(app.state.shift.saved);
        app.shift_saved(0, 4, Ok(1));
        assert!(app.state.shift.saved);
        // A newer change that is not on disk yet.
        (app.state.shift.changes, app.state.shift.saved) = (6, false);
        app.shift_saved(0, 5, Ok(1));
        assert!(!app.state.shift.saved);
    }
}
