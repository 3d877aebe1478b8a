//! The circuit of the probe's output: which features it leans on.
//!
//! What a person wants to know here: what does the probe use, and how much of each; how much of what
//! it uses has no feature at all (the errors); with which dictionaries was that found, and do they
//! fit; how many features are worth my time.

use super::{ask, list};
use crate::commands::ShiftCommand;
use crate::context::Cx;
use crate::format;
use crate::forms::ShiftForm;
use crate::jobs::Kind;
use crate::theme::{self, palette};
use crate::widgets::card::{define, empty, fact, primary, titled, weak};
use crate::widgets::icon::Icon;
use crate::work::shift::Found;
use egui::{Align, DragValue, Label, Layout, RichText, ScrollArea, Slider, Ui};
use sparsescope_core::circuits::Method;
use sparsescope_core::shift::{EFFECT_DEFINITION, is_feature};

/// Draws the features by their effect.
pub fn features(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    let Some(found) = cx.state.shift.found.clone() else {
        titled(ui, "What the probe uses", "", |ui| {
            ui.set_min_height((ui.available_height() - 8.0).max(60.0));
            let text = "Once its circuit is found, the features that the probe leans on stand here, \
                        the strongest first.";
            empty(ui, Icon::Circuit, "No circuit yet", text, None);
        });
        return;
    };
    let note = format!(
        "by {} on {} texts",
        found.circuit.conventions.spec.method,
        found.circuit.conventions.task.used.len()
    );
    titled(ui, "What the probe uses", &note, |ui| {
        summary(ui, form, &found);
        ui.add_space(6.0);
        let height = (ui.available_height() - 8.0).max(60.0);
        ScrollArea::vertical().id_salt("uses").max_height(height).auto_shrink(false).show(
            ui,
            |ui| {
                ui.spacing_mut().item_spacing.y = 0.0;
                let full = found.circuit.nodes.first().map_or(0.0, |n| n.effect.mean);
                let mut count = 0;
                for node in &found.circuit.nodes {
                    let feature = is_feature(node);
                    count += usize::from(feature);
                    let dim = !feature || count > form.to_judge;
                    let row = list::Row { cx, node, full, chosen: false, dim, tall: false };
                    if list::row(ui, &row).clicked() && feature {
                        form.chosen = Some(node.node);
                        form.reveal = true;
                        form.step = crate::forms::ShiftStep::Judge;
                    }
                }
            },
        );
    });
}

fn summary(ui: &mut Ui, form: &mut ShiftForm, found: &Found) {
    let nodes = &found.circuit.nodes;
    let features = nodes.iter().filter(|n| is_feature(n)).count();
    let sum = |errors: bool| {
        let of = nodes.iter().filter(|n| is_feature(n) != errors);
        of.map(|n| n.effect.mean).sum::<f64>()
    };
    let share = sum(true) / (sum(true) + sum(false)).max(1e-12);
    ui.horizontal(|ui| {
        let label = ui.label(weak(ui, "Judge the strongest"));
        ui.add(Slider::new(&mut form.to_judge, 1..=features.max(1)).logarithmic(features > 60))
            .labelled_by(label.id);
        ui.label(weak(ui, format!("of {features}")));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let text = weak(ui, format!("errors {}", format::percent(share)));
            let response = ui.add(Label::new(text).selectable(false));
            define(
                ui,
                response,
                "Share of the errors",
                "Of the positive effects of features and errors together, the part of the errors: \
                 what the dictionaries do not reconstruct. It cannot be judged or trimmed.",
            );
        });
    });
}

/// Draws what begins the search.
pub fn find(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    let state = &cx.state.shift;
    titled(ui, "Circuit of the probe's output", "", |ui| {
        let said = "Which features the probe's answer comes from: each is put to zero, and what the \
                    probe then loses of its log-odds for the right label is its effect.";
        ui.add(Label::new(weak(ui, said)).wrap()).on_hover_text(EFFECT_DEFINITION);
        ui.add_space(4.0);
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            let spec = &mut form.circuit;
            let label = ui.label(weak(ui, "texts"));
            ui.add(DragValue::new(&mut spec.texts).range(2..=10_000)).labelled_by(label.id);
            let label = ui.label(weak(ui, "least effect"));
            ui.add(DragValue::new(&mut spec.threshold).range(0.0..=100.0).speed(0.001))
                .labelled_by(label.id);
            let label = ui.label(weak(ui, "at most"));
            ui.add(DragValue::new(&mut spec.most).range(1..=2000)).labelled_by(label.id);
        });
        ui.horizontal(|ui| {
            ui.label(weak(ui, "by"));
            for (method, name, hint) in [
                (Method::default(), "integrated gradients", "The paper's: ten steps to zero"),
                (Method::Attribution, "attribution", "One step: quicker, and coarser"),
            ] {
                ui.selectable_value(&mut form.circuit.method, method, name).on_hover_text(hint);
            }
        });
        ui.add_space(6.0);
        let missing = missing(cx, form);
        let finding = cx.state.jobs.iter().find(|j| j.kind == Kind::ShiftFind);
        let why = match (&state.trained, missing) {
            (None, _) => Some("Train the probe first.".to_owned()),
            (Some(_), 1..) => Some(format!("{missing} dictionaries are missing.")),
            _ => None,
        };
        ui.horizontal(|ui| {
            let ready = why.is_none() && finding.is_none();
            if primary(ui, "Find its circuit", ready).clicked() {
                ask(cx, ShiftCommand::Find);
            }
            if let Some(job) = finding {
                let done = job.progress.done as f64 / job.progress.total.max(1) as f64;
                ui.label(weak(ui, format!("{} {}", job.progress.stage, format::percent(done))));
            } else if let Some(why) = why {
                ui.add(Label::new(weak(ui, why)).wrap());
            }
        });
        if let Some(found) = &state.found {
            facts(ui, found);
        }
    });
}

/// Sites up to the probe's without a dictionary.
pub fn missing(cx: &Cx<'_>, form: &ShiftForm) -> usize {
    let Some(facts) = &cx.state.model.facts else { return 0 };
    let choice = form.choice(facts.layers, &facts.hash, &cx.state.train.runs);
    choice.values().filter(|id| id.is_none()).count()
}

fn facts(ui: &mut Ui, found: &Found) {
    let p = palette(ui);
    let circuit = &found.circuit;
    ui.add_space(6.0);
    let features = circuit.nodes.iter().filter(|n| is_feature(n)).count();
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        fact(ui, "Features it leans on", &features.to_string(), EFFECT_DEFINITION);
        fact(
            ui,
            "Nodes looked at",
            &format::grouped(circuit.candidates as u64),
            "Features and errors with any effect at all, of either sign.",
        );
        fact(
            ui,
            "Log-odds of the right label",
            &format!("{:.2} ± {:.2}", circuit.clean.mean, circuit.clean.error),
            "Mean over the texts that the circuit was found on, with its standard error.",
        );
    });
    if let Some(doubt) = found.doubts.first() {
        let said = format!("{} of its dictionaries do not fit", found.doubts.len());
        let response = ui.add(Label::new(theme::strong(said, 13.0).color(p.warn)));
        let risk = sparsescope_core::circuits::checks::RISK;
        let more = found.doubts.join("; ");
        define(ui, response, doubt, &format!("{more}. The risk: {risk}."));
        ui.add(Label::new(RichText::new(doubt).size(12.5).color(p.warn)).wrap());
    }
}
