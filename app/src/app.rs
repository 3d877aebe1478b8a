//! The window: holds the state, drains events, draws the frame, applies commands.

use crate::commands::Command;
use crate::context::Cx;
use crate::forms::Forms;
use crate::jobs::{Jobs, Kind};
use crate::panels::{
    circuit, data, directions, features, home, inspector, labels, model, pareto, prompt, rail,
    shift, steer, train,
};
use crate::picture;
use crate::script::{Script, Step};
use crate::state::{Notice, NoticeText, Screen, State};
use crate::theme::{self, palette};
use crate::widgets::icon::{self, Icon};
use crate::widgets::{job_bar::job_bar, notice::notices};
use crate::work::circuit::OpenBases;
use crate::work::saes::OpenSaes;
use crate::work::shift::{OpenMeasurer, Saver};
use crate::work::verdict::OpenJudge;
use crossbeam_channel::{Receiver, Sender, unbounded};
use egui::{
    Align2, CentralPanel, Context, Frame, Id, Key, KeyboardShortcut, Margin, Modifiers, Order,
    Panel, Rect, ScrollArea, Sense, Stroke, Ui, Vec2, vec2,
};
use sparsescope_core::llama::Model;
use sparsescope_core::training::Requests;
use sparsescope_core::{Error, ErrorKind, Result, device};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How the window is started.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// The workspace's folder; `None` for the user's data folder.
    pub workspace: Option<PathBuf>,
    /// Open these as if they had been dropped on the window.
    pub open: Vec<PathBuf>,
    /// The device to compute on; empty for the processor.
    pub device: String,
    /// Steps to go through by itself: for tests of the real window.
    pub script: Vec<Step>,
    /// Set once the window has drawn its first frame.
    pub opened: Option<Arc<AtomicBool>>,
}

/// Opens the window and returns when it is closed.
///
/// # Errors
/// The window could not open, the device does not exist, the script failed.
pub fn run(options: RunOptions) -> Result<()> {
    let device = if options.device.is_empty() { "cpu" } else { &options.device };
    device::choose(device)?;
    let failure = Arc::new(std::sync::Mutex::new(None));
    let viewport = egui::ViewportBuilder::default()
        .with_title("Sparsescope")
        .with_app_id("sparsescope")
        .with_inner_size([1280.0, 800.0])
        .with_min_inner_size([900.0, 600.0])
        .with_drag_and_drop(true)
        .with_icon(window_icon());
    let native = eframe::NativeOptions { viewport, ..Default::default() };
    let told = failure.clone();
    let outcome = eframe::run_native(
        "Sparsescope",
        native,
        Box::new(move |cc| {
            let mut app = Sparsescope::new(&cc.egui_ctx, options);
            app.script_failure = told;
            Ok(Box::new(app))
        }),
    );
    outcome.map_err(|e| {
        Error::new(
            ErrorKind::Io,
            "The window could not open",
            e.to_string(),
            "Check that a display and OpenGL are there, or use the subcommands in a terminal",
        )
    })?;
    let failed = failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    failed.map_or(Ok(()), Err)
}

fn window_icon() -> egui::IconData {
    let png = include_bytes!("../../icons/sparsescope-256.png");
    eframe::icon_data::from_png_bytes(png).unwrap_or_default()
}

/// Saves what the screen shows.
const SAVE_PICTURE: KeyboardShortcut =
    KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::S);

/// The window.
pub struct Sparsescope {
    pub(crate) state: State,
    pub(crate) forms: Forms,
    pub(crate) jobs: Jobs,
    /// The model in use; jobs share it, the screens do not see it.
    pub(crate) model: Option<Model>,
    pub(crate) device: String,
    /// Dictionaries that jobs have opened.
    pub(crate) saes: OpenSaes,
    /// The dictionaries that circuits are looked at with.
    pub(crate) bases: OpenBases,
    /// The judge of the circuit that was judged last.
    pub(crate) judge: OpenJudge,
    /// The measurer of the probe that was looked into last.
    pub(crate) measurer: OpenMeasurer,
    /// What keeps studies in their order.
    pub(crate) saver: Saver,
    /// What is asked of the run under way.
    pub(crate) requests: Requests,
    pub(crate) sender: Sender<Command>,
    receiver: Receiver<Command>,
    next_notice: u64,
    now: f64,
    script: Script,
    script_failure: Arc<std::sync::Mutex<Option<Error>>>,
    opened: Option<Arc<AtomicBool>>,
    first_frame: bool,
    pub(crate) started: bool,
}

