//! What a latent does to the output, and what is near it: directions, neurons, company.
//!
//! What a person wants to know here: what does it make the model say, is there another one like it,
//! here or in another dictionary, and does it come alone.

use crate::commands::{Command, LatentCommand};
use crate::context::Cx;
use crate::fonts::drawable;
use crate::format;
use crate::theme::{self, palette};
use crate::widgets::bars::{Histogram, histogram};
use crate::widgets::card::{failure, ring, weak};
use egui::{Align2, FontId, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};
use sparsescope_core::features::{LatentDetail, LogitEffects, TokenEffect};

/// Draws all of it.
pub fn company(ui: &mut Ui, cx: &Cx<'_>) {
    let study = &cx.state.latent;
    let Some(detail) = cx.state.features.detail.as_deref() else { return };
    if study.of.is_none_or(|(_, latent)| latent != detail.latent) {
        return;
    }
    if let Some(logits) = &study.logits {
        effects(ui, logits);
    }
    if let Some(error) = &study.failure {
        ui.add_space(4.0);
        failure(ui, error, false);
    } else if study.pending && study.logits.is_none() {
        head(ui, "Effect on the next token", "");
        ui.label(weak(ui, "Computing…"));
    }
    if !study.near.is_empty() {
        head(
            ui,
            "Nearest directions",
            "Latents of this dictionary whose decoder directions have the greatest cosine with \
             this one's, exactly, among all of them.",
        );
        for (latent, cosine) in &study.near {
            let label = cx.state.features.label(*latent).unwrap_or("");
            if row(ui, &latent.to_string(), label, *cosine, "cosine") {
                cx.send(Command::Latent(Some(*latent)));
            }
        }
    }
    together(ui, cx, detail);
    for other in &study.elsewhere {
        head(
            ui,
            &other.title,
            "Latents of another dictionary of this site whose decoder directions have the \
             greatest cosine with this one's.",
        );
        for (latent, cosine) in &other.near {
            if row(ui, &latent.to_string(), "", *cosine, "cosine") {
                cx.send(Command::OfLatent(LatentCommand::Elsewhere(other.sae, *latent)));
            }
        }
    }
    if !study.neurons.is_empty() {
        head(
            ui,
            "Nearest neurons",
            "The model's own neurons that write most nearly in this direction: cosine of their \
             column of down_proj with it.",
        );
        for neuron in study.neurons.iter().take(5) {
            let name = format!("mlp.{}/{}", neuron.layer, neuron.index);
            plain(ui, &name, neuron.cosine);
        }
    }
}

fn head(ui: &mut Ui, title: &str, definition: &str) {
    ui.spacing_mut().item_spacing.y = 2.0;
    ui.add_space(14.0);
    let response = ui.label(theme::strong(title, 13.5));
    if !definition.is_empty() {
        response.on_hover_text(definition);
    }
}

/// Latents that fire on the same tokens.
fn together(ui: &mut Ui, cx: &Cx<'_>, detail: &LatentDetail) {
    if detail.coactive.is_empty() {
        return;
    }
    let definition = format!(
        "Tokens on which both fire, as a share of those on which one of them does (Jaccard), on {} \
         tokens drawn from the sample; this latent fires on {} of them.",
        format::grouped(detail.coactive_tokens),
        format::grouped(detail.coactive_fired)
    );
    head(ui, "Fires together with", &definition);
    for other in detail.coactive.iter().take(10) {
        let label = cx.state.features.label(other.latent).unwrap_or("");
        if row(ui, &other.latent.to_string(), label, other.jaccard, "Jaccard") {
            cx.send(Command::Latent(Some(other.latent)));
        }
    }
}

/// The tokens it makes likelier and less likely.
fn effects(ui: &mut Ui, logits: &LogitEffects) {
    let definition = format!(
        "Direct effect on the logits: activation × s × W_U (γ ⊙ d), less its mean over all tokens, \
         at its greatest activation {} and with what the final norm multiplies by at its strongest \
         contexts, {}. What later blocks make of it is not in it.",
        format::figure(f64::from(logits.activation)),
        format::figure(f64::from(logits.scale))
    );
    head(ui, "Direct effect on the next token", &definition);
    let counts = &logits.counts;
    let range = (f64::from(logits.range.0), f64::from(logits.range.1));
    if range.0 < range.1 {
        let name = "Histogram of the effects on all tokens";
        histogram(ui, &Histogram { name, counts, range, write: signed, mark: Some(0.0) }, 64.0);
    }
    let most = range.0.abs().max(range.1.abs()) as f32;
    ui.columns(2, |columns| {
        columns[0].label(weak(&columns[0], "makes likelier"));
        columns[1].label(weak(&columns[1], "makes less likely"));
        for (ui, tokens) in columns.iter_mut().zip([&logits.promoted, &logits.suppressed]) {
            ui.spacing_mut().item_spacing.y = 1.0;
            for token in tokens {
                effect(ui, token, most);
            }
        }
    });
}

