//! One latent: its figures, and the texts it fires in most strongly.

use crate::context::Cx;
use crate::format;
use crate::forms::Density;
use crate::theme::{self, palette};
use crate::widgets::bars::{Histogram, histogram};
use crate::widgets::card::{card, empty, fact, figure, weak};
use crate::widgets::icon::Icon;
use crate::widgets::token_strip::{Shaded, shaded};
use egui::{Label, Ui};
use sparsescope_core::evaluation::Evaluation;
use sparsescope_core::features::{FeatureTable, LatentSummary};

/// Draws the chosen latent.
pub fn latent(ui: &mut Ui, cx: &Cx<'_>, table: &FeatureTable) {
    let chosen = cx.state.features.latent;
    let Some(latent) = table.latents.iter().find(|l| Some(l.index) == chosen) else {
        let text = "Click a latent in the list, or walk through it with the arrow keys.";
        empty(ui, Icon::Features, "No latent is chosen", text, None);
        return;
    };
    ui.horizontal(|ui| {
        ui.label(theme::strong(format!("Latent {}", latent.index), 18.0));
        if let Some(finding) = meaning(cx, latent.index) {
            ui.label(theme::strong(finding, 14.0).color(palette(ui).glow));
        }
    });
    figures(ui, table, latent);
    if latent.fired == 0 {
        let text = format!(
            "It fired on none of the {} tokens of the sample.",
            format::grouped(table.tokens)
        );
        empty(ui, Icon::Features, "Silent", &text, None);
        return;
    }
    ui.add_space(4.0);
    let Some(detail) = &cx.state.features.detail else { return };
    ui.label(weak(ui, "Strongest contexts; shade is activation, the peak is underlined"));
    for context in detail.top() {
        card(ui, |ui| {
            let peak = context.activations.get(context.peak).copied().unwrap_or(0.0);
            shaded(
                ui,
                &Shaded {
                    tokens: &context.tokens,
                    activations: &context.activations,
                    full: latent.max,
                    peak: Some(context.peak),
                    lines: 6,
                },
            );
            let place = format!(
                "{}   document {}, token {}",
                format::figure(f64::from(peak)),
                format::grouped(context.document),
                context.start as usize + context.peak
            );
            ui.add(Label::new(weak(ui, place)).truncate());
        });
    }
}

/// What the tour found this latent to stand for.
fn meaning<'a>(cx: &'a Cx<'_>, latent: u32) -> Option<&'a str> {
    let findings = cx.state.tour.findings.as_ref()?;
    let open = cx.state.features.sae.as_ref().map(|s| s.id);
    if open.is_none() || open != cx.state.tour.sae {
        return None;
    }
    findings.features.iter().find(|f| f.latent == latent).map(|f| f.meaning.as_str())
}

fn figures(ui: &mut Ui, table: &FeatureTable, latent: &LatentSummary) {
    let sample = format!(
        "Over {} tokens of {}.",
        format::grouped(table.tokens),
        table.corpus.rsplit('/').next().unwrap_or(&table.corpus)
    );
    ui.columns(3, |columns| {
        let shown = [
            (
                "Density",
                format::percent(f64::from(latent.density)),
                format!("Share of tokens on which it fires. {sample}"),
            ),
            (
                "Max",
                format::figure(f64::from(latent.max)),
                format!("Its greatest activation. {sample}"),
            ),
            (
                "Mean",
                format::figure(f64::from(latent.mean)),
                format!("Mean of its activation over the tokens where it fires. {sample}"),
            ),
        ];
        for (ui, (name, value, definition)) in columns.iter_mut().zip(shown) {
            figure(ui, name, &value, None, &definition);
        }
    });
}

/// Draws the density histogram, with a mark at the chosen latent.
pub fn density(ui: &mut Ui, table: &FeatureTable, density: &Density, chosen: Option<u32>) {
    ui.label(weak(ui, "Latents by density"));
    let mark = table
        .latents
        .iter()
        .find(|l| Some(l.index) == chosen && l.density > 0.0)
        .map(|l| f64::from(l.density).log10());
    histogram(
        ui,
        &Histogram {
            name: "Histogram of the latents' densities",
            counts: &density.counts,
            range: density.range,
            write: |x| match x {
                0.0 => "1".to_owned(),
                x => format!("1e{x:.1}").replace(".0", ""),
            },
            mark,
        },
        110.0,
    );
    let alive = density.counts.iter().sum::<u64>();
    let all = (alive + density.silent).max(1);
    fact(
        ui,
        "Silent in the sample",
        &format!(
            "{} ({})",
            format::grouped(density.silent),
            format::percent(density.silent as f64 / all as f64)
        ),
        &format!("Latents that fired on none of the {} tokens.", format::grouped(table.tokens)),
    );
}

/// Draws what an evaluation says, each number with its definition.
pub fn evaluation(ui: &mut Ui, e: &Evaluation) {
    let sample =
        format!("Over {} tokens of {}, seed {}.", format::grouped(e.tokens), e.corpus, e.seed);
    let line = |ui: &mut Ui, name: &str, value: String, definition: &str| {
        fact(ui, name, &value, &format!("{definition} {sample}"));
    };
    if let Some(loss) = &e.loss {
        line(
            ui,
            "Loss recovered",
            format::percent(loss.recovered),
            &format!(
                "(CE_zero − CE_sae) / (CE_zero − CE_model) = ({:.4} − {:.4}) / ({:.4} − {:.4}), \
                 nats a token.",
                loss.zero, loss.sae, loss.zero, loss.model
            ),
        );
    }
    line(
        ui,
        "FVU",
        format::figure(e.fvu),
        "Fraction of variance unexplained, pooled: Σ‖x − x̂‖² / Σ‖x − mean x‖².",
    );
    line(
        ui,
        "FVU, token by token",
        format::figure(e.fvu_per_token),
        "E[‖x − x̂‖² / ‖x − mean x‖²]: the mean of each token's ratio, another definition in use.",
    );
    line(ui, "MSE", format::figure(e.mse), "E‖x − x̂‖², summed over the width, mean over tokens.");
    line(ui, "L0", format::figure(e.l0), "Mean number of active latents a token.");
    line(
        ui,
        "Shrinkage γ",
        format::figure(e.gamma),
        "E‖x̂‖² / E[x·x̂]; under 1 the dictionary shrinks.",
    );
    line(ui, "Dead", format::percent(e.dead), "Share of latents that fired on no token.");
}
