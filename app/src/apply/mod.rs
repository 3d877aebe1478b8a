//! The one place that carries out commands.

mod circuit;
mod directions;
mod labels;
mod latent;
mod prompt;
mod shift;
mod steer;

use crate::app::Sparsescope;
use crate::commands::{
    CircuitCommand, Command, GraphCommand, ShiftCommand, SteerCommand, TaskCommand,
};
use crate::drop::{self, Dropped};
use crate::events::Event;
use crate::jobs::Kind;
use crate::state::{RunView, Screen, SweepView, TourState};
use crate::work::sweep::SweepRequest;
use crate::work::train::{InUse, Request};
use crate::work::{self, browse::Wanted};
use egui::Context;
use sparsescope_core::activations::{CaptureSpec, StoreDtype, StreamSpec, capture};
use sparsescope_core::corpus::{CorpusSpec, RowSpec};
use sparsescope_core::features::CollectSpec;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::training::{Requests, TrainConfig};
use sparsescope_core::workspace::{SaeId, SaeRecord};
use std::path::PathBuf;

impl Sparsescope {
    /// Starts what a window starts with: the built-in model, the list of runs, what is to be opened.
    pub(crate) fn begin(&mut self, _ctx: &Context, open: Vec<PathBuf>) {
        self.started = true;
        self.list_runs();
        self.use_builtin();
        for path in open {
            self.ask(Command::Open(path));
        }
    }

    pub(crate) fn apply(&mut self, ctx: &Context, command: Command) {
        match command {
            Command::Go(screen) => self.go(screen),
            Command::Open(path) => self.open(path),
            Command::BrowseModel => self.browse(ctx, Wanted::Model),
            Command::BrowseText => self.browse(ctx, Wanted::Text),
            Command::UseBuiltin => self.use_builtin(),
            Command::Choose(site) => self.state.model.site = Some(site),
            Command::AskNext(text) => self.ask_next(text),
            Command::Preview(corpus, rows) => self.preview(corpus, rows),
            Command::Finding(latent) => self.read_finding(latent),
            Command::Latent(latent) => self.choose_latent(latent),
            Command::SavePicture(rect) => {
                let name = format!("sparsescope-{}.svg", self.state.screen.name().to_lowercase());
                let ctx = ctx.clone();
                let wake = std::sync::Arc::new(move || ctx.request_repaint());
                work::browse::ask_picture(rect, name, self.sender.clone(), wake);
            }
            Command::TakePicture(rect, path) => crate::picture::aim(ctx, rect, path),
            Command::PauseJob(id, paused) => self.jobs.pause(id, paused),
            Command::CancelJob(id) => self.jobs.cancel(id, "you stopped it"),
            Command::Dismiss(id) => self.state.notices.retain(|n| n.id != id),
            Command::DismissFailure(screen) => match screen {
                Screen::Home => self.state.tour.failure = None,
                Screen::Model => self.state.model.failure = None,
                Screen::Data => self.state.data.failure = None,
                Screen::Train => self.state.train.failure = None,
                Screen::Pareto => self.state.train.unlisted = None,
                Screen::Features => self.state.features.failure = None,
                Screen::Prompt => self.state.prompt.failure = None,
                Screen::Directions => self.state.directions.failure = None,
                Screen::Labels => self.state.labels.failure = None,
                Screen::Circuit => self.state.circuit.failure = None,
                Screen::Shift => self.state.shift.failure = None,
                Screen::Steer => self.state.steer.failure = None,
            },
            Command::Theme(theme) => ctx.set_theme(theme),
            Command::ShowRun(id) => self.show_run(id),
            Command::OpenSae(id) => self.open_sae(id),
            Command::Train { corpus, rows, config } => self.train(corpus, rows, *config),
            Command::Sweep(request) => self.sweep(*request),
            Command::SetUpSweep => {
                self.forms.train.sweep = true;
                self.go(Screen::Train);
            }
            Command::Resample => self.requests.resample(),
            Command::SetK(k) => self.forms.train.k = k.max(1),
            Command::TrainShort(tokens) => {
                self.forms.train.follow_preset();
                let mut config = self.forms.train.config.clone();
                config.tokens = tokens;
                config.evaluate_every = tokens.div_ceil(4);
                if let Some(corpus) = self.forms.data.corpus() {
                    self.train(corpus, self.forms.data.rows, config);
                }
            }
            Command::GoOn(id) => self.go_on(id),
            Command::Evaluate(id) => self.evaluate(id),
            Command::Collect { corpus, rows, tokens } => self.collect(corpus, rows, tokens),
            Command::Capture { corpus, rows, tokens, to } => self.capture(corpus, rows, tokens, to),
            Command::OfLatent(command) => self.apply_latent(ctx, command),
            Command::Prompt(command) => self.apply_prompt(command),
            Command::Directions(command) => self.apply_directions(command),
            Command::Labels(command) => self.apply_labels(ctx, command),
            Command::Circuit(command) => self.apply_circuit(ctx, command),
            Command::Shift(command) => self.apply_shift(ctx, command),
            Command::Steer(command) => self.apply_steer(ctx, command),
            Command::Tour => self.tour(),
        }
    }

