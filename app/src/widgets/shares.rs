//! A table of shares with their intervals, as bars on one scale from nothing to all.

use crate::theme::{self, palette, size};
use crate::widgets::card::{ring, weak};
use egui::{
    Align2, Color32, FontId, Rect, RichText, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2,
};
use sparsescope_core::shift::Share;

/// Height of a row.
pub const ROW: f32 = 25.0;
/// Height of the heads.
const HEAD: f32 = 24.0;

/// A column.
pub struct Column<'a> {
    /// What it is called.
    pub name: &'a str,
    /// How it is computed.
    pub definition: &'a str,
    /// Colour of its bars.
    pub color: Color32,
    /// Whether much of it is good, or little; `None`: neither.
    pub wanted: Option<Wanted>,
}

/// Which end of a scale is the good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Much is good.
    High,
    /// Half is good: no better than chance.
    Chance,
}

/// A row.
pub struct Row<'a> {
    /// What it is called.
    pub name: &'a str,
    /// How it was made, in a sentence.
    pub definition: String,
    /// A share for each column; `None` while it is not known.
    pub shares: Vec<Option<Share>>,
    /// How it is drawn.
    pub look: Look,
    /// What stands where nothing is known yet.
    pub waiting: &'a str,
}

/// How a row is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Look {
    /// As the others.
    #[default]
    Plain,
    /// As the one the table is about.
    Lit,
    /// As one whose numbers are being made anew.
    Old,
}

/// Draws the table; the place of the row under the pointer.
pub fn shares(ui: &mut Ui, columns: &[Column<'_>], rows: &[Row<'_>]) -> Option<usize> {
    ui.spacing_mut().item_spacing.y = 0.0;
    heads(ui, columns);
    let mut under = None;
    for (i, one) in rows.iter().enumerate() {
        if row(ui, columns, one) {
            under = Some(i);
        }
    }
    under
}

/// Room for the names, and the rooms of the columns.
fn rooms(rect: Rect, count: usize) -> (Rect, Vec<Rect>) {
    let names = (rect.width() * 0.34).clamp(128.0, 240.0);
    let each = (rect.width() - names) / count.max(1) as f32;
    let left = Rect::from_min_max(rect.min, pos2(rect.min.x + names, rect.max.y));
    let cell = |i: usize| {
        let from = rect.min.x + names + each * i as f32;
        Rect::from_min_max(pos2(from, rect.min.y), pos2(from + each - 14.0, rect.max.y))
    };
    (left, (0..count).map(cell).collect())
}

fn heads(ui: &mut Ui, columns: &[Column<'_>]) {
    let p = palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), HEAD), Sense::hover());
    let (_, cells) = rooms(rect, columns.len());
    for (column, cell) in columns.iter().zip(cells) {
        let response = ui.interact(cell, ui.scope_id().with(column.name), Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, column.name));
        let at = pos2(cell.min.x + 4.0, cell.center().y);
        ui.painter().circle_filled(at, 3.5, column.color);
        let text = match column.wanted {
            Some(Wanted::High) => format!("{} ↑", column.name),
            Some(Wanted::Chance) => format!("{} ↓", column.name),
            None => column.name.to_owned(),
        };
        let at = pos2(cell.min.x + 13.0, cell.center().y);
        let font = FontId::proportional(size::SMALL);
        let ink = if response.hovered() { p.text } else { p.weak };
        ui.painter().text(at, Align2::LEFT_CENTER, text, font, ink);
        crate::widgets::card::define(ui, response, column.name, column.definition);
    }
    ui.painter().hline(rect.x_range(), rect.max.y, Stroke::new(1.0, p.line));
}

