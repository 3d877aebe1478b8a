//! Cutting nodes out of the model, and taking that back.

use super::drawn::title;
use super::{groups, send};
use crate::commands::GraphCommand;
use crate::context::Cx;
use crate::forms::{GraphForm, Item};
use crate::theme;
use crate::widgets::card::{ring, weak};
use egui::{DragValue, Label, Ui};
use sparsescope_core::circuits::{Circuit, CutOp, Node, Unit};

/// What can be done to a node, by name.
pub fn ops(circuit: &Circuit, nodes: &[Node]) -> [(CutOp, &'static str, &'static str); 6] {
    let clean = circuit.nodes.iter().find(|n| nodes.contains(&n.node)).map_or(1.0, |n| n.clean);
    [
        (CutOp::Zero, "Zero", "Its activation is 0 (X)"),
        (CutOp::Mean, "Mean", "Its mean over the prompts that ablation values come from (M)"),
        (CutOp::Resample, "Resample", "Its value on another of these prompts (R)"),
        (CutOp::Scale(2.0), "Scale", "So many times its activation"),
        (CutOp::Set(clean), "Set", "A value of your own"),
        (CutOp::Add(clean), "Add", "So much more than its activation"),
    ]
}

/// Cuts these nodes so; if all of them are cut so already, takes it back.
pub fn toggle(form: &mut GraphForm, nodes: &[Node], op: CutOp) {
    let view = form.history.view();
    if nodes.iter().all(|n| view.cut_of(*n) == Some(op)) {
        form.history.change("take a cut back", |v| v.uncut(nodes));
    } else {
        form.op = op;
        form.history.change("cut", |v| v.cut(nodes, op));
    }
}

/// Buttons that cut these nodes, with what is done to them now lit.
pub fn buttons(ui: &mut Ui, form: &mut GraphForm, circuit: &Circuit, nodes: &[Node]) {
    let Some(first) = nodes.first() else { return };
    let now = form.history.view().cut_of(*first);
    let only_errors = nodes.iter().any(|n| n.unit == Unit::Error);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        ui.spacing_mut().button_padding.x = 6.0;
        for (op, name, what) in ops(circuit, nodes) {
            let undefined = only_errors && matches!(op, CutOp::Set(_) | CutOp::Add(_));
            let lit =
                now.is_some_and(|n| std::mem::discriminant(&n) == std::mem::discriminant(&op));
            let button = egui::Button::selectable(lit, name);
            let response = ui.add_enabled(!undefined, button).on_hover_text(what);
            let response =
                response.on_disabled_hover_text("An error is a vector: no single value can be set");
            if ring(ui, response).clicked() {
                // A lit one goes out, with whatever number it has.
                toggle(form, nodes, if lit { now.unwrap_or(op) } else { op });
            }
        }
    });
    match now {
        Some(CutOp::Scale(s)) => {
            if let Some(s) = number(ui, "times its activation", s) {
                form.history.drag("scale", |v| v.cut(nodes, CutOp::Scale(s)));
            }
        }
        Some(CutOp::Set(x)) => {
            if let Some(x) = number(ui, "is its activation", x) {
                form.history.drag("set", |v| v.cut(nodes, CutOp::Set(x)));
            }
        }
        Some(CutOp::Add(x)) => {
            if let Some(x) = number(ui, "more than its activation", x) {
                form.history.drag("add", |v| v.cut(nodes, CutOp::Add(x)));
            }
        }
        _ => {}
    }
}

/// A number that is dragged or typed; when it was changed, the new one.
fn number(ui: &mut Ui, what: &str, now: f32) -> Option<f32> {
    let mut value = now;
    ui.horizontal(|ui| {
        let drag = DragValue::new(&mut value).speed(0.02).range(-1e6..=1e6).max_decimals(3);
        ui.add(drag).accessible_name(what);
        ui.label(weak(ui, what));
    });
    (value != now && value.is_finite()).then_some(value)
}

