//! The rail at the left: the screens in working order, the model in use, light and dark.
//!
//! What a person wants to know here: where am I, where can I go, which model is this about.

use crate::commands::Command;
use crate::context::Cx;
use crate::state::Screen;
use crate::theme::{self, palette};
use crate::widgets::card::{icon_button, ring, weak};
use crate::widgets::icon::{self, Icon};
use egui::{
    Align, Align2, FontId, Key, Label, Layout, Rect, Role, Sense, Stroke, ThemePreference, Ui,
    Vec2, WidgetInfo, pos2, vec2,
};

/// Width of the rail.
pub const WIDTH: f32 = 188.0;
/// Height of what stands at its foot.
const FOOT: f32 = 118.0;

/// Keys that lead to the screens, with Ctrl.
pub const KEYS: [Key; 12] = [
    Key::Num1,
    Key::Num2,
    Key::Num3,
    Key::Num4,
    Key::Num5,
    Key::Num6,
    Key::Num7,
    Key::Num8,
    Key::Num9,
    Key::Num0,
    Key::H,
    Key::T,
];

/// Draws the rail.
pub fn rail(ui: &mut Ui, cx: &Cx<'_>) {
    ui.spacing_mut().item_spacing.y = 2.0;
    name(ui);
    ui.add_space(18.0);
    // In a low window the lines draw closer together rather than run into the model's.
    let room = (ui.available_height() - FOOT) / Screen::ALL.len() as f32 - 2.0;
    let height = room.clamp(24.0, 38.0);
    for (screen, key) in Screen::ALL.into_iter().zip(KEYS) {
        if item(ui, screen, key, height, cx.state.screen == screen).clicked() {
            cx.send(Command::Go(screen));
        }
    }
    ui.with_layout(Layout::bottom_up(Align::Min), |ui| {
        themes(ui, cx);
        ui.add_space(10.0);
        model(ui, cx);
    });
}

fn name(ui: &mut Ui) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 9.0;
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(30.0), Sense::hover());
        icon::mark(ui.painter(), rect, p.accent, p.faint, p.glow);
        ui.add(Label::new(theme::strong("Sparsescope", 16.0)).selectable(false));
    });
}

fn item(ui: &mut Ui, screen: Screen, key: Key, height: f32, chosen: bool) -> egui::Response {
    let p = palette(ui);
    let size = vec2(ui.available_width(), height);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, screen.name()));
    let fill = match (chosen, response.hovered()) {
        (true, _) => p.accent_ground,
        (_, true) => p.hover,
        _ => egui::Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, 8.0, fill);
    let ink = if chosen { p.accent } else { p.weak };
    let at = Rect::from_center_size(pos2(rect.min.x + 21.0, rect.center().y), Vec2::splat(17.0));
    icon::draw(ui.painter(), at, icon_of(screen), ink);
    let family = if chosen { theme::strong_family() } else { egui::FontFamily::Proportional };
    let ink = if chosen { p.text } else { p.text.gamma_multiply(0.86) };
    let at = pos2(rect.min.x + 42.0, rect.center().y);
    ui.painter().text(at, Align2::LEFT_CENTER, screen.name(), FontId::new(14.0, family), ink);
    if response.hovered() || response.has_focus() {
        let at = pos2(rect.max.x - 10.0, rect.center().y);
        let text = format!("Ctrl {}", key.symbol_or_name());
        ui.painter().text(at, Align2::RIGHT_CENTER, text, FontId::monospace(10.0), p.weak);
    }
    ring(ui, response)
}

fn icon_of(screen: Screen) -> Icon {
    match screen {
        Screen::Home => Icon::Home,
        Screen::Model => Icon::Model,
        Screen::Data => Icon::Data,
        Screen::Train => Icon::Train,
        Screen::Pareto => Icon::Pareto,
        Screen::Features => Icon::Features,
        Screen::Prompt => Icon::Prompt,
        Screen::Directions => Icon::Directions,
        Screen::Labels => Icon::Labels,
        Screen::Circuit => Icon::Circuit,
        Screen::Shift => Icon::Shift,
        Screen::Steer => Icon::Steer,
    }
}

fn model(ui: &mut Ui, cx: &Cx<'_>) {
    let p = palette(ui);
    let model = &cx.state.model;
    // Drawn from the bottom up.
    match (&model.loading, &model.facts) {
        (Some(name), _) => {
            ui.add(Label::new(weak(ui, format!("Opening {name}…"))).truncate().selectable(false));
        }
        (None, Some(facts)) => {
            let shape = format!("{} blocks × {}", facts.layers, facts.width);
            ui.add(Label::new(weak(ui, shape)).truncate().selectable(false));
            ui.add(
                Label::new(theme::strong(facts.name.as_str(), 13.0)).truncate().selectable(false),
            );
        }
        (None, None) => {
            ui.add(Label::new(weak(ui, "No model")).selectable(false));
        }
    }
    ui.add(Label::new(egui::RichText::new("MODEL").size(10.0).color(p.faint)).selectable(false));
    ui.add_space(8.0);
    let (line, _) = ui.allocate_exact_size(vec2(ui.available_width(), 1.0), Sense::hover());
    ui.painter().hline(line.x_range(), line.center().y, Stroke::new(1.0, p.line));
}

fn themes(ui: &mut Ui, cx: &Cx<'_>) {
    let p = palette(ui);
    let now = ui.ctx().options(|o| o.theme_preference);
    ui.horizontal(|ui| {
        for (theme, icon, name) in [
            (ThemePreference::System, Icon::System, "Theme of the system"),
            (ThemePreference::Light, Icon::Sun, "Light theme"),
            (ThemePreference::Dark, Icon::Moon, "Dark theme"),
        ] {
            let response = icon_button(ui, icon, name);
            if now == theme {
                let under = response.rect.translate(vec2(0.0, 2.0));
                let y = under.max.y;
                let pen = Stroke::new(2.0, p.accent);
                ui.painter().hline(under.shrink(7.0).x_range(), y, pen);
            }
            if response.clicked() {
                cx.send(Command::Theme(theme));
            }
        }
    });
}
