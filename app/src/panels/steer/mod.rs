//! The steering screen: what the model writes when features are changed.
//!
//! What a person wants to know here: what does this feature make the model say, would it have said
//! so anyway, which words owe it most, what does it cost in fluency, and what is lost by the
//! dictionary itself.

mod contrast;
mod features;
mod prompt;
mod sampling;
mod sets;
mod streams;

use crate::commands::{Command, SteerCommand};
use crate::context::Cx;
use crate::forms::SteerForm;
use crate::state::Screen;
use crate::theme::{self, palette, size};
use crate::widgets::card::{button, failure, primary, weak};
use egui::{Align, Key, KeyboardShortcut, Layout, Modifiers, RichText, ScrollArea, Ui, vec2};

/// Writes.
const WRITE: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Enter);
/// Width of what is set at the left.
const LEFT: f32 = 356.0;
/// A stream is not made better by being wider.
const STREAM: f32 = 720.0;

/// Draws the screen.
pub fn steer(ui: &mut Ui, cx: &Cx<'_>, form: &mut SteerForm) {
    head(ui, cx, form);
    if let Some(error) = &cx.state.steer.failure {
        if failure(ui, error, true) {
            cx.send(Command::DismissFailure(Screen::Steer));
        }
        ui.add_space(8.0);
    }
    let height = ui.available_height();
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = 14.0;
        let column = Layout::top_down(Align::Min);
        ui.allocate_ui_with_layout(vec2(LEFT, height), column, |ui| {
            ScrollArea::vertical().id_salt("steer").auto_shrink(false).show(ui, |ui| {
                ui.set_max_width(LEFT - 10.0);
                prompt::prompt(ui, cx, form);
                ui.add_space(6.0);
                features::features(ui, cx, form);
                ui.add_space(6.0);
                sampling::sampling(ui, cx, form);
                ui.add_space(6.0);
                contrast::contrast(ui, cx, form);
                ui.add_space(6.0);
                sets::sets(ui, cx, form);
                ui.add_space(16.0);
            });
        });
        let rest = vec2(ui.available_width(), height);
        ui.allocate_ui_with_layout(rest, column, |ui| streams::streams(ui, cx));
    });
}

fn head(ui: &mut Ui, cx: &Cx<'_>, form: &SteerForm) {
    let why = not_ready(cx, form);
    let running = cx.state.steer.run.as_ref().is_some_and(|run| run.running);
    let widest = LEFT + 14.0 + 3.0 * STREAM;
    ui.scope(|ui| {
        ui.set_max_width(ui.available_width().min(widest));
        ui.horizontal(|ui| {
            ui.vertical(|ui| {
                ui.label(theme::strong("Steer", size::TITLE));
                let said = "What the model writes when features are changed, beside what it \
                            writes from the same seed when they are not.";
                ui.label(RichText::new(said).color(palette(ui).weak));
            });
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let shortcut = ui.ctx().format_shortcut(&WRITE);
                let pressed = primary(ui, "Write", why.is_none())
                    .on_hover_text(format!("Writes all streams anew ({shortcut})"))
                    .clicked();
                let typed = why.is_none() && ui.input_mut(|i| i.consume_shortcut(&WRITE));
                if pressed || typed {
                    ask(cx, SteerCommand::Write);
                }
                if running && button(ui, "Stop").clicked() {
                    ask(cx, SteerCommand::Stop);
                }
                if let Some(why) = why {
                    ui.label(weak(ui, why));
                }
            });
        });
    });
    ui.add_space(10.0);
}

/// Why nothing can be written yet.
fn not_ready(cx: &Cx<'_>, form: &SteerForm) -> Option<&'static str> {
    let measured = |row: &crate::forms::SteerRow| {
        let max = cx.state.steer.known.get(&(row.sae, row.latent)).map(|k| k.max);
        row.edit(max).is_some()
    };
    let empty = if form.chat { form.user.trim().is_empty() } else { form.text.is_empty() };
    match () {
        () if cx.state.model.facts.is_none() => Some("Open a model first."),
        () if empty => Some("Write how the text begins."),
        () if !form.rows.iter().filter(|row| row.on).all(measured) => {
            Some("Measuring how strong the features can be…")
        }
        () => None,
    }
}

fn ask(cx: &Cx<'_>, command: SteerCommand) {
    cx.send(Command::Steer(command));
}
