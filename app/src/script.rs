//! Steps that the window goes through by itself, so that a test can drive the real one.
//!
//! `--script "open /path/to/model; wait; go train; train 20000; wait; shot out.png; exit"`

use crate::commands::{
    CircuitCommand, Command, LabelsCommand, PromptCommand, ShiftCommand, ShiftFile, SteerCommand,
    TaskCommand,
};
use crate::forms::ShiftStep;
use crate::state::{NoticeText, Screen, State};
use egui::Context;
use sparsescope_core::llama::Site;
use sparsescope_core::shift::Verdict;
use sparsescope_core::{Error, ErrorKind, Result};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// `open PATH`: as a drop does.
    Open(PathBuf),
    /// `go SCREEN`.
    Go(Screen),
    /// `train TOKENS`: with the settings of the form.
    Train(u64),
    /// `k NUMBER`: latents a token, in the form.
    K(usize),
    /// `features`: opens the latest dictionary.
    Features,
    /// `latent NUMBER`: of the dictionary that is open.
    Latent(u32),
    /// `search TEXT`: in the list of latents.
    Search(String),
    /// `prompt TEXT`: on the prompt screen.
    Prompt(String),
    /// `task NAME`: of the built-in world, on the circuit screen.
    Task(String),
    /// `dictionaries TOKENS`: for the sites that have none, as the circuit screen trains them.
    Dictionaries(u64),
    /// `find`: the circuit of the task that is set.
    Find,
    /// `edit EDIT`: changed on the steering screen.
    Edit(String),
    /// `write TEXT`: what the model writes on behind it, there.
    Write(String),
    /// `shift` or `shift STEP`: the SHIFT screen, at a step from 1 to 4.
    Shift(Option<ShiftStep>),
    /// `probe` or `probe SITE`: trains it on the texts that are read.
    Probe(Option<Site>),
    /// `leans`: finds what the probe leans on.
    Leans,
    /// `judge truth`: every feature; `judge keep` and `judge trim`: the strongest that is not judged.
    Judge(Option<Verdict>),
    /// `fill`: the table.
    Fill,
    /// `study NUMBER`: opens a study of the workspace.
    Study(i64),
    /// `csv PATH`, `page PATH`, `edits PATH`: writes what is open on the SHIFT screen.
    Hand(ShiftFile, PathBuf),
    /// `tour`.
    Tour,
    /// `wait`: until no job runs.
    Wait,
    /// `sleep SECONDS`.
    Sleep(f64),
    /// `theme dark|light`.
    Theme(egui::ThemePreference),
    /// `size WIDTH HEIGHT`: of the window, in points.
    Size(f32, f32),
    /// `shot PATH`: a picture of the window.
    Shot(PathBuf),
    /// `svg PATH`: what the window shows as SVG, or as PNG if the name ends so.
    Picture(PathBuf),
    /// `good`: ends with an error if any failure is on screen.
    Good,
    /// `exit`.
    Exit,
}

impl FromStr for Step {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        let screen = || Screen::ALL.into_iter().find(|s| s.name().eq_ignore_ascii_case(rest));
        let step = match name {
            "open" if !rest.is_empty() => Some(Self::Open(PathBuf::from(rest))),
            "go" => screen().map(Self::Go),
            "train" => rest.parse().ok().map(Self::Train),
            "k" => rest.parse().ok().map(Self::K),
            "features" => Some(Self::Features),
            "latent" => rest.parse().ok().map(Self::Latent),
            "search" if !rest.is_empty() => Some(Self::Search(rest.to_owned())),
            "prompt" if !rest.is_empty() => Some(Self::Prompt(rest.to_owned())),
            "task" if !rest.is_empty() => Some(Self::Task(rest.to_owned())),
            "dictionaries" => rest.parse().ok().map(Self::Dictionaries),
            "find" => Some(Self::Find),
            "edit" if !rest.is_empty() => Some(Self::Edit(rest.to_owned())),
            "write" if !rest.is_empty() => Some(Self::Write(rest.to_owned())),
            "shift" if rest.is_empty() => Some(Self::Shift(None)),
            "shift" => {
                let number: Option<usize> = rest.parse().ok();
                let step = number.and_then(|n| ShiftStep::ALL.get(n.checked_sub(1)?).copied());
                step.map(|step| Self::Shift(Some(step)))
            }
            "probe" if rest.is_empty() => Some(Self::Probe(None)),
            "probe" => rest.parse().ok().map(|site| Self::Probe(Some(site))),
            "leans" => Some(Self::Leans),
            "judge" => match rest {
                "truth" => Some(Self::Judge(None)),
                "keep" => Some(Self::Judge(Some(Verdict::Keep))),
                "trim" => Some(Self::Judge(Some(Verdict::Trim))),
                _ => None,
            },
            "fill" => Some(Self::Fill),
            "study" => rest.parse().ok().map(Self::Study),
            "csv" if !rest.is_empty() => Some(Self::Hand(ShiftFile::Csv, rest.into())),
            "page" if !rest.is_empty() => Some(Self::Hand(ShiftFile::Page, rest.into())),
            "edits" if !rest.is_empty() => Some(Self::Hand(ShiftFile::SaveEdits, rest.into())),
            "tour" => Some(Self::Tour),
            "wait" => Some(Self::Wait),
            "sleep" => rest.parse().ok().map(Self::Sleep),
            "theme" => match rest {
                "dark" => Some(Self::Theme(egui::ThemePreference::Dark)),
                "light" => Some(Self::Theme(egui::ThemePreference::Light)),
                _ => None,
            },
            "shot" if !rest.is_empty() => Some(Self::Shot(PathBuf::from(rest))),
            "svg" if !rest.is_empty() => Some(Self::Picture(PathBuf::from(rest))),
            "size" => rest
                .split_once(' ')
                .and_then(|(w, h)| Some(Self::Size(w.parse().ok()?, h.trim().parse().ok()?))),
            "good" => Some(Self::Good),
            "exit" => Some(Self::Exit),
            _ => None,
        };
        step.ok_or_else(|| {
            Error::setting(
                format!("{text:?} is no step of a script"),
                "steps are open PATH, go SCREEN, k NUMBER, train TOKENS, features, latent NUMBER, \
                 search TEXT, prompt TEXT, task NAME, dictionaries TOKENS, find, shift [STEP], \
                 probe [SITE], leans, judge truth|keep|trim, fill, study NUMBER, csv PATH, page PATH, \
                 edits PATH, edit EDIT, write TEXT, tour, wait, sleep SECONDS, theme dark|light, size W H, shot PATH, svg PATH, \
                 good and exit",
                "Separate them by semicolons",
            )
        })
    }
}

