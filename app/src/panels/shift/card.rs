//! The card of a feature that is to be judged.

use super::{ask, judge, list};
use crate::commands::ShiftCommand;
use crate::context::Cx;
use crate::fonts::drawable;
use crate::format;
use crate::forms::ShiftForm;
use crate::theme::{self, palette};
use crate::widgets::card::{button, fact, failure, weak};
use crate::widgets::token_strip::{Shaded, shaded};
use crate::work::shift::Card;
use egui::{
    Align, Align2, FontId, Frame, Label, Layout, Margin, Rect, RichText, Role, ScrollArea, Sense,
    Stroke, TextEdit, Ui, WidgetInfo, pos2, vec2,
};
use sparsescope_core::circuits::{CircuitNode, Node};
use sparsescope_core::features::TokenEffect;
use sparsescope_core::shift::{EFFECT_DEFINITION, TRUTH_DEFINITION, Verdict};

/// Contexts of the corpus that are shown.
const CONTEXTS: usize = 6;

/// Draws the card of the chosen feature.
pub fn card(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    let state = &cx.state.shift;
    let nodes = state.to_judge(form.to_judge);
    let Some(node) = nodes.into_iter().find(|n| Some(n.node) == form.chosen) else {
        ui.label(weak(ui, "Choose a feature in the list, or walk through it with the arrow keys."));
        return;
    };
    top(ui, cx, form, node);
    ui.add_space(2.0);
    note(ui, cx, form, node.node);
    ui.add_space(4.0);
    ScrollArea::vertical().id_salt(("card", node.node)).auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 4.0;
        if let Some((_, error)) = state.card.failure.as_ref().filter(|(of, _)| *of == node.node) {
            failure(ui, error, false);
        }
        match state.card.cards.get(&node.node) {
            Some(card) => seen(ui, cx, card),
            None => {
                let failed = state.card.failure.as_ref().is_some_and(|(of, _)| *of == node.node);
                if state.card.reading != Some(node.node) && !failed {
                    ask(cx, ShiftCommand::Card(node.node));
                }
                if !failed {
                    ui.label(weak(ui, "Reading…"));
                }
            }
        }
        ui.add_space(6.0);
        hidden(ui, cx, form, node.node);
        ui.add_space(8.0);
    });
}

fn top(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm, node: &CircuitNode) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        ui.set_height(40.0);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            judge::buttons(ui, cx, form);
            ui.add_space(4.0);
            ui.with_layout(Layout::top_down(Align::Min), |ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                ui.horizontal(|ui| {
                    ui.spacing_mut().interact_size.y = 20.0;
                    ui.add(Label::new(theme::strong(node.node.to_string(), 15.0)).truncate());
                    let effect =
                        format!("effect {:.3} ± {:.3}", node.effect.mean, node.effect.error);
                    ui.add(Label::new(weak(ui, effect)).truncate())
                        .on_hover_text(EFFECT_DEFINITION);
                });
                let label = match list::label(cx, node) {
                    Some(label) => theme::strong(label, 13.5).color(p.text),
                    None => weak(ui, "no label"),
                };
                ui.add(Label::new(label).truncate());
            });
        });
    });
}

/// What a person writes about it. It is kept with the judgement.
fn note(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm, node: Node) {
    let judged = cx.state.shift.judged.now.all.get(&node);
    let written = judged.map(|j| j.note.clone()).unwrap_or_default();
    let typing = ui.ctx().text_edit_focused();
    if form.note.0 != Some(node) || !typing && form.note.1 != written {
        form.note = (Some(node), written.clone());
    }
    ui.add_enabled_ui(judged.is_some(), |ui| {
        let hint = match judged {
            Some(_) => "A note: why",
            None => "Judge it first, then say why here",
        };
        let field = TextEdit::singleline(&mut form.note.1)
            .hint_text(hint)
            .desired_width(f32::INFINITY)
            .margin(Margin::symmetric(8, 4));
        let response = ui.add(field).accessible_name("Note on the feature");
        if response.lost_focus() && form.note.1 != written {
            ask(cx, ShiftCommand::Note(node, form.note.1.clone()));
        }
    });
}

/// What may be seen without balanced texts.
fn seen(ui: &mut Ui, cx: &Cx<'_>, card: &Card) {
    let data = cx.state.shift.texts.as_ref().map(|t| &t.data);
    ui.horizontal(|ui| {
        ui.label(theme::strong("In the texts", 13.5));
        let said = format!("fires in {} of {} it learnt from", card.fires_in, card.looked_at);
        ui.label(weak(ui, said)).on_hover_text(
            "Texts of the ambiguous part, the strongest first. Rest the pointer on a token for the \
             activation and what the feature does to the token that follows.",
        );
    });
    if card.firings.is_empty() {
        ui.label(weak(ui, "It fires in none of them."));
    }
    for firing in &card.firings {
        let label = data.map_or("", |d| d.labels[firing.label & 1].as_str());
        text(
            ui,
            label,
            &firing.tokens,
            &firing.reading.activations,
            &firing.reading.next,
            card.max,
            firing.peak,
        );
    }
    if let Some(logits) = &card.logits {
        ui.add_space(4.0);
        ui.horizontal(|ui| {
            ui.label(theme::strong("Direct effect on the next token", 13.5));
            let at = format!("at activation {}", format::figure(f64::from(logits.activation)));
            ui.label(weak(ui, at)).on_hover_text(
                "Change of each logit along the direct path, less the mean over the vocabulary: \
                 a · s · W_U (γ ⊙ d). What later blocks make of the feature is not in it.",
            );
        });
        let wide = (ui.available_width() - 16.0) / 2.0;
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 16.0;
            for (name, tokens) in
                [("likelier", &logits.promoted), ("less likely", &logits.suppressed)]
            {
                ui.vertical(|ui| {
                    ui.set_width(wide);
                    ui.spacing_mut().item_spacing.y = 0.0;
                    ui.label(weak(ui, name));
                    let full = tokens.iter().map(|t| t.effect.abs()).fold(0.0, f32::max);
                    tokens.iter().for_each(|token| effect(ui, token, full, wide));
                });
            }
        });
    }
    ui.add_space(4.0);
    ui.label(theme::strong("Elsewhere, where it fires most", 13.5));
    let Some(detail) = &card.detail else {
        let said = "Nothing was collected of its dictionary: on the Features screen the contexts of \
                    all its features can be.";
        ui.add(Label::new(weak(ui, said)).wrap());
        return;
    };
    let contexts = detail.groups.iter().flat_map(|g| &g.contexts).take(CONTEXTS);
    let full = contexts.clone().flat_map(|c| c.activations.iter().copied()).fold(0.0, f32::max);
    for context in contexts {
        text(ui, "", &context.tokens, &context.activations, &[], full, context.peak);
    }
}