/// The menu of a right click.
pub fn menu(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm, circuit: &Circuit, on: Option<Item>) {
    let Some(on) = on.filter(|item| *item != Item::Metric) else {
        ground(ui, form);
        return;
    };
    let mut nodes = form.nodes_of(on);
    let several = nodes.iter().any(|n| form.selected.contains(n)) && form.selected.len() > 1;
    if several {
        nodes = form.selected.iter().copied().collect();
    }
    let head = match (several, on) {
        (true, _) => format!("{} selected nodes", nodes.len()),
        (_, Item::Node(node)) => title(node),
        (_, Item::Group(g)) => {
            form.history.view().groups.get(g).map(|g| g.name.clone()).unwrap_or_default()
        }
        _ => String::new(),
    };
    ui.add(Label::new(theme::strong(head, 13.0)).selectable(false));
    ui.separator();
    let errors = nodes.iter().any(|n| n.unit == Unit::Error);
    for (op, name, what) in ops(circuit, &nodes) {
        let undefined = errors && matches!(op, CutOp::Set(_) | CutOp::Add(_));
        let name = match op {
            CutOp::Zero => "Cut: set to zero",
            CutOp::Mean => "Cut: set to its mean",
            CutOp::Resample => "Cut: resample",
            CutOp::Scale(_) => "Scale by 2…",
            CutOp::Set(_) if name == "Set" => "Set to a value…",
            CutOp::Add(_) => "Add a value…",
            CutOp::Set(_) => name,
        };
        if ui.add_enabled(!undefined, egui::Button::new(name)).on_hover_text(what).clicked() {
            form.op = op;
            form.history.change("cut", |v| v.cut(&nodes, op));
            if !several {
                form.chosen = Some(on);
            }
            ui.close();
        }
    }
    let view = form.history.view();
    let cut = nodes.iter().any(|n| view.cut_of(*n).is_some());
    if ui.add_enabled(cut, egui::Button::new("Take the cut back")).clicked() {
        form.history.change("take a cut back", |v| v.uncut(&nodes));
        ui.close();
    }
    ui.separator();
    let pinned = nodes.iter().all(|n| form.history.view().pinned.contains(n));
    if ui.button(if pinned { "Let go (P)" } else { "Pin (P)" }).clicked() {
        form.history.change("pin", |v| v.pin(&nodes));
        ui.close();
    }
    if nodes.len() > 1 && ui.button("Keep only these in the circuit").clicked() {
        groups::keep_only(form, &nodes);
        ui.close();
    }
    match on {
        Item::Group(g) if !several => {
            if ui.button("Open the group").clicked() {
                groups::open(form, g, true);
                ui.close();
            }
            if ui.button("Dissolve the group").clicked() {
                form.history.change("dissolve a group", |v| v.ungroup(&nodes));
                form.chosen = None;
                ui.close();
            }
        }
        Item::Node(node) if nodes.len() == 1 => {
            if let Some(g) = form.history.view().group_of(node)
                && ui.button("Close its group").clicked()
            {
                groups::open(form, g, false);
                ui.close();
            }
            if let Unit::Latent(latent) = node.unit
                && cx.state.circuit.graph.saes.contains_key(&node.site)
                && ui.button("Open the feature").clicked()
            {
                send(cx, GraphCommand::OpenFeature(node.site, latent));
                ui.close();
            }
        }
        _ => {
            if ui.button("Make a group of them (G)").clicked() {
                groups::make(form, &nodes);
                ui.close();
            }
        }
    }
}

fn ground(ui: &mut Ui, form: &mut GraphForm) {
    if ui.button("Show all").clicked() {
        form.canvas.fit();
        ui.close();
    }
    let view = form.history.view();
    let (cuts, keep) = (!view.cuts.is_empty(), view.keep.is_some());
    if ui.add_enabled(cuts, egui::Button::new("Take all cuts back")).clicked() {
        clear(form);
        ui.close();
    }
    if ui.add_enabled(keep, egui::Button::new("Keep the whole circuit again")).clicked() {
        form.history.change("keep everything", |v| v.keep = None);
        ui.close();
    }
}

/// Takes all cuts back.
pub fn clear(form: &mut GraphForm) {
    form.history.change("take all cuts back", |v| v.cuts.clear());
}
