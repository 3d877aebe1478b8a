//! The steering screen.

use crate::commands::Command;
use crate::context::Cx;
use crate::forms::SteerForm;
use crate::state::Screen;
use crate::widgets::card::{failure, screen_head};
use egui::Ui;

/// Draws the screen.
pub fn steer(ui: &mut Ui, cx: &Cx<'_>, _form: &mut SteerForm) {
    screen_head(
        ui,
        "Steer",
        "What the model writes when features are changed, beside what it writes otherwise.",
    );
    if let Some(error) = &cx.state.steer.failure
        && failure(ui, error, true)
    {
        cx.send(Command::DismissFailure(Screen::Steer));
    }
}
