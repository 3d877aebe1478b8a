//! What a person can ask for on the directions screen.

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum DirectionsCommand {}
