//! What the circuit screen shows of its task.

/// The task, and finding a circuit.
#[derive(Debug, Default)]
pub struct TaskState {}
