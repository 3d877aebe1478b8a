//! What a person can ask for of the chosen latent.

use sparsescope_core::exchange::Format;
use sparsescope_core::workspace::SaeId;
use std::path::PathBuf;

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum LatentCommand {
    /// See it on a text.
    OnText(String),
    /// Ask where to write features for others: one latent, or all that ever fired.
    HandOut(Option<u32>, Format),
    /// Write them there.
    HandOutTo(Option<u32>, Format, PathBuf),
    /// Go to a latent of another dictionary.
    Elsewhere(SaeId, u32),
}
