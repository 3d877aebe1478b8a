//! What comes back from jobs of the model's behaviour.

use crate::work::verdict::{CurveStep, Judged};
use sparsescope_core::Result;

/// What comes back.
pub enum VerdictEvent {
    /// A verdict.
    Judged(Box<Result<Judged>>),
    /// A point of a curve.
    Step(CurveStep),
    /// All points of all curves.
    Curves(Result<()>),
}
