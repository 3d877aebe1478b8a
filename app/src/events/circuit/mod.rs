//! What comes back from the circuit screen's jobs.

mod graph;
mod task;
mod verdict;

pub use graph::GraphEvent;
pub use task::TaskEvent;
pub use verdict::VerdictEvent;

/// What comes back.
pub enum CircuitEvent {
    /// Something of the task, or of finding a circuit.
    Task(TaskEvent),
    /// Something of the graph.
    Graph(GraphEvent),
    /// Something of the model's behaviour.
    Verdict(VerdictEvent),
}
