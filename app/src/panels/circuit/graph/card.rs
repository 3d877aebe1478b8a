//! The card of a node: what it is, how much it matters, what it is linked with, cutting it.

use super::cuts;
use super::drawn::{label, title};
use super::parts::{Row, by_sign, estimate, head, row};
use super::send;
use super::told::{activation, activation_name};
use crate::commands::{Command, GraphCommand, SteerCommand};
use crate::context::Cx;
use crate::format;
use crate::forms::{GraphForm, Item};
use crate::theme::{self, palette};
use crate::widgets::card::{button, card as framed, fact, figure, icon_button, weak};
use crate::widgets::icon::Icon;
use crate::widgets::token_strip::{Shaded, shaded};
use egui::{Align, Label, Layout, TextEdit, Ui};
use sparsescope_core::circuits::{Circuit, CircuitNode, Node, Unit};

/// Links that are listed each way.
const LISTED: usize = 12;
/// Texts that are shown.
const TEXTS: usize = 4;

/// Draws the card of a node.
pub fn card(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm, circuit: &Circuit, node: Node) {
    let Some(place) = circuit.nodes.iter().position(|n| n.node == node) else {
        form.chosen = None;
        return;
    };
    let found = &circuit.nodes[place];
    framed(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 4.0;
        top(ui, cx, form, node);
        figures(ui, circuit, found);
        head(ui, "Cut it");
        let nodes = [node];
        cuts::buttons(ui, form, circuit, &nodes);
        annotate(ui, form, node);
        texts(ui, cx, node);
        links(ui, cx, form, circuit, place as u32);
    });
}

fn top(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm, node: Node) {
    let p = palette(ui);
    let state = &cx.state.circuit.graph;
    ui.horizontal(|ui| {
        ui.add(Label::new(theme::strong(title(node), 15.0)).truncate());
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, Icon::Close, "Close the card").clicked() {
                form.chosen = None;
            }
        });
    });
    if let Unit::Latent(latent) = node.unit
        && let Some(label) = state.label(node.site, latent)
    {
        ui.add(Label::new(theme::strong(label, 13.5).color(p.glow)).wrap());
    }
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().button_padding.x = 9.0;
        let pinned = form.history.view().pinned.contains(&node);
        let pin = button(ui, if pinned { "Let go" } else { "Pin" })
            .on_hover_text("A pinned node stays whatever the thresholds (P)");
        if pin.clicked() {
            form.history.change("pin", |v| v.pin(&[node]));
        }
        if let Unit::Latent(latent) = node.unit
            && state.saes.contains_key(&node.site)
            && button(ui, "Open the feature").clicked()
        {
            send(cx, GraphCommand::OpenFeature(node.site, latent));
        }
        if let Unit::Latent(latent) = node.unit
            && let Some(sae) = state.saes.get(&node.site)
            && button(ui, "Steer with it").clicked()
        {
            cx.send(Command::Steer(SteerCommand::Add(*sae, latent)));
        }
        if let Some(g) = form.history.view().group_of(node)
            && button(ui, "Its group").clicked()
        {
            form.chosen = Some(Item::Group(g));
        }
    });
}

fn figures(ui: &mut Ui, circuit: &Circuit, node: &CircuitNode) {
    let c = &circuit.conventions;
    let pairs = c.task.used.len();
    let effect = node.effect.mean;
    let said = format!(
        "F(clean) − F(this node changed), by {}: the mean over {pairs} pairs and its standard \
         error. Positive: the node supports the behaviour.",
        c.spec.method
    );
    let color = by_sign(ui, effect);
    figure(ui, "Effect", &estimate(&node.effect), Some(color), &said);
    if let Some(exact) = &node.exact {
        let said = format!("Measured: this node alone was changed, on {pairs} pairs.");
        fact(ui, "Measured exactly", &estimate(exact), &said);
    }
    if let Some(stability) = node.stability {
        let said = format!(
            "Share of {} resamples of the pairs (with replacement) in which it would be kept.",
            c.spec.resamples
        );
        fact(ui, "Stability", &format::percent(f64::from(stability)), &said);
    }
    let said = "Its mean on the clean and on the patch prompts, summed over positions where the \
                node is; of an error the mean length of the vector.";
    fact(ui, activation_name(node.node), &activation(node), said);
}

fn annotate(ui: &mut Ui, form: &mut GraphForm, node: Node) {
    let item = Some(Item::Node(node));
    let view = form.history.view();
    let (name, note) = (
        view.names.get(&node).cloned().unwrap_or_default(),
        view.notes.get(&node).cloned().unwrap_or_default(),
    );
    let typing = ui.ctx().text_edit_focused();
    if form.typed.of != item || !typing && (form.typed.name != name || form.typed.note != note) {
        form.typed.of = item;
        form.typed.name = name;
        form.typed.note = note;
    }
    let field = TextEdit::singleline(&mut form.typed.name)
        .hint_text("A name of your own")
        .desired_width(f32::INFINITY);
    let response = ui.add(field).accessible_name("Name of the node");
    if response.changed() {
        let name = form.typed.name.clone();
        form.history.drag("name a node", |v| v.name(node, &name));
    }
    if response.lost_focus() {
        form.history.seal();
    }
    let field = TextEdit::multiline(&mut form.typed.note)
        .hint_text("A note on it")
        .desired_rows(1)
        .desired_width(f32::INFINITY);
    let response = ui.add(field).accessible_name("Note on the node");
    if response.changed() {
        let note = form.typed.note.clone();
        form.history.drag("a note", |v| v.note(node, &note));
    }
    if response.lost_focus() {
        form.history.seal();
    }
}

