//! The SHIFT screen: which features a probe leans on, which of them it should not, and what it does
//! without those.
//!
//! What a person wants to know here: my probe looks good, but does it tell what I meant it to; what
//! does it lean on; can I take away what it should not lean on by reading features alone, without
//! labels of that; and how much better is it then, how sure is that, and against what is that to be
//! measured. Four steps, each a pane: where there is room they stand side by side, else one is large
//! and what has come of it so far stands below.

mod card;
mod circuit;
mod data;
mod dictionaries;
mod follow;
mod groups;
mod judge;
mod list;
mod probe;
mod pronouns;
mod result;
mod saved;
mod standing;

use crate::commands::{Command, ShiftCommand};
use crate::context::Cx;
use crate::forms::{DataForm, ShiftForm, ShiftStep, TaskForm};
use crate::state::Screen;
use crate::theme::{self, palette};
use crate::widgets::card::{failure, ring, screen_head};
use egui::{
    Align, Align2, FontId, Layout, Rect, Role, ScrollArea, Sense, Stroke, Ui, UiBuilder,
    WidgetInfo, pos2, vec2,
};

/// What the screen does and what it does not, in every place where it could be mistaken.
pub const DOES_NOT: &str = "This removes the probe's use of a signal. It does not remove bias from \
                            the model's own outputs.";

/// Least width and height at which all panes are shown at once.
const ROOMY: egui::Vec2 = vec2(1560.0, 900.0);
/// Between panes.
const GAP: f32 = 12.0;

/// Sends a command of this screen.
fn ask(cx: &Cx<'_>, command: ShiftCommand) {
    cx.send(Command::Shift(command));
}

/// Draws the screen.
pub fn shift(
    ui: &mut Ui,
    cx: &Cx<'_>,
    form: &mut ShiftForm,
    task: &mut TaskForm,
    corpus: &DataForm,
) {
    screen_head(
        ui,
        "SHIFT",
        &format!("Find what a probe should not lean on, and trim it. {DOES_NOT}"),
    );
    if let Some(error) = &cx.state.shift.failure {
        if failure(ui, error, true) {
            cx.send(Command::DismissFailure(Screen::Shift));
        }
        ui.add_space(8.0);
    }
    let room = ui.available_size();
    let all = room.x >= ROOMY.x && room.y >= ROOMY.y;
    match all {
        true => at_once(ui, cx, form, task, corpus),
        false => in_turn(ui, cx, form, task, corpus),
    }
    follow::follow(ui, cx, form, all || form.step == ShiftStep::Judge);
}

/// All panes: texts and circuit at the left, judging in the middle, the outcome at the right.
fn at_once(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm, task: &mut TaskForm, corpus: &DataForm) {
    let room = room(ui);
    let left = (room.width() * 0.25).clamp(430.0, 560.0);
    let right = (room.width() * 0.37).clamp(600.0, 900.0);
    let [first, rest] = split(room, left);
    let [second, third] = split(rest, rest.width() - right - GAP);
    pane(ui, "left", first, |ui| {
        data::data(ui, cx, form);
        ui.add_space(10.0);
        probe::probe(ui, cx, form);
        ui.add_space(10.0);
        circuit::find(ui, cx, form);
        ui.add_space(10.0);
        dictionaries::dictionaries(ui, cx, form, task, corpus);
    });
    whole(ui, second, |ui| judge::judge(ui, cx, form));
    pane(ui, "right", third, |ui| outcome(ui, cx, form));
}

/// One pane, and what has come of it all so far.
fn in_turn(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm, task: &mut TaskForm, corpus: &DataForm) {
    steps(ui, cx, form);
    ui.add_space(8.0);
    let mut large = room(ui);
    // In the last one the whole table is shown.
    if form.step != ShiftStep::Result {
        let below =
            Rect::from_min_max(pos2(large.min.x, large.max.y - standing::HEIGHT), large.max);
        large.max.y = below.min.y - GAP;
        whole(ui, below, |ui| standing::standing(ui, cx, form));
    }
    match form.step {
        ShiftStep::Data => {
            let [texts, probe] = split(large, large.width() * 0.52);
            pane(ui, "texts", texts, |ui| data::data(ui, cx, form));
            pane(ui, "probe", probe, |ui| probe::probe(ui, cx, form));
        }
        ShiftStep::Circuit => {
            let side = (large.width() * 0.4).clamp(350.0, 480.0);
            let [list, find] = split(large, large.width() - side - GAP);
            whole(ui, list, |ui| circuit::features(ui, cx, form));
            pane(ui, "find", find, |ui| {
                circuit::find(ui, cx, form);
                ui.add_space(10.0);
                dictionaries::dictionaries(ui, cx, form, task, corpus);
            });
        }
        ShiftStep::Judge => whole(ui, large, |ui| judge::judge(ui, cx, form)),
        ShiftStep::Result => pane(ui, "outcome", large, |ui| outcome(ui, cx, form)),
    }
}

