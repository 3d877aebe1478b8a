//! What the circuit screen shows of its task, and of finding a circuit.

use sparsescope_core::circuits::{Change, Estimate, Metric, Task};
use sparsescope_core::workspace::{CircuitRecord, TaskRecord};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The task, and finding a circuit.
#[derive(Debug, Default)]
pub struct TaskState {
    /// What was asked about last.
    pub asked: Option<(Task, Metric, Change)>,
    /// Whether the answer is on its way.
    pub pending: bool,
    /// What can be used of the task, and how the model does on it.
    pub prepared: Option<Arc<Prepared>>,
    /// Tasks of the workspace.
    pub tasks: Vec<TaskRecord>,
    /// Circuits of the workspace, the latest first.
    pub circuits: Vec<CircuitRecord>,
    /// Whether the workspace was read.
    pub listed: bool,
}

/// What can be used of a task, and how the model does on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prepared {
    /// Of each pair why it cannot be used; `None` if it can.
    pub why: Vec<Option<&'static str>>,
    /// How many pairs cannot be used, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
    /// Pairs that can be used.
    pub usable: usize,
    /// How many of them have which number of positions.
    pub lengths: BTreeMap<usize, usize>,
    /// Pairs that the model was asked about.
    pub measured: usize,
    /// Of these, those on which the metric is positive.
    pub right: usize,
    /// Mean metric on the clean prompts.
    pub metric: Estimate,
    /// Mean metric on the patch prompts, with the clean answers.
    pub patched: Option<Estimate>,
}
