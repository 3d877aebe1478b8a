//! The directions screen: every decoder direction as a point.
//!
//! What a person wants to know here: which latents write nearly the same, and are they the same
//! feature split in parts? Are the frequent ones a world of their own? Which directions are also
//! written elsewhere in the model? And of two dictionaries: what does one know that the other
//! does not?

use crate::commands::{Command, DirectionsCommand};
use crate::context::Cx;
use crate::format;
use crate::forms::{Coloring, DirectionsForm, DirectionsPart, Layout};
use crate::jobs::Kind;
use crate::panels::{compare, direction_colors, selection};
use crate::state::Screen;
use crate::theme::{self, palette};
use crate::widgets::card::{button, empty, failure, ring, screen_head, weak};
use crate::widgets::icon::Icon;
use crate::widgets::point_cloud::{Look, Touched, point_cloud};
use egui::{Align, ComboBox, Frame, Label, Margin, ProgressBar, Stroke, TextEdit, Ui, vec2};
use sparsescope_core::directions::DirectionMap;

/// Draws the screen.
pub fn directions(ui: &mut Ui, cx: &Cx<'_>, form: &mut DirectionsForm) {
    let state = &cx.state.directions;
    let open = cx.state.features.sae.as_ref();
    let said = match open {
        Some(sae) => format!(
            "{} on {}: the directions that its {} latents write, each a point",
            sae.architecture,
            sae.site,
            format::grouped(sae.latents as u64)
        ),
        None => "All decoder directions of a dictionary as a map.".to_owned(),
    };
    screen_head(ui, "Directions", &said);
    let Some(sae) = open else {
        let text =
            "Train an SAE, or run the tour at home: its decoder directions stand here as a map.";
        if empty(ui, Icon::Directions, "No SAE is open", text, Some("Go to Train")) {
            cx.send(Command::Go(Screen::Train));
        }
        return;
    };
    if state.sae != Some(sae.id) {
        cx.send(Command::Directions(DirectionsCommand::Open(sae.id)));
        return;
    }
    if let Some(error) = &state.failure {
        if failure(ui, error, true) {
            cx.send(Command::DismissFailure(Screen::Directions));
        }
        ui.add_space(8.0);
    }
    match form.part {
        DirectionsPart::Map => map(ui, cx, form),
        DirectionsPart::Compare => {
            ui.horizontal(|ui| part(ui, form));
            ui.add_space(4.0);
            compare::compare(ui, cx, form, sae);
        }
    }
}

/// The map of the dictionary, or the comparison with another.
fn part(ui: &mut Ui, form: &mut DirectionsForm) {
    for (part, name) in [(DirectionsPart::Map, "Map"), (DirectionsPart::Compare, "Compare")] {
        let response = ui.selectable_label(form.part == part, theme::strong(name, 14.0));
        if ring(ui, response).clicked() {
            form.part = part;
        }
    }
}

fn map(ui: &mut Ui, cx: &Cx<'_>, form: &mut DirectionsForm) {
    let state = &cx.state.directions;
    ui.horizontal(|ui| {
        part(ui, form);
        ui.add_space(10.0);
        controls(ui, cx, form);
    });
    ui.add_space(2.0);
    let shown = match form.method {
        Layout::Tsne => state.tsne.as_ref().or(state.pca.as_ref()),
        Layout::Pca => state.pca.as_ref(),
    };
    let Some(shown) = shown else {
        if state.pending {
            let text = "Reading the dictionary and its principal components.";
            empty(ui, Icon::Directions, "One moment", text, None);
        } else {
            let text = "The directions of this SAE could not be read.";
            let again = empty(ui, Icon::Directions, "No map", text, Some("Try again"));
            if let (true, Some(id)) = (again, state.sae) {
                cx.send(Command::Directions(DirectionsCommand::Open(id)));
            }
        }
        return;
    };
    let version = 2 * state.version + u64::from(shown.explained.is_none());
    if !form.cloud.is(version) {
        form.cloud.set(&shown.points, version);
        form.look += 1;
    }
    direction_colors::refresh(ui, cx, form, shown.points.len());
    let height = ui.available_height().max(340.0);
    let column = if state.selection.is_empty() { 0.0 } else { 326.0 };
    ui.horizontal_top(|ui| {
        let wide = ui.available_width() - if column > 0.0 { column + 12.0 } else { 0.0 };
        ui.allocate_ui(vec2(wide, height), |ui| {
            ui.vertical(|ui| {
                ui.set_width(wide);
                picture(ui, cx, form, shown, height);
            });
        });
        if column > 0.0 {
            ui.add_space(4.0);
            ui.vertical(|ui| {
                ui.set_width(column);
                selection::selection(ui, cx, form, height);
            });
        }
    });
}

