//! The texts, and their two labels.
//!
//! What a person wants to know here: which texts are these and what are they labelled with; which
//! of the two labels is the probe to tell, and which could it mistake for it; how many texts of
//! each kind are there; what was cut, left out or not used, and why.

use super::{ask, groups};
use crate::commands::ShiftCommand;
use crate::context::Cx;
use crate::format;
use crate::forms::ShiftForm;
use crate::theme::palette;
use crate::widgets::card::{button, fact, titled, weak};
use crate::work::shift::Texts;
use egui::{ComboBox, DragValue, Label, RichText, TextEdit, Ui, vec2};
use sparsescope_core::shift::{Data, Pairing};
use sparsescope_core::world::LEXICON;

/// Draws it.
pub fn data(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    let state = &cx.state.shift;
    let note = match (&state.texts, state.reading) {
        (_, true) => "reading…".to_owned(),
        (Some(texts), _) => format!("{} texts", format::grouped(texts.data.items.len() as u64)),
        (None, _) => String::new(),
    };
    titled(ui, "Texts", &note, |ui| {
        source(ui, cx, form);
        ui.add_space(6.0);
        read(ui, cx);
    });
}

fn source(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    ui.spacing_mut().item_spacing.y = 7.0;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        for (from_file, name, hint) in [
            (false, "Built-in world", "Biographies that the built-in world writes"),
            (true, "A file", "CSV, TSV or JSON Lines with a text and two labels in each row"),
        ] {
            let chosen = form.from_file == from_file;
            if ui.selectable_label(chosen, name).on_hover_text(hint).clicked() {
                form.from_file = from_file;
                // The pairing is of values that the other has not.
                form.pairing = Pairing::default();
            }
        }
        if !form.from_file {
            professions(ui, form);
        }
    });
    if form.from_file {
        file(ui, cx, form);
    }
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        if !form.from_file {
            amount(ui, form);
        }
        if let Some(texts) = &cx.state.shift.texts {
            pairing(ui, form, &texts.data);
        }
    });
    let Some(texts) = &cx.state.shift.texts else { return };
    let ([a, b], [x, y]) = (&texts.data.labels, &texts.data.spurious);
    let said = format!(
        "A probe is to tell {a} from {b}. In what it learns from, every {a} is {x} and every {b} is \
         {y}: it cannot know which of the two it is asked for.",
    );
    ui.add(Label::new(weak(ui, said)).wrap());
}

fn professions(ui: &mut Ui, form: &mut ShiftForm) {
    ui.label(weak(ui, "tell"));
    for i in 0..2 {
        let other = form.labels[1 - i].clone();
        let now = form.labels[i].clone();
        combo(ui, ["First profession", "Second profession"][i], &now, 104.0, |ui| {
            for profession in LEXICON.professions.iter().filter(|p| p.name != other) {
                let name = profession.name.to_owned();
                ui.selectable_value(&mut form.labels[i], name, profession.name);
            }
        });
        if i == 0 {
            ui.label(weak(ui, "from"));
        }
    }
}

fn amount(ui: &mut Ui, form: &mut ShiftForm) {
    // While one of these is typed nothing is read.
    let field = DragValue::new(&mut form.texts).range(100..=100_000).speed(50.0);
    let label = ui.label(weak(ui, "Biographies"));
    ui.add(field.update_while_editing(false)).labelled_by(label.id);
    let label = ui.label(weak(ui, "seed"));
    ui.add(DragValue::new(&mut form.seed).update_while_editing(false)).labelled_by(label.id);
}

/// Which spurious value goes with the first label.
fn pairing(ui: &mut Ui, form: &mut ShiftForm, data: &Data) {
    let said = format!("{} goes with", data.labels[0]);
    let label = ui.label(weak(ui, said)).on_hover_text(format!("Paired by: {}.", data.pairing));
    let now = &data.spurious[0];
    let mut with = now.clone();
    combo(ui, "Goes with", now, 104.0, |ui| {
        for value in &data.spurious {
            ui.selectable_value(&mut with, value.clone(), value);
        }
    })
    .labelled_by(label.id);
    if with != *now {
        form.pairing = Pairing::FirstWith(with);
    }
}

