//! The inspector at the right: what belongs to the screen but not to its middle.

use crate::context::Cx;
use crate::forms::Forms;
use crate::panels::{features, model, train_form};
use crate::state::{Screen, State};
use egui::{ScrollArea, Ui};

/// Whether this screen has something to inspect now.
pub fn is_shown(state: &State) -> bool {
    match state.screen {
        Screen::Home | Screen::Data | Screen::Pareto => false,
        Screen::Prompt | Screen::Directions | Screen::Labels | Screen::Circuit => false,
        Screen::Shift | Screen::Steer => false,
        Screen::Model => state.model.facts.is_some(),
        Screen::Train => true,
        Screen::Features => state.features.table.is_some(),
    }
}

/// Draws it.
pub fn inspector(ui: &mut Ui, cx: &Cx<'_>, forms: &mut Forms) {
    ScrollArea::vertical().id_salt("inspector").auto_shrink(false).show(ui, |ui| {
        match cx.state.screen {
            Screen::Model => model::inspector(ui, cx),
            Screen::Train => train_form::settings(ui, cx, &mut forms.train, &forms.data),
            Screen::Features => features::inspector(ui, cx, &mut forms.features, &forms.data),
            Screen::Home | Screen::Data | Screen::Pareto => {}
            Screen::Prompt | Screen::Directions | Screen::Labels | Screen::Circuit => {}
            Screen::Shift | Screen::Steer => {}
        }
    });
}
