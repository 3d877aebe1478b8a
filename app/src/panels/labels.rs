//! The labels screen: what features mean, in words, and a language model that finds the words.
//!
//! What a person wants to know here: which latents have a name and how far it can be trusted, what
//! asking a language model would cost before anything is sent, and what came of it.

use super::{label_form, label_runs};
use crate::commands::{Command, LabelsCommand};
use crate::context::Cx;
use crate::fonts::drawable;
use crate::format;
use crate::forms::LabelsForm;
use crate::state::Screen;
use crate::theme::palette;
use crate::widgets::card::{button, empty, failure, ring, screen_head, titled, weak};
use crate::widgets::icon::Icon;
use egui::{
    Align2, Color32, FontId, Rect, Role, ScrollArea, Sense, Stroke, TextWrapMode, Ui, WidgetInfo,
    WidgetText, pos2, vec2,
};
use sparsescope_core::labels::{Judged, Label, LabelSource};

const ROW: f32 = 26.0;
/// Rows of the table that are shown at once.
const SHOWN: usize = 18;

/// Draws the screen.
pub fn labels(ui: &mut Ui, cx: &Cx<'_>, form: &mut LabelsForm) {
    let features = &cx.state.features;
    let Some(sae) = &features.sae else {
        screen_head(ui, "Labels", "What features mean, in words.");
        let text = "Train an SAE, or run the tour at home: then its features can be named here, by \
                    hand or by a language model.";
        if empty(ui, Icon::Labels, "No SAE is open", text, Some("Go to Train")) {
            cx.send(Command::Go(Screen::Train));
        }
        return;
    };
    let n = features.labels.len();
    let said = format!(
        "{} on {}, SAE {}: {} of {} latents have a label.",
        sae.architecture,
        sae.site,
        sae.id,
        format::grouped(n as u64),
        format::grouped(sae.latents as u64)
    );
    screen_head(ui, "Labels", &said);
    let state = &cx.state.labels;
    if let Some(error) = &state.failure {
        if failure(ui, error, true) {
            cx.send(Command::DismissFailure(Screen::Labels));
        }
        ui.add_space(8.0);
    }
    let wide = ui.available_width();
    let side = (wide * 0.36).clamp(320.0, 440.0);
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = 12.0;
        ui.allocate_ui(vec2(side, 0.0), |ui| {
            ui.vertical(|ui| {
                ui.set_width(side);
                titled(ui, "Ask a language model", "", |ui| label_form::form(ui, cx, form, sae.id));
            });
        });
        ui.allocate_ui(vec2(wide - side - 12.0, 0.0), |ui| {
            ui.vertical(|ui| {
                label_form::estimate(ui, cx);
                label_runs::runs(ui, cx);
                titled(ui, "Labels", "", |ui| table(ui, cx, &features.labels));
            });
        });
    });
}

/// Columns at the right of the table, from the right: name, width, what it is.
const COLUMNS: [(&str, f32, &str); 4] = [
    ("F1", 58.0, "F1 of the latent against the truth of the built-in world, where that is known."),
    (
        "Fuzzing",
        74.0,
        "Balanced accuracy of a judge who is given the label alone, and says of passages whether \
         the right tokens are marked. 0.5 is guessing.",
    ),
    (
        "Detection",
        80.0,
        "Balanced accuracy of a judge who is given the label alone, and says of passages whether \
         the latent fires in them. 0.5 is guessing.",
    ),
    ("From", 112.0, "Who wrote it."),
];

fn table(ui: &mut Ui, cx: &Cx<'_>, labels: &[Label]) {
    let hint = "Of Neuronpedia, of feature-circuits, or a table: what you wrote by hand stays.";
    if button(ui, "Import labels…").on_hover_text(hint).clicked() {
        cx.send(Command::Labels(LabelsCommand::Browse));
    }
    ui.add_space(4.0);
    if labels.is_empty() {
        let text = "No latent of this SAE has a label yet. Write one on the Features screen, or \
                    ask a language model at the left.";
        ui.add(egui::Label::new(weak(ui, text)).wrap());
        return;
    }
    ui.spacing_mut().item_spacing.y = 0.0;
    let p = palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 24.0), Sense::hover());
    let font = FontId::proportional(12.0);
    // Rows leave room for the bar of the list where there is one.
    let bar = if labels.len() > SHOWN { ui.spacing().scroll.allocated_width() } else { 0.0 };
    let (places, text) = columns(rect.with_max_x(rect.max.x - bar));
    let paint = |ui: &Ui, at, align, text: &str| {
        ui.painter().text(at, align, text, font.clone(), p.weak);
    };
    paint(ui, pos2(rect.min.x + 46.0, rect.center().y), Align2::RIGHT_CENTER, "Latent");
    paint(ui, pos2(text.min.x, rect.center().y), Align2::LEFT_CENTER, "Label");
    for ((name, _, definition), place) in COLUMNS.iter().zip(&places) {
        let (at, align) = match *name {
            "From" => (place.left_center(), Align2::LEFT_CENTER),
            _ => (place.right_center(), Align2::RIGHT_CENTER),
        };
        paint(ui, at, align, name);
        ui.interact(*place, ui.scope_id().with(name), Sense::hover()).on_hover_text(*definition);
    }
    ui.painter().hline(rect.x_range(), rect.max.y, Stroke::new(1.0, p.line));
    let height = labels.len().min(SHOWN) as f32 * ROW;
    ScrollArea::vertical()
        .id_salt("all labels")
        .auto_shrink(false)
        .max_height(height)
        .min_scrolled_height(height)
        .show_rows(ui, ROW, labels.len(), |ui, range| {
            labels[range].iter().for_each(|label| row(ui, cx, label))
        });
}

