//! What the circuit screen shows.

mod graph;
mod task;
mod verdict;

use sparsescope_core::Error;
use sparsescope_core::circuits::{Circuit, Task};
use std::sync::Arc;

pub use graph::{GraphState, Other};
pub use task::{Prepared, TaskState};
pub use verdict::{SizeCurves, VerdictState};

/// The circuit screen.
#[derive(Debug, Default)]
pub struct CircuitState {
    /// The circuit that is open.
    pub circuit: Option<Arc<Circuit>>,
    /// Counts the circuits, so that what is derived from one is made anew for the next.
    pub version: u64,
    /// Its number in the workspace, once it is saved.
    pub id: Option<i64>,
    /// The task that it was found on, where the workspace still has it.
    pub origin: Option<Arc<Task>>,
    /// Why the last thing asked for could not be done.
    pub failure: Option<Error>,
    /// The task, and finding a circuit.
    pub task: TaskState,
    /// The graph.
    pub graph: GraphState,
    /// What the model does with and without it.
    pub verdict: VerdictState,
}
