//! What the steering screen shows.

use sparsescope_core::Error;

/// The steering screen.
#[derive(Debug, Default)]
pub struct SteerState {
    /// Why the last thing asked for could not be done.
    pub failure: Option<Error>,
}
