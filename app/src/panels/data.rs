//! The data screen.
//!
//! What a person wants to know here: which text the activations will come from, how it is cut
//! into rows, and what such a row really looks like to the model, BOS and all.

use crate::commands::Command;
use crate::context::Cx;
use crate::format;
use crate::forms::DataForm;
use crate::widgets::card::{button, card, empty, failure, figure, ring, screen_head, titled, weak};
use crate::widgets::icon::Icon;
use crate::widgets::token_strip::{Chip, chips};
use crate::widgets::typing::rested;
use egui::{ComboBox, DragValue, Label, TextEdit, Ui};
use sparsescope_core::corpus::{Bos, Split};
use std::path::PathBuf;

/// Seconds without a change after which the rows are read again.
const DEBOUNCE: f64 = 0.25;

/// Splits of the built-in world that are worth a person's choice.
pub const SPLITS: [(&str, &str); 2] = [("", "Ordinary text"), ("balanced", "Balanced biographies")];

/// Draws the screen.
pub fn data(ui: &mut Ui, cx: &Cx<'_>, form: &mut DataForm) {
    screen_head(ui, "Data", "Which text the model reads, and how it is cut into rows.");
    let mut changed = false;
    titled(ui, "Corpus", "", |ui| changed |= corpus(ui, cx, form));
    ui.add_space(10.0);
    titled(ui, "Rows", "", |ui| changed |= rows(ui, form));
    if changed {
        form.changed = Some(ui.input(|i| i.time));
    }
    if rested(ui, &mut form.changed, DEBOUNCE)
        && let Some(corpus) = form.corpus()
    {
        cx.send(Command::Preview(corpus, form.rows));
    }
    ui.add_space(10.0);
    preview(ui, cx);
    ui.add_space(10.0);
    capture(ui, cx, form);
}

fn corpus(ui: &mut Ui, cx: &Cx<'_>, form: &mut DataForm) -> bool {
    let mut changed = false;
    ui.horizontal(|ui| {
        changed |= ui.radio_value(&mut form.from_file, false, "Built-in world").changed();
        ui.add_enabled_ui(!form.from_file, |ui| {
            let now = SPLITS.iter().find(|s| s.0 == form.split).map_or("", |s| s.1);
            let combo = ComboBox::new("split", "").selected_text(now).width(190.0);
            combo
                .show_ui(ui, |ui| {
                    for (split, name) in SPLITS {
                        let value = split.to_owned();
                        changed |= ui.selectable_value(&mut form.split, value, name).changed();
                    }
                })
                .response
                .accessible_name("Split of the built-in world");
        });
        ui.label(weak(ui, "endless, written by a grammar that knows the truth of every token"));
    });
    ui.horizontal(|ui| {
        changed |= ui.radio_value(&mut form.from_file, true, "A file").changed();
        ui.add_enabled_ui(form.from_file, |ui| {
            let room = (ui.available_width() - 110.0).clamp(120.0, 640.0);
            let field = TextEdit::singleline(&mut form.path)
                .hint_text("path of a .txt or .jsonl, or drop one on the window")
                .desired_width(room);
            let response = ui.add(field).accessible_name("Path of the corpus");
            changed |= ring(ui, response).changed();
            if button(ui, "Browse…").clicked() {
                cx.send(Command::BrowseText);
            }
        });
    });
    changed
}

fn rows(ui: &mut Ui, form: &mut DataForm) -> bool {
    let before = form.rows;
    ui.horizontal_wrapped(|ui| {
        ui.label(weak(ui, "Split"));
        ui.selectable_value(&mut form.rows.split, Split::Sentences, "Sentences")
            .on_hover_text("One sentence a row; nothing from elsewhere is in view.");
        ui.selectable_value(&mut form.rows.split, Split::Packed, "Packed").on_hover_text(
            "Documents joined end to end and cut into full rows; the model sees across documents.",
        );
        ui.add_space(14.0);
        ui.label(weak(ui, "BOS"));
        ui.selectable_value(&mut form.rows.bos, Bos::Drop, "Read, not used").on_hover_text(
            "Put in front, as the model knows it; its activation, of quite another size in most \
             models, is left out.",
        );
        ui.selectable_value(&mut form.rows.bos, Bos::Keep, "Read and used")
            .on_hover_text("Put in front; its activation is used as any other.");
        ui.selectable_value(&mut form.rows.bos, Bos::None, "None")
            .on_hover_text("Not put in front.");
        ui.add_space(14.0);
        let label = ui.label(weak(ui, "Longest row"));
        ui.add(DragValue::new(&mut form.rows.length).range(2..=131_072).suffix(" tokens"))
            .labelled_by(label.id);
    });
    form.rows != before
}