    /// Saves a picture that was taken.
    pub(crate) fn save_picture(&mut self, taken: crate::picture::Taken, path: PathBuf) {
        self.jobs.start::<_, ()>(
            Kind::Picture,
            "Save a picture",
            move |_| crate::picture::save(&taken, &path).map(|()| path),
            |()| None,
            |outcome| Some(Event::Pictured(outcome)),
        );
    }

    fn go(&mut self, screen: Screen) {
        self.state.screen = screen;
        if screen == Screen::Data && self.state.data.preview.is_none() {
            self.preview_again();
        }
        if screen == Screen::Circuit && self.started {
            // Labels may have been written meanwhile.
            self.state.circuit.graph.known_with = None;
        }
        let edits = matches!(screen, Screen::Steer | Screen::Circuit | Screen::Shift);
        if edits && self.started && !self.state.steer.listed {
            self.ask(Command::Steer(SteerCommand::List));
        }
        if screen == Screen::Circuit && self.started && !self.state.circuit.task.listed {
            self.list_circuits(|_| Ok(()));
        }
    }

    pub(super) fn browse(&self, ctx: &Context, wanted: Wanted) {
        let ctx = ctx.clone();
        let wake = std::sync::Arc::new(move || ctx.request_repaint());
        work::browse::ask(wanted, self.sender.clone(), wake);
    }

    /// What a path is, is found out on a thread: it may lie on a disk that sleeps.
    fn open(&mut self, path: PathBuf) {
        let looked_at = path.clone();
        self.jobs.start(
            Kind::Workspace,
            "Look at what was dropped",
            move |_| Ok(drop::kind(&looked_at)),
            |()| None,
            move |kind| Some(Event::Dropped(path, kind)),
        );
    }

    pub(crate) fn opened(&mut self, path: PathBuf, kind: Dropped) {
        match kind {
            Dropped::LabelledTexts => self.ask(Command::Shift(ShiftCommand::Texts(path))),
            // On the screen that is about such tables, a table of any columns is one.
            Dropped::Text if self.state.screen == Screen::Shift && is_table(&path) => {
                self.ask(Command::Shift(ShiftCommand::Texts(path)));
            }
            Dropped::Text => {
                self.forms.data.from_file = true;
                self.forms.data.path = path.display().to_string();
                self.state.screen = Screen::Data;
                self.preview_again();
            }
            Dropped::Model => self.open_model(path),
            Dropped::Sae => self.import(path),
            Dropped::Edits => self.ask(Command::Steer(SteerCommand::Read(path))),
            Dropped::Task => self.ask_circuit(CircuitCommand::Task(TaskCommand::Read(path))),
            Dropped::Circuit => {
                self.ask_circuit(CircuitCommand::Graph(GraphCommand::OpenFileAt(path)));
            }
        }
    }

