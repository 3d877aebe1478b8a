//! The graph of the circuit: read it, arrange it, cut it.
//!
//! What a person wants to know here, in this order: which nodes carry the behaviour and which work
//! against it; where in the model and at which tokens they stand; what a node means (its label,
//! the texts it fires in); what acts on it and what it acts on; how sure its effect is; which nodes
//! are really one thing; and what the model does when one of them is cut – that answer stands below,
//! in the verdict.

mod card;
mod cuts;
pub(super) mod drawn;
mod groups;
mod overview;
pub(super) mod parts;
mod sets;
mod told;
mod toolbar;

use crate::commands::{CircuitCommand, Command, GraphCommand};
use crate::context::Cx;
use crate::format;
use crate::forms::{CircuitForm, GraphForm, Item};
use crate::theme::palette;
use crate::widgets::card::empty;
use crate::widgets::graph::{self as canvas, Look, Touched, legend};
use crate::widgets::icon::Icon;
use crate::widgets::typing::rested;
use egui::{Frame, Key, Margin, Modifiers, ScrollArea, Stroke, Ui, pos2, vec2};
use sparsescope_core::circuits::{Circuit, CutOp};

/// Width of the column at the right.
const COLUMN: f32 = 312.0;

/// Draws it.
pub fn graph(ui: &mut Ui, cx: &Cx<'_>, form: &mut CircuitForm) {
    let Some(circuit) = cx.state.circuit.circuit.clone() else {
        let text = "Find a circuit on the Task page, or open one that was saved: its nodes and \
                    edges stand here as a graph.";
        empty(ui, Icon::Circuit, "No circuit is open", text, None);
        return;
    };
    let state = &cx.state.circuit;
    let form = &mut form.graph;
    if form.of != Some(state.version) {
        form.begin(&circuit, state.version, state.graph.view_of(state.version));
    }
    let model = cx.state.model.facts.as_ref().map(|f| f.hash.as_str());
    if !state.graph.is_known(state.version, model) {
        send(cx, GraphCommand::Know);
    }
    keys(ui, form);
    drawn::refresh(form, &circuit, state);
    drawn::mark(form, &circuit, &state.graph);
    toolbar::toolbar(ui, cx, form, &circuit);
    ui.add_space(2.0);
    let height = (ui.available_height() - 8.0).max(200.0);
    ui.horizontal_top(|ui| {
        let wide = (ui.available_width() - COLUMN - 12.0).max(260.0);
        ui.vertical(|ui| {
            ui.set_width(wide);
            field(ui, cx, form, &circuit, height);
        });
        ui.add_space(4.0);
        ui.vertical(|ui| {
            ui.set_width(ui.available_width());
            toolbar::search(ui, form);
            let left = ui.available_height().min(height - 36.0);
            ScrollArea::vertical().id_salt("circuit card").max_height(left).show(ui, |ui| {
                column(ui, cx, form, &circuit);
            });
        });
    });
    keep(ui, cx, form);
    // What was changed in this frame is judged in this frame.
    drawn::refresh(form, &circuit, state);
}

/// Has the view kept with its circuit once a person has let go of it.
fn keep(ui: &Ui, cx: &Cx<'_>, form: &mut GraphForm) {
    /// Seconds.
    const RESTED: f64 = 0.8;
    let version = form.history.version();
    if form.seen != version {
        form.seen = version;
        form.changed = Some(ui.input(|i| i.time));
    }
    if cx.state.circuit.id.is_some() && rested(ui, &mut form.changed, RESTED) {
        send(cx, GraphCommand::KeepView(Box::new(form.history.view().clone())));
    }
}

fn send(cx: &Cx<'_>, command: GraphCommand) {
    cx.send(Command::Circuit(CircuitCommand::Graph(command)));
}

