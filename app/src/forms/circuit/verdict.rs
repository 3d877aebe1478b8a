//! What was set about the model's behaviour with and without the circuit.

use sparsescope_core::circuits::{Ablation, Circuit, Errors, JudgeSpec};

/// The verdict's form.
#[derive(Debug, Default)]
pub struct VerdictForm {
    /// What nodes that are put away become.
    pub ablation: Ablation,
    /// How error terms are treated.
    pub errors: Errors,
    /// Whether the first third of the blocks is left whole.
    pub exempt: bool,
    /// Which of the pairs is looked at.
    pub pair: usize,
    /// Whether completeness is drawn in the place of faithfulness.
    pub completeness: bool,
}

impl VerdictForm {
    /// How `circuit` is judged, in a model of `layers` blocks.
    pub fn spec(&self, circuit: &Circuit, layers: usize) -> JudgeSpec {
        let spec = &circuit.conventions.spec;
        JudgeSpec {
            metric: spec.metric.clone(),
            ablation: self.ablation,
            errors: self.errors,
            exempt: if self.exempt { JudgeSpec::first_third(layers) } else { Vec::new() },
            seed: spec.seed,
        }
    }
}
