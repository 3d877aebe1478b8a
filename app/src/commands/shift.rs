//! What a person can ask for on the SHIFT screen.

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum ShiftCommand {}
