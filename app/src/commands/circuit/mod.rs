//! What a person can ask for on the circuit screen.

mod graph;
mod task;
mod verdict;

pub use graph::GraphCommand;
pub use task::{FindRequest, TaskCommand};
pub use verdict::VerdictCommand;

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum CircuitCommand {
    /// Something of the task, or of finding a circuit.
    Task(TaskCommand),
    /// Something of the graph.
    Graph(GraphCommand),
    /// Something of the model's behaviour.
    Verdict(VerdictCommand),
}
