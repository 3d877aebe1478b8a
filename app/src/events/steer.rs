//! What comes back from the steering screen's jobs.

use crate::state::{Contrasted, KnownFeature, Suggestions};
use sparsescope_core::Result;
use sparsescope_core::steering::{self, EditSet, SteerOutcome};
use sparsescope_core::workspace::{EditSetRecord, SaeId};
use std::path::PathBuf;

/// What comes back.
pub enum SteerEvent {
    /// What is known of features.
    Known(Result<Vec<((SaeId, u32), KnownFeature)>>),
    /// Features that fit the words.
    Suggested(Result<Suggestions>),
    /// News of what is being written: the number it was asked under.
    News(u64, steering::SteerEvent),
    /// It has ended.
    Wrote(u64, Box<Result<SteerOutcome>>),
    /// What sets two prompts apart.
    Contrasted(Result<Contrasted>),
    /// The sets of edits of the workspace.
    Listed(Result<Vec<EditSetRecord>>),
    /// One was kept, under that name.
    Saved(Result<(String, Vec<EditSetRecord>)>),
    /// One was opened, and of each site which dictionary of the workspace is meant.
    Opened(Result<(EditSet, Vec<(sparsescope_core::llama::Site, SaeId)>)>),
    /// A file of edits was written.
    Exported(Result<PathBuf>),
}
