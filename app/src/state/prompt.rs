//! What the prompt screen shows.

use sparsescope_core::Error;
use sparsescope_core::features::{PromptReading, PromptSpec};
use sparsescope_core::workspace::SaeId;
use std::sync::Arc;

/// The prompt screen.
#[derive(Debug, Default)]
pub struct PromptState {
    /// What was asked last, and of which dictionary.
    pub asked: Option<(SaeId, PromptSpec)>,
    /// Whether the answer is on its way.
    pub pending: bool,
    /// The last answer; stays while the next one is computed.
    pub reading: Option<Arc<PromptReading>>,
    /// Counts the answers, so that what is derived from one is made anew for the next.
    pub version: u64,
    /// Why the last thing asked for could not be done.
    pub failure: Option<Error>,
}