fn columns(rect: Rect) -> (Vec<Rect>, Rect) {
    let mut right = rect.max.x - 6.0;
    let places = COLUMNS.iter().map(|(_, width, _)| {
        let place = Rect::from_min_max(pos2(right - width, rect.min.y), pos2(right, rect.max.y));
        right -= width;
        place
    });
    let places: Vec<Rect> = places.collect();
    (
        places,
        Rect::from_min_max(pos2(rect.min.x + 58.0, rect.min.y), pos2(right - 10.0, rect.max.y)),
    )
}

fn row(ui: &mut Ui, cx: &Cx<'_>, label: &Label) {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    response.widget_info(|| {
        let said = format!("Read latent {}: {}", label.latent, label.text);
        WidgetInfo::labeled(Role::Button, true, said)
    });
    if response.clicked() {
        cx.send(Command::Labels(LabelsCommand::Show(label.latent)));
    }
    if response.hovered() {
        ui.painter().rect_filled(rect, 5.0, p.hover);
    }
    let mono = FontId::monospace(12.5);
    let middle = rect.center().y;
    let number = pos2(rect.min.x + 46.0, middle);
    ui.painter().text(number, Align2::RIGHT_CENTER, label.latent.to_string(), mono.clone(), p.text);
    let (places, room) = columns(rect);
    cut(ui, &label.text, room, 13.0, p.text);
    let scores = label.scores.as_ref();
    let f1 = match label.source {
        LabelSource::Truth { f1, .. } => Some(f1),
        _ => None,
    };
    let of = |judged: Option<Judged>| judged.and_then(|j| j.balanced_accuracy());
    let values = [f1, of(scores.and_then(|s| s.fuzzing)), of(scores.and_then(|s| s.detection))];
    for (value, place) in values.iter().zip(&places) {
        let (text, ink) = match value {
            Some(x) => (format!("{x:.2}"), p.text),
            None => ("–".to_owned(), p.faint),
        };
        let at = pos2(place.max.x, middle);
        ui.painter().text(at, Align2::RIGHT_CENTER, text, mono.clone(), ink);
    }
    let from = places[3];
    cut(ui, label.source.short(), from.with_max_x(from.max.x - 8.0), 12.5, p.weak);
    ring(ui, response).on_hover_ui(|ui| {
        ui.set_max_width(420.0);
        ui.label(&label.text);
        if let LabelSource::Truth { definition, .. } = &label.source {
            ui.add(egui::Label::new(weak(ui, definition)).wrap());
        }
        if let Some(scores) = scores {
            for (name, judged) in [("Detection", scores.detection), ("Fuzzing", scores.fuzzing)] {
                if let Some(judged) = judged {
                    ui.label(weak(ui, told(name, &judged)));
                }
            }
            ui.label(weak(ui, format!("Judged by {}.", scores.judge)));
        }
    });
}

/// A score with its counts.
pub fn told(name: &str, j: &Judged) -> String {
    let figure = |x: Option<f64>| x.map_or("–".to_owned(), |x| format!("{x:.2}"));
    let interval =
        j.interval().map_or(String::new(), |(low, high)| format!(" [{low:.2}, {high:.2}]"));
    let unparsed = match j.unparsed {
        0 => String::new(),
        n => format!("; {n} passages whose answer could not be read are left out"),
    };
    format!(
        "{name}: balanced accuracy {}{interval}, precision {}, recall {}, F1 {}, over {} passages \
         it fires in and {} it does not{unparsed}.",
        figure(j.balanced_accuracy()),
        figure(j.precision()),
        figure(j.recall()),
        figure(j.f1()),
        j.true_positives + j.false_negatives,
        j.true_negatives + j.false_positives
    )
}

/// A line of text, cut off where its room ends.
pub fn cut(ui: &Ui, text: &str, room: Rect, size: f32, ink: Color32) {
    let font = FontId::proportional(size);
    let text = drawable(ui.ctx(), &font, text).into_owned();
    let galley = WidgetText::from(egui::RichText::new(text).font(font.clone())).into_galley(
        ui,
        Some(TextWrapMode::Truncate),
        room.width().max(4.0),
        font,
    );
    let at = pos2(room.min.x, room.center().y - galley.size().y / 2.0);
    ui.painter().galley(at, galley, ink);
}
