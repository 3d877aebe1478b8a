//! How tokens are chosen.

use crate::context::Cx;
use crate::forms::SteerForm;
use crate::widgets::card::{button, titled, weak};
use egui::{Align, DragValue, Label, Layout, Response, Ui};

/// Draws it.
pub(super) fn sampling(ui: &mut Ui, cx: &Cx<'_>, form: &mut SteerForm) {
    let context = cx.state.model.facts.as_ref().map_or(usize::MAX, |facts| facts.context);
    titled(ui, "Writing", "the same for every stream", |ui| {
        line(ui, "Tokens", "At most so many; the model may end the text before.", |ui| {
            ui.add(DragValue::new(&mut form.tokens).range(1..=context.max(1)))
        });
        let s = &mut form.sampler;
        line(ui, "Temperature", "Divides the logits; 0 always takes the likeliest token.", |ui| {
            ui.add(DragValue::new(&mut s.temperature).range(0.0..=10.0).speed(0.01))
        });
        line(ui, "Seed", "Of the draws. Each stream begins with the same one.", |ui| {
            ui.add(DragValue::new(&mut s.seed))
        });
        let name = if form.more { "Fewer settings" } else { "Top-p, top-k, repetition…" };
        if button(ui, name).clicked() {
            form.more = !form.more;
        }
        if !form.more {
            return;
        }
        line(ui, "Top-p", "Only the likeliest tokens that together reach this; 1 for all.", |ui| {
            let mut p = s.top_p.unwrap_or(1.0);
            let response = ui.add(DragValue::new(&mut p).range(0.01..=1.0).speed(0.01));
            s.top_p = (p < 1.0).then_some(p);
            response
        });
        line(ui, "Top-k", "Only so many likeliest tokens; 0 for all.", |ui| {
            let mut k = s.top_k.unwrap_or(0);
            let response = ui.add(DragValue::new(&mut k).range(0..=1_000_000));
            s.top_k = (k > 0).then_some(k);
            response
        });
        let hint = "Logits of tokens that stand in the last ones are divided by it if they are \
                    positive, multiplied if not; 1 does nothing.";
        line(ui, "Repetition penalty", hint, |ui| {
            ui.add(DragValue::new(&mut s.repetition_penalty).range(0.1..=10.0).speed(0.01))
        });
        line(ui, "Looks back", "So many last tokens count as repeated.", |ui| {
            ui.add(DragValue::new(&mut s.repeat_last).range(0..=100_000))
        });
    });
}

/// A line: name at the left, widget at the right.
pub(super) fn line(ui: &mut Ui, name: &str, hint: &str, add: impl FnOnce(&mut Ui) -> Response) {
    ui.horizontal(|ui| {
        let label = ui.add(Label::new(weak(ui, name)).selectable(false)).on_hover_text(hint);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            add(ui).labelled_by(label.id);
        });
    });
}
