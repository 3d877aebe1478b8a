//! The column where nothing is chosen: what is cut, the groups, the strongest nodes.

use super::cuts;
use super::drawn::{label, title};
use super::parts::{Row, head, row};
use super::sets;
use crate::context::Cx;
use crate::forms::{GraphForm, Item};
use crate::theme::{self, palette};
use crate::widgets::card::{button, card, icon_button, weak};
use crate::widgets::icon::Icon;
use egui::{Align, Label, Layout, Ui};
use sparsescope_core::circuits::{Circuit, Node, Unit};
use std::collections::BTreeSet;

/// Nodes that are listed.
const LISTED: usize = 40;

/// Draws it.
pub fn overview(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm, circuit: &Circuit) {
    card(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 3.0;
        cut(ui, form);
        sets::sets(ui, cx, form);
        groups(ui, form, circuit);
        strongest(ui, cx, form, circuit);
    });
}

fn cut(ui: &mut Ui, form: &mut GraphForm) {
    let p = palette(ui);
    let view = form.history.view().clone();
    if let Some(keep) = &view.keep {
        ui.horizontal(|ui| {
            ui.label(theme::strong(format!("Only {} nodes are kept", keep.len()), 13.0));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if icon_button(ui, Icon::Close, "Keep the whole circuit again").clicked() {
                    form.history.change("keep everything", |v| v.keep = None);
                }
            });
        });
    }
    if view.cuts.is_empty() {
        return;
    }
    ui.horizontal(|ui| {
        ui.label(theme::strong("Cut", 13.5));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if view.cuts.len() > 1 && button(ui, "Take all back").clicked() {
                cuts::clear(form);
            }
        });
    });
    for cut in &view.cuts {
        ui.horizontal(|ui| {
            let name = match cut.nodes.as_slice() {
                [one] => title(*one),
                several => match view.groups.iter().find(|g| g.nodes == *several) {
                    Some(group) => group.name.clone(),
                    None => format!("{} nodes", several.len()),
                },
            };
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if icon_button(ui, Icon::Close, &format!("Take the cut of {name} back")).clicked() {
                    form.history.change("take a cut back", |v| v.uncut(&cut.nodes));
                }
                ui.label(theme::mono(cut.op.to_string(), 12.0).color(p.bad));
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    let text = theme::mono(&name, 12.0);
                    if ui.add(Label::new(text).truncate().sense(egui::Sense::click())).clicked() {
                        form.chosen = cut.nodes.first().map(|n| Item::Node(*n));
                    }
                });
            });
        });
    }
    ui.add_space(4.0);
}

fn groups(ui: &mut Ui, form: &mut GraphForm, circuit: &Circuit) {
    let groups = form.history.view().groups.clone();
    if groups.is_empty() {
        return;
    }
    head(ui, "Groups");
    for (g, group) in groups.iter().enumerate() {
        let nodes = circuit.nodes.iter().filter(|n| group.nodes.contains(&n.node));
        let value: f64 = nodes.map(|n| n.effect.mean).sum();
        let all_cut = group.nodes.iter().all(|n| form.history.view().cut_of(*n).is_some());
        let name = format!("{} ({})", group.name, group.nodes.len());
        let full = f64::from(form.drawn.graph.full);
        let one = Row { name: &name, label: "", value, full, error: false, cut: all_cut };
        if row(ui, &one).clicked() {
            form.chosen = Some(Item::Group(g));
        }
    }
}

fn strongest(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm, circuit: &Circuit) {
    let searched = !form.search.trim().is_empty();
    head(ui, if searched { "Found" } else { "Strongest nodes" });
    let mut nodes: Vec<(Node, f64)> = form
        .drawn
        .shown
        .nodes
        .iter()
        .filter_map(|i| circuit.nodes.get(*i as usize))
        .map(|n| (n.node, n.effect.mean))
        .collect();
    if searched {
        let found: BTreeSet<&Node> = form.drawn.found.iter().collect();
        nodes.retain(|(n, _)| found.contains(n));
    }
    nodes.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
    if nodes.is_empty() {
        let text = if searched { "No node that is shown fits." } else { "No node is shown." };
        ui.label(weak(ui, text));
    }
    ui.spacing_mut().item_spacing.y = 1.0;
    let full = f64::from(form.drawn.graph.full);
    for (node, value) in nodes.iter().take(LISTED) {
        let known = label(*node, form.history.view(), &cx.state.circuit.graph);
        let known = if known.parse::<u32>().is_ok() { String::new() } else { known };
        let one = Row {
            name: &title(*node),
            label: &known,
            value: *value,
            full,
            error: node.unit == Unit::Error,
            cut: form.history.view().cut_of(*node).is_some(),
        };
        if row(ui, &one).clicked() {
            form.chosen = Some(Item::Node(*node));
            if let Some(place) = form.place_of(Item::Node(*node)) {
                let off = form.canvas.place_of(place).zip(form.canvas.rect());
                if off.is_some_and(|(at, rect)| !rect.shrink(30.0).contains(at)) {
                    form.canvas.show(place);
                }
            }
        }
    }
    if nodes.len() > LISTED {
        ui.label(weak(ui, format!("and {} more in the graph", nodes.len() - LISTED)));
    }
}
