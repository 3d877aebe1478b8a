//! What the steering screen asks for, and what comes back.

use crate::app::Sparsescope;
use crate::commands::{Command, SteerCommand};
use crate::events::{Event, SteerEvent};
use crate::forms::SteerRow;
use crate::jobs::Kind;
use crate::state::{NoticeText, Screen, SteerRun, StreamView};
use crate::work;
use crate::work::browse::Wanted;
use crate::work::steer::Needs;
use egui::Context;
use sparsescope_core::corpus::CorpusSpec;
use sparsescope_core::edits::Edit;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Site;
use sparsescope_core::steering::{EditSet, Pool, SteerOutcome, SteerSpec};
use sparsescope_core::workspace::{SaeId, Workspace};
use sparsescope_core::{Result, steering};

fn heard(event: SteerEvent) -> Option<Event> {
    Some(Event::Steer(event))
}

impl Sparsescope {
    pub(super) fn apply_steer(&mut self, ctx: &Context, command: SteerCommand) {
        match command {
            SteerCommand::Add(sae, latent) => self.steer_with(sae, latent),
            SteerCommand::Write => self.write(),
            SteerCommand::Stop => {
                self.jobs.cancel_kind(Kind::Steer, "you stopped it");
            }
            SteerCommand::Look(text) => self.look_for_features(text),
            SteerCommand::Contrast => self.contrast(),
            SteerCommand::LookForTemplate => {
                if let Some(model) = &self.model {
                    let has = model.tokenizer().is_some_and(|t| t.has_chat_template());
                    self.state.steer.chat = Some((model.hash().to_owned(), has));
                }
            }
            SteerCommand::Save => self.save_set(),
            SteerCommand::Load(id) => {
                let workspace = self.state.workspace.clone();
                self.open_set(move || Workspace::open(&workspace)?.edit_set(id));
            }
            SteerCommand::Delete(id) => self.list_sets(move |db| db.delete_edit_set(id)),
            SteerCommand::Edits(text) => self.open_set(move || EditSet::parse("", &text)),
            SteerCommand::WriteOn(text) => {
                self.state.screen = Screen::Steer;
                self.forms.steer.chat = false;
                self.forms.steer.text = text;
                self.write();
            }
            SteerCommand::Browse => self.browse(ctx, Wanted::Edits),
            SteerCommand::Read(path) => {
                self.state.screen = Screen::Steer;
                self.open_set(move || EditSet::read(&path));
            }
            SteerCommand::Export => {
                let ctx = ctx.clone();
                let wake = std::sync::Arc::new(move || ctx.request_repaint());
                work::browse::ask_edits(self.forms.steer.name.clone(), self.sender.clone(), wake);
            }
            SteerCommand::ExportTo(path) => self.export_set(path),
            SteerCommand::List => self.list_sets(|_| Ok(())),
            SteerCommand::Show(sae, latent) => {
                self.state.features.wanted = Some(latent);
                self.ask(Command::OpenSae(sae));
            }
        }
    }

    fn steer_needs(&self) -> Option<Needs> {
        Some(Needs {
            workspace: self.state.workspace.clone(),
            saes: self.saes.clone(),
            model: self.model.clone()?,
        })
    }

    fn steer_with(&mut self, sae: SaeId, latent: u32) {
        let Some(record) = self.state.train.runs.iter().find(|r| r.id == sae) else { return };
        let site = record.site;
        self.state.screen = Screen::Steer;
        let gone = self.forms.steer.add(SteerRow::new(site, sae, latent));
        if gone > 0 {
            self.say(NoticeText::Good(format!(
                "A site has one dictionary: {gone} features of another one at {site} were let go"
            )));
        }
        self.know_features();
    }

    /// Finds out what is not yet known of the features that are changed.
    fn know_features(&mut self) {
        let Some(needs) = self.steer_needs() else { return };
        let known = &self.state.steer.known;
        let rows = self.forms.steer.rows.iter().map(|row| (row.sae, row.latent));
        let wanted: Vec<(SaeId, u32)> = rows.filter(|key| !known.contains_key(key)).collect();
        if wanted.is_empty() {
            return;
        }
        let rows = self.forms.data.rows;
        let corpus = self.forms.data.corpus().unwrap_or(CorpusSpec::Builtin(None));
        self.jobs.start(
            Kind::Maxima,
            "How strong features can be",
            move |ctx| needs.know(ctx, &wanted, &corpus, rows),
            |()| None,
            |outcome| heard(SteerEvent::Known(outcome)),
        );
    }

