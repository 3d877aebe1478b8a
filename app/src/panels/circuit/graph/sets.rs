//! Cutting by a set of edits that was kept, and keeping what is cut as one.

use super::send;
use crate::commands::GraphCommand;
use crate::context::Cx;
use crate::forms::GraphForm;
use crate::widgets::card::{button, ring};
use egui::{TextEdit, Ui};

/// Draws both; nothing where there is neither a set nor a cut.
pub fn sets(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm) {
    let sets = &cx.state.steer.sets;
    let cuts = &form.history.view().cuts;
    if sets.is_empty() && cuts.is_empty() {
        return;
    }
    ui.horizontal(|ui| {
        ui.spacing_mut().button_padding.x = 9.0;
        if !sets.is_empty() {
            let menu = ui.menu_button("Cut by a set", |ui| {
                for set in sets {
                    let text = format!("{}  ({})", set.name, set.edits);
                    if ui.button(text).clicked() {
                        send(cx, GraphCommand::CutBy(set.id));
                        ui.close();
                    }
                }
            });
            menu.response.on_hover_text(
                "Cuts what a set of edits changes, as kept on the Steer or the SHIFT screen",
            );
        }
        if !cuts.is_empty() {
            let response = ui.add(
                TextEdit::singleline(&mut form.set_name)
                    .hint_text("name")
                    .desired_width((ui.available_width() - 64.0).max(60.0)),
            );
            ring(ui, response.accessible_name("Name of the set"));
            let named = !form.set_name.trim().is_empty();
            ui.add_enabled_ui(named, |ui| {
                let hint = "Keeps what is cut as a set of edits, for Steer and SHIFT too";
                if button(ui, "Keep").on_hover_text(hint).clicked() {
                    let cuts = form.history.view().cuts.clone();
                    send(cx, GraphCommand::KeepCuts(form.set_name.trim().to_owned(), cuts));
                }
            });
        }
    });
    ui.add_space(4.0);
}
