//! The dictionary of each site up to the probe's, and training those that are missing.

use super::{ask, data::combo};
use crate::commands::ShiftCommand;
use crate::context::Cx;
use crate::format;
use crate::forms::{DataForm, ShiftForm, TaskForm};
use crate::jobs::Kind;
use crate::theme::{self, palette};
use crate::widgets::card::{button, titled, weak};
use crate::work::circuit::usable;
use egui::{Align, DragValue, Label, Layout, RichText, Ui, vec2};
use sparsescope_core::llama::Site;
use sparsescope_core::workspace::SaeRecord;

/// Draws them; how missing ones are trained is set in `task`, as on the circuit screen.
pub fn dictionaries(
    ui: &mut Ui,
    cx: &Cx<'_>,
    form: &mut ShiftForm,
    task: &mut TaskForm,
    corpus: &DataForm,
) {
    let Some(facts) = &cx.state.model.facts else { return };
    let choice = form.choice(facts.layers, &facts.hash, &cx.state.train.runs);
    let missing: Vec<Site> =
        choice.iter().filter(|(_, id)| id.is_none()).map(|(site, _)| *site).collect();
    let note = format!("{} of {} sites", choice.len() - missing.len(), choice.len());
    titled(ui, "Dictionaries", &note, |ui| {
        if !missing.is_empty() {
            train(ui, cx, task, corpus, &missing);
            ui.add_space(8.0);
        }
        ui.spacing_mut().item_spacing.y = 1.0;
        for (site, id) in choice.iter().rev() {
            let records: Vec<&SaeRecord> =
                usable(&cx.state.train.runs, &facts.hash, *site).collect();
            ui.horizontal(|ui| {
                ui.set_height(28.0);
                ui.add(Label::new(theme::mono(site.to_string(), 12.5)).selectable(false));
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    let now = records.iter().find(|r| Some(r.id) == *id);
                    let Some(now) = now else {
                        let text = RichText::new("none yet").size(12.0).color(palette(ui).warn);
                        ui.add(Label::new(text).selectable(false));
                        return;
                    };
                    if records.len() == 1 {
                        ui.add(Label::new(weak(ui, said(now))).selectable(false));
                        return;
                    }
                    ui.spacing_mut().interact_size.y = 20.0;
                    combo(ui, &format!("Dictionary at {site}"), &said(now), 200.0, |ui| {
                        for record in &records {
                            let text = format!("{} · SAE {}", said(record), record.id);
                            if ui.selectable_label(record.id == now.id, text).clicked() {
                                form.chosen_dictionaries.insert(*site, record.id);
                            }
                        }
                    });
                });
            });
        }
        ui.add_space(4.0);
        ui.checkbox(&mut form.anyway, "Use dictionaries that do not fit").on_hover_text(format!(
            "Each dictionary is looked at on the texts, and one that was made for another model or \
             leaves too much unexplained is refused. Going on is at a risk: {}.",
            sparsescope_core::circuits::checks::RISK
        ));
    });
}

fn said(record: &SaeRecord) -> String {
    let fvu = record.evaluation.as_ref().map(|e| format!(", FVU {}", format::figure(e.fvu)));
    format!("{} {}{}", record.architecture, record.latents, fvu.unwrap_or_default())
}

fn train(ui: &mut Ui, cx: &Cx<'_>, task: &mut TaskForm, corpus: &DataForm, sites: &[Site]) {
    let running = cx.state.jobs.iter().find(|job| job.kind == Kind::Train);
    let possible =
        cx.state.model.facts.as_ref().is_some_and(|f| task.sweep(corpus, f, sites).is_some());
    let few = if sites.len() == 1 { "site has" } else { "sites have" };
    let text = format!(
        "{} {few} no dictionary. A probe can only be looked into where there is one at every site \
         up to its own. Train TopK dictionaries, all on one pass over the text:",
        sites.len()
    );
    ui.add(Label::new(RichText::new(text).size(12.5).color(palette(ui).warn)).wrap());
    ui.add_space(2.0);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 4.0);
        number(ui, "latents", &mut task.latents, 8..=1 << 20);
        number(ui, "k", &mut task.k, 1..=4096);
        let mut thousands = (task.tokens / 1000).max(1) as usize;
        number(ui, "thousand tokens", &mut thousands, 1..=10_000_000);
        task.tokens = 1000 * thousands as u64;
    });
    ui.add_space(2.0);
    ui.horizontal(|ui| {
        ui.add_enabled_ui(running.is_none() && possible, |ui| {
            let name = match sites.len() {
                1 => "Train the missing one".to_owned(),
                n => format!("Train the {n} missing"),
            };
            if button(ui, &name).clicked() {
                ask(cx, ShiftCommand::TrainMissing);
            }
        });
        if let Some(job) = running {
            let done = job.progress.done as f64 / job.progress.total.max(1) as f64;
            ui.label(weak(ui, format!("training: {}", format::percent(done))));
        } else if !possible {
            ui.label(weak(ui, "Choose a corpus on the Data screen first."));
        }
    });
}

fn number(ui: &mut Ui, name: &str, value: &mut usize, range: std::ops::RangeInclusive<usize>) {
    let field = ui.add(DragValue::new(value).range(range).speed(1.0));
    let label = ui.label(weak(ui, name));
    field.labelled_by(label.id);
}