    fn ask_circuit(&mut self, command: CircuitCommand) {
        self.state.screen = Screen::Circuit;
        self.ask(Command::Circuit(command));
    }

    fn open_model(&mut self, path: PathBuf) {
        let name = work::model::name_of(&path);
        self.state.screen = Screen::Model;
        self.state.model.loading = Some(name.clone());
        self.state.model.failure = None;
        self.forms.model.path = path.display().to_string();
        let (device, workspace) = (self.device.clone(), self.state.workspace.clone());
        self.jobs.start(
            Kind::Load,
            format!("Open {name}"),
            move |ctx| work::model::open(ctx, &path, &device, &workspace),
            |()| None,
            |outcome| Some(Event::Model(outcome)),
        );
    }

    fn use_builtin(&mut self) {
        self.state.model.loading = Some("the built-in world".to_owned());
        self.state.model.failure = None;
        let device = self.device.clone();
        self.jobs.start(
            Kind::Load,
            "Open the built-in world",
            move |_: &JobContext| {
                let model = work::model::builtin(&device)?;
                let facts = work::model::facts(&model, None)?;
                Ok((model, facts))
            },
            |()| None,
            |outcome| Some(Event::Model(outcome)),
        );
    }

    pub(crate) fn ask_next(&mut self, text: String) {
        let next = &mut self.state.model.next;
        next.asked.clone_from(&text);
        next.failure = None;
        let Some(model) = self.model.clone() else { return };
        if text.is_empty() {
            next.answer = None;
            next.pending = false;
            self.jobs.cancel_kind(Kind::Next, "the text is empty");
            return;
        }
        next.pending = true;
        self.jobs.start(
            Kind::Next,
            "Next tokens",
            move |_| work::model::next(&model, &text),
            |()| None,
            |outcome| Some(Event::Next(outcome)),
        );
    }

    /// Reads the first rows of what the form names.
    pub(crate) fn preview_again(&mut self) {
        if let Some(corpus) = self.forms.data.corpus() {
            self.preview(corpus, self.forms.data.rows);
        }
    }

    fn preview(&mut self, corpus: CorpusSpec, rows: RowSpec) {
        let Some(model) = self.model.clone() else { return };
        self.state.data.pending = true;
        self.jobs.start(
            Kind::Preview,
            "Read the first rows",
            move |ctx| work::data::preview(ctx, &model, &corpus, rows),
            |()| None,
            |outcome| Some(Event::Preview(outcome)),
        );
    }

    pub(crate) fn list_runs(&mut self) {
        let workspace = self.state.workspace.clone();
        self.jobs.start(
            Kind::Workspace,
            "List the runs",
            move |_| work::runs::list(&workspace),
            |()| None,
            |outcome| Some(Event::Runs(outcome)),
        );
    }

    fn show_run(&mut self, id: i64) {
        let swept = self.state.train.sweep.as_ref();
        let line = swept.and_then(|s| s.lines.iter().find(|line| line.record.id == id));
        if let Some(line) = line.filter(|_| self.state.train.job.is_some()) {
            let mut run = Self::run_view(&line.record);
            run.curves = line.curves.clone();
            self.state.train.run = Some(run);
            return;
        }
        if self.state.train.job.is_some() {
            return;
        }
        self.state.screen = Screen::Train;
        let workspace = self.state.workspace.clone();
        self.jobs.start(
            Kind::Workspace,
            "Read a run's curves",
            move |_| work::runs::history(&workspace, id),
            |()| None,
            |outcome| Some(Event::History(outcome)),
        );
    }

