//! Runs of labelling: how far each is, what it has cost, what went wrong, how it goes on.

use super::label_form::dollars;
use crate::commands::{Command, LabelsCommand};
use crate::context::Cx;
use crate::format;
use crate::jobs::Kind;
use crate::theme::palette;
use crate::widgets::card::{button, sentence, titled, weak};
use egui::{CollapsingHeader, Label, ProgressBar, Ui};
use sparsescope_core::labels::{Delivery, LabelRunStatus, RunView};

/// Runs shown.
const SHOWN: usize = 4;

/// Failures told of a run.
const TOLD: usize = 12;

/// Draws the latest runs.
pub fn runs(ui: &mut Ui, cx: &Cx<'_>) {
    let state = &cx.state.labels;
    for note in &state.notes {
        let note = weak(ui, sentence(note)).color(palette(ui).warn);
        ui.add(Label::new(note).wrap());
    }
    for run in state.runs.iter().take(SHOWN) {
        card(ui, cx, run);
        ui.add_space(10.0);
    }
}

fn card(ui: &mut Ui, cx: &Cx<'_>, run: &RunView) {
    let busy = cx.state.jobs.iter().any(|j| j.kind == Kind::Label);
    let live = busy && cx.state.labels.running == Some(run.id);
    let status = match run.status {
        _ if live => "under way",
        LabelRunStatus::Running => "interrupted",
        LabelRunStatus::Waiting => "a batch is with the server",
        LabelRunStatus::Done => "done",
        LabelRunStatus::Stopped => "not finished",
    };
    let n = run.latents.len();
    let title = format!(
        "{n} {} by {}",
        if n == 1 { "label" } else { "labels" },
        run.request.endpoint.model
    );
    titled(ui, &title, status, |ui| {
        let total = run.confirmed.requests.max(1);
        let done = run.spent.requests.min(total);
        if run.status != LabelRunStatus::Done {
            ui.add(ProgressBar::new(done as f32 / total as f32).desired_height(6.0));
        }
        let cost = match (run.spent.cost, run.confirmed.cost) {
            (Some(spent), Some(most)) => {
                format!("{} of {} confirmed", dollars(spent), dollars(most))
            }
            _ => "price not known".to_owned(),
        };
        let said = format!(
            "{} of {} requests answered, {} tokens read and {} written, {cost}",
            format::grouped(done),
            format::grouped(run.confirmed.requests),
            format::grouped(run.spent.input_tokens),
            format::grouped(run.spent.output_tokens)
        );
        ui.add(Label::new(weak(ui, sentence(&said))).wrap()).on_hover_text(format!(
            "As the server counts them. {} tokens to read and {} to write at most were confirmed.",
            format::grouped(run.confirmed.input_tokens),
            format::grouped(run.confirmed.output_tokens)
        ));
        if run.spent.unsure > 0 {
            let text = format!(
                "{} requests were sent twice for want of an answer; the server may bill both.",
                run.spent.unsure
            );
            let text = weak(ui, text).color(palette(ui).warn);
            ui.add(Label::new(text).wrap());
        }
        if let Some(failure) = run.failure.as_ref().filter(|_| !live) {
            let text = weak(ui, sentence(failure)).color(palette(ui).bad);
            ui.add(Label::new(text).wrap());
        }
        batches(ui, run);
        failures(ui, run);
        if busy || run.status == LabelRunStatus::Done {
            return;
        }
        ui.horizontal(|ui| {
            let waiting = run.status == LabelRunStatus::Waiting;
            let text = if waiting { "Retrieve" } else { "Go on" };
            let hint = if waiting {
                "Asks whether the batch has ended, and fetches what it brought."
            } else {
                "Asks what has no answer yet; what was answered is not paid again."
            };
            if button(ui, text).on_hover_text(hint).clicked() {
                cx.send(Command::Labels(LabelsCommand::GoOn(run.id)));
            }
            if waiting
                && button(ui, "Call back")
                    .on_hover_text("Asks the server to stop; what it has answered is kept.")
                    .clicked()
            {
                cx.send(Command::Labels(LabelsCommand::CallBack(run.id)));
            }
        });
    });
}

fn batches(ui: &mut Ui, run: &RunView) {
    if run.request.delivery != Delivery::Batch {
        return;
    }
    for batch in run.batches.iter().filter(|b| !b.ended) {
        let name = batch.remote.as_deref().unwrap_or("not known whether it arrived");
        let count = |what: &str| batch.counts.as_ref().and_then(|c| c[what].as_u64()).unwrap_or(0);
        let said = format!(
            "Batch {name}: {} under way, {} answered, {} failed.",
            count("processing"),
            count("succeeded"),
            count("errored") + count("canceled") + count("expired")
        );
        ui.add(Label::new(weak(ui, said)).wrap());
    }
}

fn failures(ui: &mut Ui, run: &RunView) {
    let all: Vec<(u32, &String)> =
        run.latents.iter().flat_map(|l| l.failures.iter().map(|f| (l.latent, f))).collect();
    if all.is_empty() {
        return;
    }
    let head = match all.len() {
        1 => "1 request came to nothing".to_owned(),
        n => format!("{n} requests came to nothing"),
    };
    CollapsingHeader::new(head).id_salt(("failures", run.id)).show(ui, |ui| {
        for (latent, failure) in all.iter().take(TOLD) {
            let said = format!("Latent {latent}: {failure}");
            ui.add(Label::new(weak(ui, sentence(&said))).wrap());
        }
        if all.len() > TOLD {
            ui.label(weak(ui, format!("and {} more", all.len() - TOLD)));
        }
    });
}
