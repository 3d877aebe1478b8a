//! What is asked of labels, and what comes back.

use crate::app::Sparsescope;
use crate::commands::LabelsCommand;
use crate::events::{Event, LabelsEvent};
use crate::jobs::Kind;
use crate::state::{NoticeText, Planned, Screen};
use crate::work::{self, browse::Wanted};
use sparsescope_core::Result;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::labels::{
    Agreed, KeySource, LabelNews, LabelRequest, LabelRunId, LabelRunStatus, Labelled, keep_key,
    set_price,
};
use sparsescope_core::workspace::Workspace;
use std::path::PathBuf;
use std::sync::Arc;

fn heard(event: LabelsEvent) -> Option<Event> {
    Some(Event::Labels(event))
}

impl Sparsescope {
    pub(super) fn apply_labels(&mut self, ctx: &egui::Context, command: LabelsCommand) {
        let workspace = self.state.workspace.clone();
        match command {
            LabelsCommand::Set { sae, latent, text } => {
                self.save("Save a label", move |_| {
                    work::labels::set(&workspace, sae, latent, &text).map(|()| None)
                });
            }
            LabelsCommand::Undo { sae, latent } => {
                self.save("Take a label back", move |_| {
                    work::labels::undo(&workspace, sae, latent).map(|()| None)
                });
            }
            LabelsCommand::Search(text) => self.search_labels(text),
            LabelsCommand::Type(text) => {
                self.forms.features.filter.clone_from(&text);
                self.search_labels(text);
            }
            LabelsCommand::Show(latent) => {
                self.state.screen = Screen::Features;
                self.choose_latent(Some(latent));
            }
            LabelsCommand::Plan(request) => self.plan_labels(*request),
            LabelsCommand::Forget => self.state.labels.planned = None,
            LabelsCommand::Start(agreed) => self.start_labels(agreed),
            LabelsCommand::GoOn(id) => self.go_on_labels(id),
            LabelsCommand::CallBack(id) => self.save("Call a batch back", move |ctx| {
                let ctx = ctx.without_events();
                let n = work::labels::call_back(&ctx, &workspace, id)?;
                Ok(Some(format!(
                    "{n} batches were called back; retrieve what they had answered by then"
                )))
            }),
            LabelsCommand::Price(model, price) => self.save("Keep a price", move |_| {
                set_price(&Workspace::open(&workspace)?, &model, price).map(|()| None)
            }),
            LabelsCommand::Browse => self.browse(ctx, Wanted::Labels),
            LabelsCommand::Import(file) => self.import_labels(file),
            LabelsCommand::FindKey(name) => self.find_key(name),
            LabelsCommand::KeepKey(name, key) => {
                let found = name.clone();
                self.save("Keep a key", move |_| {
                    keep_key(&name, &key)?;
                    Ok(Some(format!("The key {name} is kept in the keyring")))
                });
                self.state.labels.key = None;
                self.find_key(found);
            }
        }
    }

    /// Something small that is written, after which labels and runs are read anew.
    fn save(
        &mut self,
        name: &str,
        job: impl FnOnce(&JobContext) -> Result<Option<String>> + Send + 'static,
    ) {
        self.state.labels.failure = None;
        self.jobs.start(
            Kind::Workspace,
            name,
            job,
            |()| None,
            |outcome| heard(LabelsEvent::Saved(outcome)),
        );
    }

    /// Reads the labels of the SAE that is open.
    pub(crate) fn read_labels(&mut self) {
        let Some(sae) = self.state.features.sae.as_ref().map(|s| s.id) else { return };
        let workspace = self.state.workspace.clone();
        self.jobs.start(
            Kind::Workspace,
            "Read labels",
            move |_: &JobContext| work::labels::read(&workspace, sae),
            |()| None,
            move |outcome| heard(LabelsEvent::Read(sae, outcome)),
        );
    }

