//! The graph of the circuit.

use crate::context::Cx;
use crate::forms::CircuitForm;
use egui::Ui;

/// Draws it.
pub fn graph(_ui: &mut Ui, _cx: &Cx<'_>, _form: &mut CircuitForm) {}
