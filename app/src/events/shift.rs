//! What comes back from the SHIFT screen's jobs.

/// What comes back.
pub enum ShiftEvent {}
