//! The probe: where it reads, and how good it looks.
//!
//! What a person wants to know here: where in the model does it read; how good is it on texts like
//! those it learnt from; and how good where the label and what it could mistake for it part.

use super::{ask, data::combo, groups};
use crate::commands::ShiftCommand;
use crate::context::Cx;
use crate::format;
use crate::forms::ShiftForm;
use crate::jobs::Kind;
use crate::theme::palette;
use crate::widgets::card::{figure, primary, titled, weak};
use crate::widgets::shares::in_full;
use crate::widgets::site_diagram::site_diagram;
use crate::work::shift::Trained;
use egui::{DragValue, Label, Ui, vec2};
use sparsescope_core::llama::Site;
use sparsescope_core::shift::{ACCURACY_DEFINITION, Share};

/// Draws it.
pub fn probe(ui: &mut Ui, cx: &Cx<'_>, form: &mut ShiftForm) {
    let state = &cx.state.shift;
    let note = match &state.trained {
        Some(trained) => format!("reads {}", trained.probe.site),
        None => format!("will read {}", form.probe.site),
    };
    titled(ui, "Probe", &note, |ui| {
        let Some(facts) = &cx.state.model.facts else {
            ui.label(weak(ui, "Open a model first."));
            return;
        };
        let said = "A linear probe on the mean of a site's output over the text.";
        ui.add(Label::new(weak(ui, said)).wrap());
        ui.add_space(4.0);
        if ui.available_width() > 620.0 {
            if let Some(site) = site_diagram(ui, facts.layers, Some(form.probe.site)) {
                form.probe.site = site;
            }
        } else {
            ui.horizontal(|ui| {
                ui.label(weak(ui, "Site"));
                let now = form.probe.site.to_string();
                combo(ui, "Site of the probe", &now, 120.0, |ui| {
                    for site in Site::all(facts.layers) {
                        ui.selectable_value(&mut form.probe.site, site, site.to_string());
                    }
                });
            });
        }
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 8.0;
            settings(ui, form);
        });
        ui.add_space(4.0);
        ui.horizontal(|ui| {
            let busy = state.reading || cx.state.jobs.iter().any(|j| j.kind == Kind::ShiftProbe);
            let ready = state.texts.is_some() && !busy;
            let name = if state.trained.is_some() { "Train it again" } else { "Train the probe" };
            if primary(ui, name, ready).clicked() {
                ask(cx, ShiftCommand::Train);
            }
            if state.texts.is_none() {
                ui.label(weak(ui, "It needs texts."));
            }
        });
        if let Some(trained) = &state.trained {
            ui.add_space(10.0);
            ui.scope(|ui| {
                let old =
                    trained.spec != form.probe || state.texts.as_ref() != Some(&trained.texts);
                if old {
                    ui.set_opacity(0.55);
                }
                figures(ui, trained);
                if old {
                    ui.label(weak(ui, "These are of the probe before you changed its settings."));
                }
            });
        }
    });
}

fn settings(ui: &mut Ui, form: &mut ShiftForm) {
    let spec = &mut form.probe;
    let field = |ui: &mut Ui, name: &str, hint: &str, value: DragValue<'_>| {
        let label = ui.label(weak(ui, name)).on_hover_text(hint);
        ui.add(value).labelled_by(label.id);
    };
    let value = DragValue::new(&mut spec.epochs).range(1..=100);
    field(ui, "epochs", "Times that it sees each text", value);
    let value =
        DragValue::new(&mut spec.learning_rate).range(1e-5..=1.0).speed(1e-3).max_decimals(5);
    field(ui, "learning rate", "Of AdamW", value);
    let value = DragValue::new(&mut spec.batch).range(1..=4096);
    field(ui, "batch", "Texts a step", value);
}

fn figures(ui: &mut Ui, trained: &Trained) {
    let p = palette(ui);
    let (data, original) = (&trained.texts.data, &trained.original);
    let of = |share: &Share| {
        format!("{}. {ACCURACY_DEFINITION} {} texts.", in_full(share), original.texts)
    };
    let shown = |ui: &mut Ui| {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(24.0, 8.0);
            let (n, loss) = (trained.probe.texts, trained.probe.train_loss);
            figure(
                ui,
                "Where it learnt",
                &format::percent(trained.probe.train_accuracy),
                None,
                &format!(
                    "Share of the {n} texts it learnt from whose {} it names; mean cross-entropy \
                     {loss:.4} nats.",
                    data.label_name
                ),
            );
            let share = &original.label;
            figure(ui, &data.label_name, &format::percent(share.mean), None, &of(share));
            let share = &original.spurious;
            let leans = (share.mean - 0.5).abs() > 0.1;
            let color = leans.then_some(p.warn);
            figure(ui, &data.spurious_name, &format::percent(share.mean), color, &of(share));
            let share = &original.worst_group;
            let color = (share.mean < 0.5).then_some(p.bad);
            figure(ui, "Worst group", &format::percent(share.mean), color, &of(share));
        });
    };
    let cells = original.groups.map(|row| {
        row.map(|share| {
            let below = format!("{:.1}–{:.1}", 100.0 * share.low, 100.0 * share.high);
            (format::percent(share.mean), below)
        })
    });
    let hint = format!("Share of this group whose {} the probe names.", data.label_name);
    shown(ui);
    ui.add_space(8.0);
    groups::groups(ui, data, &cells, &hint);
}