    /// What an SAE that was opened needs: its labels, and its contexts made searchable.
    pub(crate) fn labels_of_opened(&mut self) {
        let Some(sae) = self.state.features.sae.as_ref().map(|s| s.id) else { return };
        if self.state.labels.of != Some(sae) {
            self.state.features.labels.clear();
            let labels = &mut self.state.labels;
            labels.runs.clear();
            labels.planned = None;
            labels.search.found = None;
            labels.of = Some(sae);
            labels.version += 1;
        }
        self.read_labels();
        if self.state.features.table.is_none() {
            return;
        }
        self.state.labels.search.indexing = true;
        let workspace = self.state.workspace.clone();
        self.jobs.start(
            Kind::Index,
            "Index contexts",
            move |ctx: &JobContext| work::labels::index(ctx, &workspace, sae),
            |()| None,
            move |outcome| heard(LabelsEvent::Indexed(sae, outcome)),
        );
        // The same words, in the other dictionary.
        let asked = self.state.labels.search.asked.clone();
        self.search_labels(asked);
    }

    fn search_labels(&mut self, text: String) {
        let search = &mut self.state.labels.search;
        search.failure = None;
        search.asked.clone_from(&text);
        let Some(sae) = self.state.features.sae.as_ref().map(|s| s.id) else { return };
        if text.trim().is_empty() {
            search.found = None;
            search.pending = false;
            self.jobs.cancel_kind(Kind::Search, "the text is empty");
            return;
        }
        search.pending = true;
        let workspace = self.state.workspace.clone();
        let asked = text.clone();
        self.jobs.start(
            Kind::Search,
            "Search",
            move |_: &JobContext| work::labels::search(&workspace, Some(sae), &text),
            |()| None,
            move |outcome| heard(LabelsEvent::Found(asked, outcome)),
        );
    }

    fn plan_labels(&mut self, request: LabelRequest) {
        let Some(model) = self.model.clone() else { return };
        let labels = &mut self.state.labels;
        labels.failure = None;
        labels.planned = None;
        labels.planning = true;
        let workspace = self.state.workspace.clone();
        self.jobs.start(
            Kind::Plan,
            "Work out what labelling costs",
            move |ctx| work::labels::plan(ctx, &workspace, &model, &request).map(Arc::new),
            |()| None,
            |outcome| heard(LabelsEvent::Planned(outcome)),
        );
    }

    fn start_labels(&mut self, agreed: Agreed) {
        let labels = &mut self.state.labels;
        if labels.running.is_some() || self.jobs.is_running(Kind::Label) {
            return;
        }
        let Some(prepared) = labels.planned.take().and_then(|p| p.prepared) else { return };
        labels.failure = None;
        let workspace = self.state.workspace.clone();
        let name = format!("Label {} latents", prepared.estimate().latents);
        self.label_job(name, move |ctx| work::labels::begin(ctx, &workspace, &prepared, agreed));
    }

    fn go_on_labels(&mut self, id: LabelRunId) {
        if self.jobs.is_running(Kind::Label) {
            return;
        }
        self.state.labels.failure = None;
        self.state.labels.running = Some(id);
        let workspace = self.state.workspace.clone();
        self.label_job(format!("Labelling {id}"), move |ctx| {
            work::labels::go_on(ctx, &workspace, id)
        });
    }

    fn label_job(
        &mut self,
        name: String,
        job: impl FnOnce(&JobContext<LabelNews>) -> Result<Labelled> + Send + 'static,
    ) {
        self.jobs.start(
            Kind::Label,
            name,
            job,
            |news| heard(LabelsEvent::News(news)),
            |outcome| heard(LabelsEvent::Ended(Box::new(outcome))),
        );
    }

    fn import_labels(&mut self, file: PathBuf) {
        let Some(sae) = self.state.features.sae.as_ref().map(|s| s.id) else { return };
        let workspace = self.state.workspace.clone();
        self.save("Take labels from a file", move |_| {
            let n = work::exchange::take_in(&workspace, sae, &file)?.labels.len();
            Ok(Some(match n {
                1 => "1 label was taken from the file".to_owned(),
                n => format!("{n} labels were taken from the file"),
            }))
        });
    }

