//! What a person can ask for of the chosen latent.

use sparsescope_core::workspace::SaeId;

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum LatentCommand {
    /// See it on a text.
    OnText(String),
    /// Go to a latent of another dictionary.
    Elsewhere(SaeId, u32),
}
