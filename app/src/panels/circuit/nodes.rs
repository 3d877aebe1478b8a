//! With what a circuit is looked for: the dictionary of each site, and training those that are
//! missing.

use super::task::ask;
use crate::commands::TaskCommand;
use crate::context::Cx;
use crate::forms::{DataForm, Nodes, TaskForm};
use crate::jobs::Kind;
use crate::theme::{self, palette};
use crate::widgets::card::{button, titled, weak};
use crate::work::circuit::{usable, without};
use crate::{format, state::ModelFacts};
use egui::{Align, ComboBox, DragValue, Label, Layout, RichText, ScrollArea, Ui, vec2};
use sparsescope_core::llama::Site;
use sparsescope_core::workspace::SaeRecord;

/// Height of the list of sites.
const SITES: f32 = 248.0;

/// Draws it.
pub fn nodes(ui: &mut Ui, cx: &Cx<'_>, form: &mut TaskForm, data: &DataForm) {
    let Some(facts) = &cx.state.model.facts else { return };
    let choice = form.choice(facts.layers, &facts.hash, &cx.state.train.runs);
    let missing: Vec<Site> =
        choice.iter().filter(|(_, id)| id.is_none()).map(|(s, _)| *s).collect();
    let note = match form.nodes {
        Nodes::Features => format!("{} of {} sites", choice.len() - missing.len(), choice.len()),
        Nodes::Neurons => format!("{} sites", choice.len()),
    };
    titled(ui, "Nodes", &note, |ui| {
        ui.horizontal(|ui| {
            for (nodes, name, hint) in [
                (Nodes::Features, "Features", "Latents of each site's dictionary, and its error"),
                (Nodes::Neurons, "Neurons", "The coordinates of each site: the baseline"),
            ] {
                if ui.selectable_label(form.nodes == nodes, name).on_hover_text(hint).clicked() {
                    form.nodes = nodes;
                }
            }
        });
        if form.nodes == Nodes::Neurons {
            let text = "Every coordinate of every site is a node. No dictionary is needed; what \
                        it costs in nodes is the argument for features.";
            ui.add(Label::new(weak(ui, text)).wrap());
            return;
        }
        ui.add_space(4.0);
        ScrollArea::vertical()
            .id_salt("sites")
            .min_scrolled_height(SITES)
            .max_height(SITES)
            .auto_shrink([false, true])
            .show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                for (site, id) in choice.iter().rev() {
                    line(ui, cx, form, facts, *site, *id);
                }
            });
        let without = without(facts, &cx.state.train.runs);
        if !without.is_empty() {
            ui.add_space(8.0);
            train(ui, cx, form, data, facts, &without);
        }
    });
}

fn line(
    ui: &mut Ui,
    cx: &Cx<'_>,
    form: &mut TaskForm,
    facts: &ModelFacts,
    site: Site,
    id: Option<sparsescope_core::workspace::SaeId>,
) {
    let p = palette(ui);
    let records: Vec<&SaeRecord> = usable(&cx.state.train.runs, &facts.hash, site).collect();
    ui.horizontal(|ui| {
        ui.set_height(30.0);
        ui.add(Label::new(theme::mono(site.to_string(), 12.5)).selectable(false));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if records.is_empty() {
                ui.add(Label::new(RichText::new("coordinates").size(12.0).color(p.weak)));
                return;
            }
            let now = records.iter().find(|r| Some(r.id) == id).map(|r| said(r));
            ui.spacing_mut().interact_size.y = 20.0;
            ComboBox::new(("dictionary", site), "")
                .selected_text(RichText::new(now.unwrap_or("coordinates".to_owned())).size(12.0))
                .width(200.0)
                .show_ui(ui, |ui| {
                    for record in &records {
                        let text = format!("{} · SAE {}", said(record), record.id);
                        if ui.selectable_label(Some(record.id) == id, text).clicked() {
                            form.chosen.insert(site, Some(record.id));
                        }
                    }
                    if ui.selectable_label(id.is_none(), "coordinates").clicked() {
                        form.chosen.insert(site, None);
                    }
                })
                .response
                .widget_info(|| {
                    let name = format!("Dictionary at {site}");
                    egui::WidgetInfo::labeled(egui::Role::ComboBox, true, name)
                });
        });
    });
}

fn said(record: &SaeRecord) -> String {
    let fvu = record.evaluation.as_ref().map(|e| format!(", FVU {}", format::figure(e.fvu)));
    format!("{} {}{}", record.architecture, record.latents, fvu.unwrap_or_default())
}

/// Dictionaries for the sites that have none, all on one pass.
fn train(
    ui: &mut Ui,
    cx: &Cx<'_>,
    form: &mut TaskForm,
    data: &DataForm,
    facts: &ModelFacts,
    sites: &[Site],
) {
    let running = cx.state.jobs.iter().find(|job| job.kind == Kind::Train);
    let few = if sites.len() == 1 { "site has" } else { "sites have" };
    let text = format!(
        "{} {few} no dictionary: there the coordinates are the nodes. Train TopK dictionaries for \
         them, all on one pass over the text:",
        sites.len()
    );
    ui.add(Label::new(RichText::new(text).size(12.5).color(palette(ui).warn)).wrap());
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 4.0);
        number(ui, "latents", &mut form.latents, 8..=1 << 20);
        number(ui, "k", &mut form.k, 1..=4096);
        let mut thousands = (form.tokens / 1000).max(1) as usize;
        number(ui, "thousand tokens", &mut thousands, 1..=10_000_000);
        form.tokens = 1000 * thousands as u64;
    });
    let possible = form.sweep(data, facts, sites).is_some();
    ui.add_enabled_ui(running.is_none() && possible, |ui| {
        let name = match sites.len() {
            1 => "Train the missing one".to_owned(),
            n => format!("Train the {n} missing"),
        };
        if button(ui, &name).clicked() {
            ask(cx, TaskCommand::TrainMissing(None));
        }
    });
    if !possible {
        ui.label(weak(ui, "Choose a corpus on the Data screen first."));
    }
    if let Some(job) = running {
        let done = job.progress.done as f64 / job.progress.total.max(1) as f64;
        ui.label(weak(ui, format!("{}: {}", job.name, format::percent(done))));
    }
}

fn number(ui: &mut Ui, name: &str, value: &mut usize, range: std::ops::RangeInclusive<usize>) {
    let field = ui.add(DragValue::new(value).range(range).speed(1.0));
    let label = ui.label(weak(ui, name));
    field.labelled_by(label.id);
}
