//! The directions screen.

use crate::commands::Command;
use crate::context::Cx;
use crate::forms::DirectionsForm;
use crate::state::Screen;
use crate::widgets::card::{empty, failure, screen_head};
use crate::widgets::icon::Icon;
use egui::Ui;

/// Draws the screen.
pub fn directions(ui: &mut Ui, cx: &Cx<'_>, _form: &mut DirectionsForm) {
    screen_head(ui, "Directions", "All decoder directions as a map.");
    if let Some(error) = &cx.state.directions.failure
        && failure(ui, error, true)
    {
        cx.send(Command::DismissFailure(Screen::Directions));
    }
    let text = "Train an SAE, or run the tour at home: its decoder directions stand here as a map.";
    if empty(ui, Icon::Directions, "No SAE is open", text, Some("Go to Train")) {
        cx.send(Command::Go(Screen::Train));
    }
}
