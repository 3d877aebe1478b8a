//! What comes back from jobs of the task, and of finding a circuit.

use crate::state::Prepared;
use crate::work::circuit::OpenedCircuit;
use sparsescope_core::Result;
use sparsescope_core::circuits::Task;
use sparsescope_core::workspace::{CircuitRecord, TaskRecord};

/// What comes back.
pub enum TaskEvent {
    /// A task was read, or written by the built-in world.
    Read(Result<Task>),
    /// Which pairs can be used, and how the model does on them.
    Prepared(Result<Prepared>),
    /// What the workspace has.
    Listed(Result<(Vec<TaskRecord>, Vec<CircuitRecord>)>),
    /// A circuit was found and saved.
    Found(Result<OpenedCircuit>),
    /// So many of the open circuit's nodes were named.
    Named(Result<usize>),
    /// The task of the open circuit (by its count), if the workspace has it.
    Origin(u64, Result<Option<Task>>),
    /// A circuit of the workspace was opened.
    Opened(Result<OpenedCircuit>),
}