impl Sparsescope {
    /// A window on this context; its first jobs (the built-in model, the list of runs) start at once.
    pub fn new(ctx: &Context, options: RunOptions) -> Self {
        theme::install(ctx);
        let (sender, receiver) = unbounded();
        let wake = {
            let ctx = ctx.clone();
            Arc::new(move || ctx.request_repaint())
        };
        let workspace = options.workspace.unwrap_or_else(default_workspace);
        let device = if options.device.is_empty() { "cpu".to_owned() } else { options.device };
        let mut app = Self {
            state: State { workspace, ..State::default() },
            forms: Forms::default(),
            jobs: Jobs::new(wake),
            model: None,
            device,
            saes: OpenSaes::default(),
            bases: OpenBases::default(),
            judge: OpenJudge::default(),
            measurer: OpenMeasurer::default(),
            saver: Saver::default(),
            requests: Requests::default(),
            sender,
            receiver,
            next_notice: 0,
            now: 0.0,
            script: Script::new(options.script),
            script_failure: Arc::default(),
            opened: options.opened,
            first_frame: true,
            started: false,
        };
        app.begin(ctx, options.open);
        app
    }

    /// What is shown.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What is shown, to be set up by a test.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// What was typed and set.
    pub fn forms_mut(&mut self) -> &mut Forms {
        &mut self.forms
    }

    /// Asks for something, as a panel would.
    pub fn ask(&self, command: Command) {
        let _ = self.sender.send(command);
    }

    /// Leaves the list of jobs as a test has set it.
    pub fn hold_still(&mut self) {
        self.started = false;
    }

    /// Whether no job runs.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_idle()
    }

    /// Says something at the lower right.
    pub(crate) fn say(&mut self, text: NoticeText) {
        self.next_notice += 1;
        let until = match text {
            NoticeText::Good(_) => Some(self.now + 6.0),
            NoticeText::Failed(_) => None,
        };
        self.state.notices.push(Notice { id: self.next_notice, text, until });
    }

    fn shortcuts(&mut self, ctx: &Context) {
        for (key, screen) in rail::KEYS.into_iter().zip(Screen::ALL) {
            if ctx.input_mut(|i| i.consume_key(Modifiers::COMMAND, key)) {
                self.ask(Command::Go(screen));
            }
        }
        if ctx.input_mut(|i| i.consume_key(Modifiers::COMMAND, Key::O)) {
            let browse = match self.state.screen {
                Screen::Data => Command::BrowseText,
                _ => Command::BrowseModel,
            };
            self.ask(browse);
        }
        if ctx.input_mut(|i| i.consume_shortcut(&SAVE_PICTURE)) {
            self.ask(Command::SavePicture(None));
        }
        let typing = ctx.memory(|m| m.focused().is_some());
        if !typing && self.state.screen == Screen::Train {
            let job = self.state.jobs.iter().find(|j| j.kind == Kind::Train);
            if let Some(job) = job
                && ctx.input_mut(|i| i.consume_key(Modifiers::NONE, Key::Space))
            {
                self.ask(Command::PauseJob(job.id, !job.paused));
            }
        }
        if ctx.input(|i| i.key_pressed(Key::Escape)) {
            match self.state.notices.last() {
                Some(notice) => self.ask(Command::Dismiss(notice.id)),
                None => ctx.memory_mut(|m| {
                    if let Some(id) = m.focused() {
                        m.surrender_focus(id);
                    }
                }),
            }
        }
    }

    fn dropped(&mut self, ctx: &Context) {
        let (dropped, hovering) = ctx.input(|i| {
            let paths: Vec<_> = i.raw.dropped_files.iter().map(|f| f.path().to_owned()).collect();
            (paths, !i.raw.hovered_files.is_empty())
        });
        self.state.hovering = hovering;
        for path in dropped {
            self.ask(Command::Open(path));
        }
    }

    /// A screen of very many pixels that says nothing of its density gets larger type.
    fn settle_zoom(&mut self, ctx: &Context) {
        let (native, monitor) = ctx.input(|i| {
            let v = i.viewport();
            (v.native_pixels_per_point, v.monitor_size)
        });
        if let (Some(native), Some(monitor)) = (native, monitor)
            && native <= 1.0
            && monitor.x >= 3200.0
            && (ctx.zoom_factor() - 1.0).abs() < 0.01
        {
            ctx.set_zoom_factor(1.75);
        }
    }

    fn run_script(&mut self, ctx: &Context) {
        let Some(outcome) = self.script.advance(ctx, &self.state, self.jobs.is_idle()) else {
            return;
        };
        match outcome {
            Ok(commands) => commands.into_iter().for_each(|c| self.ask(c)),
            Err(error) => {
                *self.script_failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                    Some(error);
                ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            }
        }
    }
}

