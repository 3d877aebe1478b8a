//! What comes back from the prompt screen's jobs.

use sparsescope_core::Result;
use sparsescope_core::features::PromptReading;

/// What comes back.
pub enum PromptEvent {
    /// The prompt was read.
    Read(Result<PromptReading>),
}
