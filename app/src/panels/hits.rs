//! What a search in labels and contexts has found, as a list.

use crate::commands::Command;
use crate::context::Cx;
use crate::fonts::drawable;
use crate::format;
use crate::theme::{self, palette};
use crate::widgets::card::{failure, ring, weak};
use egui::text::LayoutJob;
use egui::{
    Align2, Color32, FontId, Rect, Role, ScrollArea, Sense, TextFormat, Ui, WidgetInfo, pos2, vec2,
};
use sparsescope_core::labels::{Hit, Snippet, Where};

/// Height of a hit: its label, and the text around the words.
const HIT: f32 = 48.0;

/// Draws what was found for the words that were typed.
pub fn hits(ui: &mut Ui, cx: &Cx<'_>) {
    let search = &cx.state.labels.search;
    if let Some(error) = &search.failure {
        failure(ui, error, false);
    }
    let height = ui.available_height() - 30.0;
    let Some(found) = &search.found else {
        ui.allocate_ui(vec2(ui.available_width(), height), |ui| {
            ui.set_min_height(height);
            ui.add_space(30.0);
            ui.vertical_centered(|ui| ui.label(weak(ui, "Looking…")));
        });
        return;
    };
    if found.hits.is_empty() {
        ui.allocate_ui(vec2(ui.available_width(), height), |ui| {
            ui.set_min_height(height);
            ui.add_space(30.0);
            ui.vertical_centered(|ui| {
                ui.label(weak(ui, "No label and no context has these words."));
            });
        });
    } else {
        ScrollArea::vertical().id_salt("hits").auto_shrink(false).max_height(height).show_rows(
            ui,
            HIT,
            found.hits.len(),
            |ui, range| {
                for hit in &found.hits[range] {
                    row(ui, cx, hit);
                }
            },
        );
    }
    ui.add_space(4.0);
    let many = if found.more { " or more" } else { "" };
    let n = found.hits.len();
    let mut said = format!("{}{many} {} found", format::grouped(n as u64), plural(n));
    if search.indexing || !found.unindexed.is_empty() {
        said += "; contexts are still being indexed";
    }
    ui.label(weak(ui, said)).on_hover_text(
        "Labels first, the best match first; then latents that are strongest on these words, those \
         with the most such contexts first; then latents with the words elsewhere in their \
         strongest contexts.",
    );
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "latent" } else { "latents" }
}

fn row(ui: &mut Ui, cx: &Cx<'_>, hit: &Hit) {
    let p = palette(ui);
    let chosen = cx.state.features.latent == Some(hit.latent);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), HIT), Sense::click());
    response.widget_info(|| {
        let label = hit.label.as_ref().map_or("", |l| l.text.as_str());
        WidgetInfo::selected(Role::Button, true, chosen, format!("Found {} {label}", hit.latent))
    });
    if response.clicked() {
        cx.send(Command::Latent(Some(hit.latent)));
    }
    let fill = match (chosen, response.hovered()) {
        (true, _) => p.accent_ground,
        (_, true) => p.hover,
        _ => Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect.shrink2(vec2(0.0, 1.0)), 5.0, fill);
    let inner = rect.shrink2(vec2(8.0, 6.0));
    let number = ui.painter().text(
        inner.left_top() + vec2(0.0, 9.0),
        Align2::LEFT_CENTER,
        hit.latent.to_string(),
        FontId::monospace(12.5),
        if chosen { p.accent } else { p.text },
    );
    let mut right = inner.max.x;
    if let Some((score, what)) = hit.score() {
        let short = if what == "F1" { "F1" } else { "acc." };
        let drawn = ui.painter().text(
            pos2(right, inner.min.y + 9.0),
            Align2::RIGHT_CENTER,
            format!("{short} {score:.2}"),
            FontId::monospace(11.5),
            p.weak,
        );
        right = drawn.min.x - 8.0;
    }
    let (name, ink) = match (&hit.label, hit.at) {
        (Some(label), _) => (label.text.clone(), p.text),
        (None, Where::Peak(_)) => ("strongest on it".to_owned(), p.weak),
        (None, _) => ("in its contexts".to_owned(), p.weak),
    };
    let font = FontId::new(
        13.5,
        if hit.label.is_some() { theme::strong_family() } else { egui::FontFamily::Proportional },
    );
    let from = number.max.x + 10.0;
    line(
        ui,
        &Snippet { text: name, marked: Vec::new() },
        pos2(from, inner.min.y),
        right - from,
        &font,
        ink,
    );
    let below = pos2(inner.min.x, inner.min.y + 19.0);
    let small = FontId::proportional(12.5);
    let about = match (&hit.label, hit.at) {
        // The label is said above: below stands whose it is.
        (Some(label), Where::Label) => {
            Snippet { text: format!("label, {}", label.source.short()), marked: Vec::new() }
        }
        _ => hit.snippet.clone(),
    };
    line(ui, &about, below, inner.width(), &small, p.weak);
    let response = ring(ui, response);
    if let Some((score, what)) = hit.score() {
        response.on_hover_text(format!("{what} of the label: {score:.3}"));
    }
}

/// One line of text with its matches lit, cut off where the room ends.
fn line(ui: &Ui, snippet: &Snippet, at: egui::Pos2, width: f32, font: &FontId, ink: Color32) {
    let p = palette(ui);
    let mut job = LayoutJob::default();
    let plain = TextFormat { font_id: font.clone(), color: ink, ..TextFormat::default() };
    let lit = TextFormat { color: p.accent, ..plain.clone() };
    let mut from = 0;
    for mark in &snippet.marked {
        let (Some(before), Some(marked)) =
            (snippet.text.get(from..mark.start), snippet.text.get(mark.clone()))
        else {
            break;
        };
        job.append(&drawable(ui.ctx(), font, before), 0.0, plain.clone());
        job.append(&drawable(ui.ctx(), font, marked), 0.0, lit.clone());
        from = mark.end;
    }
    let rest = snippet.text.get(from..).unwrap_or_default();
    job.append(&drawable(ui.ctx(), font, rest), 0.0, plain);
    job.wrap = egui::text::TextWrapping::truncate_at_width(width.max(10.0));
    let galley = ui.painter().layout_job(job);
    let rect = Rect::from_min_size(at, vec2(width, galley.size().y));
    ui.painter().with_clip_rect(rect.intersect(ui.clip_rect())).galley(at, galley, ink);
}
