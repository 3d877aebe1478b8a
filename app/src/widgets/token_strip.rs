//! Tokens in a row, as running text shaded by activation or as separate chips.

use crate::fonts::drawable;
use crate::theme::{palette, strong, weak_line};
use egui::{Align2, FontId, Pos2, Rect, Response, Role, Sense, Ui, Vec2, WidgetInfo, vec2};

/// Running text, each token shaded by its activation.
pub struct Shaded<'a> {
    /// The tokens' texts.
    pub tokens: &'a [String],
    /// One activation a token; 0 where the latent is silent.
    pub activations: &'a [f32],
    /// What the latent does to log p of each token's successor, where that is known.
    pub next: &'a [f32],
    /// The activation drawn at full strength.
    pub full: f32,
    /// The token to underline.
    pub peak: Option<usize>,
    /// At most so many lines; 0 for as many as it takes.
    pub lines: usize,
}

/// Draws running text; the pointer on a token shows its value.
pub fn shaded(ui: &mut Ui, strip: &Shaded<'_>) -> Response {
    let p = palette(ui);
    let font = FontId::monospace(13.0);
    let height = 21.0;
    let share = |i: usize| {
        let a = strip.activations.get(i).copied().unwrap_or(0.0);
        if strip.full > 0.0 { a / strip.full } else { 0.0 }
    };
    let galleys: Vec<_> = strip
        .tokens
        .iter()
        .enumerate()
        .map(|(i, token)| {
            let text = drawable(ui.ctx(), &font, token).into_owned();
            ui.painter().layout_no_wrap(text, font.clone(), p.on_shade(share(i)))
        })
        .collect();
    let sizes: Vec<f32> = galleys.iter().map(|g| g.size().x.max(4.0)).collect();
    let (places, used) = flow(&sizes, ui.available_width(), height, 0.0, strip.lines);
    let (rect, response) = ui.allocate_exact_size(used, Sense::hover());
    let said = strip.tokens.concat();
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, said.as_str()));
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let pointer = response.hover_pos();
    let mut under = None;
    for (i, place) in places.iter().enumerate() {
        let token = place.translate(rect.min.to_vec2());
        let shade = share(i);
        if shade > 0.0 {
            ui.painter().rect_filled(token.shrink2(vec2(0.0, 1.0)), 3.0, p.shade(shade));
        }
        if pointer.is_some_and(|at| token.contains(at)) {
            under = Some(i);
            ui.painter().rect_filled(token.shrink2(vec2(0.0, 1.0)), 3.0, weak_line(p));
        }
        let at = Pos2::new(token.min.x, token.center().y - galleys[i].size().y / 2.0);
        ui.painter().galley(at, galleys[i].clone(), p.text);
        if strip.peak == Some(i) {
            let y = token.max.y - 1.0;
            ui.painter().hline(token.x_range(), y, egui::Stroke::new(2.0, p.glow));
        }
    }
    let Some(i) = under else { return response };
    response.on_hover_ui_at_pointer(|ui| {
        let value = strip.activations.get(i).copied().unwrap_or(0.0);
        ui.label(strong(format!("{:?}", strip.tokens[i]), 13.0));
        ui.label(crate::theme::mono(format!("activation {value:.4}"), 12.5));
        if let Some(effect) = strip.next.get(i) {
            ui.label(crate::theme::mono(format!("next token {effect:+.4} nats"), 12.5));
            let said = "log p of the token that follows, less the same with this latent set to 0 on \
                        the whole text";
            ui.label(crate::widgets::card::weak(ui, said));
        }
    })
}

/// A chip: a token with a note under it.
pub struct Chip<'a> {
    /// The token's text.
    pub text: &'a str,
    /// A number under it: its id, say.
    pub note: String,
}

/// Draws tokens as chips that show where one ends and the next begins.
pub fn chips(ui: &mut Ui, chips: &[Chip<'_>], lines: usize) -> Response {
    let p = palette(ui);
    let (font, small) = (FontId::monospace(13.5), FontId::monospace(10.0));
    let drawn: Vec<_> = chips
        .iter()
        .map(|chip| {
            // A leading space belongs to the token; it must be seen.
            let text = drawable(ui.ctx(), &font, chip.text).replace(' ', "·");
            let text = if text.is_empty() { "∅".to_owned() } else { text };
            let galley = ui.painter().layout_no_wrap(text, font.clone(), p.text);
            let note = ui.painter().layout_no_wrap(chip.note.clone(), small.clone(), p.weak);
            (galley, note)
        })
        .collect();
    let sizes: Vec<f32> =
        drawn.iter().map(|(g, n)| g.size().x.max(n.size().x).ceil() + 12.0).collect();
    let noted = chips.iter().any(|c| !c.note.is_empty());
    let height = if noted { 42.0 } else { 27.0 };
    let (places, used) = flow(&sizes, ui.available_width(), height, 4.0, lines);
    let (rect, response) = ui.allocate_exact_size(used, Sense::hover());
    let said = chips.iter().map(|c| c.text).collect::<String>();
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, said.as_str()));
    for (place, (galley, note)) in places.iter().zip(&drawn) {
        let chip = place.translate(rect.min.to_vec2()).shrink2(vec2(0.0, 2.0));
        if !ui.is_rect_visible(chip) {
            continue;
        }
        let ink = egui::Stroke::new(1.0, p.line);
        ui.painter().rect(chip, 5.0, p.well, ink, egui::StrokeKind::Inside);
        let middle = if noted { chip.min.y + 13.0 } else { chip.center().y };
        let at =
            Align2::CENTER_CENTER.anchor_size(Pos2::new(chip.center().x, middle), galley.size());
        ui.painter().galley(at.min, galley.clone(), p.text);
        if noted {
            let at = Align2::CENTER_CENTER
                .anchor_size(Pos2::new(chip.center().x, chip.max.y - 9.0), note.size());
            ui.painter().galley(at.min, note.clone(), p.weak);
        }
    }
    response
}

/// Where boxes of these widths go when they wrap at `width`, and the room they take. With a
/// limit of lines, boxes past the last line are left out.
pub(super) fn flow(
    widths: &[f32],
    width: f32,
    height: f32,
    gap: f32,
    lines: usize,
) -> (Vec<Rect>, Vec2) {
    let mut places = Vec::with_capacity(widths.len());
    let (mut x, mut y, mut widest) = (0.0_f32, 0.0_f32, 0.0_f32);
    for &w in widths {
        if x > 0.0 && x + w > width {
            (x, y) = (0.0, y + height + gap);
        }
        if lines > 0 && y >= lines as f32 * (height + gap) {
            break;
        }
        places.push(Rect::from_min_size(Pos2::new(x, y), vec2(w, height)));
        x += w + gap;
        widest = widest.max(x - gap);
    }
    let bottom = places.last().map_or(height, |last: &Rect| last.max.y);
    (places, vec2(widest.min(width.max(1.0)), bottom))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_wrap_before_the_edge_and_stop_after_the_last_line() {
        let (places, used) = flow(&[40.0; 5], 100.0, 20.0, 5.0, 0);
        assert_eq!(places.len(), 5);
        assert_eq!(places[2].min, Pos2::new(0.0, 25.0));
        assert!(places.iter().all(|r| r.max.x <= 100.0));
        assert_eq!(used, vec2(85.0, 70.0));
        assert_eq!(flow(&[40.0; 5], 100.0, 20.0, 5.0, 2).0.len(), 4);
        // One box wider than the line still gets a place.
        assert_eq!(flow(&[400.0], 100.0, 20.0, 5.0, 0).0.len(), 1);
    }
}