/// The texts that a latent fires in most strongly.
fn texts(ui: &mut Ui, cx: &Cx<'_>, node: Node) {
    let Unit::Latent(latent) = node.unit else {
        ui.add_space(2.0);
        let text = "What the dictionary at this site leaves over, x − x̂, taken as one node.";
        ui.add(Label::new(weak(ui, text)).wrap());
        return;
    };
    let state = &cx.state.circuit.graph;
    head(ui, "Fires in");
    let detail = match state.cards.get(&(node.site, latent)) {
        Some(Some(detail)) => detail,
        Some(None) => {
            let text = "Nothing was collected of this dictionary: its features can be collected on \
                        the Features screen.";
            ui.add(Label::new(weak(ui, text)).wrap());
            return;
        }
        None if state.saes.contains_key(&node.site) => {
            if state.reading != Some((node.site, latent)) {
                send(cx, GraphCommand::Card(node.site, latent));
            }
            ui.label(weak(ui, "Reading…"));
            return;
        }
        None => {
            let text = "Its site has no dictionary here: the node is a coordinate of the site, or \
                        the dictionary is not in this workspace.";
            ui.add(Label::new(weak(ui, text)).wrap());
            return;
        }
    };
    let contexts = detail.groups.iter().flat_map(|g| &g.contexts).take(TEXTS);
    let full = contexts.clone().flat_map(|c| c.activations.iter().copied()).fold(0.0, f32::max);
    for context in contexts {
        shaded(
            ui,
            &Shaded {
                tokens: &context.tokens,
                activations: &context.activations,
                next: &[],
                full,
                peak: Some(context.peak),
                lines: 2,
            },
        );
    }
}

/// What acts on it and what it acts on.
fn links(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm, circuit: &Circuit, place: u32) {
    let incoming = circuit.edges.iter().filter(|e| e.to == Some(place));
    let outgoing = circuit.edges.iter().filter(|e| e.from == place);
    let incoming: Vec<_> = incoming.map(|e| (Some(e.from), e.weight)).collect();
    let outgoing: Vec<_> = outgoing.map(|e| (e.to, e.weight)).collect();
    list(ui, cx, form, circuit, "Acted on by", incoming);
    list(ui, cx, form, circuit, "Acts on", outgoing);
    if circuit.edges.is_empty() {
        ui.label(weak(ui, "Edges are not computed yet."));
    }
}

fn list(
    ui: &mut Ui,
    cx: &Cx<'_>,
    form: &mut GraphForm,
    circuit: &Circuit,
    name: &str,
    mut links: Vec<(Option<u32>, f32)>,
) {
    if links.is_empty() {
        return;
    }
    links.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    head(ui, name);
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        let full = links.first().map_or(0.0, |l| f64::from(l.1.abs()));
        for (to, weight) in links.iter().take(LISTED) {
            let node = to.and_then(|i| circuit.nodes.get(i as usize)).map(|n| n.node);
            let (called, known) = match node {
                Some(node) => {
                    let known = label(node, form.history.view(), &cx.state.circuit.graph);
                    let plain = known.parse::<u32>().is_ok();
                    (title(node), if plain { String::new() } else { known })
                }
                None => (circuit.conventions.spec.metric.name().to_owned(), String::new()),
            };
            let one = Row {
                name: &called,
                label: &known,
                value: f64::from(*weight),
                full,
                error: node.is_some_and(|n| n.unit == Unit::Error),
                cut: node.is_some_and(|n| form.history.view().cut_of(n).is_some()),
            };
            if row(ui, &one).clicked() {
                form.chosen = Some(node.map_or(Item::Metric, Item::Node));
            }
        }
        if links.len() > LISTED {
            ui.label(weak(ui, format!("and {} weaker ones", links.len() - LISTED)));
        }
    });
}

/// The card of the output.
pub fn metric(ui: &mut Ui, cx: &Cx<'_>, form: &mut GraphForm, circuit: &Circuit) {
    framed(ui, |ui| {
        ui.horizontal(|ui| {
            let name = format!("F: {}", circuit.conventions.spec.metric.name());
            ui.label(theme::strong(name, 15.0));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if icon_button(ui, Icon::Close, "Close the card").clicked() {
                    form.chosen = None;
                }
            });
        });
        let said = "High where the model behaves as the task expects. Mean over the pairs and its \
                    standard error.";
        fact(ui, "On the clean prompts", &estimate(&circuit.clean), said);
        if let Some(patch) = &circuit.patch {
            let said = "On the patch prompts, with the answers of the clean ones.";
            fact(ui, "On the patch prompts", &estimate(patch), said);
        }
        let links = circuit.edges.iter().filter(|e| e.to.is_none());
        let links: Vec<_> = links.map(|e| (Some(e.from), e.weight)).collect();
        list(ui, cx, form, circuit, "Acted on by", links);
    });
}
