//! The first screen.
//!
//! What a person wants to know here: what is this, what can I do right now without any file of
//! my own, what did I do last time, how do I bring my own model. After the tour: what was found
//! (see [`super::found`]).

use crate::commands::Command;
use crate::context::Cx;
use crate::panels::{found, runs, train};
use crate::state::{Screen, State};
use crate::theme::{self, palette, size};
use crate::widgets::card::{button, card, failure, primary, titled, weak};
use crate::widgets::icon::{self, Icon};
use egui::{Label, RichText, Sense, Stroke, Ui, Vec2, vec2};

/// Draws the screen.
pub fn home(ui: &mut Ui, cx: &Cx<'_>) {
    hero(ui, cx);
    ui.add_space(12.0);
    let tour = &cx.state.tour;
    if let Some(error) = &tour.failure {
        if failure(ui, error, true) {
            cx.send(Command::DismissFailure(Screen::Home));
        }
        ui.add_space(10.0);
    }
    if tour.running {
        progress(ui, cx.state);
        ui.add_space(12.0);
    } else if let Some(findings) = &tour.findings {
        found::found(ui, cx, findings);
        ui.add_space(12.0);
    } else {
        steps(ui, cx);
        ui.add_space(12.0);
    }
    runs::list(ui, cx, 5);
}

fn hero(ui: &mut Ui, cx: &Cx<'_>) {
    let p = palette(ui);
    let tour = &cx.state.tour;
    card(ui, |ui| {
        ui.add_space(6.0);
        ui.horizontal_top(|ui| {
            let (rect, _) = ui.allocate_exact_size(Vec2::splat(92.0), Sense::hover());
            icon::mark(ui.painter(), rect, p.accent, p.faint, p.glow);
            ui.add_space(14.0);
            ui.vertical(|ui| {
                ui.label(theme::strong("Look inside a Llama", 28.0));
                let text = "Sparsescope captures a model's activations, learns a dictionary of \
                            features from them, and shows what each feature stands for. \
                            Everything runs on this machine; nothing leaves it.";
                ui.scope(|ui| {
                    ui.set_max_width(660.0);
                    let text = RichText::new(text).size(size::BODY + 0.5).color(p.weak);
                    ui.add(Label::new(text).wrap());
                });
                ui.add_space(10.0);
                ui.horizontal(|ui| {
                    let ready = !tour.running;
                    let name = match (tour.running, tour.findings.is_some()) {
                        (true, _) => "The tour is running",
                        (_, true) => "Run the tour again",
                        _ => "Run the tour",
                    };
                    if primary(ui, name, ready).clicked() {
                        cx.send(Command::Tour);
                    }
                    let note = "a built-in model, a dictionary, features with a \
                                plain meaning";
                    ui.add(Label::new(weak(ui, note)).truncate());
                });
            });
        });
        ui.add_space(6.0);
    });
}

/// The way through the program, and the place to bring a model of one's own.
fn steps(ui: &mut Ui, cx: &Cx<'_>) {
    let model = cx.state.model.facts.as_ref();
    let own = model.is_some_and(|m| m.path.is_some());
    let name = model.map_or("none yet", |m| m.name.as_str());
    let cards = [
        (
            Icon::Model,
            Screen::Model,
            "A model",
            match own {
                _ if model.is_none() => "Drop a Llama folder anywhere on this window.".to_owned(),
                true => format!("{name} is open. Drop another Llama to change it."),
                false => format!(
                    "The built-in world is loaded ({name}). Drop a Llama folder anywhere on this \
                     window to use your own."
                ),
            },
        ),
        (
            Icon::Data,
            Screen::Data,
            "A corpus",
            "The built-in world writes endless text. Drop a .txt to read your own.".to_owned(),
        ),
        (
            Icon::Train,
            Screen::Train,
            "A dictionary",
            "Train a sparse autoencoder at any site; pause, close the program, go on.".to_owned(),
        ),
        (
            Icon::Features,
            Screen::Features,
            "Features",
            "Read what each latent fires on, token by token.".to_owned(),
        ),
    ];
    let across = (ui.available_width() - 3.0 * 10.0) / 4.0;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = 10.0;
        for (icon, screen, head, text) in cards {
            step(
                ui,
                cx,
                vec2(across, 190.0),
                |ui| {
                    let p = palette(ui);
                    let (rect, _) = ui.allocate_exact_size(Vec2::splat(24.0), Sense::hover());
                    icon::draw(ui.painter(), rect, icon, p.accent);
                    ui.add_space(2.0);
                    ui.label(theme::strong(head, size::HEAD));
                    ui.add(Label::new(RichText::new(text).size(13.0).color(p.weak)).wrap());
                },
                screen,
            );
        }
    });
    ui.add_space(12.0);
    drop_here(ui, cx);
}