    pub(crate) fn open_sae(&mut self, id: i64) {
        self.state.screen = Screen::Features;
        self.state.features.pending = true;
        self.state.features.failure = None;
        let workspace = self.state.workspace.clone();
        self.jobs.start(
            Kind::Workspace,
            "Open an SAE",
            move |_| work::runs::features(&workspace, id),
            |()| None,
            |outcome| Some(Event::Features(outcome)),
        );
    }

    /// Chooses a latent of the SAE that is open, and has what was kept of it read.
    pub(crate) fn choose_latent(&mut self, latent: Option<u32>) {
        self.forms.features.reveal = true;
        let features = &mut self.state.features;
        features.latent = latent;
        if features.detail.as_ref().map(|d| d.latent) == latent {
            return;
        }
        features.detail = None;
        let (Some(sae), Some(table), Some(latent)) = (&features.sae, &features.table, latent)
        else {
            return;
        };
        let Some(place) = table.latents.iter().position(|l| l.index == latent) else { return };
        let (id, path) = (sae.id, sae.features_path());
        self.jobs.start(
            Kind::Detail,
            format!("Read latent {latent}"),
            move |_| work::features::detail(&path, place),
            |()| None,
            move |outcome| Some(Event::Detail(id, outcome)),
        );
    }

    fn in_use(&self) -> Option<InUse> {
        let path = self.state.model.facts.as_ref().and_then(|f| f.path.clone());
        let model = self.model.clone()?;
        Some(InUse { model, path, device: self.device.clone() })
    }

    fn train(&mut self, corpus: CorpusSpec, rows: RowSpec, config: TrainConfig) {
        let (Some(used), Some(site)) = (self.in_use(), self.state.model.site) else { return };
        if self.state.train.job.is_some() {
            return;
        }
        let train = &mut self.state.train;
        train.failure = None;
        train.sweep = None;
        self.requests = Requests::default();
        let requests = self.requests.clone();
        let title = format!("{} on {site}", config.architecture.name());
        train.run = Some(RunView {
            title: title.clone(),
            config: Some(config.clone()),
            ..RunView::default()
        });
        let request = Request { model: used.path.clone(), corpus, rows };
        let workspace = self.state.workspace.clone();
        let id = self.jobs.start(
            Kind::Train,
            format!("Train {title}"),
            move |ctx| {
                work::train::begin(ctx, &workspace, &used, site, &request, &config, &requests)
            },
            |news| Some(Event::Run(news)),
            |outcome| Some(Event::Trained(outcome)),
        );
        self.state.train.job = Some(id);
    }

    fn sweep(&mut self, request: SweepRequest) {
        let Some(used) = self.in_use() else { return };
        if self.state.train.job.is_some() {
            return;
        }
        let train = &mut self.state.train;
        train.failure = None;
        train.run = None;
        train.sweep = Some(SweepView { planning: true, ..SweepView::default() });
        let workspace = self.state.workspace.clone();
        let id = self.jobs.start(
            Kind::Train,
            format!("Sweep of {} dictionaries", request.spec.count()),
            move |ctx| work::sweep::begin(ctx, &workspace, &used, &request),
            |news| Some(Event::Sweep(news)),
            |outcome| Some(Event::Swept(outcome)),
        );
        self.state.train.job = Some(id);
    }

    fn import(&mut self, path: PathBuf) {
        let workspace = self.state.workspace.clone();
        let (used, site) = (self.in_use(), self.state.model.site);
        self.jobs.start(
            Kind::Workspace,
            "Bring in a dictionary",
            move |_: &JobContext| work::runs::import(&workspace, &path, used.as_ref(), site),
            |()| None,
            |outcome| Some(Event::Imported(outcome)),
        );
    }

