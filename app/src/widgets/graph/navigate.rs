//! Zooming and moving.

use super::Canvas;
use egui::{Key, PointerButton, Rect, Response, Ui, vec2};

const ZOOM: std::ops::RangeInclusive<f32> = 0.6..=24.0;

pub fn navigate(ui: &Ui, canvas: &mut Canvas, rect: Rect, response: &Response, framing: bool) {
    let to = canvas.transform(rect);
    let mut zoom = 1.0;
    let mut about = rect.center();
    if response.hovered() {
        let (pinch, wheel) = ui.input(|i| (i.zoom_delta(), i.smooth_scroll_delta().y));
        zoom = pinch * (wheel / 240.0).exp();
        about = response.hover_pos().unwrap_or(about);
    }
    if response.has_focus() {
        let pressed = |key| ui.input(|i| i.key_pressed(key));
        let step = 40.0 / to.view.zoom;
        for (key, by) in [
            (Key::ArrowLeft, vec2(-step, 0.0)),
            (Key::ArrowRight, vec2(step, 0.0)),
            (Key::ArrowUp, vec2(0.0, -step)),
            (Key::ArrowDown, vec2(0.0, step)),
        ] {
            if pressed(key) {
                canvas.view.centre += by;
            }
        }
        if pressed(Key::Plus) || pressed(Key::Equals) {
            zoom *= 1.25;
        }
        if pressed(Key::Minus) {
            zoom /= 1.25;
        }
        if pressed(Key::Num0) {
            canvas.fit();
        }
    }
    let moves = !framing && response.dragged_by(PointerButton::Primary)
        || response.dragged_by(PointerButton::Middle);
    if moves {
        canvas.view.centre -= response.drag_delta() / to.view.zoom;
    }
    if (zoom - 1.0).abs() > 1e-6 {
        // What is under the pointer stays there.
        let at = to.place_of(about);
        canvas.view.zoom = (canvas.view.zoom * zoom).clamp(*ZOOM.start(), *ZOOM.end());
        let after = canvas.transform(rect).place_of(about);
        canvas.view.centre += at - after;
    }
    let half = canvas.layout.size / 2.0;
    canvas.view.centre = canvas.view.centre.clamp(-half, half);
}
