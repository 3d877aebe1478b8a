//! What a person can ask for on the prompt screen.

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum PromptCommand {}
