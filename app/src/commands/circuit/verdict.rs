//! What a person can ask for of the model's behaviour.

use crate::work::verdict::Asked;
use sparsescope_core::circuits::JudgeSpec;

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum VerdictCommand {
    /// The verdict on a circuit and its cuts.
    Judge(Box<Asked>),
    /// Circuits of every size, of the circuit that is open.
    Curves(Box<JudgeSpec>),
    /// No more of them.
    StopCurves,
}