fn controls(ui: &mut Ui, cx: &Cx<'_>, form: &mut DirectionsForm) {
    let state = &cx.state.directions;
    let methods = [
        (Layout::Pca, "PCA", "The first two principal components: at once, and always the same"),
        (Layout::Tsne, "t-SNE", "Neighbours by cosine stay together; made in the background"),
    ];
    // What is shown, if there is no t-SNE map and none on its way.
    let without = state.tsne.is_none() && !state.laying;
    let shown = if without { Layout::Pca } else { form.method };
    for (method, name, what) in methods {
        let response = ui.selectable_label(shown == method, name).on_hover_text(what);
        if ring(ui, response).clicked() {
            form.method = method;
            if method == Layout::Tsne && state.tsne.is_none() && !state.laying {
                cx.send(Command::Directions(DirectionsCommand::Lay));
            }
        }
    }
    ui.add_space(10.0);
    let label = ui.add(Label::new(weak(ui, "Colour")).selectable(false));
    ComboBox::new("direction colour", "")
        .selected_text(name_of(form.coloring))
        .width(148.0)
        .show_ui(ui, |ui| {
            for choice in [Coloring::Density, Coloring::Max, Coloring::Label, Coloring::Site] {
                let now = form.coloring == choice;
                if ui.selectable_label(now, name_of(choice)).clicked() {
                    form.coloring = choice;
                    if choice == Coloring::Site && state.relatives.is_none() && !state.relating {
                        cx.send(Command::Directions(DirectionsCommand::Relate));
                    }
                }
            }
        })
        .response
        .accessible_name("Colour")
        .labelled_by(label.id);
    ui.add_space(10.0);
    let field =
        TextEdit::singleline(&mut form.search).hint_text("Number or label").desired_width(150.0);
    let response = ui.add(field).accessible_name("Find on the map");
    let entered = response.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
    ring(ui, response);
    if entered && let [one, ..] = form.found[..] {
        form.cloud.show(one);
    }
    ui.with_layout(egui::Layout::right_to_left(Align::Center), |ui| {
        if button(ui, "Show all").on_hover_text("A double click does the same").clicked() {
            form.cloud.reset();
        }
        let save = button(ui, "Save picture…").on_hover_text("The map as SVG or PNG");
        if save.clicked() {
            cx.send(Command::SavePicture(form.drawn));
        }
        let lasso = ui
            .selectable_label(form.lasso, "Lasso")
            .on_hover_text("Draw around points to select them; with Shift at any time");
        if ring(ui, lasso).clicked() {
            form.lasso = !form.lasso;
        }
    });
}

fn name_of(coloring: Coloring) -> &'static str {
    match coloring {
        Coloring::Density => "Density",
        Coloring::Max => "Max activation",
        Coloring::Label => "Label",
        Coloring::Site => "Best-matching site",
    }
}