fn file(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    ui.horizontal(|ui| {
        let field = TextEdit::singleline(&mut form.path)
            .hint_text("Drop a .csv, .tsv or .jsonl here")
            .desired_width(ui.available_width() - 100.0);
        let response = ui.add(field).accessible_name("File of texts");
        if response.lost_focus() && !form.path.trim().is_empty() {
            ask(cx, ShiftCommand::Texts(form.path.trim().into()));
        }
        if button(ui, "Browse…").clicked() {
            ask(cx, ShiftCommand::BrowseTexts);
        }
    });
    let known = cx.state.shift.columns.as_ref();
    let Some(columns) = known.filter(|c| c.path.to_string_lossy() == form.path.trim()) else {
        let said = "Each row needs a text, the label that a probe is to tell, and the one that it \
                    could mistake for it: text, profession, gender.";
        ui.add(Label::new(weak(ui, said)).wrap());
        return;
    };
    let names = columns.names.clone();
    for (name, hint, value) in [
        ("Text", "The column of the text", &mut form.columns.text),
        ("Label", "What the probe is to tell", &mut form.columns.label),
        ("Spurious label", "What it must not lean on", &mut form.columns.spurious),
    ] {
        ui.horizontal(|ui| {
            ui.allocate_ui(vec2(92.0, 24.0), |ui| {
                ui.set_width(92.0);
                ui.label(weak(ui, name)).on_hover_text(hint);
            });
            let now = value.clone();
            combo(ui, name, &now, 180.0, |ui| {
                for column in &names {
                    ui.selectable_value(value, column.clone(), column);
                }
            });
        });
    }
    two(ui, "Labels", &mut form.file_labels);
    two(ui, "Spurious labels", &mut form.file_spurious);
}

/// Two values to be typed where a column has more.
fn two(ui: &mut Ui, name: &str, values: &mut Option<[String; 2]>) {
    ui.horizontal(|ui| {
        let mut all = values.is_none();
        let hint = "If the column has more than two values, name the two that are meant";
        if ui.checkbox(&mut all, format!("{name}: the two there are")).on_hover_text(hint).changed()
        {
            *values = (!all).then(Default::default);
        }
        for (i, value) in values.iter_mut().flatten().enumerate() {
            let field = TextEdit::singleline(value).desired_width(90.0);
            ui.add(field).accessible_name(format!("{name} {}", i + 1));
        }
    });
}

/// What was read.
fn read(ui: &mut Ui, cx: &Cx<'_>) {
    let state = &cx.state.shift;
    let Some(texts) = state.texts.as_deref() else {
        let said = match state.reading {
            true => "Reading the texts…",
            false => "No texts are read yet.",
        };
        ui.label(weak(ui, said));
        return;
    };
    ui.scope(|ui| {
        if state.reading {
            ui.set_opacity(0.45);
        }
        groups::counts(ui, texts);
        ui.add_space(6.0);
        parts(ui, texts);
        warnings(ui, texts);
    });
}

fn parts(ui: &mut Ui, texts: &Texts) {
    let facts = &texts.split.facts;
    let n = |n: usize| format::grouped(n as u64);
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.spacing_mut().interact_size.y = 20.0;
        fact(
            ui,
            "To learn from",
            &format!("2 × {}", n(facts.ambiguous / 2)),
            "The ambiguous part: label and spurious value agree. All that SHIFT may see.",
        );
        fact(
            ui,
            "To test on",
            &format!("4 × {}", n(facts.balanced_test / 4)),
            "The balanced test part: as many texts of each of the four groups. Every accuracy is \
             measured on it, and nothing learns from it.",
        );
        fact(
            ui,
            "For the rows to compare with",
            &format!("4 × {}", n(facts.balanced_train / 4)),
            "The balanced training part: what the oracle and the skylines of the table learn from. \
             SHIFT does without it.",
        );
        fact(ui, "Not used", &n(facts.unused), "What equal groups leave over.");
    });
}

fn warnings(ui: &mut Ui, texts: &Texts) {
    let p = palette(ui);
    let facts = &texts.split.facts;
    let mut said = Vec::new();
    if !texts.data.left_out.is_empty() {
        let out: Vec<String> = texts
            .data
            .left_out
            .iter()
            .map(|(why, n)| format!("{why} ({})", format::grouped(*n as u64)))
            .collect();
        said.push((format!("Left out: {}.", out.join(", ")), p.weak));
    }
    if facts.same_tokens > 0 {
        said.push((
            format!(
                "{} texts have the tokens of another one once they are cut, and are left out.",
                format::grouped(facts.same_tokens as u64)
            ),
            p.weak,
        ));
    }
    said.extend(facts.cut_sentence().map(|cut| (cut, p.warn)));
    for (text, color) in said {
        ui.add(Label::new(RichText::new(text).size(12.5).color(color)).wrap());
    }
}

/// A box to choose from, named for the keyboard and for readers of the screen.
pub fn combo(
    ui: &mut Ui,
    name: &str,
    now: &str,
    width: f32,
    add: impl FnOnce(&mut Ui),
) -> egui::Response {
    let response = ComboBox::new(("shift", name), "")
        .selected_text(now)
        .width(width)
        .show_ui(ui, add)
        .response;
    response.accessible_name(name)
}