    /// The edits that the form asks for, as far as what they need is known.
    fn edits_asked(&self) -> Vec<Edit> {
        let known = &self.state.steer.known;
        let rows = self.forms.steer.rows.iter().filter(|row| row.on);
        rows.filter_map(|row| row.edit(known.get(&(row.sae, row.latent)).map(|k| k.max))).collect()
    }

    fn write(&mut self) {
        let (Some(needs), Some(facts)) = (self.steer_needs(), &self.state.model.facts) else {
            return;
        };
        let form = &self.forms.steer;
        let dictionaries = form.dictionaries(&facts.hash, &self.state.train.runs);
        let spec = SteerSpec {
            prompt: form.prompt(),
            tokens: form.tokens,
            sampler: form.sampler.clone(),
            edits: self.edits_asked(),
            splice: form.splice.into_iter().collect(),
        };
        let state = &mut self.state.steer;
        state.failure = None;
        state.asked += 1;
        state.run = Some(SteerRun::new(spec.clone()));
        let asked = state.asked;
        self.jobs.start(
            Kind::Steer,
            "Write",
            move |ctx| needs.write(ctx, &dictionaries, &spec),
            move |news| heard(SteerEvent::News(asked, news)),
            move |outcome| heard(SteerEvent::Wrote(asked, Box::new(outcome))),
        );
    }

    fn look_for_features(&mut self, text: String) {
        let Some(needs) = self.steer_needs() else { return };
        self.jobs.start(
            Kind::Suggest,
            "Look for features",
            move |_: &JobContext| needs.suggest(&text),
            |()| None,
            |outcome| heard(SteerEvent::Suggested(outcome)),
        );
    }

    fn contrast(&mut self) {
        let Some(needs) = self.steer_needs() else { return };
        let form = &self.forms.steer.contrast;
        let Some(site) = form.site else { return };
        let lines = |text: &str| -> Vec<String> {
            text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
        };
        let (toward, away) = (lines(&form.toward), lines(&form.away));
        let pool = if form.last { Pool::Last } else { Pool::Mean };
        self.state.steer.failure = None;
        self.jobs.start(
            Kind::Contrast,
            "Compare two prompts",
            move |ctx| needs.contrast(ctx, site, &toward, &away, pool),
            |()| None,
            |outcome| heard(SteerEvent::Contrasted(outcome)),
        );
    }

    fn list_sets(&mut self, change: impl FnOnce(&Workspace) -> Result<()> + Send + 'static) {
        self.state.steer.listed = true;
        let workspace = self.state.workspace.clone();
        self.jobs.start(
            Kind::Workspace,
            "Read the sets of edits",
            move |_: &JobContext| {
                let db = Workspace::open(&workspace)?;
                change(&db)?;
                db.list_edit_sets()
            },
            |()| None,
            |outcome| heard(SteerEvent::Listed(outcome)),
        );
    }