/// The steps of a script: `a; b; c`.
///
/// # Errors
/// One of them is none.
pub fn steps(text: &str) -> Result<Vec<Step>> {
    text.split(';').filter(|s| !s.trim().is_empty()).map(str::parse).collect()
}

/// Pairs of a task that a script names.
const SCRIPTED: usize = 200;

const PENDING: u8 = 0;
const WRITTEN: u8 = 1;
const LOST: u8 = 2;

/// Where a script stands.
#[derive(Debug, Default)]
pub(crate) struct Script {
    steps: VecDeque<Step>,
    /// Frames for which nothing ran.
    quiet: u32,
    /// When a sleep ends.
    until: Option<f64>,
    /// The picture under way.
    shot: Option<Arc<AtomicU8>>,
}

impl Script {
    pub fn new(steps: Vec<Step>) -> Self {
        Self { steps: steps.into(), ..Self::default() }
    }

    /// Goes one step further if it can; `None` if there is nothing to do now.
    pub fn advance(
        &mut self,
        ctx: &Context,
        state: &State,
        idle: bool,
    ) -> Option<Result<Vec<Command>>> {
        let step = self.steps.front()?.clone();
        ctx.request_repaint_after_secs(0.03);
        self.quiet = if idle { self.quiet + 1 } else { 0 };
        let mut commands = Vec::new();
        match step {
            // What was asked for in this frame starts in the next.
            Step::Wait if self.quiet < 12 => return None,
            Step::Sleep(seconds) => {
                let now = ctx.input(|i| i.time);
                if now < *self.until.get_or_insert(now + seconds) {
                    return None;
                }
                self.until = None;
            }
            Step::Shot(path) => match self.picture(ctx, path)? {
                Ok(()) => {}
                Err(error) => return Some(Err(error)),
            },
            Step::Open(path) => commands.push(Command::Open(path)),
            Step::Go(screen) => commands.push(Command::Go(screen)),
            Step::Picture(path) => commands.push(Command::TakePicture(None, path)),
            Step::Train(tokens) => commands.push(Command::TrainShort(tokens)),
            Step::Size(w, h) => {
                let size = egui::ViewportCommand::InnerSize(egui::vec2(w, h));
                ctx.send_viewport_cmd(size);
            }
            Step::K(k) => commands.push(Command::SetK(k)),
            Step::Features => {
                commands.extend(state.train.runs.first().map(|r| Command::OpenSae(r.id)));
            }
            Step::Latent(latent) => commands.push(Command::Latent(Some(latent))),
            Step::Search(text) => {
                commands.push(Command::Go(Screen::Features));
                commands.push(Command::Labels(LabelsCommand::Type(text)));
            }
            Step::Task(name) => {
                commands.push(Command::Go(Screen::Circuit));
                commands.push(task(TaskCommand::World(name, SCRIPTED)));
            }
            Step::Dictionaries(tokens) => {
                commands.push(task(TaskCommand::TrainMissing(Some(tokens))))
            }
            Step::Find => commands.push(task(TaskCommand::Find)),
            Step::Prompt(text) => {
                commands.push(Command::Go(Screen::Prompt));
                commands.push(Command::Prompt(PromptCommand::Type(text)));
            }
            Step::Edit(edit) => {
                commands.push(Command::Steer(SteerCommand::Edits(edit)));
            }
            Step::Write(text) => {
                commands.push(Command::Steer(SteerCommand::WriteOn(text)));
            }
            Step::Shift(step) => {
                commands.push(Command::Go(Screen::Shift));
                commands.extend(step.map(|step| Command::Shift(ShiftCommand::Step(step))));
            }
            Step::Probe(site) => {
                commands.extend(site.map(|site| Command::Shift(ShiftCommand::Site(site))));
                commands.push(Command::Shift(ShiftCommand::Train));
            }
            Step::Leans => commands.push(Command::Shift(ShiftCommand::Find)),
            Step::Judge(None) => commands.push(Command::Shift(ShiftCommand::JudgeByTruth)),
            Step::Judge(verdict) => {
                let shift = &state.shift;
                let open = |node: &_| !shift.judged.now.all.contains_key(node);
                let mut nodes = shift.to_judge(usize::MAX).into_iter().map(|n| n.node);
                let next = nodes.find(|node| open(node));
                commands
                    .extend(next.map(|node| Command::Shift(ShiftCommand::Judge(node, verdict))));
            }
            Step::Fill => commands.push(Command::Shift(ShiftCommand::Fill)),
            Step::Study(id) => {
                commands.push(Command::Go(Screen::Shift));
                commands.push(Command::Shift(ShiftCommand::Open(id)));
            }
            Step::Hand(file, path) => {
                commands.push(Command::Shift(ShiftCommand::To(file, path)));
            }
            Step::Tour => commands.push(Command::Tour),
            Step::Theme(theme) => commands.push(Command::Theme(theme)),
            Step::Good => {
                if let Some(error) = failure(state) {
                    return Some(Err(error));
                }
            }
            Step::Exit => ctx.send_viewport_cmd(egui::ViewportCommand::Close),
            Step::Wait => {}
        }
        self.steps.pop_front();
        self.quiet = 0;
        Some(Ok(commands))
    }