fn picture(ui: &mut Ui, cx: &Cx<'_>, form: &mut DirectionsForm, shown: &DirectionMap, height: f32) {
    let p = palette(ui);
    let state = &cx.state.directions;
    let waiting = form.method == Layout::Tsne && state.laying;
    let said = shown.said();
    let font = egui::FontId::proportional(12.0);
    let wide = ui.available_width();
    let caption = ui.painter().layout(said.clone(), font, p.weak, wide).size().y;
    let below = caption + if waiting { 54.0 } else { 18.0 };
    let mut touched = Touched::default();
    let frame = Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(10)
        .inner_margin(Margin::same(1));
    frame.show(ui, |ui| {
        let size = vec2(ui.available_width(), height - below - 2.0);
        let name = format!("Map of {} directions", format::grouped(form.cloud.placed() as u64));
        let look = Look {
            colors: &form.colors,
            found: &form.found,
            selected: &form.selected,
            version: form.look,
            lasso: form.lasso,
            said: &name,
        };
        let corner = ui.cursor().min;
        form.drawn = Some(egui::Rect::from_min_size(corner, size));
        touched = point_cloud(ui, &mut form.cloud, &look, size);
        let room = egui::Rect::from_min_size(corner, size).shrink(14.0);
        direction_colors::legend(ui, &form.legend, room);
        counted(ui, form, room);
    });
    ui.add_space(4.0);
    if waiting {
        progress(ui, cx);
    }
    ui.add(Label::new(weak(ui, said).size(12.0)).wrap());
    if let Some(over) = touched.over {
        told(ui, cx, over);
    }
    if let (Some(latent), Some(id)) = (touched.clicked, state.sae) {
        cx.send(Command::Directions(DirectionsCommand::Read(id, latent)));
    }
    if let Some(latents) = touched.lassoed {
        form.lasso = false;
        cx.send(Command::Directions(DirectionsCommand::Select(latents)));
    }
}

/// What the search found, in the upper left corner.
fn counted(ui: &Ui, form: &DirectionsForm, room: egui::Rect) {
    if form.search.trim().is_empty() {
        return;
    }
    let p = palette(ui);
    let said = match form.found.len() {
        0 => "no latent fits".to_owned(),
        1 => "1 latent found; Enter shows it".to_owned(),
        n => format!("{} latents found", format::grouped(n as u64)),
    };
    let font = egui::FontId::proportional(12.5);
    ui.painter().text(room.left_top(), egui::Align2::LEFT_TOP, said, font, p.weak);
}

fn progress(ui: &mut Ui, cx: &Cx<'_>) {
    let Some(job) = cx.state.jobs.iter().find(|j| j.kind == Kind::Directions) else { return };
    ui.horizontal(|ui| {
        ui.label(weak(ui, format!("{} …", job.progress.stage)));
        let share = job.progress.fraction().unwrap_or(0.0);
        let left = job.progress.left.map(format::duration).unwrap_or_default();
        ui.add(ProgressBar::new(share).desired_width(220.0).desired_height(8.0));
        ui.label(weak(ui, if left.is_empty() { left } else { format!("{left} left") }));
        if button(ui, "Stop").clicked() {
            cx.send(Command::Directions(DirectionsCommand::StopLaying));
        }
    });
}

/// What is known of the latent under the pointer.
fn told(ui: &Ui, cx: &Cx<'_>, latent: u32) {
    let p = palette(ui);
    let features = &cx.state.features;
    let id = egui::Id::unique("direction point");
    egui::Tooltip::always_open(ui.ctx().clone(), ui.layer_id(), id, egui::PopupAnchor::Pointer)
        .gap(14.0)
        .show(|ui| {
            ui.set_max_width(300.0);
            ui.spacing_mut().interact_size.y = 16.0;
            ui.label(theme::strong(format!("Latent {latent}"), 14.0));
            if let Some(label) = features.label(latent) {
                ui.add(Label::new(theme::strong(label, 13.0).color(p.glow)).wrap());
            }
            let mut line = |name: &str, value: String| {
                ui.horizontal(|ui| {
                    ui.label(weak(ui, name).size(12.5));
                    ui.label(theme::mono(value, 12.5));
                });
            };
            if let Some(summary) = features.summary(latent) {
                line("fires on", format::percent(f64::from(summary.density)));
                line("max activation", format::figure(f64::from(summary.max)));
            }
            let relatives = cx.state.directions.relatives.as_deref();
            if let Some(best) =
                relatives.and_then(|r| r.best.get(latent as usize)).copied().flatten()
            {
                line("most like", format!("{} / {}", best.site, best.latent));
                line("cosine", format::figure(f64::from(best.cosine)));
            }
            ui.label(weak(ui, "Click to read it").size(12.0));
        });
}