fn text(
    ui: &mut Ui,
    label: &str,
    tokens: &[String],
    activations: &[f32],
    next: &[f32],
    full: f32,
    peak: usize,
) {
    let p = palette(ui);
    Frame::new().fill(p.well).corner_radius(6).inner_margin(Margin::symmetric(9, 5)).show(
        ui,
        |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 1.0;
            shaded(ui, &Shaded { tokens, activations, next, full, peak: Some(peak), lines: 3 });
            if !label.is_empty() {
                ui.add(Label::new(RichText::new(label).size(11.0).color(p.weak)).selectable(false));
            }
        },
    );
}

/// A token and what is done to its logit.
fn effect(ui: &mut Ui, token: &TokenEffect, full: f32, wide: f32) {
    let p = palette(ui);
    let (row, response) = ui.allocate_exact_size(vec2(wide, 19.0), Sense::hover());
    let said = format!("{:?} {:+.2}", token.text, token.effect);
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, said.as_str()));
    if !ui.is_rect_visible(row) {
        return;
    }
    let share = if full > 0.0 { token.effect.abs() / full } else { 0.0 };
    let color = if token.effect < 0.0 { p.below } else { p.above };
    let long = ((row.width() - 52.0) * share).max(2.0);
    let bar = Rect::from_min_size(row.min + vec2(0.0, 1.5), vec2(long, row.height() - 3.0));
    ui.painter().rect_filled(bar, 3.0, color.gamma_multiply(0.22));
    let font = FontId::monospace(12.0);
    let text = drawable(ui.ctx(), &font, &token.text).replace(' ', "·");
    let at = row.left_center() + vec2(5.0, 0.0);
    let room = Rect::from_min_max(row.min, pos2(row.max.x - 50.0, row.max.y));
    let painter = ui.painter().with_clip_rect(room.intersect(ui.clip_rect()));
    painter.text(at, Align2::LEFT_CENTER, text, font.clone(), p.text);
    let at = row.right_center();
    let value = format!("{:+.2}", token.effect);
    ui.painter().text(at, Align2::RIGHT_CENTER, value, font, color);
}

/// What balanced texts tell of it: not to be looked at while judging.
fn hidden(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm, node: Node) {
    let p = palette(ui);
    let state = &cx.state.shift;
    let Some(data) = state.texts.as_ref().map(|t| &t.data) else { return };
    Frame::new()
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(8)
        .inner_margin(Margin::symmetric(12, 8))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 3.0;
            if !form.revealed {
                ui.horizontal(|ui| {
                    if button(ui, "Reveal").clicked() {
                        form.revealed = true;
                        if state.tellings.is_none() {
                            ask(cx, ShiftCommand::Reveal);
                        }
                    }
                    let said = format!(
                        "what balanced texts tell: {} or {}? Judging by that is not SHIFT, which \
                         does without such texts.",
                        data.spurious_name, data.label_name
                    );
                    ui.add(Label::new(weak(ui, said)).wrap());
                });
                return;
            }
            let told = state.tellings.as_ref();
            let Some(telling) = told.and_then(|all| all.get(&node)) else {
                let said = match told {
                    None => "Reading balanced texts…",
                    Some(_) => "Nothing was found out about it.",
                };
                ui.label(weak(ui, said));
                return;
            };
            ui.horizontal(|ui| {
                ui.label(theme::strong("On balanced texts", 13.5));
                ui.label(weak(ui, "not SHIFT: it does without these"));
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if ui.link(weak(ui, "hide")).clicked() {
                        form.revealed = false;
                    }
                });
            });
            let clear = |auc: f64| format!("{:.3}", auc.max(1.0 - auc));
            let verdict = match telling.verdict() {
                Verdict::Keep => format!("{} more: keep", data.label_name),
                Verdict::Trim => format!("{} more: trim", data.spurious_name),
            };
            fact(
                ui,
                &format!("Tells the {}", data.label_name),
                &clear(telling.label_auc),
                TRUTH_DEFINITION,
            );
            fact(
                ui,
                &format!("Tells the {}", data.spurious_name),
                &clear(telling.spurious_auc),
                TRUTH_DEFINITION,
            );
            fact(ui, "By the truth", &verdict, TRUTH_DEFINITION);
            fact(
                ui,
                "Fires in",
                &format::percent(telling.fires),
                "Share of balanced texts in which it fires at all.",
            );
        });
}
