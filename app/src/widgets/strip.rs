//! Tokens that can be chosen, shaded, as running text.

use super::token_strip::flow;
use crate::fonts::drawable;
use crate::theme::palette;
use egui::{FontId, Pos2, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, vec2};

/// Tokens to choose from.
pub struct Strip<'a> {
    /// The tokens' texts.
    pub tokens: &'a [String],
    /// What each is shaded by.
    pub shades: &'a [f32],
    /// What is drawn at full strength.
    pub full: f32,
    /// The token that is chosen.
    pub chosen: Option<usize>,
    /// The token with a frame.
    pub marked: Option<usize>,
    /// So many tokens at the start are drawn faintly: BOS.
    pub quiet: usize,
}

/// Draws the tokens; the one that was clicked, if one was.
pub fn strip(ui: &mut Ui, strip: &Strip<'_>) -> Option<usize> {
    let p = palette(ui);
    let font = FontId::monospace(14.0);
    let share = |i: usize| {
        let s = strip.shades.get(i).copied().unwrap_or(0.0);
        if strip.full > 0.0 { s / strip.full } else { 0.0 }
    };
    let galleys: Vec<_> = strip
        .tokens
        .iter()
        .enumerate()
        .map(|(i, token)| {
            let text = drawable(ui.ctx(), &font, token).into_owned();
            let ink = if i < strip.quiet { p.faint } else { p.on_shade(share(i)) };
            ui.painter().layout_no_wrap(text, font.clone(), ink)
        })
        .collect();
    let sizes: Vec<f32> = galleys.iter().map(|g| g.size().x.max(6.0) + 4.0).collect();
    let (places, used) = flow(&sizes, ui.available_width(), 28.0, 2.0, 0);
    let (rect, _) = ui.allocate_exact_size(used, Sense::hover());
    let mut clicked = None;
    for (i, place) in places.iter().enumerate() {
        let token = place.translate(rect.min.to_vec2()).shrink2(vec2(0.0, 2.0));
        if !ui.is_rect_visible(token) {
            continue;
        }
        let chosen = strip.chosen == Some(i);
        let response = ui.interact(token, ui.scope_id().with(("token", i)), Sense::click());
        response.widget_info(|| {
            let name = format!("Token {i}: {}", strip.tokens[i].trim());
            WidgetInfo::selected(Role::Button, true, chosen, name)
        });
        let painter = ui.painter();
        if share(i) > 0.0 {
            painter.rect_filled(token, 4.0, p.shade(share(i)));
        }
        if response.hovered() {
            painter.rect_filled(token, 4.0, crate::theme::weak_line(p));
        }
        if strip.marked == Some(i) {
            let pen = Stroke::new(1.0, p.weak);
            painter.rect_stroke(token, 4.0, pen, StrokeKind::Inside);
        }
        if chosen || response.has_focus() {
            let pen = Stroke::new(2.0, p.accent);
            painter.rect_stroke(token, 4.0, pen, StrokeKind::Inside);
        }
        let at = Pos2::new(token.min.x + 2.0, token.center().y - galleys[i].size().y / 2.0);
        painter.galley(at, galleys[i].clone(), p.text);
        if response.clicked() {
            clicked = Some(i);
        }
    }
    clicked
}
