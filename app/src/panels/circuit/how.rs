//! How a circuit is found.

use super::task::ask;
use crate::commands::TaskCommand;
use crate::context::Cx;
use crate::format;
use crate::forms::TaskForm;
use crate::jobs::Kind;
use crate::widgets::card::{button, primary, titled, weak};
use egui::{Align, ComboBox, DragValue, Label, Layout, Response, Ui};
use sparsescope_core::circuits::{Aggregation, Change, Method, Metric};

/// Ways to estimate effects: what they are called, and what they do.
const METHODS: [(Method, &str, &str); 4] = [
    (
        Method::IntegratedGradients { steps: 10 },
        "integrated gradients",
        "The mean gradient at ten steps from clean to patch, one site at a time: the most faithful \
         estimate",
    ),
    (
        Method::Attribution,
        "attribution patching",
        "The gradient at the clean run: one backward pass for everything, coarse in early blocks",
    ),
    (
        Method::Relp,
        "RelP",
        "As attribution patching, with norm, gate and products linearised: as quick, and closer",
    ),
    (
        Method::Exact,
        "exact patching",
        "Each node changed by itself, a forward pass each: the truth, and slow",
    ),
];

/// Draws it.
pub fn how(ui: &mut Ui, form: &mut TaskForm) {
    titled(ui, "How it is found", "", |ui| {
        ui.spacing_mut().item_spacing.y = 6.0;
        line(ui, "Effects by", "How much of the metric each node carries is estimated so.", |ui| {
            let name = |method: Method| {
                METHODS.iter().find(|(m, ..)| *m == method).map_or("other", |(_, name, _)| name)
            };
            combo(ui, "Effects by", name(form.spec.method), |ui| {
                for (method, name, hint) in METHODS {
                    let chosen = form.spec.method == method;
                    if ui.selectable_label(chosen, name).on_hover_text(hint).clicked() {
                        form.spec.method = method;
                    }
                }
            })
        });
        line(ui, "Metric", "What is measured at the end of the prompt.", |ui| {
            combo(ui, "Metric", form.spec.metric.name(), |ui| {
                for (metric, hint) in [
                    (Metric::LogitDifference, "Logit of the answer less that of the other answer"),
                    (Metric::LogProbability, "Log of the answer's probability"),
                ] {
                    let chosen = form.spec.metric == metric;
                    if ui.selectable_label(chosen, metric.name()).on_hover_text(hint).clicked() {
                        form.spec.metric = metric;
                    }
                }
            })
        });
        line(ui, "Changed to", "What a node's effect is measured against.", |ui| {
            let all = [
                (Change::Patch, "the patch prompt's value", "Needs pairs of prompts"),
                (Change::Zero, "zero", "For prompts without a pair"),
            ];
            let now = all.iter().find(|(c, ..)| *c == form.spec.change).map_or("", |(_, n, _)| n);
            combo(ui, "Changed to", now, |ui| {
                for (change, name, hint) in all {
                    let chosen = form.spec.change == change;
                    if ui.selectable_label(chosen, name).on_hover_text(hint).clicked() {
                        form.spec.change = change;
                    }
                }
            })
        });
        line(ui, "Positions", "Whether a latent at each position is a node of its own.", |ui| {
            let all = [
                (Aggregation::Summed, "summed", "One node for a latent, whatever the position"),
                (
                    Aggregation::PerPosition,
                    "one by one",
                    "For templates, where a position means the same in every pair; pairs of the \
                     commonest length only",
                ),
            ];
            let now =
                all.iter().find(|(a, ..)| *a == form.spec.aggregation).map_or("", |(_, n, _)| n);
            combo(ui, "Positions", now, |ui| {
                for (aggregation, name, hint) in all {
                    let chosen = form.spec.aggregation == aggregation;
                    if ui.selectable_label(chosen, name).on_hover_text(hint).clicked() {
                        form.spec.aggregation = aggregation;
                    }
                }
            })
        });
        line(
            ui,
            "Pairs",
            "At most so many, drawn by the seed from the half that is not held out.",
            |ui| ui.add(DragValue::new(&mut form.spec.pairs).range(1..=100_000)),
        );
        more(ui, form);
        ui.add_space(4.0);
        ui.checkbox(&mut form.edges, "Edges too")
            .on_hover_text("Direct effects of kept nodes on one another");
        ui.checkbox(&mut form.anyway, "Use dictionaries that do not fit").on_hover_text(format!(
            "Each dictionary is looked at on the task's own prompts, and one that was made for \
             another model or leaves too much unexplained is refused. Going on is at a risk: {}.",
            sparsescope_core::circuits::checks::RISK
        ));
    });
}

