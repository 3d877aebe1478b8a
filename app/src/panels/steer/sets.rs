//! Sets of edits under a name: the same that circuits are cut with and probes are trimmed by.

use super::ask;
use crate::commands::SteerCommand;
use crate::context::Cx;
use crate::forms::SteerForm;
use crate::theme;
use crate::widgets::card::{button, icon_button, ring, titled, weak};
use crate::widgets::icon::Icon;
use egui::{Align, Label, Layout, Margin, TextEdit, Ui};

/// Draws them.
pub(super) fn sets(ui: &mut Ui, cx: &Cx<'_>, form: &mut SteerForm) {
    titled(ui, "Sets of edits", "for Circuit and SHIFT too", |ui| {
        let some = form.rows.iter().any(|row| row.on);
        ui.horizontal(|ui| {
            let edit = TextEdit::singleline(&mut form.name)
                .hint_text("a name")
                .desired_width((ui.available_width() - 76.0).max(80.0))
                .margin(Margin::symmetric(8, 6));
            let response = ui.add(edit).accessible_name("Name of the set");
            ring(ui, response);
            ui.add_enabled_ui(some && !form.name.trim().is_empty(), |ui| {
                if button(ui, "Keep").on_hover_text("Keeps the features above").clicked() {
                    ask(cx, SteerCommand::Save);
                }
            });
        });
        ui.horizontal(|ui| {
            if button(ui, "Open a file…").clicked() {
                ask(cx, SteerCommand::Browse);
            }
            ui.add_enabled_ui(some, |ui| {
                if button(ui, "Write to a file…").clicked() {
                    ask(cx, SteerCommand::Export);
                }
            });
        });
        list(ui, cx, form);
    });
}

fn list(ui: &mut Ui, cx: &Cx<'_>, form: &mut SteerForm) {
    let Some(facts) = &cx.state.model.facts else { return };
    for set in &cx.state.steer.sets {
        let fits = set.model.is_empty() || set.model == facts.hash;
        ui.horizontal(|ui| {
            ui.add_enabled_ui(fits, |ui| {
                let response =
                    ui.add(egui::Button::new(theme::strong(&set.name, 13.0)).frame(false));
                let hint = if fits { "Change these features" } else { "Made for another model" };
                if ring(ui, response).on_hover_text(hint).on_disabled_hover_text(hint).clicked() {
                    ask(cx, SteerCommand::Load(set.id));
                }
            });
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if form.deleting == Some(set.id) {
                    if button(ui, "Keep it").clicked() {
                        form.deleting = None;
                    }
                    if button(ui, "Delete").clicked() {
                        form.deleting = None;
                        ask(cx, SteerCommand::Delete(set.id));
                    }
                    return;
                }
                if icon_button(ui, Icon::Close, &format!("Delete {}", set.name)).clicked() {
                    form.deleting = Some(set.id);
                }
                let said = match set.edits {
                    1 => "1 edit".to_owned(),
                    n => format!("{n} edits"),
                };
                ui.add(Label::new(weak(ui, said)).truncate());
            });
        });
    }
}
