//! What comes back from jobs of the task.

/// What comes back.
pub enum TaskEvent {}
