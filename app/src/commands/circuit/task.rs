//! What a person can ask for of the task, and of finding a circuit.

use crate::work::circuit::Choice;
use sparsescope_core::circuits::{Change, FindSpec, Metric, Task};
use std::path::PathBuf;

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskCommand {
    /// So many pairs of a task that the built-in world writes.
    World(String, usize),
    /// Ask the system for a task's file.
    Browse,
    /// Read a task's file.
    Read(PathBuf),
    /// Which pairs can be used, and how the model does on them.
    Prepare(Task, Metric, Change),
    /// Keep the task in the workspace.
    Save(Task),
    /// Show a task of the workspace.
    Show(i64),
    /// Forget a task of the workspace.
    Forget(i64),
    /// Train dictionaries for the sites that have none, on so many tokens, else as the form says.
    TrainMissing(Option<u64>),
    /// Look for a circuit, as the form says.
    Find,
    /// Read what the workspace has.
    List,
    /// Open a circuit of the workspace.
    Open(i64),
    /// Call a circuit of the workspace so.
    Rename(i64, String),
    /// Delete a circuit of the workspace.
    Delete(i64),
}

/// What circuit to look for.
#[derive(Debug, Clone, PartialEq)]
pub struct FindRequest {
    /// The task.
    pub task: Task,
    /// How.
    pub spec: FindSpec,
    /// With which dictionaries.
    pub choice: Choice,
    /// Whether edges are computed too.
    pub edges: bool,
    /// Whether to go on with dictionaries that do not fit the model.
    pub anyway: bool,
    /// What the model is called.
    pub model_name: String,
}