    /// What it takes to make the set that the form asks for.
    fn set_asked(&self) -> Option<impl FnOnce() -> Result<EditSet> + Send + 'static> {
        let needs = self.steer_needs()?;
        let facts = self.state.model.facts.as_ref()?;
        let form = &self.forms.steer;
        let dictionaries = form.dictionaries(&facts.hash, &self.state.train.runs);
        let (name, edits) = (form.name.trim().to_owned(), self.edits_asked());
        Some(move || needs.set(&name, &dictionaries, edits))
    }

    fn save_set(&mut self) {
        let Some(set) = self.set_asked() else { return };
        let workspace = self.state.workspace.clone();
        self.state.steer.failure = None;
        self.jobs.start(
            Kind::Workspace,
            "Keep a set of edits",
            move |_: &JobContext| {
                let set = set()?;
                let db = Workspace::open(&workspace)?;
                db.save_edit_set(&set)?;
                Ok((set.name, db.list_edit_sets()?))
            },
            |()| None,
            |outcome| heard(SteerEvent::Saved(outcome)),
        );
    }

    fn export_set(&mut self, path: std::path::PathBuf) {
        let Some(set) = self.set_asked() else { return };
        self.jobs.start(
            Kind::Workspace,
            "Write a set of edits",
            move |_: &JobContext| set()?.write(&path).map(|()| path),
            |()| None,
            |outcome| heard(SteerEvent::Exported(outcome)),
        );
    }

    fn open_set(&mut self, read: impl FnOnce() -> Result<EditSet> + Send + 'static) {
        let Some(needs) = self.steer_needs() else { return };
        self.state.steer.failure = None;
        self.jobs.start(
            Kind::Workspace,
            "Open a set of edits",
            move |ctx: &JobContext| {
                let set = read()?;
                let owners = needs.owners(ctx, &set)?;
                Ok((set, owners))
            },
            |()| None,
            |outcome| heard(SteerEvent::Opened(outcome)),
        );
    }

    pub(crate) fn hear_steer(&mut self, event: SteerEvent) {
        let failed = match event {
            SteerEvent::Known(Ok(known)) => {
                for row in &mut self.forms.steer.rows {
                    let of = known.iter().find(|(key, _)| *key == (row.sae, row.latent));
                    of.iter().for_each(|(_, k)| row.know(k.max));
                }
                self.state.steer.known.extend(known);
                None
            }
            SteerEvent::Suggested(Ok(found)) => {
                self.state.steer.suggestions = Some(found);
                None
            }
            SteerEvent::News(asked, news) => {
                self.steer_news(asked, news);
                None
            }
            SteerEvent::Wrote(asked, outcome) => self.wrote(asked, *outcome),
            SteerEvent::Contrasted(Ok(found)) => {
                self.state.steer.contrast = Some(found);
                None
            }
            SteerEvent::Listed(Ok(sets)) => {
                self.state.steer.sets = sets;
                None
            }
            SteerEvent::Saved(Ok((name, sets))) => {
                self.state.steer.sets = sets;
                self.say(NoticeText::Good(format!("The edits “{name}” are kept")));
                None
            }
            SteerEvent::Opened(Ok((set, owners))) => {
                self.set_opened(&set, &owners);
                None
            }
            SteerEvent::Exported(Ok(path)) => {
                self.say(NoticeText::Good(format!("The edits are in {}", path.display())));
                None
            }
            SteerEvent::Known(Err(e))
            | SteerEvent::Suggested(Err(e))
            | SteerEvent::Contrasted(Err(e))
            | SteerEvent::Listed(Err(e))
            | SteerEvent::Saved(Err(e))
            | SteerEvent::Opened(Err(e))
            | SteerEvent::Exported(Err(e)) => Some(e),
        };
        if let Some(error) = failed.filter(|e| !e.is_cancelled()) {
            self.state.steer.failure = Some(error);
        }
    }

    fn steer_news(&mut self, asked: u64, news: steering::SteerEvent) {
        let state = &mut self.state.steer;
        let Some(run) = state.run.as_mut().filter(|_| state.asked == asked) else { return };
        let view = |run: &mut SteerRun, stream| {
            run.streams.iter().position(|s: &StreamView| s.stream == stream)
        };
        match news {
            steering::SteerEvent::Prompt(prompt) => run.prompt = prompt,
            steering::SteerEvent::Written(tokens) => {
                for token in tokens {
                    if let Some(at) = view(run, token.stream) {
                        run.streams[at].written.push(token);
                    }
                }
            }
            steering::SteerEvent::Ended { stream, why } => {
                if let Some(at) = view(run, stream) {
                    run.streams[at].end = Some(why);
                }
            }
        }
    }

    fn wrote(
        &mut self,
        asked: u64,
        outcome: Result<SteerOutcome>,
    ) -> Option<sparsescope_core::Error> {
        let state = &mut self.state.steer;
        let run = state.run.as_mut().filter(|_| state.asked == asked)?;
        run.running = false;
        match outcome {
            Ok(outcome) => {
                run.prompt = outcome.prompt.clone();
                for stream in &outcome.streams {
                    let of = run.streams.iter_mut().find(|view| view.stream == stream.stream);
                    if let Some(view) = of {
                        view.written.clone_from(&stream.written);
                        view.end = Some(stream.end.clone());
                    }
                }
                run.outcome = Some(outcome);
                None
            }
            Err(error) => {
                if run.streams.iter().all(|view| view.written.is_empty()) {
                    state.run = None;
                }
                Some(error)
            }
        }
    }

    fn set_opened(&mut self, set: &EditSet, owners: &[(Site, SaeId)]) {
        let form = &mut self.forms.steer;
        form.rows.clear();
        form.name.clone_from(&set.name);
        for edit in &set.edits {
            if let Some((_, sae)) = owners.iter().find(|(site, _)| *site == edit.site) {
                let mut row = SteerRow::of(edit, *sae);
                if let Some(known) = self.state.steer.known.get(&(*sae, edit.latent)) {
                    row.know(known.max);
                }
                form.rows.push(row);
            }
        }
        self.state.screen = Screen::Steer;
        self.know_features();
    }
}
