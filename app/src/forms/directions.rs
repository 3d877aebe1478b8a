//! What was typed and set on the directions screen.

/// The directions screen's form.
#[derive(Debug, Default)]
pub struct DirectionsForm {}
