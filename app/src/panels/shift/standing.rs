//! What has come of it so far, below every pane: the probe as it was, and without what is trimmed.
//!
//! What a person wants to know here: what did my last judgement do, and is what I read already the
//! answer to it.

use super::result::{columns, row};
use crate::context::Cx;
use crate::format;
use crate::forms::ShiftForm;
use crate::state::made;
use crate::theme::{self, palette, size};
use crate::widgets::card::{sentence, weak};
use crate::widgets::shares::{Look, ROW, shares};
use egui::{Align, Frame, Label, Layout, Margin, RichText, Stroke, Ui};

/// Height of the whole.
pub const HEIGHT: f32 = 24.0 + 24.0 + 2.0 * ROW + 22.0;

/// Draws it.
pub fn standing(ui: &mut Ui, cx: &Cx<'_>, _form: &ShiftForm) {
    let state = &cx.state.shift;
    let p = palette(ui);
    Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(10)
        .inner_margin(Margin::symmetric(16, 10))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.set_height(HEIGHT - 20.0);
            ui.horizontal(|ui| {
                ui.set_height(22.0);
                ui.label(theme::strong("So far", size::HEAD));
                status(ui, cx);
            });
            let Some(trained) = &state.trained else {
                ui.add_space(10.0);
                let said = "Train the probe: how it does on balanced texts stands here, and moves \
                            with every judgement.";
                ui.add(Label::new(weak(ui, said)).wrap());
                return;
            };
            if let Some(error) = &state.live.failure {
                ui.add(Label::new(RichText::new(&error.what).color(p.bad)).truncate());
                let more = format!("{} {}", sentence(&error.why), sentence(&error.remedy));
                ui.add(Label::new(weak(ui, more)).wrap());
                return;
            }
            let columns = columns(ui, &trained.texts.data);
            let trimmed = state.judged.now.trimmed().len();
            let live = state.live.last.as_ref();
            let name = match trimmed {
                0 => "SHIFT: nothing trimmed".to_owned(),
                1 => "SHIFT: 1 feature trimmed".to_owned(),
                n => format!("SHIFT: {n} features trimmed"),
            };
            let now = (state.version, state.judged.now.trimmed());
            let look = match live {
                None => Look::Plain,
                Some(live) if live.asked == now => Look::Lit,
                Some(_) => Look::Old,
            };
            let waiting = if state.found.is_some() { "measuring…" } else { "no circuit yet" };
            let rows = [
                row("Original", made::ORIGINAL, Some(&trained.original), Look::Plain, ""),
                row(&name, made::SHIFT, live.map(|l| &l.trimmed), look, waiting),
            ];
            shares(ui, &columns, &rows);
        });
}

/// On what it was measured, and how long that took.
pub fn status(ui: &mut Ui, cx: &Cx<'_>) {
    let state = &cx.state.shift;
    if let Some(trained) = &state.trained {
        let n = format::grouped(trained.original.texts as u64);
        ui.label(weak(ui, format!("on {n} balanced texts that nothing learnt from")));
    }
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let now = (state.version, state.judged.now.trimmed());
        let live = state.live.last.as_ref().filter(|live| live.asked == now);
        let (Some(live), Some(trained)) = (live, &state.trained) else {
            if state.live.pending {
                ui.label(weak(ui, "measuring…"));
            }
            return;
        };
        let took = match live.took.as_secs_f64() {
            s if s < 1.0 => format!("{:.0} ms", 1000.0 * s),
            s => format!("{s:.1} s"),
        };
        let said = match (live.trimmed.texts < trained.original.texts, state.live.pending) {
            (true, _) => format!("{took} for the first {}, then all", live.trimmed.texts),
            (false, true) => format!("{took}, training it again…"),
            (false, false) => took,
        };
        ui.label(weak(ui, said)).on_hover_text(
            "Time from the judgement to these numbers: first on a few texts of each group, then on \
             all; then the probe is trained again as the trimmed model reads its texts",
        );
    });
}
