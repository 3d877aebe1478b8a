//! Judging: the features at the left, the card of the chosen one at the right.
//!
//! What a person wants to know here: what does this feature stand for, and should the probe use
//! that; how many are left; what did my last judgement do. All that is shown may be seen without
//! balanced texts: where a feature fires, what it does to the output, how much the probe leans on
//! it. What balanced texts tell of it is hidden until it is asked for, since judging by that is no
//! longer SHIFT.

use super::follow::{self, judged};
use super::{ask, card, list};
use crate::commands::ShiftCommand;
use crate::context::Cx;
use crate::forms::{ShiftForm, ShiftStep};
use crate::theme::{self, palette, size};
use crate::widgets::card::{button, empty, ring, weak};
use crate::widgets::icon::Icon;
use egui::{Align, Frame, Label, Layout, Margin, Role, ScrollArea, Stroke, Ui, WidgetInfo, vec2};
use sparsescope_core::circuits::CircuitNode;
use sparsescope_core::shift::{Source, TRUTH_DEFINITION, Verdict};

/// Draws it.
pub fn judge(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    let p = palette(ui);
    let nodes: Vec<&CircuitNode> = cx.state.shift.to_judge(form.to_judge);
    let room = ui.available_size();
    Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(10)
        .inner_margin(Margin::symmetric(14, 10))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.set_height((room.y - 22.0).max(80.0));
            if nodes.is_empty() {
                let text = "Once the circuit of the probe's output is found, its features stand \
                            here: read each, and keep it or trim it.";
                let (name, step) = match cx.state.shift.trained {
                    None => ("Train a probe first", ShiftStep::Data),
                    Some(_) => ("Find its circuit first", ShiftStep::Circuit),
                };
                if empty(ui, Icon::Features, "Nothing to judge yet", text, Some(name)) {
                    form.step = step;
                }
                return;
            }
            head(ui, cx, form, nodes.len());
            ui.add_space(4.0);
            let room = super::room(ui);
            let [list, shown] = super::split(room, (room.width() * 0.34).clamp(250.0, 400.0));
            super::whole(ui, list, |ui| features(ui, cx, form, &nodes));
            super::whole(ui, shown, |ui| card::card(ui, cx, form));
        });
}

fn head(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm, count: usize) {
    let state = &cx.state.shift;
    let (judged, trimmed) = judged(cx, form);
    ui.horizontal(|ui| {
        ui.label(theme::strong("Judge", size::HEAD));
        let said = format!("{judged} of {count} judged, {trimmed} trimmed");
        ui.add(Label::new(weak(ui, said)).truncate());
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().button_padding = vec2(9.0, 4.0);
            let (back, again) = state.judged.ways();
            ui.add_enabled_ui(again, |ui| {
                if button(ui, "Redo").on_hover_text("Ctrl Shift Z").clicked() {
                    ask(cx, ShiftCommand::Redo);
                }
            });
            ui.add_enabled_ui(back, |ui| {
                if button(ui, "Undo").on_hover_text("Ctrl Z").clicked() {
                    ask(cx, ShiftCommand::Undo);
                }
            });
            let world =
                state.texts.as_ref().is_some_and(|t| matches!(t.spec.source, Source::World { .. }));
            // Only the built-in world can say what is true of it.
            if world
                && button(ui, "Judge by the world's truth")
                    .on_hover_text(format!("Judges all of them. {TRUTH_DEFINITION}"))
                    .clicked()
            {
                ask(cx, ShiftCommand::JudgeByTruth);
            }
        });
    });
}

fn features(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm, nodes: &[&CircuitNode]) {
    let height = ui.available_height();
    let mut area = ScrollArea::vertical().id_salt("judged").auto_shrink(false).max_height(height);
    if std::mem::take(&mut form.reveal)
        && let Some(at) = nodes.iter().position(|n| Some(n.node) == form.chosen)
    {
        area = area.vertical_scroll_offset((at as f32 * list::TALL - height / 2.0).max(0.0));
    }
    ui.spacing_mut().item_spacing.y = 0.0;
    area.show_rows(ui, list::TALL, nodes.len(), |ui, range| {
        let full = nodes.first().map_or(0.0, |n| n.effect.mean);
        for node in &nodes[range] {
            let chosen = form.chosen == Some(node.node);
            let row = list::Row { cx, node, full, chosen, dim: false, tall: true };
            if list::row(ui, &row).clicked() {
                form.chosen = Some(node.node);
            }
        }
    });
}

/// Keep and trim, to be drawn from the right.
pub fn buttons(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    let Some(chosen) = form.chosen else { return };
    let p = palette(ui);
    let now = cx.state.shift.judged.now.verdict(&chosen);
    ui.spacing_mut().item_spacing.x = 8.0;
    for (verdict, name, key, color, hint) in [
        (Verdict::Trim, "Trim", "T", p.bad, "It has not: it is set to zero, everywhere"),
        (Verdict::Keep, "Keep", "K", p.good, "The probe may use it: it has to do with the label"),
    ] {
        let is = now == Some(verdict);
        let text = theme::strong(format!("{name}  {key}"), 14.0);
        let text = text.color(if is { p.card } else { color });
        let plain = egui::Button::new(text)
            .min_size(vec2(88.0, 34.0))
            .stroke(Stroke::new(1.2, color))
            .fill(if is { color } else { p.card });
        let response = ui.add(plain);
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, is, name));
        if ring(ui, response).on_hover_text(hint).clicked() {
            follow::judge(cx, form, verdict);
        }
    }
    if now.is_some() && ui.link(weak(ui, "take back")).clicked() {
        ask(cx, ShiftCommand::Judge(chosen, None));
    }
}
