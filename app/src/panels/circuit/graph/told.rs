//! What is told of the node under the pointer.

use super::drawn::{label, title};
use super::parts::estimate;
use super::send;
use crate::commands::GraphCommand;
use crate::context::Cx;
use crate::format;
use crate::forms::{GraphForm, Item};
use crate::theme::{self, palette};
use crate::widgets::card::weak;
use crate::widgets::token_strip::{Shaded, shaded};
use egui::{Label, Ui};
use sparsescope_core::circuits::{Circuit, CircuitNode, Node, Unit};

/// Shows it beside the pointer.
pub fn told(ui: &Ui, cx: &Cx<'_>, form: &GraphForm, circuit: &Circuit, over: Item) {
    let id = egui::Id::unique("circuit node");
    egui::Tooltip::always_open(ui.ctx().clone(), ui.layer_id(), id, egui::PopupAnchor::Pointer)
        .gap(16.0)
        .show(|ui| {
            ui.set_max_width(330.0);
            ui.spacing_mut().interact_size.y = 16.0;
            ui.spacing_mut().item_spacing.y = 3.0;
            match over {
                Item::Node(node) => one(ui, cx, form, circuit, node),
                Item::Group(g) => group(ui, form, circuit, g),
                Item::Metric => metric(ui, circuit),
            }
        });
}

fn line(ui: &mut Ui, name: &str, value: String) {
    ui.horizontal(|ui| {
        ui.label(weak(ui, name).size(12.5));
        ui.label(theme::mono(value, 12.5));
    });
}

fn one(ui: &mut Ui, cx: &Cx<'_>, form: &GraphForm, circuit: &Circuit, node: Node) {
    let p = palette(ui);
    let view = form.history.view();
    ui.label(theme::strong(title(node), 14.0));
    let name = label(node, view, &cx.state.circuit.graph);
    let known = match node.unit {
        Unit::Latent(latent) => name != latent.to_string(),
        Unit::Error => !name.is_empty(),
    };
    if known {
        ui.add(Label::new(theme::strong(name, 13.0).color(p.glow)).wrap());
    }
    if let Some(found) = circuit.nodes.iter().find(|n| n.node == node) {
        line(ui, "effect", estimate(&found.effect));
        if let Some(exact) = &found.exact {
            line(ui, "measured exactly", estimate(exact));
        }
        line(ui, activation_name(node), activation(found));
    }
    if let Some(op) = view.cut_of(node) {
        ui.label(theme::strong(format!("cut: {op}"), 12.5).color(p.bad));
    }
    if let Some(note) = view.notes.get(&node) {
        ui.add(Label::new(weak(ui, note)).wrap());
    }
    context(ui, cx, node);
    ui.label(weak(ui, "Click for its card, Ctrl-click to pin, right click to cut").size(11.5));
}

/// The strongest text that a latent fires in, once it was read.
fn context(ui: &mut Ui, cx: &Cx<'_>, node: Node) {
    let Unit::Latent(latent) = node.unit else { return };
    let state = &cx.state.circuit.graph;
    match state.cards.get(&(node.site, latent)) {
        None => {
            let asked = state.reading == Some((node.site, latent));
            if state.saes.contains_key(&node.site) && !asked {
                send(cx, GraphCommand::Card(node.site, latent));
            }
        }
        Some(None) => {}
        Some(Some(detail)) => {
            let Some(best) = detail.groups.first().and_then(|g| g.contexts.first()) else { return };
            ui.add_space(2.0);
            shaded(
                ui,
                &Shaded {
                    tokens: &best.tokens,
                    activations: &best.activations,
                    next: &[],
                    full: best.activations.iter().copied().fold(0.0, f32::max),
                    peak: Some(best.peak),
                    lines: 3,
                },
            );
        }
    }
}

/// What its activation is called.
pub fn activation_name(node: Node) -> &'static str {
    match node.unit {
        Unit::Latent(_) => "activation, clean → patch",
        Unit::Error => "length, clean → patch",
    }
}

/// Its activation on the clean and on the patch prompts.
pub fn activation(node: &CircuitNode) -> String {
    let figure = |x: f32| format::figure(f64::from(x));
    format!("{} → {}", figure(node.clean), figure(node.patch))
}

fn group(ui: &mut Ui, form: &GraphForm, circuit: &Circuit, g: usize) {
    let Some(group) = form.history.view().groups.get(g) else { return };
    ui.label(theme::strong(&group.name, 14.0));
    let effects = circuit.nodes.iter().filter(|n| group.nodes.contains(&n.node));
    let sum: f64 = effects.map(|n| n.effect.mean).sum();
    line(ui, "nodes", group.nodes.len().to_string());
    line(ui, "sum of their effects", crate::widgets::graph::signed(sum as f32));
    ui.label(weak(ui, "Click for its card, twice to open it").size(11.5));
}

fn metric(ui: &mut Ui, circuit: &Circuit) {
    ui.label(theme::strong(format!("F: {}", circuit.conventions.spec.metric.name()), 14.0));
    line(ui, "on the clean prompts", estimate(&circuit.clean));
    if let Some(patch) = &circuit.patch {
        line(ui, "on the patch prompts", estimate(patch));
    }
}
