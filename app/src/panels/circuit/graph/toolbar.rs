//! Thresholds with live counts, search, undo and redo, what to do with the picture.

use super::{of, send};
use crate::commands::GraphCommand;
use crate::context::Cx;
use crate::format;
use crate::forms::{GraphForm, Item};
use crate::theme;
use crate::widgets::card::{button, define, ring, weak};
use crate::widgets::graph::Figure;
use egui::{Align, Key, Label, Layout, Slider, TextEdit, Ui};
use sparsescope_core::circuits::Circuit;

/// Draws it.
pub fn toolbar(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm, circuit: &Circuit) {
    ui.horizontal(|ui| {
        nodes(ui, form, circuit);
        ui.add_space(10.0);
        edges(ui, form, circuit);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            files(ui, cx, form, circuit);
            steps(ui, form);
        });
    });
}

/// What a drag does and the way back to the whole, at the right of the legend.
pub fn view(ui: &mut Ui, form: &mut GraphForm) {
    ui.spacing_mut().button_padding = egui::vec2(8.0, 2.0);
    ui.spacing_mut().interact_size.y = 22.0;
    let all = button(ui, "Show all").on_hover_text("A double click on the ground does it too");
    if all.clicked() {
        form.canvas.fit();
    }
    let frame = ui.selectable_label(form.framing, "Select").on_hover_text(
        "Draw a frame around nodes to select them; with Shift at any time. Shift and a click add \
         one.",
    );
    if ring(ui, frame).clicked() {
        form.framing = !form.framing;
    }
}

/// Smallest and largest size of numbers that a slider goes over.
fn range(sizes: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let sizes = sizes.filter(|s| s.is_finite() && *s > 0.0);
    let (low, high) = sizes.fold((f64::INFINITY, 0.0_f64), |(l, h), s| (l.min(s), h.max(s)));
    (high > 0.0).then(|| ((low * 0.999).max(high * 1e-6), high))
}

fn threshold(ui: &mut Ui, name: &str, value: &mut f64, range: (f64, f64)) -> egui::Response {
    ui.spacing_mut().slider_width = 104.0;
    let slider = Slider::new(value, range.0..=range.1)
        .logarithmic(true)
        .show_value(false)
        .smallest_positive(range.0);
    ui.add(slider).accessible_name(name)
}

fn nodes(ui: &mut Ui, form: &mut GraphForm, circuit: &Circuit) {
    let all = circuit.nodes.len();
    let shown = form.drawn.shown.nodes.len();
    let (by_count, now) = (form.history.view().most_nodes, form.history.view().node_threshold);
    let way = ui.selectable_label(by_count.is_some(), "Top k").on_hover_text(
        "Choose how many of the largest nodes are shown, rather than how large they are",
    );
    if ring(ui, way).clicked() {
        form.history.change("node threshold", |v| match v.most_nodes {
            Some(_) => v.most_nodes = None,
            None => {
                v.most_nodes = Some(shown.max(1));
                v.node_threshold = 0.0;
            }
        });
        return;
    }
    let said = match by_count {
        Some(most) => {
            let mut count = most as f64;
            let response = threshold(ui, "Most nodes", &mut count, (1.0, all.max(2) as f64));
            if response.changed() {
                let most = count.round() as usize;
                form.history.drag("node count", |v| v.most_nodes = Some(most));
            }
            if response.drag_stopped() {
                form.history.seal();
            }
            format!("the {} largest", format::grouped(most as u64))
        }
        None => {
            let Some(range) = range(circuit.nodes.iter().map(|n| n.effect.mean.abs())) else {
                return;
            };
            let mut value = f64::from(now).clamp(range.0, range.1);
            let response = threshold(ui, "Node threshold", &mut value, range);
            if response.changed() {
                // All the way to the left is everything.
                let value = if value <= range.0 * 1.0001 { 0.0 } else { value as f32 };
                form.history.drag("node threshold", |v| v.node_threshold = value);
            }
            if response.drag_stopped() {
                form.history.seal();
            }
            format!("|effect| ≥ {}", format::figure(value))
        }
    };
    let inner = ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 5.0;
        ui.add(Label::new(theme::strong(of(shown, all), 13.5)).selectable(false));
        ui.add(Label::new(weak(ui, format!("nodes, {said}"))).selectable(false));
    });
    let definition = format!(
        "Nodes whose effect is at least this in size, after averaging; pinned and cut ones are \
         always shown. What is shown is the circuit that is judged below. {} nodes had any effect; \
         {} were kept when the circuit was found.",
        format::grouped(circuit.candidates as u64),
        format::grouped(all as u64)
    );
    define(ui, inner.response, "Nodes shown", &definition);
}

