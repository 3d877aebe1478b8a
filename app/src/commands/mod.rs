//! What a person can ask for. Panels and other threads send commands; one place
//! (`app::apply`) carries them out, after the frame.

mod circuit;
mod directions;
mod labels;
mod latent;
mod prompt;
mod shift;
mod steer;

use crate::jobs::JobId;
use crate::state::Screen;
use crate::work::sweep::SweepRequest;
use sparsescope_core::corpus::{CorpusSpec, RowSpec};
use sparsescope_core::llama::Site;
use sparsescope_core::training::TrainConfig;
use sparsescope_core::workspace::SaeId;
use std::path::PathBuf;

pub use circuit::{CircuitCommand, FindRequest, GraphCommand, TaskCommand, VerdictCommand};
pub use directions::DirectionsCommand;
pub use labels::LabelsCommand;
pub use latent::LatentCommand;
pub use prompt::PromptCommand;
pub use shift::{ShiftCommand, ShiftFile};
pub use steer::SteerCommand;

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Show a screen.
    Go(Screen),
    /// Open whatever is at the path: a model, a text, an SAE. What a drop does.
    Open(PathBuf),
    /// Ask the system for a model's folder.
    BrowseModel,
    /// Ask the system for a text.
    BrowseText,
    /// Go back to the built-in model.
    UseBuiltin,
    /// Choose a site.
    Choose(Site),
    /// What comes after this text?
    AskNext(String),
    /// Read the first rows.
    Preview(CorpusSpec, RowSpec),
    /// Write activations of the chosen site to a folder.
    Capture {
        /// The corpus.
        corpus: CorpusSpec,
        /// How rows are cut.
        rows: RowSpec,
        /// Tokens to write.
        tokens: u64,
        /// Where to.
        to: PathBuf,
    },
    /// Run the tour.
    Tour,
    /// Train an SAE at the chosen site.
    Train {
        /// The corpus.
        corpus: CorpusSpec,
        /// How rows are cut.
        rows: RowSpec,
        /// Every setting.
        config: Box<TrainConfig>,
    },
    /// Train several SAEs on one pass.
    Sweep(Box<SweepRequest>),
    /// Show where a sweep is set up.
    SetUpSweep,
    /// Resample the dead latents of the run under way.
    Resample,
    /// Set the latents a token in the form.
    SetK(usize),
    /// Train with the settings of the form, but for so many tokens.
    TrainShort(u64),
    /// Go on with a run that was interrupted.
    GoOn(SaeId),
    /// Show a run's curves.
    ShowRun(SaeId),
    /// Open an SAE of the workspace on the features screen.
    OpenSae(SaeId),
    /// Measure how good an SAE of the workspace is, on the corpus that is set.
    Evaluate(SaeId),
    /// Collect the features of the open SAE again, over the corpus that is set.
    Collect {
        /// The corpus.
        corpus: CorpusSpec,
        /// How rows are cut.
        rows: RowSpec,
        /// Tokens to look at.
        tokens: u64,
    },
    /// Read a latent that the tour found.
    Finding(u32),
    /// Choose a latent.
    Latent(Option<u32>),
    /// Something of the chosen latent.
    OfLatent(LatentCommand),
    /// Something on the prompt screen.
    Prompt(PromptCommand),
    /// Something on the directions screen.
    Directions(DirectionsCommand),
    /// Something on the labels screen.
    Labels(LabelsCommand),
    /// Something on the circuit screen.
    Circuit(CircuitCommand),
    /// Something on the SHIFT screen.
    Shift(ShiftCommand),
    /// Something on the steering screen.
    Steer(SteerCommand),
    /// Ask where to save a picture of the screen, or of a part of it.
    SavePicture(Option<egui::Rect>),
    /// Save a picture of the next frame, or of a part of it: as PNG if the name ends so, else as
    /// SVG.
    TakePicture(Option<egui::Rect>, PathBuf),
    /// Hold a job, or let it go on.
    PauseJob(JobId, bool),
    /// Stop a job.
    CancelJob(JobId),
    /// Put a notice away.
    Dismiss(u64),
    /// Put the failure on a screen away.
    DismissFailure(Screen),
    /// Dark, light, or as the system has it.
    Theme(egui::ThemePreference),
}
