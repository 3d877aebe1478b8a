//! What is written on: a text, or a conversation in the model's own form.

use super::ask;
use crate::commands::SteerCommand;
use crate::context::Cx;
use crate::forms::SteerForm;
use crate::theme::palette;
use crate::widgets::card::{ring, titled, weak};
use egui::{FontId, Label, Margin, RichText, TextEdit, Ui};

/// Draws it.
pub(super) fn prompt(ui: &mut Ui, cx: &Cx<'_>, form: &mut SteerForm) {
    titled(ui, "Prompt", "", |ui| {
        ui.horizontal(|ui| {
            for (chat, name, hint) in [
                (false, "Text", "The model writes on behind it"),
                (true, "Chat", "Put into the form of the model's own chat template"),
            ] {
                let response = ui.selectable_label(form.chat == chat, name).on_hover_text(hint);
                if ring(ui, response).clicked() {
                    form.chat = chat;
                }
            }
        });
        if !form.chat {
            field(ui, &mut form.text, "Prompt", "How the text begins", 3);
            return;
        }
        field(ui, &mut form.system, "System", "What the conversation begins with, if anything", 1);
        field(ui, &mut form.user, "User", "What you say to the model", 3);
        let Some(facts) = &cx.state.model.facts else { return };
        match &cx.state.steer.chat {
            Some((model, has)) if *model == facts.hash => {
                if !has {
                    let said = "This model's tokenizer has no chat template: it was not made for \
                                conversations. Use a text, or add a chat_template to its \
                                tokenizer_config.json.";
                    let ink = palette(ui).warn;
                    ui.add(Label::new(RichText::new(said).size(12.5).color(ink)).wrap());
                }
            }
            _ => ask(cx, SteerCommand::LookForTemplate),
        }
    });
}

/// A box to write in, with its name above.
pub(super) fn field(ui: &mut Ui, text: &mut String, name: &str, hint: &str, rows: usize) {
    let label = ui.label(weak(ui, name));
    let edit = TextEdit::multiline(text)
        .hint_text(hint)
        .font(FontId::proportional(14.0))
        .desired_width(f32::INFINITY)
        .desired_rows(rows)
        .margin(Margin::symmetric(8, 6));
    let response = ui.add(edit).labelled_by(label.id);
    ring(ui, response);
}
