//! What the prompt screen shows.

use sparsescope_core::Error;

/// The prompt screen.
#[derive(Debug, Default)]
pub struct PromptState {
    /// Why the last thing asked for could not be done.
    pub failure: Option<Error>,
}
