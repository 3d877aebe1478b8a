//! What the circuit screen shows of the graph.

/// The graph.
#[derive(Debug, Default)]
pub struct GraphState {}