fn outcome(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    result::result(ui, cx, form);
    ui.add_space(10.0);
    pronouns::pronouns(ui, cx);
    ui.add_space(10.0);
    saved::saved(ui, cx, form);
    ui.add_space(6.0);
}

/// All the room there is, but for a rim below.
fn room(ui: &mut Ui) -> Rect {
    let mut room = ui.available_rect_before_wrap();
    room.max.y -= 12.0;
    ui.allocate_rect(room, Sense::hover());
    room
}

/// What is left of `x` points from the left, and what is right of it.
fn split(rect: Rect, x: f32) -> [Rect; 2] {
    let at = rect.min.x + x;
    [
        Rect::from_min_max(rect.min, pos2(at, rect.max.y)),
        Rect::from_min_max(pos2(at + GAP, rect.min.y), rect.max),
    ]
}

/// A place that is filled as it is.
fn whole(ui: &mut Ui, rect: Rect, add: impl FnOnce(&mut Ui)) {
    let down = Layout::top_down(Align::Min);
    add(&mut ui.new_child(UiBuilder::new().max_rect(rect).layout(down)));
}

/// A place that scrolls.
fn pane(ui: &mut Ui, name: &str, rect: Rect, add: impl FnOnce(&mut Ui)) {
    whole(ui, rect, |ui| {
        ScrollArea::vertical().id_salt(name).auto_shrink(false).show(ui, add);
    });
}

/// The steps, with what has come of each.
fn steps(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    let p = palette(ui);
    let done = follow::done(cx, form);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 8.0;
        let each = ((ui.available_width() - 24.0) / 4.0).min(300.0);
        for (i, (step, (is_done, said))) in ShiftStep::ALL.into_iter().zip(done).enumerate() {
            let (rect, response) = ui.allocate_exact_size(vec2(each, 46.0), Sense::click());
            let chosen = form.step == step;
            response.widget_info(|| {
                let name = format!("Step {}: {}", i + 1, step.name());
                WidgetInfo::selected(Role::Button, true, chosen, name)
            });
            if response.clicked() {
                form.step = step;
            }
            let (fill, edge) = match (chosen, response.hovered()) {
                (true, _) => (p.accent_ground, p.accent),
                (_, true) => (p.hover, p.line),
                _ => (p.card, p.line),
            };
            let painter = ui.painter();
            painter.rect(rect, 9.0, fill, Stroke::new(1.0, edge), egui::StrokeKind::Inside);
            let at = pos2(rect.min.x + 22.0, rect.center().y);
            let (ground, ink) = match (is_done, chosen) {
                (true, _) => (p.good, p.card),
                (_, true) => (p.accent, p.on_accent),
                _ => (p.well, p.weak),
            };
            painter.circle_filled(at, 11.0, ground);
            if is_done {
                let tick = Rect::from_center_size(at, egui::Vec2::splat(12.0));
                crate::widgets::icon::draw(painter, tick, crate::widgets::icon::Icon::Tick, ink);
            } else {
                let font = FontId::new(12.5, theme::strong_family());
                painter.text(at, Align2::CENTER_CENTER, (i + 1).to_string(), font, ink);
            }
            let room = Rect::from_min_max(pos2(rect.min.x + 42.0, rect.min.y), rect.max);
            let painter = painter.with_clip_rect(room.intersect(ui.clip_rect()));
            let font = FontId::new(13.5, theme::strong_family());
            let at = room.min + vec2(0.0, 15.0);
            painter.text(at, Align2::LEFT_CENTER, step.name(), font, p.text);
            let at = room.min + vec2(0.0, 32.0);
            painter.text(at, Align2::LEFT_CENTER, said, FontId::proportional(11.5), p.weak);
            ring(ui, response);
        }
    });
}