fn signed(x: f64) -> String {
    if x > 0.0 { format!("+{}", format::figure(x)) } else { format::figure(x) }
}

fn effect(ui: &mut Ui, token: &TokenEffect, most: f32) {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
    response.widget_info(|| {
        WidgetInfo::labeled(Role::Label, true, format!("{:?} {:+.3}", token.text, token.effect))
    });
    if !ui.is_rect_visible(rect) {
        return;
    }
    let share = if most > 0.0 { (token.effect.abs() / most).min(1.0) } else { 0.0 };
    let ink = if token.effect >= 0.0 { p.accent } else { p.bad };
    let bar = Rect::from_min_size(rect.min, vec2(rect.width() * share, rect.height()));
    ui.painter().rect_filled(bar.shrink2(vec2(0.0, 1.0)), 3.0, ink.gamma_multiply(0.22));
    let font = FontId::monospace(12.0);
    let text = drawable(ui.ctx(), &font, &token.text).replace(' ', "·");
    let room = Rect::from_min_max(rect.min, pos2(rect.max.x - 44.0, rect.max.y));
    let at = rect.left_center() + vec2(4.0, 0.0);
    let painter = ui.painter().with_clip_rect(room);
    painter.text(at, Align2::LEFT_CENTER, text, font.clone(), p.text);
    let said = format!("{:+.2}", token.effect);
    let at = rect.right_center() - vec2(2.0, 0.0);
    ui.painter().text(at, Align2::RIGHT_CENTER, said, FontId::monospace(11.0), p.weak);
    response
        .on_hover_text(format!("{:?}, token {}: logit {:+.4}", token.text, token.id, token.effect));
}

/// A latent with a figure as a bar; whether it was clicked.
fn row(ui: &mut Ui, name: &str, label: &str, value: f32, what: &str) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 23.0), Sense::click());
    response.widget_info(|| {
        WidgetInfo::labeled(Role::Button, true, format!("Latent {name}, {what} {value:.3}"))
    });
    let p = palette(ui);
    if response.hovered() {
        ui.painter().rect_filled(rect, 4.0, p.hover);
    }
    draw(ui, rect, name, label, value);
    let clicked = response.clicked();
    let response = ring(ui, response);
    if !label.is_empty() {
        response.on_hover_text(label);
    }
    clicked
}

fn plain(ui: &mut Ui, name: &str, value: f32) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 23.0), Sense::hover());
    let said = format!("Neuron {name}, cosine {value:.3}");
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, said.as_str()));
    draw(ui, rect, name, "", value);
}

fn draw(ui: &Ui, rect: Rect, name: &str, label: &str, value: f32) {
    let p = palette(ui);
    let font = FontId::monospace(12.5);
    let at = rect.left_center() + vec2(4.0, 0.0);
    let painter = ui.painter();
    let drawn = painter.text(at, Align2::LEFT_CENTER, name, font, p.text);
    let trough = Rect::from_min_max(
        pos2(rect.max.x - 104.0, rect.center().y - 3.0),
        pos2(rect.max.x - 48.0, rect.center().y + 3.0),
    );
    painter.rect_filled(trough, 3.0, p.well);
    let long = trough.width() * value.abs().min(1.0);
    let ink = if value >= 0.0 { p.accent } else { p.bad };
    painter.rect_filled(Rect::from_min_size(trough.min, vec2(long, 6.0)), 3.0, ink);
    let at = rect.right_center() - vec2(2.0, 0.0);
    let said = format!("{value:.3}");
    painter.text(at, Align2::RIGHT_CENTER, said, FontId::monospace(11.5), p.weak);
    let room = Rect::from_min_max(
        pos2(drawn.max.x + 8.0, rect.min.y),
        pos2(trough.min.x - 6.0, rect.max.y),
    );
    if !label.is_empty() && room.width() > 20.0 {
        let text = egui::RichText::new(label).size(12.0).color(p.weak);
        let galley = egui::WidgetText::from(text).into_galley(
            ui,
            Some(egui::TextWrapMode::Truncate),
            room.width(),
            FontId::proportional(12.0),
        );
        let at = pos2(room.min.x, rect.center().y - galley.size().y / 2.0);
        ui.painter().galley(at, galley, p.weak);
    }
}
