//! Next tokens to choose from, with their probabilities as bars.

use crate::fonts::drawable;
use crate::format;
use crate::theme::{self, palette};
use egui::{Align2, FontId, Pos2, Rect, Role, Sense, Stroke, Ui, Vec2, WidgetInfo, pos2, vec2};

/// A next token to choose.
pub struct Choice<'a> {
    /// Its text.
    pub text: &'a str,
    /// Its id.
    pub id: u32,
    /// Its probability.
    pub probability: f64,
    /// Its logit.
    pub logit: f64,
    /// Whether it is the one that is looked at.
    pub chosen: bool,
    /// Whether it is the one that is compared with.
    pub against: bool,
}

/// Draws the tokens. What was clicked: its id, and whether it was its ring (to compare with it)
/// rather than its name.
pub fn choices(ui: &mut Ui, tokens: &[Choice<'_>]) -> Option<(u32, bool)> {
    let p = palette(ui);
    let (font, small) = (FontId::monospace(13.0), FontId::monospace(11.5));
    let mut clicked = None;
    ui.spacing_mut().item_spacing.y = 1.0;
    for token in tokens {
        let (row, response) =
            ui.allocate_exact_size(vec2(ui.available_width(), 25.0), Sense::click());
        let percent = format::percent(token.probability);
        response.widget_info(|| {
            let said = format!("Look at {:?}, {percent}", token.text);
            WidgetInfo::selected(Role::Button, true, token.chosen, said)
        });
        if response.clicked() {
            clicked = Some((token.id, false));
        }
        if !ui.is_rect_visible(row) {
            continue;
        }
        let fill = match (token.chosen, response.hovered()) {
            (true, _) => p.accent_ground,
            (_, true) => p.hover,
            _ => egui::Color32::TRANSPARENT,
        };
        let painter = ui.painter();
        painter.rect_filled(row, 5.0, fill);
        if response.has_focus() {
            let pen = Stroke::new(2.0, p.accent);
            painter.rect_stroke(row, 5.0, pen, egui::StrokeKind::Inside);
        }
        let text = drawable(ui.ctx(), &font, token.text).replace(' ', "·");
        let name = Rect::from_min_size(row.min + vec2(8.0, 0.0), vec2(96.0, row.height()));
        let ink = if token.chosen { p.accent } else { p.text };
        let left = Align2::LEFT_CENTER;
        painter.with_clip_rect(name).text(name.left_center(), left, text, font.clone(), ink);
        let trough = Rect::from_min_max(
            pos2(name.max.x + 8.0, row.center().y - 4.0),
            pos2((row.max.x - 92.0).max(name.max.x + 8.0), row.center().y + 4.0),
        );
        painter.rect_filled(trough, 4.0, p.well);
        let long = (trough.width() * token.probability as f32).max(3.0).min(trough.width());
        let bar = Rect::from_min_size(trough.min, vec2(long, trough.height()));
        painter.rect_filled(bar, 4.0, if token.chosen { p.accent } else { p.series[5] });
        let at = Pos2::new(row.max.x - 34.0, row.center().y);
        painter.text(at, Align2::RIGHT_CENTER, percent, small.clone(), p.weak);
        let ring =
            Rect::from_center_size(pos2(row.max.x - 14.0, row.center().y), Vec2::splat(20.0));
        let second = ui.interact(ring, ui.scope_id().with(("against", token.id)), Sense::click());
        second.widget_info(|| {
            let said = format!("Compare with {:?}", token.text);
            WidgetInfo::selected(Role::CheckBox, true, token.against, said)
        });
        let ink = match (token.against, second.hovered() || second.has_focus()) {
            (true, _) => p.glow,
            (_, true) => p.accent,
            _ => p.faint,
        };
        let painter = ui.painter();
        painter.circle_stroke(ring.center(), 5.5, Stroke::new(1.5, ink));
        if token.against {
            painter.circle_filled(ring.center(), 3.0, ink);
        }
        if second.clicked() {
            clicked = Some((token.id, true));
        }
        second.on_hover_text("Compare with this token: effects are then on the difference");
        response.on_hover_ui_at_pointer(|ui| {
            ui.label(theme::strong(format!("{:?}", token.text), 13.0));
            ui.label(theme::mono(format!("token {}", token.id), 12.5));
            ui.label(theme::mono(format!("logit {:.5}", token.logit), 12.5));
            ui.label(theme::mono(format!("probability {:.6}", token.probability), 12.5));
        });
    }
    clicked
}
