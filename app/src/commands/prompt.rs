//! What a person can ask for on the prompt screen.

use sparsescope_core::features::PromptSpec;

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum PromptCommand {
    /// Read this with the dictionary that is open.
    Read(PromptSpec),
    /// Put this text into the box and read it.
    Type(String),
    /// Show a latent of the open dictionary on the features screen.
    Show(u32),
}
