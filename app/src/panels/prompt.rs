//! The prompt screen.

use crate::commands::Command;
use crate::context::Cx;
use crate::forms::PromptForm;
use crate::state::Screen;
use crate::widgets::card::{empty, failure, screen_head};
use crate::widgets::icon::Icon;
use egui::Ui;

/// Draws the screen.
pub fn prompt(ui: &mut Ui, cx: &Cx<'_>, _form: &mut PromptForm) {
    screen_head(ui, "Prompt", "Which features fire on a prompt.");
    if let Some(error) = &cx.state.prompt.failure
        && failure(ui, error, true)
    {
        cx.send(Command::DismissFailure(Screen::Prompt));
    }
    let text = "Open an SAE first: then every feature that fires on your text stands here, token by token.";
    if empty(ui, Icon::Prompt, "Type a prompt", text, Some("Go to Train")) {
        cx.send(Command::Go(Screen::Train));
    }
}
