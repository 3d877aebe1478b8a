//! What comes back from jobs of the graph.

/// What comes back.
pub enum GraphEvent {}
