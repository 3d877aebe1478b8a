//! The list of runs, on the training screen and at home: what was trained, how far, how good.

use crate::commands::Command;
use crate::context::Cx;
use crate::format;
use crate::theme::{self, Palette, palette};
use crate::widgets::card::{button, titled, weak};
use egui::{Align, Color32, Label, Layout, Sense, Ui, vec2};
use sparsescope_core::workspace::{RunStatus, SaeRecord};

/// Draws at most so many runs; nothing where there is none.
pub fn list(ui: &mut Ui, cx: &Cx<'_>, most: usize) {
    let runs = &cx.state.train.runs;
    if runs.is_empty() {
        return;
    }
    let note = format!("{} in this workspace", runs.len());
    titled(ui, "Runs", &note, |ui| {
        for run in runs.iter().take(most) {
            row(ui, cx, run);
        }
    });
}

fn row(ui: &mut Ui, cx: &Cx<'_>, run: &SaeRecord) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        ui.set_height(32.0);
        let (dot, _) = ui.allocate_exact_size(vec2(10.0, 10.0), Sense::hover());
        let (status, color) = status(run, p);
        ui.painter().circle_filled(dot.center(), 4.0, color);
        let shown = cx.state.train.run.as_ref().is_some_and(|r| r.id == Some(run.id));
        let name = format!("{} on {}", run.architecture, run.site);
        let mut text = theme::strong(name, 13.5);
        if shown {
            text = text.color(p.accent);
        }
        if ui.add(Label::new(text).sense(Sense::click())).on_hover_text("Show its curves").clicked()
        {
            cx.send(Command::ShowRun(run.id));
        }
        let corpus = run.corpus.rsplit('/').next().unwrap_or(&run.corpus);
        let facts =
            format!("{} latents · {} · {corpus}", format::grouped(run.latents as u64), status);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            actions(ui, cx, run);
            if let Some(evaluation) = &run.evaluation {
                ui.label(weak(ui, format!("FVU {}", format::figure(evaluation.fvu))));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let said = ui.add(Label::new(weak(ui, facts)).truncate());
                if let Some(failure) = &run.failure {
                    said.on_hover_text(failure);
                }
            });
        });
    });
}

fn actions(ui: &mut Ui, cx: &Cx<'_>, run: &SaeRecord) {
    let busy = cx.state.train.job.is_some();
    match run.status {
        RunStatus::Done => {
            if button(ui, "Features").clicked() {
                cx.send(Command::OpenSae(run.id));
            }
        }
        RunStatus::Interrupted | RunStatus::Failed => {
            let hint = "Goes on from its last checkpoint";
            let go_on = ui.add_enabled_ui(!busy, |ui| button(ui, "Go on")).inner;
            if go_on.on_hover_text(hint).clicked() {
                cx.send(Command::GoOn(run.id));
            }
        }
        RunStatus::Training => {}
    }
}

fn status(run: &SaeRecord, p: &Palette) -> (String, Color32) {
    let done = || format::count(run.tokens_done as f64);
    let total = || format::count(run.tokens_total as f64);
    match run.status {
        RunStatus::Training => ("training".to_owned(), p.accent),
        RunStatus::Interrupted => (format!("stopped at {} of {}", done(), total()), p.warn),
        RunStatus::Done => (format!("{} tokens", total()), p.good),
        RunStatus::Failed => (format!("failed at {} of {}", done(), total()), p.bad),
    }
}