/// Where the window keeps its work unless it is told otherwise: the user's data folder, or a folder here
/// where there is none.
pub fn default_workspace() -> PathBuf {
    directories::ProjectDirs::from("org", "sparsescope", "sparsescope").map_or_else(
        || PathBuf::from("sparsescope-workspace"),
        |dirs| dirs.data_dir().to_path_buf(),
    )
}

impl eframe::App for Sparsescope {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.now = ctx.input(|i| i.time);
        if std::mem::take(&mut self.first_frame) {
            self.settle_zoom(ctx);
        } else if let Some(opened) = self.opened.take() {
            opened.store(true, Ordering::Relaxed);
        }
        for (taken, path) in picture::developed(ctx) {
            self.save_picture(taken, path);
        }
        for event in self.jobs.drain() {
            self.hear(event);
        }
        // A fixture of a test stays as it is: only a started window follows its jobs.
        if self.started {
            self.state.jobs = self.jobs.views();
        }
        if !self.state.jobs.is_empty() {
            ctx.request_repaint_after_secs(0.1);
        }
        let now = self.now;
        self.state.notices.retain(|n| n.until.is_none_or(|until| now < until));
        if let Some(until) = self.state.notices.iter().filter_map(|n| n.until).reduce(f64::min) {
            ctx.request_repaint_after_secs((until - now).max(0.0) as f32 + 0.01);
        }
        self.run_script(ctx);
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        self.shortcuts(&ctx);
        self.dropped(&ctx);
        self.draw(ui);
        let asked: Vec<Command> = self.receiver.try_iter().collect();
        if !asked.is_empty() {
            ctx.request_repaint();
        }
        for command in asked {
            self.apply(&ctx, command);
        }
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        theme::of(visuals.dark_mode).ground.to_normalized_gamma_f32()
    }
}

