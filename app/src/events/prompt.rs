//! What comes back from the prompt screen's jobs.

/// What comes back.
pub enum PromptEvent {}
