//! What comes back from the directions screen's jobs.

/// What comes back.
pub enum DirectionsEvent {}