fn preview(ui: &mut Ui, cx: &Cx<'_>) {
    let data = &cx.state.data;
    if let Some(error) = &data.failure {
        failure(ui, error, false);
        return;
    }
    let Some(preview) = &data.preview else {
        card(ui, |ui| {
            ui.set_min_height(180.0);
            let (head, text) = match (data.pending, cx.state.model.facts.is_some()) {
                (true, _) => ("Reading the first rows", "They come in a moment."),
                (_, false) => (
                    "No model yet",
                    "Rows are made of a model's tokens: open a model, and the first rows of the \
                     corpus stand here.",
                ),
                _ => (
                    "No corpus yet",
                    "Choose the built-in world, or write the path of a text file above.",
                ),
            };
            empty(ui, Icon::Data, head, text, None);
        });
        return;
    };
    let note = if data.pending { "reading…" } else { "as the model sees them" };
    titled(ui, "First rows", note, |ui| {
        ui.columns(4, |columns| {
            let sample =
                if preview.whole { "the whole corpus" } else { "the beginning of the corpus" };
            let plus = if preview.whole { "" } else { " +" };
            let mean = preview.tokens as f64 / preview.row_count.max(1) as f64;
            let shown = [
                (
                    "Rows",
                    format!("{}{plus}", format::count(preview.row_count as f64)),
                    format!("Counted over {sample}."),
                ),
                (
                    "Documents",
                    format!("{}{plus}", format::count(preview.documents as f64)),
                    format!("Counted over {sample}."),
                ),
                (
                    "Tokens a row",
                    format::figure(mean),
                    format!("Mean over {sample}, BOS included where it is put in front."),
                ),
                (
                    "Characters a token",
                    format::figure(preview.characters_a_token),
                    format!("Mean over {sample}: how long the tokens of this text are."),
                ),
            ];
            for (ui, (name, value, definition)) in columns.iter_mut().zip(shown) {
                figure(ui, name, &value, None, &definition);
            }
        });
        if let Some(note) = &preview.note {
            ui.add(Label::new(weak(ui, note)).wrap());
        }
        ui.add_space(8.0);
        for (i, row) in preview.rows.iter().enumerate() {
            ui.horizontal_top(|ui| {
                ui.allocate_ui(egui::vec2(22.0, 27.0), |ui| {
                    ui.set_width(22.0);
                    ui.add_space(5.0);
                    ui.label(weak(ui, (i + 1).to_string()));
                });
                ui.vertical(|ui| {
                    let shown: Vec<Chip<'_>> =
                        row.iter().map(|text| Chip { text, note: String::new() }).collect();
                    chips(ui, &shown, 2);
                });
            });
        }
    });
}

fn capture(ui: &mut Ui, cx: &Cx<'_>, form: &mut DataForm) {
    titled(ui, "Capture to disk", "optional", |ui| {
        ui.add(
            Label::new(weak(
                ui,
                "Training reads activations live. Capture them only to use them elsewhere, or many \
                 times over: safetensors chunks with a manifest.",
            ))
            .wrap(),
        );
        ui.add_space(4.0);
        ui.horizontal(|ui| {
            let site = cx.state.model.site;
            let label = ui.label(weak(ui, "Thousands of tokens"));
            ui.add(DragValue::new(&mut form.capture_thousands).range(1..=10_000_000))
                .labelled_by(label.id);
            let room = (ui.available_width() - 220.0).clamp(100.0, 420.0);
            let field = TextEdit::singleline(&mut form.capture_to)
                .hint_text("folder to write")
                .desired_width(room);
            ui.add(field).accessible_name("Folder to capture to");
            let to = form.capture_to.trim();
            let ready = site.is_some() && !to.is_empty() && cx.state.model.facts.is_some();
            let text = site.map_or("Capture".to_owned(), |site| format!("Capture {site}"));
            let pressed = ui.add_enabled_ui(ready, |ui| button(ui, &text).clicked()).inner;
            if let (true, Some(corpus)) = (pressed, form.corpus()) {
                cx.send(Command::Capture {
                    corpus,
                    rows: form.rows,
                    tokens: form.capture_thousands * 1000,
                    to: PathBuf::from(to),
                });
            }
        });
    });
}