    fn find_key(&mut self, name: String) {
        let asked = name.clone();
        self.jobs.start(
            Kind::Key,
            "Look for a key",
            move |_: &JobContext| KeySource::Named(name).found(),
            |()| None,
            move |outcome| heard(LabelsEvent::Key(asked, outcome)),
        );
    }

    pub(crate) fn hear_labels(&mut self, event: LabelsEvent) {
        let open = self.state.features.sae.as_ref().map(|s| s.id);
        let labels = &mut self.state.labels;
        match event {
            LabelsEvent::Read(sae, outcome) if open == Some(sae) => match outcome {
                Ok((shown, runs)) => {
                    self.state.features.labels = shown;
                    // What a run under way tells is newer than what was read.
                    let live = labels
                        .running
                        .and_then(|id| labels.runs.iter().find(|r| r.id == id).cloned());
                    labels.runs = runs;
                    if let Some(live) = live
                        && let Some(run) = labels.runs.iter_mut().find(|r| r.id == live.id)
                    {
                        *run = live;
                    }
                    labels.of = Some(sae);
                    labels.version += 1;
                    if labels.search.found.is_some() {
                        let asked = labels.search.asked.clone();
                        self.search_labels(asked);
                    }
                }
                Err(error) => labels.failure = Some(error),
            },
            LabelsEvent::Read(..) => {}
            LabelsEvent::Found(asked, outcome) if asked == labels.search.asked => match outcome {
                Ok(found) => {
                    labels.search.found = Some(found);
                    labels.search.pending = false;
                }
                Err(error) if error.is_cancelled() => {}
                Err(error) => {
                    labels.search.failure = Some(error);
                    labels.search.pending = false;
                }
            },
            LabelsEvent::Found(..) => {}
            LabelsEvent::Indexed(sae, outcome) if open == Some(sae) => {
                labels.search.indexing = false;
                match outcome {
                    Ok(()) => {
                        let asked = labels.search.asked.clone();
                        self.search_labels(asked);
                    }
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => labels.search.failure = Some(error),
                }
            }
            LabelsEvent::Indexed(..) => {}
            LabelsEvent::Planned(outcome) => {
                labels.planning = false;
                match outcome {
                    Ok(prepared) => {
                        labels.planned = Some(Planned {
                            endpoint: prepared.request().endpoint.clone(),
                            estimate: prepared.estimate().clone(),
                            sample: prepared.sample().unwrap_or_default(),
                            prepared: Some(prepared),
                        });
                    }
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => labels.failure = Some(error),
                }
            }
            LabelsEvent::News(LabelNews::View(view)) => self.label_news(*view),
            LabelsEvent::Ended(outcome) => self.labelled(*outcome),
            LabelsEvent::Saved(Ok(said)) => {
                if let Some(said) = said {
                    self.say(NoticeText::Good(said));
                }
                self.read_labels();
            }
            LabelsEvent::Saved(Err(error)) => self.say(NoticeText::Failed(error)),
            LabelsEvent::Key(name, outcome) => labels.key = Some((name, outcome)),
        }
    }

    fn label_news(&mut self, view: sparsescope_core::labels::RunView) {
        let labels = &mut self.state.labels;
        labels.running = Some(view.id);
        match labels.runs.iter_mut().find(|r| r.id == view.id) {
            Some(run) => *run = view,
            None if labels.of == Some(view.sae) => labels.runs.insert(0, view),
            None => {}
        }
    }

    fn labelled(&mut self, outcome: Result<Labelled>) {
        self.state.labels.running = None;
        match outcome {
            Ok(done) => {
                let (n, status) = (done.view.latents.len(), done.view.status);
                self.state.labels.notes = done.notes;
                self.say(NoticeText::Good(match status {
                    LabelRunStatus::Waiting => {
                        "A batch is with the server: close the program if you like, and retrieve \
                         it later"
                            .to_owned()
                    }
                    LabelRunStatus::Stopped => {
                        "The run has ended; some requests came to nothing".to_owned()
                    }
                    _ => format!("{n} latents were labelled"),
                }));
            }
            Err(error) if error.is_cancelled() => {}
            Err(error) => self.state.labels.failure = Some(error),
        }
        self.read_labels();
    }
}
