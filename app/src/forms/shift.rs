//! What was typed and set on the SHIFT screen.

/// The SHIFT screen's form.
#[derive(Debug, Default)]
pub struct ShiftForm {}
