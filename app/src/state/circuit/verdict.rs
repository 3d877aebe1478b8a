//! What the circuit screen shows of the model's behaviour with and without the circuit.

/// What the model does with and without the circuit.
#[derive(Debug, Default)]
pub struct VerdictState {}
