//! What a person can ask for of the task.

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskCommand {}
