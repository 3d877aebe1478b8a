//! What was typed and set on the steering screen.

/// The steering screen's form.
#[derive(Debug, Default)]
pub struct SteerForm {}
