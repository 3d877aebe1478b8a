//! What was set on the graph.

use sparsescope_core::circuits::{Cut, Node};

/// The graph's form.
#[derive(Debug, Default)]
pub struct GraphForm {
    /// What is cut, in the order in which it was.
    pub cuts: Vec<Cut>,
    /// If only some nodes of the circuit are kept: which.
    pub keep: Option<Vec<Node>>,
}
