//! Two circuits against one another.

use crate::context::Cx;
use crate::forms::CircuitForm;
use egui::Ui;

/// Draws it.
pub fn compare(_ui: &mut Ui, _cx: &Cx<'_>, _form: &mut CircuitForm) {}