/// A card of a fixed size with a button at its foot.
fn step(ui: &mut Ui, cx: &Cx<'_>, size: Vec2, add: impl FnOnce(&mut Ui), screen: Screen) {
    let p = palette(ui);
    let down = egui::UiBuilder::new().layout(egui::Layout::top_down(egui::Align::Min));
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    ui.painter().rect(rect, 10.0, p.card, Stroke::new(1.0, p.line), egui::StrokeKind::Inside);
    let mut inside = ui.new_child(down.max_rect(rect.shrink(16.0)));
    inside.spacing_mut().item_spacing.y = 6.0;
    add(&mut inside);
    let foot = egui::Rect::from_min_max(
        egui::pos2(rect.min.x + 16.0, rect.max.y - 46.0),
        rect.max - vec2(16.0, 14.0),
    );
    let mut inside = ui.new_child(egui::UiBuilder::new().max_rect(foot));
    if button(&mut inside, &format!("Open {}", screen.name())).clicked() {
        cx.send(Command::Go(screen));
    }
}

fn drop_here(ui: &mut Ui, cx: &Cx<'_>) {
    let p = palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 64.0), Sense::hover());
    let edge = rect.shrink(1.0);
    let corners = [
        edge.left_top(),
        edge.right_top(),
        edge.right_bottom(),
        edge.left_bottom(),
        edge.left_top(),
    ];
    for side in corners.windows(2) {
        let pen = Stroke::new(1.5, p.faint);
        ui.painter().extend(egui::Shape::dashed_line(side, pen, 6.0, 5.0));
    }
    let mut inside = ui.new_child(egui::UiBuilder::new().max_rect(rect.shrink2(vec2(18.0, 8.0))));
    inside.horizontal_centered(|ui| {
        let (at, _) = ui.allocate_exact_size(Vec2::splat(24.0), Sense::hover());
        icon::draw(ui.painter(), at, Icon::Drop, p.weak);
        ui.add_space(4.0);
        ui.label(theme::strong("Drop a Llama folder here", 14.0));
        ui.label(weak(ui, "or its model.safetensors, or a text to read"));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if button(ui, "Browse…").clicked() {
                cx.send(Command::BrowseModel);
            }
        });
    });
}

/// The tour while it runs: its stages, and the curves of its training.
fn progress(ui: &mut Ui, state: &State) {
    let tour = &state.tour;
    titled(ui, "The tour", "", |ui| {
        let p = palette(ui);
        ui.horizontal_wrapped(|ui| {
            for (i, stage) in tour.stages.iter().enumerate() {
                let now = i + 1 == tour.stages.len();
                let (at, _) = ui.allocate_exact_size(Vec2::splat(16.0), Sense::hover());
                if now {
                    ui.painter().circle_filled(at.center(), 4.5, p.accent);
                } else {
                    icon::draw(ui.painter(), at, Icon::Tick, p.good);
                }
                let text = RichText::new(stage).color(if now { p.text } else { p.weak });
                ui.add(Label::new(text).selectable(false));
                ui.add_space(8.0);
            }
        });
    });
    if !tour.curves.loss.is_empty() {
        ui.add_space(10.0);
        train::curves(ui, &tour.curves, tour.tokens, 168.0);
    }
}
