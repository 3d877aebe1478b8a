//! What was set about the model's behaviour with and without the circuit.

/// The verdict's form.
#[derive(Debug, Default)]
pub struct VerdictForm {}
