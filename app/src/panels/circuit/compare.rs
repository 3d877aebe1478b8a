//! Two circuits against one another.
//!
//! What a person wants to know here: are these two the same circuit; which nodes does only one of
//! them have; and where both have a node, do they agree on how much it matters. Both are compared
//! as they are shown: the open one by its sliders, the other whole.

use super::graph::drawn::title;
use super::graph::parts::{Row, row};
use crate::commands::{CircuitCommand, Command, GraphCommand};
use crate::context::Cx;
use crate::format;
use crate::forms::CircuitForm;
use crate::theme::{self, palette};
use crate::widgets::card::{card, empty, failure, figure, titled, weak};
use crate::widgets::icon::Icon;
use egui::{ComboBox, Label, Pos2, Rect, ScrollArea, Sense, Stroke, Ui, pos2, vec2};
use sparsescope_core::circuits::{CircuitComparison, Node, Unit, compare_circuits};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Nodes listed of each kind.
const LISTED: usize = 60;

/// A comparison, and what it was made of.
#[derive(Debug, Default)]
pub struct Compared {
    key: Option<(u64, u64, usize)>,
    found: CircuitComparison,
}

/// Draws it.
pub fn compare(ui: &mut Ui, cx: &Cx<'_>, form: &mut CircuitForm) {
    let state = &cx.state.circuit;
    let Some(circuit) = state.circuit.clone() else {
        let text = "Find or open a circuit first: it stands here beside another one.";
        empty(ui, Icon::Circuit, "No circuit is open", text, None);
        return;
    };
    let graph = &mut form.graph;
    if graph.of != Some(state.version) {
        graph.begin(&circuit, state.version, state.graph.view_of(state.version));
    }
    let model = cx.state.model.facts.as_ref().map(|f| f.hash.as_str());
    if !state.graph.is_known(state.version, model) {
        send(cx, GraphCommand::Know);
    }
    chooser(ui, cx);
    if let Some(error) = &state.graph.other_failure {
        failure(ui, error, false);
    }
    let Some(other) = &state.graph.other else {
        let text = "Choose a circuit of the workspace above: another task, another method, or \
                    neurons in place of features.";
        empty(ui, Icon::Circuit, "Nothing to compare with yet", text, None);
        return;
    };
    let key = (state.version, graph.judged, Arc::as_ptr(&other.circuit) as usize);
    if graph.compared.key != Some(key) {
        let shown = graph.history.view().kept(&circuit);
        let all: BTreeSet<Node> = other.circuit.nodes.iter().map(|n| n.node).collect();
        let found = compare_circuits(&circuit, &shown, &other.circuit, &all);
        graph.compared = Compared { key: Some(key), found };
    }
    let found = &graph.compared.found;
    let names = (circuit.conventions.task.name.as_str(), other.name.as_str());
    ScrollArea::vertical().id_salt("compared circuits").auto_shrink(false).show(ui, |ui| {
        figures(ui, found);
        notes(ui, found);
        ui.add_space(4.0);
        ui.columns(2, |columns| {
            scatter(&mut columns[0], found, names);
            both(&mut columns[1], cx, found);
        });
        ui.add_space(6.0);
        ui.columns(2, |columns| {
            let (here, there) = ("Only in the open circuit", "Only in the other");
            alone(&mut columns[0], cx, here, &found.first);
            alone(&mut columns[1], cx, there, &found.second);
        });
        ui.add_space(16.0);
    });
}

fn send(cx: &Cx<'_>, command: GraphCommand) {
    cx.send(Command::Circuit(CircuitCommand::Graph(command)));
}

fn chooser(ui: &mut Ui, cx: &Cx<'_>) {
    let state = &cx.state.circuit.graph;
    ui.horizontal(|ui| {
        let label = ui.label(weak(ui, "Compare the open circuit with"));
        let now = state.other.as_ref().map_or("choose a circuit", |o| o.name.as_str());
        ComboBox::new("other circuit", "")
            .selected_text(now)
            .width(300.0)
            .show_ui(ui, |ui| {
                for record in &state.circuits {
                    if Some(record.id) == cx.state.circuit.id {
                        continue;
                    }
                    let text = format!(
                        "{}: {}, {} nodes",
                        record.name,
                        record.method,
                        format::grouped(record.nodes as u64)
                    );
                    if ui.selectable_label(false, text).clicked() {
                        send(cx, GraphCommand::CompareWith(record.id));
                    }
                }
                if state.circuits.is_empty() {
                    ui.label(weak(ui, "The workspace has no other circuit"));
                }
            })
            .response
            .labelled_by(label.id);
    });
    ui.add_space(6.0);
}

fn figures(ui: &mut Ui, found: &CircuitComparison) {
    card(ui, |ui| {
        ui.columns(5, |columns| {
            let count = |n: usize| format::grouped(n as u64);
            let share = |x: Option<f64>| x.map_or("–".to_owned(), format::figure);
            let shown = [
                ("Shared", count(found.both.len()), "Nodes that both circuits have."),
                ("Only here", count(found.first.len()), "Nodes that only the open circuit has."),
                ("Only there", count(found.second.len()), "Nodes that only the other has."),
                (
                    "Jaccard index",
                    share(found.jaccard),
                    "Shared nodes as a share of the nodes that either has: 1 for the same circuit.",
                ),
                (
                    "Correlation of effects",
                    share(found.correlation),
                    "Pearson's r of the effects of the shared nodes; for three nodes or more.",
                ),
            ];
            for (ui, (name, value, definition)) in columns.iter_mut().zip(shown) {
                figure(ui, name, &value, None, definition);
            }
        });
    });
}

