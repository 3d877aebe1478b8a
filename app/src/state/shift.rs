//! What the SHIFT screen shows.

use sparsescope_core::Error;

/// The SHIFT screen.
#[derive(Debug, Default)]
pub struct ShiftState {
    /// Why the last thing asked for could not be done.
    pub failure: Option<Error>,
}
