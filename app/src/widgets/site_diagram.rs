//! The sites of a model as a drawing: the residual stream runs from left to right, attention and
//! MLP of each block read from it and add to it. A click on a site chooses it.

use crate::theme::{Palette, palette};
use crate::widgets::card::ring;
use egui::{
    Align2, FontId, Painter, Pos2, Rect, Response, Role, ScrollArea, Sense, Stroke, StrokeKind, Ui,
    WidgetInfo, pos2, vec2,
};
use sparsescope_core::llama::Site;

const HEIGHT: f32 = 136.0;
const STREAM: f32 = 96.0;
const EMBED: f32 = 68.0;
const END: f32 = 46.0;

/// Draws the sites of a model of so many blocks; returns the one that was clicked.
pub fn site_diagram(ui: &mut Ui, layers: usize, chosen: Option<Site>) -> Option<Site> {
    let room = ui.available_width();
    let block = ((room - EMBED - END) / layers.max(1) as f32).clamp(146.0, 240.0);
    let mut clicked = None;
    ScrollArea::horizontal().id_salt("sites").show(ui, |ui| {
        let width = EMBED + block * layers as f32 + END;
        let (rect, _) =
            ui.allocate_exact_size(vec2(width.min(room.max(width)), HEIGHT), Sense::hover());
        let p = palette(ui);
        let y = rect.min.y + STREAM;
        let pen = Stroke::new(2.5, p.faint);
        ui.painter().hline(rect.min.x + 20.0..=rect.min.x + width - 14.0, y, pen);
        arrow(ui.painter(), pos2(rect.min.x + width - 12.0, y), p);
        let logits = pos2(rect.min.x + width - 26.0, y + 22.0);
        ui.painter().text(logits, Align2::CENTER_CENTER, "logits", FontId::monospace(11.0), p.weak);
        let mut site = |ui: &mut Ui, site: Site, place: Rect| {
            if draw_site(ui, site, place, chosen == Some(site)).clicked() {
                clicked = Some(site);
            }
        };
        let at = pos2(rect.min.x + 30.0, y);
        site(ui, Site::Embed, Rect::from_center_size(at, vec2(56.0, 28.0)));
        for layer in 0..layers {
            let left = rect.min.x + EMBED + block * layer as f32;
            for (i, s) in [Site::Attn(layer), Site::Mlp(layer)].into_iter().enumerate() {
                let x = left + block * (0.16 + 0.3 * i as f32);
                branch(ui.painter(), x, y, block * 0.112, rect.min.y + 40.0, p);
                let wide = (block * 0.29).min(64.0);
                let place = Rect::from_center_size(pos2(x, rect.min.y + 26.0), vec2(wide, 30.0));
                site(ui, s, place);
            }
            let at = pos2(left + block * 0.815, y);
            let wide = (block * 0.36).min(66.0);
            site(ui, Site::Resid(layer), Rect::from_center_size(at, vec2(wide, 28.0)));
        }
    });
    clicked
}

/// A path that leaves the stream, passes through a box above it and comes back.
fn branch(painter: &Painter, x: f32, stream: f32, room: f32, top: f32, p: &Palette) {
    let pen = Stroke::new(1.4, p.faint);
    let half = room.min(24.0);
    let points =
        [pos2(x - half, stream), pos2(x - half, top + 14.0), pos2(x, top + 14.0), pos2(x, top)];
    painter.line(points.to_vec(), pen);
    painter.circle_filled(points[0], 2.5, p.faint);
    let back = x + half;
    painter.line(
        vec![
            pos2(x + half * 0.5, top),
            pos2(x + half * 0.5, top + 14.0),
            pos2(back, top + 14.0),
            pos2(back, stream - 6.0),
        ],
        pen,
    );
    painter.circle(pos2(back, stream), 6.0, p.card, pen);
    painter.hline(back - 3.0..=back + 3.0, stream, pen);
    painter.vline(back, stream - 3.0..=stream + 3.0, pen);
}

fn arrow(painter: &Painter, tip: Pos2, p: &Palette) {
    let points = vec![tip, tip + vec2(-8.0, -5.0), tip + vec2(-8.0, 5.0)];
    painter.add(egui::Shape::convex_polygon(points, p.faint, Stroke::NONE));
}

fn draw_site(ui: &Ui, site: Site, place: Rect, chosen: bool) -> Response {
    let p = palette(ui);
    let name = site.to_string();
    let response = ui.interact(place, ui.scope_id().with(("site", site)), Sense::click());
    response
        .widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, format!("Site {name}")));
    let (fill, edge, ink) = match (chosen, response.hovered()) {
        (true, _) => (p.accent, p.accent, p.on_accent),
        (_, true) => (p.hover, p.accent, p.text),
        _ => (p.well, p.line, p.text),
    };
    let round = if matches!(site, Site::Resid(_) | Site::Embed) { 14.0 } else { 6.0 };
    ui.painter().rect(place, round, fill, Stroke::new(1.2, edge), StrokeKind::Inside);
    let font = FontId::monospace(10.5);
    ui.painter().text(place.center(), Align2::CENTER_CENTER, name, font, ink);
    ring(ui, response)
}
