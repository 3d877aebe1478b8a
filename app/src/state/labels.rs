//! What the labels screen shows.

use sparsescope_core::Error;

/// The labels screen.
#[derive(Debug, Default)]
pub struct LabelsState {
    /// Why the last thing asked for could not be done.
    pub failure: Option<Error>,
}
