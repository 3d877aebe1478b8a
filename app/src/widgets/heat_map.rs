//! A square of coloured cells: the cosines of a selection with one another.

use crate::theme::{self, Palette, palette};
use egui::{
    Color32, CursorIcon, Mesh, Rect, Role, Sense, Shape, Stroke, Ui, WidgetInfo, pos2, vec2,
};

/// What was done to a heat map.
#[derive(Debug, Clone, Copy, Default)]
pub struct Touched {
    /// Row and column of the cell under the pointer.
    pub over: Option<(usize, usize)>,
    /// Row and column of the cell that was clicked.
    pub clicked: Option<(usize, usize)>,
}

/// The colour of a cosine: the more it differs from 0, the more it stands out; what is below 0
/// has another hue than what is above.
pub fn color(p: &Palette, cosine: f32) -> Color32 {
    let end = if cosine < 0.0 { p.below } else { p.above };
    p.well.lerp_to_gamma(end, cosine.abs().clamp(0.0, 1.0).powf(0.85))
}

/// Draws `n` by `n` cells in a square of side `side`.
pub fn heat_map(ui: &mut Ui, n: usize, value: impl Fn(usize, usize) -> f32, side: f32) -> Touched {
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::click());
    let said = format!("Cosines of {n} latents with one another");
    response.widget_info(|| WidgetInfo::labeled(Role::Image, ui.is_enabled(), &said));
    let mut touched = Touched::default();
    if n == 0 || !ui.is_rect_visible(rect) {
        return touched;
    }
    let p = palette(ui);
    let cell = side / n as f32;
    let mut mesh = Mesh::default();
    mesh.vertices.reserve(4 * n * n);
    mesh.indices.reserve(6 * n * n);
    let at = |row: usize, column: usize| {
        let corner = rect.min + vec2(column as f32, row as f32) * cell;
        // A hair too large, so that no seam shows between cells.
        Rect::from_min_size(corner, vec2(cell, cell)).expand(0.02)
    };
    for row in 0..n {
        for column in 0..n {
            mesh.add_colored_rect(at(row, column), color(p, value(row, column)));
        }
    }
    let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
    painter.add(Shape::mesh(mesh));
    if let Some(pointer) = response.hover_pos() {
        let place = |v: f32| ((v / cell) as usize).min(n - 1);
        let (row, column) = (place(pointer.y - rect.top()), place(pointer.x - rect.left()));
        touched.over = Some((row, column));
        ui.ctx().set_cursor_icon(CursorIcon::PointingHand);
        let veil = p.text.gamma_multiply(0.10);
        let line = at(row, column);
        painter.rect_filled(Rect::from_x_y_ranges(rect.x_range(), line.y_range()), 0.0, veil);
        painter.rect_filled(Rect::from_x_y_ranges(line.x_range(), rect.y_range()), 0.0, veil);
        let pen = Stroke::new(1.5, p.text);
        painter.rect_stroke(line, 0.0, pen, egui::StrokeKind::Outside);
        if response.clicked() {
            touched.clicked = touched.over;
        }
    }
    touched
}

/// The key to the colours, as wide as there is room.
pub fn key(ui: &mut Ui, width: f32) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        ui.label(theme::mono("−1", 11.0).color(p.weak));
        let (rect, _) = ui.allocate_exact_size(vec2((width - 60.0).max(20.0), 8.0), Sense::hover());
        let steps = 40;
        let mut mesh = Mesh::default();
        for i in 0..steps {
            let x = |i: usize| rect.left() + rect.width() * i as f32 / steps as f32;
            let part = Rect::from_min_max(pos2(x(i), rect.top()), rect.max);
            let cosine = (i as f32 + 0.5) / steps as f32 * 2.0 - 1.0;
            mesh.add_colored_rect(part, color(p, cosine));
        }
        ui.painter().add(Shape::mesh(mesh));
        ui.label(theme::mono("1", 11.0).color(p.weak));
    });
}
