//! What the directions screen shows.

use sparsescope_core::Error;

/// The directions screen.
#[derive(Debug, Default)]
pub struct DirectionsState {
    /// Why the last thing asked for could not be done.
    pub failure: Option<Error>,
}
