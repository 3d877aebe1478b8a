//! What a person can ask for on the labels screen.

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelsCommand {}
