//! What was typed and set on the prompt screen.

/// The prompt screen's form.
#[derive(Debug, Default)]
pub struct PromptForm {}