impl Sparsescope {
    fn draw(&mut self, ui: &mut Ui) {
        let cx = Cx::new(&self.state, &self.sender);
        let p = palette(ui);
        let side = Frame::new().fill(p.side).inner_margin(Margin::symmetric(12, 14));
        Panel::left("rail")
            .exact_size(rail::WIDTH)
            .resizable(false)
            .show_separator_line(false)
            .frame(side)
            .show(ui, |ui| rail::rail(ui, &cx));
        let lines = self.state.jobs.len().clamp(1, 5) as f32;
        let bar_height = 12.0 + lines * 32.0;
        let bar = Frame::new().fill(p.side).inner_margin(Margin::symmetric(16, 5));
        Panel::bottom("jobs")
            .exact_size(bar_height)
            .resizable(false)
            .show_separator_line(false)
            .frame(bar)
            .show(ui, |ui| job_bar(ui, &cx));
        if inspector::is_shown(&self.state) {
            let frame = Frame::new().fill(p.side).inner_margin(Margin::symmetric(16, 18));
            Panel::right("inspector")
                .default_size(296.0)
                .size_range(260.0..=460.0)
                .frame(frame)
                .show(ui, |ui| inspector::inspector(ui, &cx, &mut self.forms));
        }
        let frame = Frame::new().fill(p.ground).inner_margin(Margin {
            left: 24,
            right: 20,
            top: 20,
            bottom: 0,
        });
        CentralPanel::no_frame().frame(frame).show(ui, |ui| {
            let screen = self.state.screen;
            // Lies under everything: a right click on nothing in particular.
            let ground = ui.interact(ui.max_rect(), ui.scope_id().with("ground"), Sense::CLICK);
            ground.context_menu(|ui| {
                let shortcut = ui.ctx().format_shortcut(&SAVE_PICTURE);
                let entry = egui::Button::new("Save this screen as a picture…");
                if ui.add(entry.shortcut_text(shortcut)).clicked() {
                    cx.send(Command::SavePicture(None));
                    ui.close();
                }
            });
            // The list of latents scrolls by itself.
            if screen == Screen::Features {
                features::features(ui, &cx, &mut self.forms.features, &self.forms.data);
                return;
            }
            // So does the map, whose wheel zooms.
            if screen == Screen::Directions {
                directions::directions(ui, &cx, &mut self.forms.directions);
                return;
            }
            // And the circuit's graph, which takes all the room there is.
            if screen == Screen::Circuit {
                circuit::circuit(ui, &cx, &mut self.forms.circuit, &self.forms.data);
                return;
            }
            if screen == Screen::Shift {
                let Forms { shift: form, circuit, data, .. } = &mut self.forms;
                shift::shift(ui, &cx, form, &mut circuit.task, data);
                return;
            }
            if screen == Screen::Steer {
                steer::steer(ui, &cx, &mut self.forms.steer);
                return;
            }
            ScrollArea::vertical().id_salt(("screen", screen)).auto_shrink(false).show(ui, |ui| {
                // A line of text or a plot is not made better by being two metres wide.
                // Charts with a table below may be.
                let most = if screen == Screen::Pareto { 2200.0 } else { 1560.0 };
                ui.set_max_width(ui.available_width().min(most));
                match screen {
                    Screen::Home => home::home(ui, &cx),
                    Screen::Model => model::model(ui, &cx, &mut self.forms.model),
                    Screen::Data => data::data(ui, &cx, &mut self.forms.data),
                    Screen::Train => train::train(ui, &cx),
                    Screen::Pareto => pareto::pareto(ui, &cx, &mut self.forms.pareto),
                    Screen::Features | Screen::Directions | Screen::Circuit => {}
                    Screen::Shift | Screen::Steer => {}
                    Screen::Prompt => prompt::prompt(ui, &cx, &mut self.forms.prompt),
                    Screen::Labels => labels::labels(ui, &cx, &mut self.forms.labels),
                }
                ui.add_space(20.0);
            });
        });
        notices(ui.ctx(), &cx, bar_height);
        if self.state.hovering {
            veil(ui);
        }
    }
}

/// What the window shows while something is held over it.
fn veil(ui: &Ui) {
    let p = palette(ui);
    let ctx = ui.ctx();
    let rect = ctx.content_rect();
    let layer = egui::LayerId::new(Order::Foreground, Id::unique("veil"));
    let painter = ctx.layer_painter(layer);
    painter.rect_filled(rect, 0.0, p.ground.gamma_multiply(0.88));
    let pen = Stroke::new(2.0, p.accent);
    painter.rect_stroke(rect.shrink(18.0), 14.0, pen, egui::StrokeKind::Inside);
    let at = Rect::from_center_size(rect.center() - vec2(0.0, 34.0), Vec2::splat(56.0));
    icon::draw(&painter, at, Icon::Drop, p.accent);
    let font = egui::FontId::new(20.0, theme::strong_family());
    let below = rect.center() + vec2(0.0, 26.0);
    painter.text(below, Align2::CENTER_CENTER, "Drop it to open it", font, p.text);
    let said = "a Llama's folder or model.safetensors, a .txt or .jsonl, a trained SAE";
    let font = egui::FontId::proportional(13.5);
    painter.text(below + vec2(0.0, 28.0), Align2::CENTER_CENTER, said, font, p.weak);
}
