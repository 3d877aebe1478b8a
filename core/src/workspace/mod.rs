//! Everything that outlives the program: one folder, one SQLite file, tensor files beside it.
//!
//! ```text
//! <folder>/workspace.sqlite     what there is, and how far it is
//! <folder>/saes/0007-topk-resid.2/   one folder a training run: checkpoint, SAE, features
//! ```
//!
//! Every function that writes has written to the disk when it returns: what it saved survives a
//! kill. Several programs may have the same folder open; a run belongs to the one that began it
//! or went on with it for as long as that one lives. Calls may wait for the disk, so a window
//! makes them from a thread of its own.

mod circuits;
mod edit_sets;
mod label_runs;
mod labels;
mod models;
mod open;
mod runs;
mod saes;
mod schema;
mod settings;
mod shift;
mod sqlite;
mod tasks;

#[cfg(test)]
mod circuit_tests;
#[cfg(test)]
mod label_tests;
#[cfg(test)]
mod tests;

use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

pub use circuits::{CircuitId, CircuitRecord};
pub use edit_sets::{EditSetId, EditSetRecord};
pub use label_runs::{CallState, LabelBatch, LabelCall, LabelRun, LabelRunId, LabelRunStatus};
pub use labels::{Judged, LONGEST_LABEL, Label, LabelId, LabelScores, LabelSource, NewLabel};
pub use models::KnownModel;
pub use runs::{NewRun, Run};
pub(crate) use saes::FEATURES;
pub use saes::{RunStatus, SaeId, SaeRecord};
pub use shift::{StudyId, StudyRecord};
pub use tasks::{TaskId, TaskRecord};

/// Name of the database in the workspace's folder.
pub const DATABASE: &str = "workspace.sqlite";

/// An open workspace. `Send`: a job's thread may own one; opening a second one on the same folder
/// is cheap.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    db: Connection,
}

impl Workspace {
    /// The workspace's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Seconds since 1970, as the tables keep time.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}
