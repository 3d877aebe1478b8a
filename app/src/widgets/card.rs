//! Cards, figures, notes: what every screen is put together from.

use crate::theme::{self, palette, size};
use crate::widgets::icon::{self, Icon};
use egui::{
    Align, Button, Color32, Frame, Label, Layout, Margin, Response, RichText, Role, Sense, Stroke,
    Ui, Vec2, WidgetInfo, vec2,
};
use sparsescope_core::Error;

/// A card: a raised ground with a hairline around it.
pub fn card<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    let p = palette(ui);
    Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(10)
        .inner_margin(Margin::symmetric(16, 14))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            add(ui)
        })
        .inner
}

/// A card with a head and, at the right of it, a note.
pub fn titled<R>(ui: &mut Ui, title: &str, note: &str, add: impl FnOnce(&mut Ui) -> R) -> R {
    card(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(theme::strong(title, size::HEAD));
            if !note.is_empty() {
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    ui.add(Label::new(weak(ui, note)).truncate());
                });
            }
        });
        ui.add_space(6.0);
        add(ui)
    })
}

/// The head of a screen: its title and one sentence on what it is for.
pub fn screen_head(ui: &mut Ui, title: &str, sentence: &str) {
    ui.label(theme::strong(title, size::TITLE));
    let p = palette(ui);
    ui.label(RichText::new(sentence).color(p.weak));
    ui.add_space(10.0);
}

/// Text of second rank, small.
pub fn weak(ui: &Ui, text: impl Into<String>) -> RichText {
    RichText::new(text).size(size::SMALL).color(palette(ui).weak)
}

/// A figure: its name above, its value large, how it was computed under the pointer.
pub fn figure(ui: &mut Ui, name: &str, value: &str, color: Option<Color32>, definition: &str) {
    let p = palette(ui);
    let inner = ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        ui.add(Label::new(weak(ui, name)).selectable(false));
        let text = theme::strong(value, size::FIGURE).color(color.unwrap_or(p.text));
        ui.add(Label::new(text).truncate().selectable(false));
    });
    define(ui, inner.response, name, definition);
}

/// One line of a list of facts: name at the left, value at the right.
pub fn fact(ui: &mut Ui, name: &str, value: &str, definition: &str) {
    let inner = ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = 20.0;
        ui.set_height(20.0);
        ui.add(Label::new(weak(ui, name)).selectable(false));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.add(Label::new(theme::mono(value, 12.5)).truncate());
        });
    });
    define(ui, inner.response, name, definition);
}

/// Shows how a number was computed when the pointer rests on it.
pub fn define(ui: &Ui, response: Response, name: &str, definition: &str) {
    if definition.is_empty() {
        return;
    }
    let p = palette(ui);
    response.on_hover_ui(|ui| {
        ui.set_max_width(340.0);
        ui.label(theme::strong(name, 13.0));
        ui.label(RichText::new(definition).size(12.5).color(p.weak));
    });
}

/// The button a screen is about.
pub fn primary(ui: &mut Ui, text: &str, enabled: bool) -> Response {
    let p = palette(ui);
    let label = theme::strong(text, 14.5).color(p.on_accent);
    let response = ui
        .scope(|ui| {
            ui.spacing_mut().button_padding = vec2(20.0, 9.0);
            ui.add_enabled(enabled, Button::new(label).fill(p.accent))
        })
        .inner;
    ring(ui, response)
}

/// An ordinary button.
pub fn button(ui: &mut Ui, text: &str) -> Response {
    ring_after(ui, Button::new(text))
}

/// A button that is only an icon, named `name` for the keyboard and for readers of the screen.
pub fn icon_button(ui: &mut Ui, icon: Icon, name: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(26.0), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), name));
    let p = palette(ui);
    if ui.is_rect_visible(rect) {
        let lit = response.hovered() || response.has_focus();
        if lit {
            ui.painter().rect_filled(rect, 6.0, p.hover);
        }
        let color = if lit { p.text } else { p.weak };
        icon::draw(ui.painter(), rect.shrink(6.0), icon, color);
    }
    ring(ui, response).on_hover_text(name)
}

fn ring_after(ui: &mut Ui, button: Button<'_>) -> Response {
    let response = ui.add(button);
    ring(ui, response)
}

/// Draws a ring around what has the keyboard's focus.
pub fn ring(ui: &Ui, response: Response) -> Response {
    if response.has_focus() {
        let pen = Stroke::new(2.0, palette(ui).accent);
        let rect = response.rect.expand(2.0);
        ui.painter().rect_stroke(rect, 9.0, pen, egui::StrokeKind::Outside);
    }
    response
}

/// What an error says, with its cause and its remedy; true when it is dismissed.
pub fn failure(ui: &mut Ui, error: &Error, dismiss: bool) -> bool {
    let p = palette(ui);
    let mut gone = false;
    Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, p.bad))
        .corner_radius(10)
        .inner_margin(Margin::symmetric(16, 12))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal_top(|ui| {
                let (rect, _) = ui.allocate_exact_size(Vec2::splat(20.0), Sense::hover());
                icon::draw(ui.painter(), rect.shrink(1.0), Icon::Warning, p.bad);
                let room = ui.available_width() - if dismiss { 36.0 } else { 0.0 };
                ui.vertical(|ui| {
                    ui.set_width(room);
                    ui.spacing_mut().item_spacing.y = 3.0;
                    ui.add(Label::new(theme::strong(&error.what, 14.0)).wrap());
                    ui.add(Label::new(RichText::new(sentence(&error.why)).color(p.weak)).wrap());
                    ui.add(Label::new(RichText::new(sentence(&error.remedy))).wrap());
                });
                gone = dismiss && icon_button(ui, Icon::Close, "Dismiss").clicked();
            });
        });
    gone
}

/// A capital at the start and a full stop at the end.
pub fn sentence(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// What would fill an empty place, and perhaps a button that does.
pub fn empty(ui: &mut Ui, icon: Icon, head: &str, text: &str, action: Option<&str>) -> bool {
    let p = palette(ui);
    let mut pressed = false;
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.3).clamp(16.0, 160.0));
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(44.0), Sense::hover());
        icon::draw(ui.painter(), rect, icon, p.faint);
        ui.add_space(8.0);
        ui.label(theme::strong(head, 16.0));
        ui.scope(|ui| {
            ui.set_max_width(420.0);
            ui.add(Label::new(RichText::new(text).color(p.weak)).wrap());
        });
        if let Some(action) = action {
            ui.add_space(10.0);
            pressed = primary(ui, action, true).clicked();
        }
        ui.add_space(16.0);
    });
    pressed
}
