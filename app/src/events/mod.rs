//! What comes back from jobs, in the window's own words.

mod circuit;
mod directions;
mod labels;
mod latent;
mod prompt;
mod shift;
mod steer;

use crate::drop::Dropped;
use crate::state::{ModelFacts, NextAnswer, Preview};
use crate::work::runs::Opened;
use crate::work::sweep::{self, Swept};
use crate::work::tour::{self, Toured};
use crate::work::train::News;
use sparsescope_core::Result;
use sparsescope_core::activations::CaptureOutcome;
use sparsescope_core::features::LatentDetail;
use sparsescope_core::llama::Model;
use sparsescope_core::training::TrainPoint;
use sparsescope_core::workspace::{SaeId, SaeRecord};
use std::path::PathBuf;
use std::sync::Arc;

pub use circuit::{CircuitEvent, GraphEvent, TaskEvent, VerdictEvent};
pub use directions::DirectionsEvent;
pub use labels::LabelsEvent;
pub use latent::LatentEvent;
pub use prompt::PromptEvent;
pub use shift::ShiftEvent;
pub use steer::SteerEvent;

/// What comes back from a job.
pub enum Event {
    /// What was dropped has been looked at.
    Dropped(PathBuf, Result<Dropped>),
    /// A model was opened, or could not be.
    Model(Result<(Model, ModelFacts)>),
    /// The answer to a next-token check.
    Next(Result<NextAnswer>),
    /// The first rows of a corpus.
    Preview(Result<Preview>),
    /// Activations are on disk.
    Captured(Result<CaptureOutcome>),
    /// Something of a running training.
    Run(News),
    /// Something of a running sweep.
    Sweep(sweep::News),
    /// A sweep has ended.
    Swept(Result<Swept>),
    /// Dictionaries were brought into the workspace.
    Imported(Result<Vec<SaeId>>),
    /// A run has ended.
    Trained(Result<SaeId>),
    /// The runs of the workspace.
    Runs(Result<Vec<SaeRecord>>),
    /// An SAE of the workspace was measured.
    Evaluated(Result<SaeId>),
    /// The curves of a run.
    History(Result<(SaeRecord, Vec<TrainPoint>)>),
    /// An SAE and what is known of its latents.
    Features(Result<Opened>),
    /// What was kept of a latent of the SAE that is open.
    Detail(SaeId, Result<Arc<LatentDetail>>),
    /// Something of the chosen latent.
    Latent(LatentEvent),
    /// Something of the prompt screen.
    Prompt(PromptEvent),
    /// Something of the directions screen.
    Directions(DirectionsEvent),
    /// Something of the labels screen.
    Labels(LabelsEvent),
    /// Something of the circuit screen.
    Circuit(CircuitEvent),
    /// Something of the SHIFT screen.
    Shift(ShiftEvent),
    /// Something of the steering screen.
    Steer(SteerEvent),
    /// Something of the running tour.
    Tour(tour::News),
    /// A picture was saved.
    Pictured(Result<PathBuf>),
    /// The tour has ended.
    Toured(Box<Result<Toured>>),
}
