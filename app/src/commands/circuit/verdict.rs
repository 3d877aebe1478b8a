//! What a person can ask for of the model's behaviour.

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum VerdictCommand {}