    /// Asks for a picture, then waits until it is on disk.
    fn picture(&mut self, ctx: &Context, path: PathBuf) -> Option<Result<()>> {
        let Some(shot) = &self.shot else {
            // The frame that shows what the last step did is drawn first.
            let done = Arc::new(AtomicU8::new(PENDING));
            let told = done.clone();
            let callback = egui::ScreenshotCallback::new(move |image| {
                // Written off the UI's thread: a disk may be slow.
                std::thread::spawn(move || {
                    let size = [image.width() as u32, image.height() as u32];
                    let rgba = image.pixels.iter().flat_map(|p| p.to_array()).collect();
                    let written = image::RgbaImage::from_raw(size[0], size[1], rgba)
                        .is_some_and(|picture| picture.save(&path).is_ok());
                    told.store(if written { WRITTEN } else { LOST }, Ordering::Release);
                });
            });
            ctx.send_viewport_cmd(egui::ViewportCommand::Screenshot(callback));
            self.shot = Some(done);
            return None;
        };
        let done = shot.load(Ordering::Acquire);
        if done == PENDING {
            return None;
        }
        self.shot = None;
        if done == WRITTEN {
            return Some(Ok(()));
        }
        Some(Err(Error::new(
            ErrorKind::Io,
            "The picture of the window was not written",
            "its file could not be made",
            "Name another file",
        )))
    }
}

fn task(command: TaskCommand) -> Command {
    Command::Circuit(CircuitCommand::Task(command))
}

/// A failure that is on screen.
fn failure(state: &State) -> Option<Error> {
    let said = state.notices.iter().find_map(|n| match &n.text {
        NoticeText::Failed(error) => Some(error.clone()),
        NoticeText::Good(_) => None,
    });
    said.or_else(|| state.model.failure.clone())
        .or_else(|| state.data.failure.clone())
        .or_else(|| state.train.failure.clone())
        .or_else(|| state.features.failure.clone())
        .or_else(|| state.prompt.failure.clone())
        .or_else(|| state.directions.failure.clone())
        .or_else(|| state.labels.failure.clone())
        .or_else(|| state.circuit.failure.clone())
        .or_else(|| state.shift.failure.clone())
        .or_else(|| state.steer.failure.clone())
        .or_else(|| state.tour.failure.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_step_by_step() {
        let read = steps("open /a b; go train;train 500; wait; shot x.png; exit").unwrap();
        assert_eq!(read.len(), 6);
        assert_eq!(read[0], Step::Open("/a b".into()));
        assert_eq!(read[1], Step::Go(Screen::Train));
        assert_eq!(read[2], Step::Train(500));
        let error = steps("go nowhere").unwrap_err();
        assert!(error.what.contains("go nowhere"));
    }
}