fn notes(ui: &mut Ui, found: &CircuitComparison) {
    let mut said = Vec::new();
    if found.summed {
        said.push(
            "One circuit sums over positions and the other does not: effects of the other \
                   were summed over positions too."
                .to_owned(),
        );
    }
    if !found.unlike.is_empty() {
        let sites: Vec<String> = found.unlike.iter().map(ToString::to_string).collect();
        said.push(format!(
            "The two were found with other dictionaries (or another model) at {}: their nodes there \
             are not the same things, and {} were left out.",
            sites.join(", "),
            found.left_out[0] + found.left_out[1]
        ));
    }
    for text in said {
        ui.add_space(4.0);
        let p = palette(ui);
        ui.add(Label::new(egui::RichText::new(text).size(12.5).color(p.warn)).wrap());
    }
}

/// Effects of the shared nodes, each a point.
fn scatter(ui: &mut Ui, found: &CircuitComparison, names: (&str, &str)) {
    titled(ui, "Effects of the shared nodes", "", |ui| {
        let p = palette(ui);
        let side = ui.available_width().min(420.0);
        let (rect, response) =
            ui.allocate_exact_size(vec2(ui.available_width(), side * 0.72), Sense::hover());
        let plot = Rect::from_min_max(rect.min + vec2(10.0, 6.0), rect.max - vec2(10.0, 40.0));
        let painter = ui.painter();
        painter.rect_filled(plot, 4.0, p.well);
        let most = found.both.iter().map(|b| b.1.abs().max(b.2.abs())).fold(0.0, f64::max);
        if most <= 0.0 {
            ui.label(weak(ui, "No node is shared."));
            return;
        }
        let to = |x: f64, y: f64| -> Pos2 {
            let along = |v: f64| (v / most * 0.94) as f32 * 0.5 + 0.5;
            pos2(plot.left() + along(x) * plot.width(), plot.bottom() - along(y) * plot.height())
        };
        let thin = Stroke::new(1.0, p.line);
        painter.line_segment([to(-most, 0.0), to(most, 0.0)], thin);
        painter.line_segment([to(0.0, -most), to(0.0, most)], thin);
        let same = [to(-most, -most), to(most, most)];
        painter.add(egui::Shape::dashed_line(&same, Stroke::new(1.0, p.faint), 5.0, 4.0));
        let mut over: Option<(f32, usize)> = None;
        for (i, (_, x, y)) in found.both.iter().enumerate() {
            let at = to(*x, *y);
            painter.circle_filled(at, 3.4, p.accent.gamma_multiply(0.75));
            if let Some(pointer) = response.hover_pos() {
                let d = at.distance(pointer);
                if d < 9.0 && over.is_none_or(|(best, _)| d < best) {
                    over = Some((d, i));
                }
            }
        }
        let font = egui::FontId::proportional(12.0);
        let below = plot.bottom() + 5.0;
        let across = format!("across: the open circuit, {}", names.0);
        let up = format!("up: the other, {}; the dashed line is where both agree", names.1);
        let clip = painter.with_clip_rect(rect);
        for (k, text) in [across, up].into_iter().enumerate() {
            let at = pos2(plot.left(), below + 16.0 * k as f32);
            clip.text(at, egui::Align2::LEFT_TOP, text, font.clone(), p.weak);
        }
        if let Some((_, i)) = over {
            let (node, x, y) = found.both[i];
            painter.circle_stroke(to(x, y), 6.0, Stroke::new(2.0, p.text));
            response.on_hover_ui_at_pointer(|ui| {
                ui.label(theme::strong(title(node), 13.0));
                ui.label(theme::mono(format!("open   {}", signed(x)), 12.5));
                ui.label(theme::mono(format!("other  {}", signed(y)), 12.5));
            });
        }
    });
}

fn signed(x: f64) -> String {
    crate::widgets::graph::signed(x as f32)
}

fn name_of(cx: &Cx<'_>, node: Node) -> String {
    match node.unit {
        Unit::Latent(latent) => {
            cx.state.circuit.graph.label(node.site, latent).unwrap_or_default().to_owned()
        }
        Unit::Error => String::new(),
    }
}

fn both(ui: &mut Ui, cx: &Cx<'_>, found: &CircuitComparison) {
    titled(ui, "Shared", "effect here, effect there", |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        let full = found.both.first().map_or(0.0, |b| b.1.abs().max(b.2.abs()));
        for (node, x, y) in found.both.iter().take(12) {
            let name = title(*node);
            let label = name_of(cx, *node);
            let there = format!("{label}   there {}", signed(*y));
            let one = Row {
                name: &name,
                label: there.trim(),
                value: *x,
                full,
                error: node.unit == Unit::Error,
                cut: false,
            };
            row(ui, &one);
        }
        let more = found.both.len().saturating_sub(12);
        if more > 0 {
            ui.label(weak(ui, format!("and {more} more")));
        }
    });
}

fn alone(ui: &mut Ui, cx: &Cx<'_>, head: &str, nodes: &[(Node, f64)]) {
    titled(ui, head, "", |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        if nodes.is_empty() {
            ui.label(weak(ui, "None."));
        }
        let full = nodes.first().map_or(0.0, |n| n.1.abs());
        for (node, value) in nodes.iter().take(LISTED) {
            let (name, label) = (title(*node), name_of(cx, *node));
            let error = node.unit == Unit::Error;
            row(ui, &Row { name: &name, label: &label, value: *value, full, error, cut: false });
        }
        if nodes.len() > LISTED {
            ui.label(weak(ui, format!("and {} more", nodes.len() - LISTED)));
        }
    });
}
