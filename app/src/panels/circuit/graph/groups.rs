//! Supernodes, and what is done to several nodes at once.

use super::cuts;
use super::drawn::{label, title};
use super::parts::{Row, by_sign, head, row};
use crate::context::Cx;
use crate::forms::{GraphForm, Item};
use crate::theme;
use crate::widgets::card::{button, card, icon_button, weak};
use crate::widgets::graph::signed;
use crate::widgets::icon::Icon;
use egui::{Align, Key, Label, Layout, TextEdit, Ui};
use sparsescope_core::circuits::{Circuit, Node, Unit};

/// Makes a group of these nodes, named as was typed.
pub fn make(form: &mut GraphForm, nodes: &[Node]) {
    let typed = std::mem::take(&mut form.typed.group);
    let name = match typed.trim() {
        "" => format!("Group {}", form.history.view().groups.len() + 1),
        name => name.to_owned(),
    };
    form.history.change("group", |v| v.group(&name, nodes));
    form.selected.clear();
    let groups = &form.history.view().groups;
    form.chosen = groups.len().checked_sub(1).map(Item::Group);
}

/// Opens or closes a group.
pub fn open(form: &mut GraphForm, g: usize, open: bool) {
    form.history.change(if open { "open a group" } else { "close a group" }, |v| {
        if let Some(group) = v.groups.get_mut(g) {
            group.open = open;
        }
    });
    form.chosen = Some(Item::Group(g));
}

/// Keeps only these nodes in the circuit.
pub fn keep_only(form: &mut GraphForm, nodes: &[Node]) {
    let mut nodes = nodes.to_vec();
    nodes.sort_unstable();
    form.history.change("keep only", |v| v.keep = Some(nodes));
}

fn sum(circuit: &Circuit, nodes: &[Node]) -> f64 {
    circuit.nodes.iter().filter(|n| nodes.contains(&n.node)).map(|n| n.effect.mean).sum()
}

/// What can be done with the nodes that are selected.
pub fn selection(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm, circuit: &Circuit) {
    let nodes: Vec<Node> = form.selected.iter().copied().collect();
    card(ui, |ui| {
        ui.horizontal(|ui| {
            let s = if nodes.len() == 1 { "" } else { "s" };
            ui.label(theme::strong(format!("{} node{s} selected", nodes.len()), 15.0));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if icon_button(ui, Icon::Close, "Select nothing").clicked() {
                    form.selected.clear();
                }
            });
        });
        total(ui, circuit, &nodes);
        head(ui, "Cut them");
        cuts::buttons(ui, form, circuit, &nodes);
        ui.horizontal_wrapped(|ui| {
            if button(ui, "Keep only these").clicked() {
                keep_only(form, &nodes);
            }
            let pinned = nodes.iter().all(|n| form.history.view().pinned.contains(n));
            if button(ui, if pinned { "Let go" } else { "Pin" }).clicked() {
                form.history.change("pin", |v| v.pin(&nodes));
            }
        });
        head(ui, "Take them for one");
        ui.horizontal(|ui| {
            let field = TextEdit::singleline(&mut form.typed.group)
                .hint_text("Name of the group")
                .desired_width(ui.available_width() - 76.0);
            let response = ui.add(field).accessible_name("Name of the group");
            let entered = response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
            if button(ui, "Group").clicked() || entered {
                make(form, &nodes);
            }
        });
        list(ui, cx, form, circuit, &nodes);
    });
}

fn total(ui: &mut Ui, circuit: &Circuit, nodes: &[Node]) {
    let sum = sum(circuit, nodes);
    let color = by_sign(ui, sum);
    ui.horizontal(|ui| {
        ui.label(weak(ui, "Sum of their effects"));
        ui.label(theme::mono(signed(sum as f32), 13.0).color(color)).on_hover_text(
            "Effects of one node at a time: what cutting all of them does together stands in the \
             verdict below.",
        );
    });
}

/// The nodes, largest first; a click chooses one.
fn list(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm, circuit: &Circuit, nodes: &[Node]) {
    ui.spacing_mut().item_spacing.y = 1.0;
    ui.add_space(4.0);
    let mut found: Vec<_> = circuit.nodes.iter().filter(|n| nodes.contains(&n.node)).collect();
    found.sort_by(|a, b| b.effect.mean.abs().total_cmp(&a.effect.mean.abs()));
    let full = f64::from(form.drawn.graph.full);
    for node in found {
        let known = label(node.node, form.history.view(), &cx.state.circuit.graph);
        let known = if known.parse::<u32>().is_ok() { String::new() } else { known };
        let response = row(
            ui,
            &Row {
                name: &title(node.node),
                label: &known,
                value: node.effect.mean,
                full,
                error: node.node.unit == Unit::Error,
                cut: form.history.view().cut_of(node.node).is_some(),
            },
        );
        if response.clicked() {
            form.selected.clear();
            form.chosen = Some(Item::Node(node.node));
        }
    }
}

/// The card of a supernode.
pub fn group(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm, circuit: &Circuit, g: usize) {
    let Some(found) = form.history.view().groups.get(g).cloned() else {
        form.chosen = None;
        return;
    };
    let nodes = found.nodes.clone();
    card(ui, |ui| {
        ui.horizontal(|ui| {
            ui.add(Label::new(theme::strong(&found.name, 15.0)).truncate());
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if icon_button(ui, Icon::Close, "Close the card").clicked() {
                    form.chosen = None;
                }
            });
        });
        if form.typed.of != Some(Item::Group(g)) {
            form.typed.of = Some(Item::Group(g));
            form.typed.name.clone_from(&found.name);
        }
        let field = TextEdit::singleline(&mut form.typed.name)
            .hint_text("Name of the group")
            .desired_width(f32::INFINITY);
        let response = ui.add(field).accessible_name("Name of the group");
        if response.changed() {
            let name = form.typed.name.clone();
            form.history.drag("name a group", |v| {
                if let Some(group) = v.groups.get_mut(g) {
                    group.name = name;
                }
            });
        }
        if response.lost_focus() {
            form.history.seal();
        }
        total(ui, circuit, &nodes);
        head(ui, "Cut it");
        cuts::buttons(ui, form, circuit, &nodes);
        ui.horizontal_wrapped(|ui| {
            let kept = form.history.view().keep.as_deref() == Some(&nodes[..]);
            if kept {
                if button(ui, "Keep the whole circuit again").clicked() {
                    form.history.change("keep everything", |v| v.keep = None);
                }
            } else if button(ui, "Keep only this").clicked() {
                keep_only(form, &nodes);
            }
            if button(ui, if found.open { "Close" } else { "Open" })
                .on_hover_text("Draw its nodes as one, or one by one")
                .clicked()
            {
                open(form, g, !found.open);
            }
            if button(ui, "Dissolve").clicked() {
                form.history.change("dissolve a group", |v| v.ungroup(&nodes));
                form.chosen = None;
            }
        });
        list(ui, cx, form, circuit, &nodes);
    });
}