fn more(ui: &mut Ui, form: &mut TaskForm) {
    let name = if form.more { "Fewer settings" } else { "Thresholds, audit, seed…" };
    if button(ui, name).clicked() {
        form.more = !form.more;
    }
    if !form.more {
        return;
    }
    let spec = &mut form.spec;
    line(ui, "Node threshold", "Least size of a kept node's effect, after averaging.", |ui| {
        ui.add(DragValue::new(&mut spec.node_threshold).range(0.0..=100.0).speed(0.001))
    });
    line(ui, "Nodes at most", "The greatest effects win.", |ui| {
        ui.add(DragValue::new(&mut spec.most_nodes).range(1..=20_000))
    });
    line(ui, "Edge threshold", "Least size of a kept edge's weight, after averaging.", |ui| {
        ui.add(DragValue::new(&mut spec.edge_threshold).range(0.0..=100.0).speed(0.0005))
    });
    line(ui, "First positions left out", "1 leaves out BOS.", |ui| {
        ui.add(DragValue::new(&mut spec.skip_positions).range(0..=64))
    });
    line(ui, "Audited nodes", "So many of the greatest are measured exactly beside.", |ui| {
        ui.add(DragValue::new(&mut spec.audit).range(0..=1000))
    });
    line(ui, "Resamples", "By which each node's stability is judged.", |ui| {
        ui.add(DragValue::new(&mut spec.resamples).range(0..=1000))
    });
    line(ui, "Seed", "Decides which pairs are drawn and which are held out.", |ui| {
        ui.add(DragValue::new(&mut spec.seed))
    });
}

/// What begins the search, and why it cannot begin.
pub fn find(ui: &mut Ui, cx: &Cx<'_>, form: &TaskForm) {
    let state = &cx.state.circuit.task;
    let usable = state.prepared.as_ref().map_or(0, |p| p.usable);
    let why = match (&cx.state.model.facts, form.rows.is_empty(), usable) {
        (None, ..) => Some("Open a model first."),
        (_, true, _) => Some("Choose a behaviour first."),
        (_, _, 0) if state.prepared.is_some() => Some("No pair can be used as it stands."),
        _ => None,
    };
    let finding = cx.state.jobs.iter().find(|job| job.kind == Kind::Find);
    let ready = why.is_none() && finding.is_none();
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        if primary(ui, "Find the circuit", ready).clicked() {
            ask(cx, TaskCommand::Find);
        }
        if let Some(job) = finding {
            let done = job.progress.done as f64 / job.progress.total.max(1) as f64;
            ui.label(weak(ui, format!("{} {}", job.progress.stage, format::percent(done))));
        } else if let Some(why) = why {
            ui.label(weak(ui, why));
        }
    });
}

/// A line: name at the left, widget at the right.
fn line(ui: &mut Ui, name: &str, hint: &str, add: impl FnOnce(&mut Ui) -> Response) {
    ui.horizontal(|ui| {
        let label = ui.add(Label::new(weak(ui, name)).selectable(false)).on_hover_text(hint);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            add(ui).labelled_by(label.id);
        });
    });
}

fn combo(ui: &mut Ui, name: &str, now: &str, add: impl FnOnce(&mut Ui)) -> Response {
    let response =
        ComboBox::new(name, "").selected_text(now).width(190.0).show_ui(ui, add).response;
    response.accessible_name(name)
}
