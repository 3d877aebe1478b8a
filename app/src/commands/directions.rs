//! What a person can ask for on the directions screen.

use sparsescope_core::workspace::SaeId;

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum DirectionsCommand {
    /// Read the directions of an SAE of the workspace: its map by principal components, and the
    /// t-SNE map if one was kept.
    Open(SaeId),
    /// Make the t-SNE map of the open SAE.
    Lay,
    /// Stop making it.
    StopLaying,
    /// Find each latent's nearest relative at another site.
    Relate,
    /// Select latents; few enough of them get a heat map.
    Select(Vec<u32>),
    /// Compare the open SAE with another one.
    Compare(SaeId),
    /// Put the failure of a comparison away.
    DismissComparison,
    /// Show a latent of an SAE on the features screen.
    Read(SaeId, u32),
}
