//! What a person can ask for on the steering screen.

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum SteerCommand {}
