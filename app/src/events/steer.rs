//! What comes back from the steering screen's jobs.

/// What comes back.
pub enum SteerEvent {}