    fn go_on(&mut self, id: SaeId) {
        if self.state.train.job.is_some() {
            return;
        }
        self.state.screen = Screen::Train;
        self.state.train.failure = None;
        self.state.train.sweep = None;
        self.requests = Requests::default();
        let requests = self.requests.clone();
        let (used, workspace) = (self.in_use(), self.state.workspace.clone());
        let job = self.jobs.start(
            Kind::Train,
            format!("Go on with run {id}"),
            move |ctx| work::train::go_on(ctx, &workspace, used.as_ref(), id, &requests),
            |news| Some(Event::Run(news)),
            |outcome| Some(Event::Trained(outcome)),
        );
        self.state.train.job = Some(job);
    }

    fn collect(&mut self, corpus: CorpusSpec, rows: RowSpec, tokens: u64) {
        let Some(id) = self.state.features.sae.as_ref().map(|s| s.id) else { return };
        let Some(used) = self.in_use() else { return };
        self.state.features.failure = None;
        let workspace = self.state.workspace.clone();
        let spec = CollectSpec { tokens, ..CollectSpec::new(corpus, rows) };
        self.jobs.start(
            Kind::Collect,
            "Collect features",
            move |ctx| work::features::collect_again(ctx, &workspace, id, &used.model, &spec),
            |()| None,
            |outcome| Some(Event::Features(outcome)),
        );
    }

    fn evaluate(&mut self, id: SaeId) {
        let (Some(used), Some(corpus)) = (self.in_use(), self.forms.data.corpus()) else { return };
        let (workspace, rows) = (self.state.workspace.clone(), self.forms.data.rows);
        self.jobs.start(
            Kind::Evaluate,
            format!("Evaluate SAE {id}"),
            move |ctx| work::runs::evaluate_again(ctx, &workspace, id, &used.model, &corpus, rows),
            |()| None,
            |outcome| Some(Event::Evaluated(outcome)),
        );
    }

    pub(crate) fn run_view(record: &SaeRecord) -> RunView {
        RunView {
            id: Some(record.id),
            title: format!("{} on {}", record.architecture, record.site),
            config: record.config.clone(),
            evaluation: record.evaluation.clone(),
            ..RunView::default()
        }
    }
}

impl Sparsescope {
    fn capture(&mut self, corpus: CorpusSpec, rows: RowSpec, tokens: u64, to: PathBuf) {
        let (Some(used), Some(site)) = (self.in_use(), self.state.model.site) else { return };
        let width = used.model.config().width;
        let spec = CaptureSpec {
            stream: StreamSpec::new(site, corpus, rows, width),
            rows: Some(tokens),
            dtype: StoreDtype::F32,
            chunk: None,
            out: to,
        };
        self.jobs.start(
            Kind::Capture,
            format!("Capture {site}"),
            move |ctx| capture(ctx, &used.model, &spec),
            |()| None,
            |outcome| Some(Event::Captured(outcome)),
        );
    }

    fn read_finding(&mut self, latent: u32) {
        let open = self.state.features.sae.as_ref().map(|s| s.id);
        if open.is_some() && open == self.state.tour.sae {
            self.state.screen = Screen::Features;
            self.choose_latent(Some(latent));
            self.forms.features.reveal = true;
        } else if let Some(id) = self.state.tour.sae {
            self.state.features.wanted = Some(latent);
            self.open_sae(id);
        }
    }

    fn tour(&mut self) {
        if self.state.tour.running || self.state.train.job.is_some() {
            return;
        }
        let device = self.device.clone();
        self.state.screen = Screen::Home;
        self.state.tour = TourState { running: true, ..TourState::default() };
        let workspace = self.state.workspace.clone();
        self.jobs.start(
            Kind::Tour,
            "The tour",
            move |ctx| work::tour::run(ctx, &workspace, &device),
            |news| Some(Event::Tour(news)),
            |outcome| Some(Event::Toured(Box::new(outcome))),
        );
    }
}

/// Whether a file's name says that it is a table of texts.
fn is_table(path: &std::path::Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    matches!(extension.as_str(), "csv" | "tsv" | "jsonl" | "ndjson")
}
