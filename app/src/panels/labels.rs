//! The labels screen.

use crate::commands::Command;
use crate::context::Cx;
use crate::forms::LabelsForm;
use crate::state::Screen;
use crate::widgets::card::{empty, failure, screen_head};
use crate::widgets::icon::Icon;
use egui::Ui;

/// Draws the screen.
pub fn labels(ui: &mut Ui, cx: &Cx<'_>, _form: &mut LabelsForm) {
    screen_head(ui, "Labels", "What features mean, in words.");
    if let Some(error) = &cx.state.labels.failure
        && failure(ui, error, true)
    {
        cx.send(Command::DismissFailure(Screen::Labels));
    }
    let text = "Train an SAE, or run the tour at home: then its features can be named here, by hand or by a language model.";
    if empty(ui, Icon::Labels, "No SAE is open", text, Some("Go to Train")) {
        cx.send(Command::Go(Screen::Train));
    }
}