fn row(ui: &mut Ui, columns: &[Column<'_>], row: &Row<'_>) -> bool {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, said(columns, row)));
    let over = response.hovered();
    if ui.is_rect_visible(rect) {
        let fill = match (over, row.look) {
            (true, _) => p.hover,
            (_, Look::Lit) => p.accent_ground.gamma_multiply(0.6),
            _ => Color32::TRANSPARENT,
        };
        ui.painter().rect_filled(rect.expand2(vec2(6.0, 0.0)), 5.0, fill);
        let (name, cells) = rooms(rect, columns.len());
        let known = row.shares.iter().any(Option::is_some);
        let family = match row.look {
            Look::Lit => theme::strong_family(),
            _ => egui::FontFamily::Proportional,
        };
        let ink = if known { p.text } else { p.weak };
        ui.painter().with_clip_rect(name.intersect(ui.clip_rect())).text(
            name.left_center(),
            Align2::LEFT_CENTER,
            row.name,
            FontId::new(13.0, family),
            ink,
        );
        for ((column, cell), share) in columns.iter().zip(&cells).zip(&row.shares) {
            match share {
                Some(share) => bar(ui, *cell, share, column.color, row.look == Look::Old),
                None if known => trough(ui, *cell),
                None => {}
            }
        }
        if let (false, Some(first)) = (known, cells.first()) {
            let font = FontId::proportional(size::SMALL);
            let at = first.left_center();
            ui.painter().text(at, Align2::LEFT_CENTER, row.waiting, font, p.faint);
        }
    }
    let name = row.name;
    ring(ui, response).on_hover_ui(|ui| {
        ui.set_max_width(380.0);
        ui.label(theme::strong(name, 13.0));
        ui.label(RichText::new(&row.definition).size(12.5).color(p.weak));
        for (column, share) in columns.iter().zip(&row.shares) {
            if let Some(share) = share {
                let line = format!("{}: {}", column.name, in_full(share));
                ui.label(weak(ui, line));
            }
        }
    });
    over
}

fn said(columns: &[Column<'_>], row: &Row<'_>) -> String {
    let known = columns.iter().zip(&row.shares);
    let parts: Vec<String> = known
        .filter_map(|(column, share)| Some(format!("{} {}", column.name, in_full(&(*share)?))))
        .collect();
    match parts.is_empty() {
        true => format!("{}: {}", row.name, row.waiting),
        false => format!("{}: {}", row.name, parts.join(", ")),
    }
}

/// A share and its interval: `88.5 % (85.1 to 91.2)`.
pub fn in_full(share: &Share) -> String {
    format!("{:.1} % ({:.1} to {:.1})", 100.0 * share.mean, 100.0 * share.low, 100.0 * share.high)
}

/// Room for the figures at the right of a bar.
const FIGURES: f32 = 116.0;
const FIGURE: f32 = 46.0;

fn track(cell: Rect) -> Rect {
    // Where there is no room for the interval in figures, it is left to the bar and the pointer.
    let figures = if cell.width() > 190.0 { FIGURES } else { FIGURE };
    let right = (cell.max.x - figures).max(cell.min.x + 24.0);
    Rect::from_min_max(pos2(cell.min.x, cell.center().y - 5.0), pos2(right, cell.center().y + 5.0))
}

fn trough(ui: &Ui, cell: Rect) {
    let p = palette(ui);
    ui.painter().rect_filled(track(cell), 3.0, p.well);
}

fn bar(ui: &Ui, cell: Rect, share: &Share, color: Color32, old: bool) {
    let p = palette(ui);
    let fade = |color: Color32| if old { color.gamma_multiply(0.4) } else { color };
    let track = track(cell);
    let painter = ui.painter();
    painter.rect_filled(track, 3.0, p.well);
    let at = |v: f64| track.min.x + track.width() * v.clamp(0.0, 1.0) as f32;
    let filled = Rect::from_x_y_ranges(track.min.x..=at(share.mean), track.y_range());
    painter.rect_filled(filled, 3.0, fade(color.gamma_multiply(0.75)));
    // Chance.
    painter.vline(at(0.5), track.expand(2.0).y_range(), Stroke::new(1.0, p.faint));
    let y = track.center().y;
    let pen = Stroke::new(1.5, fade(p.text));
    painter.hline(at(share.low)..=at(share.high), y, pen);
    for end in [share.low, share.high] {
        painter.vline(at(end), y - 3.0..=y + 3.0, pen);
    }
    let digits = FontId::monospace(12.5);
    let right = track.max.x + FIGURE;
    let ink = fade(p.text);
    let text = format!("{:.1}", 100.0 * share.mean);
    painter.text(pos2(right - 4.0, y), Align2::RIGHT_CENTER, text, digits, ink);
    if cell.max.x - track.max.x > FIGURE + 10.0 {
        let small = FontId::monospace(10.5);
        let text = format!("{:.1}–{:.1}", 100.0 * share.low, 100.0 * share.high);
        let at = pos2(right + 4.0, y);
        painter.text(at, Align2::LEFT_CENTER, text, small, fade(p.weak));
    }
}
