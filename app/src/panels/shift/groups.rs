//! The four groups of the texts, as a table of two by two.

use crate::format;
use crate::theme::{self, palette, size};
use egui::{Align2, FontId, Rect, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};
use sparsescope_core::shift::Data;

/// Height of a cell.
const CELL: f32 = 46.0;
/// Height of the heads.
const HEAD: f32 = 20.0;
/// Between cells.
const GAP: f32 = 4.0;

/// A cell: what stands large in it, and what stands small below.
pub type Cell = (String, String);

/// Draws a table of the groups of `data`; `cells` are `[label][spurious]`.
pub fn groups(ui: &mut Ui, data: &Data, cells: &[[Cell; 2]; 2], hint: &str) {
    let p = palette(ui);
    let names = 84.0;
    let wide = ui.available_width();
    let (rect, _) = ui.allocate_exact_size(vec2(wide, HEAD + 2.0 * CELL + GAP), Sense::hover());
    let each = (wide - names - GAP) / 2.0;
    let left = |s: usize| rect.min.x + names + (each + GAP) * s as f32;
    let small = FontId::proportional(size::SMALL);
    for (s, name) in data.spurious.iter().enumerate() {
        let at = pos2(left(s) + each / 2.0, rect.min.y + HEAD / 2.0 - 2.0);
        ui.painter().text(at, Align2::CENTER_CENTER, name, small.clone(), p.weak);
    }
    for (l, name) in data.labels.iter().enumerate() {
        let top = rect.min.y + HEAD + (CELL + GAP) * l as f32;
        let room = Rect::from_min_size(pos2(rect.min.x, top), vec2(names - 8.0, CELL));
        ui.painter().with_clip_rect(room.intersect(ui.clip_rect())).text(
            room.left_center(),
            Align2::LEFT_CENTER,
            name,
            small.clone(),
            p.weak,
        );
        for (s, (large, below)) in cells[l].iter().enumerate() {
            let cell = Rect::from_min_size(pos2(left(s), top), vec2(each, CELL));
            let agrees = l == s;
            let (fill, edge) = if agrees { (p.accent_ground, p.accent) } else { (p.well, p.line) };
            ui.painter().rect(cell, 7.0, fill, Stroke::new(1.0, edge), StrokeKind::Inside);
            let font = FontId::new(17.0, theme::strong_family());
            let at = cell.center() - vec2(0.0, if below.is_empty() { 0.0 } else { 8.0 });
            ui.painter().text(at, Align2::CENTER_CENTER, large, font, p.text);
            let at = cell.center() + vec2(0.0, 12.0);
            let font = FontId::proportional(11.0);
            ui.painter().text(at, Align2::CENTER_CENTER, below, font, p.weak);
            let id = ui.scope_id().with(("group", hint, l, s));
            let response = ui.interact(cell, id, Sense::hover());
            let name = data.group_name(l, s);
            response.widget_info(|| {
                WidgetInfo::labeled(Role::Label, true, format!("{name}: {large} {below}"))
            });
            let why = match agrees {
                true => {
                    "Here the two agree: a probe that learns from these texts alone cannot know \
                         which of them it is asked for."
                }
                false => "Here the two part: only such texts show what a probe has learnt.",
            };
            crate::widgets::card::define(ui, response, &name, &format!("{hint} {why}"));
        }
    }
}

/// How many texts each group has, and what they are for.
pub fn counts(ui: &mut Ui, texts: &crate::work::shift::Texts) {
    let all = texts.data.groups();
    let facts = &texts.split.facts;
    let cell = |l: usize, s: usize| {
        let below = match l == s {
            true => format!("{} to learn from", format::grouped(facts.ambiguous as u64 / 2)),
            false => "none to learn from".to_owned(),
        };
        (format::grouped(all[l][s] as u64), below)
    };
    let cells = [[cell(0, 0), cell(0, 1)], [cell(1, 0), cell(1, 1)]];
    groups(ui, &texts.data, &cells, "Texts of this group in the data.");
}
