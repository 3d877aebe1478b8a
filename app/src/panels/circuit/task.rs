//! The task: what is looked for, with which dictionaries, and how.

use crate::context::Cx;
use crate::forms::CircuitForm;
use egui::Ui;

/// Draws it.
pub fn task(_ui: &mut Ui, _cx: &Cx<'_>, _form: &mut CircuitForm) {}
