//! A feature of the circuit as a row: its verdict, what it is, how much the probe leans on it.

use crate::context::Cx;
use crate::fonts::drawable;
use crate::theme::palette;
use crate::widgets::icon::{self, Icon};
use egui::text::{LayoutJob, TextWrapping};
use egui::{
    Align2, Color32, FontId, Rect, Response, Role, Sense, Stroke, TextFormat, Ui, Vec2, WidgetInfo,
    pos2, vec2,
};
use sparsescope_core::circuits::{CircuitNode, Unit};
use sparsescope_core::shift::{EFFECT_DEFINITION, Verdict};

/// Height of a row with all of it in one line.
const ROW: f32 = 28.0;
/// Height of a row with the label over the node.
pub const TALL: f32 = 38.0;

/// A row.
pub struct Row<'a> {
    /// What is known.
    pub cx: &'a Cx<'a>,
    /// The feature, or an error.
    pub node: &'a CircuitNode,
    /// The effect that fills the bar.
    pub full: f64,
    /// Whether its card is shown.
    pub chosen: bool,
    /// Whether it is not to be judged.
    pub dim: bool,
    /// Whether the label stands over the node, for narrow lists.
    pub tall: bool,
}

/// What a node is called: its label, if it has one.
pub fn label<'a>(cx: &Cx<'a>, node: &CircuitNode) -> Option<&'a str> {
    match node.node.unit {
        Unit::Latent(latent) => {
            let found = cx.state.shift.found.as_deref()?;
            found.labels.get(&(node.node.site, latent)).map(String::as_str)
        }
        Unit::Error => Some("what the dictionary leaves over"),
    }
}

/// Draws it.
pub fn row(ui: &mut Ui, row: &Row<'_>) -> Response {
    let p = palette(ui);
    let (node, cx) = (row.node, row.cx);
    let verdict = cx.state.shift.judged.now.verdict(&node.node);
    let label = label(cx, node);
    let size = vec2(ui.available_width(), if row.tall { TALL } else { ROW });
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let effect = node.effect.mean;
    response.widget_info(|| {
        let verdict = match verdict {
            Some(Verdict::Keep) => ", kept",
            Some(Verdict::Trim) => ", trimmed",
            None => "",
        };
        let name = format!("{} {}{verdict}", node.node, label.unwrap_or_default());
        WidgetInfo::selected(Role::Button, true, row.chosen, name)
    });
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let fill = match (row.chosen, response.hovered()) {
        (true, _) => p.accent_ground,
        (_, true) => p.hover,
        _ => Color32::TRANSPARENT,
    };
    let painter = ui.painter();
    painter.rect_filled(rect, 5.0, fill);
    if response.has_focus() {
        painter.rect_stroke(rect, 5.0, Stroke::new(2.0, p.accent), egui::StrokeKind::Inside);
    }
    let fade = |color: Color32| if row.dim { color.gamma_multiply(0.45) } else { color };
    mark(painter, pos2(rect.min.x + 14.0, rect.center().y), verdict, node.node.unit, p);
    let bar = Rect::from_min_max(
        pos2(rect.max.x - if row.tall { 108.0 } else { 128.0 }, rect.center().y - 3.5),
        pos2(rect.max.x - 58.0, rect.center().y + 3.5),
    );
    painter.rect_filled(bar, 3.0, p.well);
    let share = if row.full > 0.0 { (effect / row.full).clamp(0.0, 1.0) as f32 } else { 0.0 };
    let long = (bar.width() * share).max(2.0);
    let color = if verdict == Some(Verdict::Trim) { p.faint } else { p.above };
    painter.rect_filled(Rect::from_min_size(bar.min, vec2(long, bar.height())), 3.0, fade(color));
    let font = FontId::monospace(12.0);
    let at = pos2(rect.max.x - 8.0, rect.center().y);
    let value = format!("{effect:.3}");
    painter.text(at, Align2::RIGHT_CENTER, value, font.clone(), fade(p.text));
    let room =
        Rect::from_min_max(pos2(rect.min.x + 30.0, rect.min.y), pos2(bar.min.x - 8.0, rect.max.y));
    let painter = painter.with_clip_rect(room.intersect(ui.clip_rect()));
    let ink = match (row.chosen, label.is_some()) {
        (true, _) => p.accent,
        (_, true) => p.weak,
        _ => p.text,
    };
    let text = node.node.to_string();
    let above = row.tall && label.is_some();
    let y = rect.center().y + if above { 9.0 } else { 0.0 };
    let font = if above { FontId::monospace(11.0) } else { font };
    let name = painter.text(pos2(room.min.x, y), Align2::LEFT_CENTER, text, font, fade(ink));
    if let Some(label) = label {
        let font = FontId::proportional(13.0);
        let text = drawable(ui.ctx(), &font, label);
        let left = if above { room.min.x } else { name.max.x.max(room.min.x + 80.0) + 8.0 };
        let plain = TextFormat { font_id: font, color: fade(p.text), ..TextFormat::default() };
        let mut job = LayoutJob::default();
        job.append(&text, 0.0, plain);
        job.wrap = TextWrapping::truncate_at_width((room.max.x - left).max(10.0));
        let galley = painter.layout_job(job);
        let y = rect.center().y - if above { 7.0 } else { 0.0 };
        painter.galley(pos2(left, y - galley.size().y / 2.0), galley, p.text);
    }
    response.on_hover_ui(|ui| {
        ui.set_max_width(340.0);
        let label = label.map(|l| format!(": {l}")).unwrap_or_default();
        ui.label(crate::theme::strong(format!("{}{label}", node.node), 13.0));
        let text = format!(
            "Effect {effect:.4} ± {:.4}, mean activation {:.3}.",
            node.effect.error, node.clean
        );
        ui.label(crate::widgets::card::weak(ui, text));
        ui.label(crate::widgets::card::weak(ui, EFFECT_DEFINITION));
    })
}

/// How it was judged: a tick, a cross, or an empty ring; an error is a diamond.
fn mark(
    painter: &egui::Painter,
    at: egui::Pos2,
    verdict: Option<Verdict>,
    unit: Unit,
    p: &crate::theme::Palette,
) {
    let place = Rect::from_center_size(at, Vec2::splat(13.0));
    match (unit, verdict) {
        (Unit::Error, _) => {
            let corners = [(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)];
            let corners = corners.map(|(x, y)| at + vec2(x, y)).to_vec();
            painter.add(egui::Shape::convex_polygon(corners, p.faint, Stroke::NONE));
        }
        (_, Some(Verdict::Keep)) => icon::draw(painter, place, Icon::Tick, p.good),
        (_, Some(Verdict::Trim)) => icon::draw(painter, place, Icon::Close, p.bad),
        (_, None) => _ = painter.circle_stroke(at, 4.5, Stroke::new(1.4, p.faint)),
    }
}
