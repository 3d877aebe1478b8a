//! Rows and facts that several parts of the graph's column draw.

use crate::theme::{self, palette};
use crate::widgets::graph::{Palettes, signed};
use egui::{
    Align2, Color32, FontId, Rect, Response, Role, Sense, Shape, Stroke, Ui, WidgetInfo, pos2, vec2,
};
use sparsescope_core::circuits::Estimate;

/// A row that can be clicked: what, and how much.
pub struct Row<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Its label, if it has one.
    pub label: &'a str,
    /// How much.
    pub value: f64,
    /// The value that fills the bar.
    pub full: f64,
    /// Whether it is an error.
    pub error: bool,
    /// Whether it is cut.
    pub cut: bool,
}

/// Draws a row.
pub fn row(ui: &mut Ui, row: &Row<'_>) -> Response {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 24.0), Sense::click());
    let value = signed(row.value as f32);
    response.widget_info(|| {
        let said = format!("{} {} {value}", row.name, row.label);
        WidgetInfo::labeled(Role::Button, true, said)
    });
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let painter = ui.painter();
    if response.hovered() || response.has_focus() {
        painter.rect_filled(rect, 5.0, p.hover);
    }
    let share = if row.full > 0.0 { (row.value / row.full).clamp(-1.0, 1.0) as f32 } else { 0.0 };
    let color = Palettes(p).node(share);
    let at = pos2(rect.left() + 10.0, rect.center().y);
    match (row.cut, row.error) {
        (true, _) => _ = painter.circle_stroke(at, 4.0, Stroke::new(1.5, p.bad)),
        (_, true) => {
            let corners = [(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)];
            let corners = corners.map(|(x, y)| at + vec2(x, y)).to_vec();
            painter.add(Shape::convex_polygon(corners, color, Stroke::NONE));
        }
        _ => _ = painter.circle_filled(at, 4.5, color),
    }
    let number = painter.text(
        pos2(rect.right() - 6.0, rect.center().y),
        Align2::RIGHT_CENTER,
        &value,
        FontId::monospace(12.0),
        if row.value < 0.0 { p.below } else { p.above },
    );
    let left = rect.left() + 22.0;
    let room = Rect::from_min_max(pos2(left, rect.top()), pos2(number.left() - 8.0, rect.bottom()));
    let painter = painter.with_clip_rect(room.intersect(ui.clip_rect()));
    let name = painter.text(
        room.left_center(),
        Align2::LEFT_CENTER,
        row.name,
        FontId::monospace(12.0),
        if row.label.is_empty() { p.text } else { p.weak },
    );
    if !row.label.is_empty() {
        let at = pos2(name.right() + 8.0, rect.center().y);
        painter.text(at, Align2::LEFT_CENTER, row.label, FontId::proportional(12.5), p.text);
    }
    response
}

/// A mean with its standard error.
pub fn estimate(e: &Estimate) -> String {
    format!("{} ± {}", signed(e.mean as f32), crate::format::figure(e.error))
}

/// A small head.
pub fn head(ui: &mut Ui, text: &str) {
    ui.add_space(4.0);
    ui.label(theme::strong(text, 13.5));
}

/// The colour of a value by its sign.
pub fn by_sign(ui: &Ui, value: f64) -> Color32 {
    let p = palette(ui);
    if value < 0.0 { p.below } else { p.above }
}
