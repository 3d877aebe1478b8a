//! What comes back from the labels screen's jobs.

/// What comes back.
pub enum LabelsEvent {}
