//! What the circuit screen shows of the model's behaviour with and without the circuit.

use crate::jobs::JobId;
use crate::work::verdict::{Asked, Judged};
use sparsescope_core::Error;
use sparsescope_core::circuits::{CurvePoint, JudgeSpec, RandomPoint};
use std::sync::Arc;

/// What the model does with and without the circuit.
#[derive(Debug, Default)]
pub struct VerdictState {
    /// What was asked last.
    pub asked: Option<Asked>,
    /// Whether the answer is on its way.
    pub pending: bool,
    /// The last answer; stays, dimmed, until the next is there.
    pub judged: Option<Arc<Judged>>,
    /// Why there is none.
    pub failure: Option<Error>,
    /// Circuits of every size.
    pub curves: SizeCurves,
}

/// How much circuits of every size hold.
#[derive(Debug, Default)]
pub struct SizeCurves {
    /// The job that judges them.
    pub job: Option<JobId>,
    /// The circuit (by its count) and how they are judged.
    pub of: Option<(u64, JudgeSpec)>,
    /// Of the circuit's strongest nodes.
    pub features: Vec<CurvePoint>,
    /// Of the strongest coordinates.
    pub neurons: Vec<CurvePoint>,
    /// Of random nodes in the place of the circuit's.
    pub random: Vec<RandomPoint>,
    /// Why there is no more.
    pub failure: Option<Error>,
}
