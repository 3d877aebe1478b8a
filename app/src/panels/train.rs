//! The training screen.
//!
//! What a person wants to know here: is it learning (loss, FVU), is it sparse (L0), is it alive
//! (dead latents), does the model still work through it (loss recovered), how long will it take;
//! and which runs there are, which of them can go on.

use crate::commands::Command;
use crate::context::Cx;
use crate::format;
use crate::jobs::{JobView, Kind};
use crate::panels::{runs, sweep};
use crate::state::{Curves, RunView, Screen};
use crate::theme::{self, palette};
use crate::widgets::card::{button, empty, failure, screen_head, weak};
use crate::widgets::icon::Icon;
use crate::widgets::metric_plot::{Metric, metric_plot};
use egui::{Align, Label, Layout, Ui};

/// How each figure of training is computed.
pub mod definitions {
    /// Loss.
    pub const LOSS: &str = "Total loss of one batch, in the units the run trains in: \
        reconstruction error, plus the sparsity penalty (L1) or the auxiliary loss on dead latents \
        (TopK).";
    /// Fraction of variance unexplained.
    pub const FVU: &str = "Fraction of variance unexplained of one batch: Σ‖x − x̂‖² / Σ‖x − mean x‖². \
        0 is a perfect reconstruction, 1 is no better than the mean.";
    /// Active latents.
    pub const L0: &str = "Mean number of latents that are not zero, a token, over one batch.";
    /// Dead latents.
    pub const DEAD: &str = "Share of latents that have not fired for as many tokens as \
        \"dead after\" says.";
    /// Loss recovered.
    pub const RECOVERED: &str = "(CE_zero − CE_sae) / (CE_zero − CE_model): the share of the model's \
        loss that is kept when the site is replaced by its reconstruction, against replacing it by \
        zero. Measured now and then on held-out rows.";
    /// Tokens a second.
    pub const RATE: &str = "Tokens trained on a second, since the last point, reading the model \
        included.";
}

/// Draws the screen.
pub fn train(ui: &mut Ui, cx: &Cx<'_>) {
    screen_head(
        ui,
        "Train",
        "A sparse autoencoder at one site. Watch it learn; stop and go on at will.",
    );
    if let Some(error) = &cx.state.train.failure {
        if failure(ui, error, true) {
            cx.send(Command::DismissFailure(Screen::Train));
        }
        ui.add_space(8.0);
    }
    let job = cx.state.jobs.iter().find(|j| j.kind == Kind::Train);
    if let Some(sweep) = &cx.state.train.sweep {
        sweep::list(ui, cx, sweep);
    }
    match &cx.state.train.run {
        None if cx.state.train.sweep.is_some() => {}
        Some(run) => {
            title(ui, cx, run, job);
            ui.add_space(6.0);
            let tokens = run.config.as_ref().map_or(0, |c| c.tokens);
            curves(ui, &run.curves, tokens, plot_height(ui));
        }
        None => {
            let text = match cx.state.model.site {
                Some(site) => format!(
                    "The settings at the right are ready to train at {site}. Curves of loss, FVU, \
                     L0, dead latents, loss recovered and speed are drawn here while it runs."
                ),
                None => "Choose a site on the Model screen, then press Train.".to_owned(),
            };
            empty(ui, Icon::Train, "Nothing trained yet", &text, None);
        }
    }
    ui.add_space(12.0);
    runs::list(ui, cx, usize::MAX);
}

/// Two rows of plots fill the screen, leaving room for the list of runs.
fn plot_height(ui: &Ui) -> f32 {
    ((ui.ctx().content_rect().height() - 420.0) / 2.0).clamp(150.0, 340.0)
}

