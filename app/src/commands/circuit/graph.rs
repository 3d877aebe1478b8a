//! What a person can ask for of the graph.

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum GraphCommand {}
