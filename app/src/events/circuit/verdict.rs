//! What comes back from jobs of the model's behaviour.

/// What comes back.
pub enum VerdictEvent {}
