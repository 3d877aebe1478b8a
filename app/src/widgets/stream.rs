//! Text that comes token by token, each shaded by how much likelier an edit makes it.

use super::token_strip::flow;
use crate::fonts::drawable;
use crate::theme::{Palette, palette, strong};
use egui::{Color32, FontId, Pos2, Rect, Response, Role, Sense, Stroke, Ui, WidgetInfo, vec2};

/// A text in tokens.
pub struct StreamText<'a> {
    /// What it is called for readers of the screen.
    pub name: &'a str,
    /// What it begins with, drawn faintly.
    pub prompt: &'a str,
    /// The tokens' texts.
    pub tokens: &'a [&'a str],
    /// The change of each token's probability, −1 to 1; `None` where there is nothing to compare.
    pub changes: &'a [Option<f64>],
    /// The token before which a mark says that the texts part.
    pub parts_at: Option<usize>,
}

/// The ground of a token whose probability changes by so much.
pub fn shade(p: &Palette, change: f64) -> Color32 {
    let size = (change.abs() as f32).clamp(0.0, 1.0);
    if size < 0.005 {
        return Color32::TRANSPARENT;
    }
    let full = if change > 0.0 { p.above } else { p.below };
    // A change that counts at all must be seen.
    full.gamma_multiply(0.12 + 0.6 * size.sqrt())
}

/// Draws it; `hover` says what stands under the pointer on a token.
pub fn stream(ui: &mut Ui, text: &StreamText<'_>, hover: impl Fn(&mut Ui, usize)) -> Response {
    let p = palette(ui);
    let font = FontId::monospace(14.0);
    let height = 23.0;
    let lay = |text: &str, ink| {
        let text = drawable(ui.ctx(), &font, text).into_owned();
        ui.painter().layout_no_wrap(text, font.clone(), ink)
    };
    // Words of the prompt wrap like tokens.
    let words: Vec<&str> = text.prompt.split_inclusive(' ').collect();
    let galleys: Vec<_> = words
        .iter()
        .map(|word| lay(word, p.faint))
        .chain(text.tokens.iter().map(|token| lay(token, p.text)))
        .collect();
    let sizes: Vec<f32> = galleys.iter().map(|g| g.size().x.max(4.0)).collect();
    let (places, used) = flow(&sizes, ui.available_width(), height, 0.0, 0);
    let (rect, response) = ui.allocate_exact_size(used, Sense::hover());
    response.widget_info(|| {
        let said = format!("{}: {}{}", text.name, text.prompt, text.tokens.concat());
        WidgetInfo::labeled(Role::Label, true, said)
    });
    let pointer = response.hover_pos();
    let mut under = None;
    for (i, place) in places.iter().enumerate() {
        let place = place.translate(rect.min.to_vec2());
        if !ui.is_rect_visible(place) {
            continue;
        }
        let ground = place.shrink2(vec2(0.0, 1.5));
        if let Some(token) = i.checked_sub(words.len()) {
            if let Some(change) = text.changes.get(token).copied().flatten() {
                ui.painter().rect_filled(ground, 3.0, shade(p, change));
            }
            if pointer.is_some_and(|at| place.contains(at)) {
                under = Some(token);
                let pen = Stroke::new(1.0, p.weak);
                ui.painter().rect_stroke(ground, 3.0, pen, egui::StrokeKind::Inside);
            }
            if text.parts_at == Some(token) {
                mark(ui, p, ground);
            }
        }
        let at = Pos2::new(place.min.x, place.center().y - galleys[i].size().y / 2.0);
        ui.painter().galley(at, galleys[i].clone(), p.text);
    }
    let Some(token) = under else { return response };
    response.on_hover_ui_at_pointer(|ui| hover(ui, token))
}

/// Where the texts part.
fn mark(ui: &Ui, p: &Palette, token: Rect) {
    let x = token.min.x;
    ui.painter().vline(x, token.y_range(), Stroke::new(2.0, p.accent));
    ui.painter().circle_filled(Pos2::new(x, token.min.y), 3.0, p.accent);
}

/// What the shades mean, in one line.
pub fn legend(ui: &mut Ui, said: &str) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        ui.label(strong("less likely", 11.5).color(p.weak));
        ui.add_space(4.0);
        for change in [-1.0, -0.4, -0.1, 0.1, 0.4, 1.0] {
            let (rect, _) = ui.allocate_exact_size(vec2(16.0, 10.0), Sense::hover());
            ui.painter().rect_filled(rect, 2.0, shade(p, change));
        }
        ui.add_space(4.0);
        ui.label(strong("likelier", 11.5).color(p.weak));
        ui.add_space(8.0);
        ui.label(super::card::weak(ui, said));
    });
}