/// The graph itself, with its legend.
fn field(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm, circuit: &Circuit, height: f32) {
    let p = palette(ui);
    let frame = Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(10)
        .inner_margin(Margin::same(1));
    let mut touched = Touched::default();
    let below = 30.0;
    frame.show(ui, |ui| {
        let size = vec2(ui.available_width(), height - 2.0);
        let corner = ui.cursor().min;
        let said = format!("Graph of {} nodes", form.drawn.shown.nodes.len());
        let mut held = std::mem::take(&mut form.canvas);
        let look = Look {
            marks: &form.drawn.marks,
            version: form.drawn.look,
            framing: form.framing,
            said: &said,
        };
        let room = vec2(size.x, size.y - below);
        touched = canvas::graph(ui, &mut held, &form.drawn.graph, form.drawn.version, &look, room);
        form.canvas = held;
        ui.allocate_space(vec2(size.x, (below - ui.spacing().item_spacing.y).max(0.0)));
        let from = pos2(corner.x + 14.0, corner.y + size.y - below / 2.0);
        let clip = egui::Rect::from_min_size(corner, size);
        let painter = ui.painter().with_clip_rect(clip.intersect(ui.clip_rect()));
        painter.hline(
            clip.x_range(),
            clip.bottom() - below,
            Stroke::new(1.0, p.line.gamma_multiply(0.7)),
        );
        let strip = egui::Rect::from_min_max(
            pos2(clip.left() + 8.0, clip.bottom() - below),
            pos2(clip.right() - 6.0, clip.bottom()),
        );
        let layout = egui::Layout::right_to_left(egui::Align::Center);
        let buttons =
            ui.scope_builder(egui::UiBuilder::new().max_rect(strip).layout(layout), |ui| {
                toolbar::view(ui, form);
                ui.min_rect().left()
            });
        let room = egui::Rect::from_min_max(clip.min, pos2(buttons.inner - 8.0, clip.bottom()));
        let legend_painter = painter.with_clip_rect(room.intersect(ui.clip_rect()));
        legend(&legend_painter, &form.drawn.graph, from, ui.visuals().dark_mode);
        if circuit.edges.is_empty() && !circuit.nodes.is_empty() {
            let at = pos2(clip.right() - 12.0, clip.top() + 16.0);
            let font = egui::FontId::proportional(12.0);
            let text = "edges are not computed yet";
            painter.text(at, egui::Align2::RIGHT_CENTER, text, font, p.weak);
        }
    });
    let item = |i: u32| form.drawn.items.get(i as usize).copied();
    if let Some(over) = touched.over.and_then(item) {
        told::told(ui, cx, form, circuit, over);
    }
    if let Some(framed) = touched.framed {
        let items: Vec<Item> = framed.into_iter().filter_map(item).collect();
        let nodes: Vec<_> = items.into_iter().flat_map(|i| form.nodes_of(i)).collect();
        form.selected.extend(nodes);
        form.framing = false;
    }
    if let Some(clicked) = touched.clicked.and_then(|i| form.drawn.items.get(i as usize).copied()) {
        if ui.input(|i| i.modifiers.shift) {
            for node in form.nodes_of(clicked) {
                if !form.selected.remove(&node) {
                    form.selected.insert(node);
                }
            }
        } else {
            form.selected.clear();
            form.chosen = Some(clicked);
        }
    }
    if let Some(pinned) = touched.pinned.and_then(|i| form.drawn.items.get(i as usize).copied()) {
        let nodes = form.nodes_of(pinned);
        form.history.change("pin", |v| v.pin(&nodes));
    }
    if let Some(Item::Group(g)) =
        touched.opened.and_then(|i| form.drawn.items.get(i as usize).copied())
    {
        groups::open(form, g, true);
    }
    if touched.ground {
        form.selected.clear();
        form.chosen = None;
    }
    if let Some(response) = touched.response {
        let on = touched.menu.and_then(|i| form.drawn.items.get(i as usize).copied());
        response.context_menu(|ui| cuts::menu(ui, cx, form, circuit, on));
    }
}

/// The column at the right: of what was selected or chosen, else of the whole.
fn column(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm, circuit: &Circuit) {
    ui.spacing_mut().item_spacing.y = 6.0;
    if !form.selected.is_empty() {
        groups::selection(ui, cx, form, circuit);
        return;
    }
    match form.chosen {
        Some(Item::Node(node)) => card::card(ui, cx, form, circuit, node),
        Some(Item::Group(g)) => groups::group(ui, cx, form, circuit, g),
        Some(Item::Metric) => card::metric(ui, cx, form, circuit),
        None => overview::overview(ui, cx, form, circuit),
    }
}

/// What keys do while nobody types.
fn keys(ui: &Ui, form: &mut GraphForm) {
    let ctx = ui.ctx();
    if ctx.text_edit_focused() {
        return;
    }
    let pressed = |modifiers: Modifiers, key: Key| ctx.input_mut(|i| i.consume_key(modifiers, key));
    // The longer first: it holds the shorter.
    if pressed(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z) || pressed(Modifiers::COMMAND, Key::Y)
    {
        form.history.redo();
    } else if pressed(Modifiers::COMMAND, Key::Z) {
        form.history.undo();
    }
    let nodes = form.meant();
    if nodes.is_empty() {
        return;
    }
    for (key, op) in [(Key::X, CutOp::Zero), (Key::M, CutOp::Mean), (Key::R, CutOp::Resample)] {
        if pressed(Modifiers::NONE, key) {
            cuts::toggle(form, &nodes, op);
        }
    }
    if pressed(Modifiers::NONE, Key::Delete) {
        cuts::toggle(form, &nodes, form.op);
    }
    if pressed(Modifiers::NONE, Key::P) {
        form.history.change("pin", |v| v.pin(&nodes));
    }
    if pressed(Modifiers::NONE, Key::G) {
        groups::make(form, &nodes);
    }
    if pressed(Modifiers::NONE, Key::Escape) {
        form.selected.clear();
        form.chosen = None;
    }
}

/// "214 of 1 000".
fn of(some: usize, all: usize) -> String {
    format!("{} of {}", format::grouped(some as u64), format::grouped(all as u64))
}