fn title(ui: &mut Ui, cx: &Cx<'_>, run: &RunView, job: Option<&JobView>) {
    let p = palette(ui);
    ui.horizontal(|ui| {
        ui.add(Label::new(theme::strong(run.title.as_str(), 15.0)).truncate());
        let status = match job {
            Some(job) if job.ending => "stopping",
            Some(job) if job.paused => "paused",
            Some(_) => "training",
            None => "",
        };
        if !status.is_empty() {
            ui.label(theme::strong(status, 12.0).color(p.accent));
        }
        if let Some(saved) = run.saved {
            let text = format!("saved at {} tokens", format::count(saved as f64));
            ui.label(weak(ui, text)).on_hover_text(
                "The last checkpoint on disk. After a kill the run goes on from here, and gives \
                 the same weights as one that was never stopped.",
            );
        }
        if let Some((tokens, latents)) = run.resampled {
            let text = format!("{latents} resampled at {}", format::count(tokens as f64));
            ui.label(weak(ui, text)).on_hover_text(
                "Dead latents that were given the direction of a badly reconstructed token.",
            );
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| match (job, run.id) {
            (Some(job), _) => {
                resample(ui, cx, run);
                if button(ui, "Stop").on_hover_text("Ends the run; it can go on later").clicked() {
                    cx.send(Command::CancelJob(job.id));
                }
                let text = if job.paused { "Go on" } else { "Pause" };
                if button(ui, text).on_hover_text("Space").clicked() {
                    cx.send(Command::PauseJob(job.id, !job.paused));
                }
            }
            (None, Some(id)) if button(ui, "Show features").clicked() => {
                cx.send(Command::OpenSae(id))
            }
            _ => {}
        });
    });
}

/// One click that gives dead latents something to do.
fn resample(ui: &mut Ui, cx: &Cx<'_>, run: &RunView) {
    let transcodes = run
        .config
        .as_ref()
        .is_some_and(|c| matches!(c.wiring, sparsescope_core::sae::Wiring::Transcoder { .. }));
    if cx.state.train.sweep.is_some() || transcodes {
        return;
    }
    let dead = run.curves.last.map_or(0.0, |p| p.dead);
    let hint = "Each dead latent gets the direction of a token that is reconstructed badly, drawn \
                with probability ∝ loss², and starts afresh. The step is kept with the run, so \
                that it can be repeated and resumed to the same weights.";
    let response = ui.add_enabled_ui(dead > 0.0, |ui| button(ui, "Resample now")).inner;
    if response.on_hover_text(hint).on_disabled_hover_text("No latent is dead.").clicked() {
        cx.send(Command::Resample);
    }
}

/// The six curves, in a grid of three columns (two where it is narrow).
pub fn curves(ui: &mut Ui, curves: &Curves, tokens: u64, height: f32) {
    let s = palette(ui).series;
    let tokens = tokens as f64;
    use definitions as d;
    let metric = |name, points, color, write, definition, from_zero, dots| Metric {
        name,
        points,
        color,
        write,
        definition,
        tokens,
        from_zero,
        scale: if name == "Dead latents" { 0.1 } else { 1.0 },
        dots,
    };
    let metrics = [
        metric(
            "Loss",
            &curves.loss[..],
            s[0],
            format::figure as fn(f64) -> String,
            d::LOSS,
            true,
            false,
        ),
        metric("FVU", &curves.fvu, s[1], format::figure, d::FVU, true, false),
        metric("L0", &curves.l0, s[2], format::figure, d::L0, true, false),
        metric("Dead latents", &curves.dead, s[3], format::percent, d::DEAD, true, false),
        metric(
            "Loss recovered",
            &curves.recovered,
            s[4],
            format::percent,
            d::RECOVERED,
            false,
            true,
        ),
        metric("Tokens a second", &curves.rate, s[5], format::count, d::RATE, true, false),
    ];
    let across = if ui.available_width() < 560.0 { 2 } else { 3 };
    for row in metrics.chunks(across) {
        ui.columns(across, |columns| {
            for (ui, metric) in columns.iter_mut().zip(row) {
                metric_plot(ui, metric, height);
            }
        });
    }
}