fn edges(ui: &mut Ui, form: &mut GraphForm, circuit: &Circuit) {
    let all = circuit.edges.len();
    let sizes = circuit.edges.iter().map(|e| f64::from(e.weight.abs()));
    let Some(range) = range(sizes) else { return };
    let mut value = f64::from(form.history.view().edge_threshold).clamp(range.0, range.1);
    let response = threshold(ui, "Edge threshold", &mut value, range);
    if response.changed() {
        let value = if value <= range.0 * 1.0001 { 0.0 } else { value as f32 };
        form.history.drag("edge threshold", |v| v.edge_threshold = value);
    }
    if response.drag_stopped() {
        form.history.seal();
    }
    let inner = ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 5.0;
        let shown = form.drawn.shown.edges.len();
        ui.add(Label::new(theme::strong(of(shown, all), 13.5)).selectable(false));
        let text = format!("edges, |weight| ≥ {}", format::figure(value));
        ui.add(Label::new(weak(ui, text)).selectable(false));
    });
    let definition = "Edges between nodes that are shown, whose direct effect is at least this in \
                      size, after averaging.";
    define(ui, inner.response, "Edges shown", definition);
}

fn steps(ui: &mut Ui, form: &mut GraphForm) {
    let shortcut = |shift: bool| if shift { "Ctrl+Shift+Z" } else { "Ctrl+Z" };
    for (name, what, redo) in [
        ("Redo", form.history.redoes().map(str::to_owned), true),
        ("Undo", form.history.undoes().map(str::to_owned), false),
    ] {
        let response = ui.add_enabled(what.is_some(), egui::Button::new(name));
        let response = match what {
            Some(what) => response.on_hover_text(format!("{name}: {what} ({})", shortcut(redo))),
            None => response,
        };
        if ring(ui, response).clicked() {
            if redo { form.history.redo() } else { form.history.undo() }
        }
    }
}

/// The search field, and what it found.
pub fn search(ui: &mut Ui, form: &mut GraphForm) {
    let field = TextEdit::singleline(&mut form.search)
        .hint_text("Search: label, note, resid.2/41")
        .desired_width(f32::INFINITY);
    let response = ui.add(field).accessible_name("Search the graph");
    let entered = response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
    ring(ui, response);
    if form.search.trim().is_empty() {
        return;
    }
    let found = form.drawn.found.len();
    let said = match found {
        0 => "no node shown fits".to_owned(),
        1 => "1 node; Enter shows it".to_owned(),
        n => format!("{} nodes; Enter shows the largest", format::grouped(n as u64)),
    };
    ui.horizontal(|ui| {
        ui.label(weak(ui, said));
        if found > 1 && button(ui, "Select them").clicked() {
            form.selected = form.drawn.found.iter().copied().collect();
        }
    });
    if entered && let Some(first) = form.drawn.found.first().copied() {
        form.chosen = Some(Item::Node(first));
        form.selected.clear();
        if let Some(place) = form.place_of(Item::Node(first)) {
            form.canvas.show(place);
        }
    }
}

fn files(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm, circuit: &Circuit) {
    ui.menu_button("Save and open", |ui| {
        if ui.button("Save a figure (SVG or PNG)…").clicked() {
            send(cx, GraphCommand::SaveFigure(Box::new(figure(form, circuit))));
            ui.close();
        }
        let hint = "The circuit with every convention that made it, and how it is arranged; as an \
                    attribution graph if the name ends in .graph.json";
        if ui.button("Save as a file…").on_hover_text(hint).clicked() {
            send(cx, GraphCommand::SaveFile);
            ui.close();
        }
        let hint = "A circuit, or an attribution graph of circuit-tracer";
        if ui.button("Open a file…").on_hover_text(hint).clicked() {
            send(cx, GraphCommand::OpenFile);
            ui.close();
        }
    });
}

/// The figure of what is shown.
pub fn figure(form: &GraphForm, circuit: &Circuit) -> Figure {
    Figure {
        graph: form.drawn.graph.clone(),
        title: circuit.conventions.task.name.clone(),
        caption: crate::work::circuit_graph::caption(circuit, &form.drawn.shown),
        size: [0.0; 2],
    }
}
