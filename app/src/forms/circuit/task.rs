//! What was typed and set of the task.

/// The task's form.
#[derive(Debug, Default)]
pub struct TaskForm {}
