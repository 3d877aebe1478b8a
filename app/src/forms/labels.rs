//! What was typed and set on the labels screen.

/// The labels screen's form.
#[derive(Debug, Default)]
pub struct LabelsForm {}
