//! The circuits of the workspace.

use super::task::ask;
use crate::commands::TaskCommand;
use crate::context::Cx;
use crate::forms::TaskForm;
use crate::theme::{self, palette};
use crate::widgets::card::{button, icon_button, titled, weak};
use crate::widgets::icon::Icon;
use egui::{Align, Key, Label, Layout, RichText, TextEdit, Ui};
use sparsescope_core::workspace::CircuitRecord;

/// Draws them.
pub fn circuits(ui: &mut Ui, cx: &Cx<'_>, form: &mut TaskForm) {
    let state = &cx.state.circuit;
    let records = &state.task.circuits;
    let note = if records.is_empty() { String::new() } else { format!("{}", records.len()) };
    titled(ui, "Circuits found", &note, |ui| {
        if records.is_empty() {
            let text = "None yet. What is found stands here and is kept in the workspace, with \
                        everything that made it.";
            ui.add(Label::new(weak(ui, text)).wrap());
            return;
        }
        ui.spacing_mut().item_spacing.y = 2.0;
        for record in records {
            line(ui, cx, form, record, state.id == Some(record.id));
        }
    });
}

fn line(ui: &mut Ui, cx: &Cx<'_>, form: &mut TaskForm, record: &CircuitRecord, open: bool) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        ui.set_height(28.0);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if form.deleting == Some(record.id) {
                if button(ui, "Delete for good").clicked() {
                    form.deleting = None;
                    ask(cx, TaskCommand::Delete(record.id));
                }
                if button(ui, "Keep").clicked() {
                    form.deleting = None;
                }
            } else {
                if icon_button(ui, Icon::Close, &format!("Delete {}", record.name)).clicked() {
                    form.deleting = Some(record.id);
                }
                if ui.link(RichText::new("Rename").size(12.5)).clicked() {
                    form.renamed = Some((record.id, record.name.clone()));
                }
            }
            ui.add_space(6.0);
            let here = cx.state.model.facts.as_ref().is_some_and(|f| f.hash == record.model);
            if !here {
                let text = RichText::new("another model").size(12.0).color(p.warn);
                ui.add(Label::new(text).selectable(false));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                if let Some((id, name)) = &mut form.renamed
                    && *id == record.id
                {
                    let field = ui.add(TextEdit::singleline(name).desired_width(220.0));
                    let field = field.on_hover_text("Enter keeps the name, Escape does not");
                    field.request_focus();
                    let (enter, escape) =
                        ui.input(|i| (i.key_pressed(Key::Enter), i.key_pressed(Key::Escape)));
                    if enter {
                        ask(cx, TaskCommand::Rename(record.id, name.clone()));
                    }
                    if enter || escape {
                        form.renamed = None;
                    }
                    return;
                }
                let name = theme::strong(record.name.as_str(), 13.5);
                let name = if open { name.color(p.accent) } else { name };
                if ui.link(name).on_hover_text("Open it").clicked() {
                    ask(cx, TaskCommand::Open(record.id));
                }
            });
        });
    });
}
