//! What was typed and set on the circuit screen.

mod graph;
mod task;
mod verdict;

pub use graph::{Drawn, GraphForm, Item};
pub use task::{Nodes, PairRow, TaskForm};
pub use verdict::VerdictForm;

/// The parts of the circuit screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum CircuitPart {
    /// The task and how a circuit is found.
    #[default]
    Task,
    /// The graph, and what the model does when it is cut.
    Graph,
    /// How much of the behaviour circuits of any size hold.
    Faithfulness,
    /// Two circuits against one another.
    Compare,
}

/// The circuit screen's form.
#[derive(Debug, Default)]
pub struct CircuitForm {
    /// The part that is shown.
    pub part: CircuitPart,
    /// The task, and finding a circuit.
    pub task: TaskForm,
    /// The graph.
    pub graph: GraphForm,
    /// What the model does with and without it.
    pub verdict: VerdictForm,
}
