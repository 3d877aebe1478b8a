//! The SHIFT screen.

use crate::commands::Command;
use crate::context::Cx;
use crate::forms::ShiftForm;
use crate::state::Screen;
use crate::widgets::card::{failure, screen_head};
use egui::Ui;

/// Draws the screen.
pub fn shift(ui: &mut Ui, cx: &Cx<'_>, _form: &mut ShiftForm) {
    screen_head(
        ui,
        "SHIFT",
        "Which features a classifier uses, which of them it should not, and what it does without those.",
    );
    if let Some(error) = &cx.state.shift.failure
        && failure(ui, error, true)
    {
        cx.send(Command::DismissFailure(Screen::Shift));
    }
}
