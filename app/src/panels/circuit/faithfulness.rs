//! How much of the behaviour circuits of any size hold.

use crate::context::Cx;
use crate::forms::CircuitForm;
use egui::Ui;

/// Draws it.
pub fn faithfulness(_ui: &mut Ui, _cx: &Cx<'_>, _form: &mut CircuitForm) {}
