//! What the model itself writes: the probabilities of pronouns before and after the trim.
//!
//! What a person wants to know here: is the model itself now less biased? SHIFT is about the probe and
//! promises nothing of the sort; a trim of many features may cost pronouns of either kind, which is
//! damage rather than fairness. So both are measured, and shown beside the sentence that says so.

use super::DOES_NOT;
use crate::context::Cx;
use crate::fonts::drawable;
use crate::format;
use crate::theme::{self, palette, size};
use crate::widgets::card::{define, titled, weak};
use egui::{
    Align2, Color32, FontId, Label, Rect, RichText, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2,
};
use sparsescope_core::shift::{PronounGroup, PronounReport};

const ROW: f32 = 25.0;

/// Draws them.
pub fn pronouns(ui: &mut Ui, cx: &Cx<'_>) {
    let p = palette(ui);
    let report = cx.state.shift.results.pronouns.as_ref();
    let note = report.map_or_else(String::new, |r| {
        format!("{} places in {} texts", format::grouped(r.all.places as u64), r.texts)
    });
    titled(ui, "The model's own pronouns", &note, |ui| {
        ui.add(Label::new(RichText::new(DOES_NOT).size(13.0).color(p.warn)).wrap());
        ui.add_space(4.0);
        let Some(report) = report else {
            let said = "How likely the model makes she-words and he-words where one of them stands, \
                        before and after the trim, is measured when the table is filled.";
            ui.add(Label::new(weak(ui, said)).wrap());
            return;
        };
        if cx.state.shift.results.of != cx.state.shift.judged.now.trimmed() {
            ui.set_opacity(0.5);
        }
        ui.spacing_mut().item_spacing.y = 0.0;
        heads(ui, report);
        for group in std::iter::once(&report.all).chain(&report.groups) {
            row(ui, report, group);
        }
    });
}

/// Room for the names, the scale, and the two columns of figures.
fn rooms(rect: Rect) -> [Rect; 4] {
    let names = (rect.width() * 0.24).clamp(120.0, 220.0);
    let figures = 108.0;
    let ends = [
        rect.min.x,
        rect.min.x + names,
        rect.max.x - 2.0 * figures,
        rect.max.x - figures,
        rect.max.x,
    ];
    [0, 1, 2, 3].map(|i| {
        let gap = if i == 1 { 14.0 } else { 0.0 };
        Rect::from_min_max(pos2(ends[i], rect.min.y), pos2(ends[i + 1] - gap, rect.max.y))
    })
}

fn heads(ui: &mut Ui, report: &PronounReport) {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 22.0), Sense::hover());
    let [_, scale, she, he] = rooms(rect);
    let font = FontId::proportional(size::SMALL);
    let painter = ui.painter();
    let at = scale.left_center();
    painter.text(at, Align2::LEFT_CENTER, "probability: ○ before, ● after", font.clone(), p.weak);
    for (room, name, color) in [(she, "she-words", p.glow), (he, "he-words", p.accent)] {
        let drawn =
            painter.text(room.right_center(), Align2::RIGHT_CENTER, name, font.clone(), p.weak);
        painter.circle_filled(pos2(drawn.min.x - 9.0, room.center().y), 3.5, color);
    }
    painter.hline(rect.x_range(), rect.max.y, Stroke::new(1.0, p.line));
    let said = format!(
        "{} She-words: {}. He-words: {}.",
        report.definition,
        report.she.join(", "),
        report.he.join(", ")
    );
    define(ui, response, "Probabilities of pronouns", &said);
}

fn row(ui: &mut Ui, report: &PronounReport, group: &PronounGroup) {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let (before, after) = (&group.before, &group.after);
    let percent = |v: f64| format!("{:.1}", 100.0 * v);
    let figures = |from: f64, to: f64| format!("{} → {}", percent(from), percent(to));
    let said = format!(
        "{}: she-words {} %, he-words {} %",
        group.name,
        figures(before.she, after.she),
        figures(before.he, after.he)
    );
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, said.as_str()));
    if ui.is_rect_visible(rect) {
        let [name, scale, she, he] = rooms(rect);
        let painter = ui.painter();
        if response.hovered() {
            painter.rect_filled(rect.expand2(vec2(6.0, 0.0)), 5.0, p.hover);
        }
        let whole = std::ptr::eq(group, &report.all);
        let family = if whole { theme::strong_family() } else { egui::FontFamily::Proportional };
        let font = FontId::new(13.0, family);
        let text = drawable(ui.ctx(), &font, &group.name);
        let painter = painter.with_clip_rect(name.intersect(ui.clip_rect()));
        painter.text(name.left_center(), Align2::LEFT_CENTER, text, font, p.text);
        scale_of(ui, scale, [(before.she, after.she, p.glow), (before.he, after.he, p.accent)]);
        let digits = FontId::monospace(12.0);
        for (room, from, to) in [(she, before.she, after.she), (he, before.he, after.he)] {
            let at = room.right_center();
            let text = figures(from, to);
            ui.painter().text(at, Align2::RIGHT_CENTER, text, digits.clone(), p.text);
        }
    }
    let said = format!(
        "{} places. Right: the words of the gender that stands there are the likelier in {} of them \
         before the trim, in {} after. {}",
        format::grouped(group.places as u64),
        format::percent(before.right),
        format::percent(after.right),
        report.definition
    );
    define(ui, response, &group.name, &said);
}

/// Two values, each as it was and as it is, on one scale from nothing to all.
fn scale_of(ui: &Ui, room: Rect, values: [(f64, f64, Color32); 2]) {
    let p = palette(ui);
    let painter = ui.painter();
    let y = room.center().y;
    let track = Rect::from_x_y_ranges(room.x_range(), y - 4.0..=y + 4.0);
    painter.rect_filled(track, 4.0, p.well);
    let at = |v: f64| track.min.x + 5.0 + (track.width() - 10.0) * v.clamp(0.0, 1.0) as f32;
    for (before, after, color) in values {
        painter.hline(
            at(before).min(at(after))..=at(before).max(at(after)),
            y,
            Stroke::new(2.0, color),
        );
        painter.circle_stroke(pos2(at(before), y), 5.0, Stroke::new(1.5, color));
        painter.circle_filled(pos2(at(after), y), 3.5, color);
    }
}
