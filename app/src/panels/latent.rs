//! One latent: what it is called, its figures, a text to try it on, the texts it fires in.
//!
//! What a person wants to know here: what makes it fire, strongly and weakly; is the story that the
//! strongest examples tell still true of the weak ones; does it fire on a text of mine.

use super::contexts;
use super::naming::naming;
use crate::commands::{Command, LatentCommand};
use crate::context::Cx;
use crate::format;
use crate::forms::{Density, FeatureForm, Listed};
use crate::widgets::bars::{Histogram, histogram};
use crate::widgets::card::{card, empty, fact, failure, figure, ring, weak};
use crate::widgets::icon::Icon;
use crate::widgets::token_strip::{Shaded, shaded};
use crate::widgets::typing::rested;
use egui::{Label, TextEdit, Ui};
use sparsescope_core::evaluation::Evaluation;
use sparsescope_core::features::{FeatureTable, LatentSummary, QUANTILES};

/// Seconds without typing after which the text is read.
const DEBOUNCE: f64 = 0.2;

/// Draws the chosen latent.
pub fn latent(ui: &mut Ui, cx: &Cx<'_>, form: &mut FeatureForm, table: &FeatureTable) {
    let chosen = cx.state.features.latent;
    let Some(latent) = table.latents.iter().find(|l| Some(l.index) == chosen) else {
        let text = "Click a latent in the list, or walk through it with the arrow keys.";
        empty(ui, Icon::Features, "No latent is chosen", text, None);
        return;
    };
    naming(ui, cx, form, latent.index);
    figures(ui, table, latent);
    if latent.fired > 0 {
        activations(ui, table, latent);
    }
    on_text(ui, cx, form, latent);
    if latent.fired == 0 {
        let text = format!(
            "It fired on none of the {} tokens of the sample. It may be dead, or rarer than that: \
             collect over more text, or try it on one of your own above.",
            format::grouped(table.tokens)
        );
        empty(ui, Icon::Features, "Silent", &text, None);
        return;
    }
    let read = cx.state.features.detail.as_deref();
    let Some(detail) = read.filter(|detail| detail.latent == latent.index) else {
        ui.label(weak(ui, "Reading…"));
        return;
    };
    ui.add_space(4.0);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().button_padding.x = 9.0;
        let definition = "The strongest, then a sample from each fifth of the tokens it fires on.";
        ui.selectable_value(&mut form.shown, Listed::Contexts, "Contexts")
            .on_hover_text(definition);
        ui.label(weak(ui, "   Sentences by"));
        for (listed, name, definition) in [
            (
                Listed::ByMean,
                "mean",
                "Whole sentences by the mean activation over their tokens, silent ones included.",
            ),
            (
                Listed::ByLast,
                "last token",
                "Whole sentences by the activation on their last token.",
            ),
            (Listed::ByMax, "maximum", "Whole sentences by their greatest activation."),
        ] {
            ui.selectable_value(&mut form.shown, listed, name).on_hover_text(definition);
        }
    });
    match form.shown {
        Listed::Contexts => contexts::groups(ui, cx, detail, latent.max),
        Listed::ByMean => contexts::sentences(ui, &detail.sentences.by_mean, latent.max),
        Listed::ByLast => contexts::sentences(ui, &detail.sentences.by_last, latent.max),
        Listed::ByMax => contexts::sentences(ui, &detail.sentences.by_max, latent.max),
    }
}

fn sample(table: &FeatureTable) -> String {
    format!(
        "Over {} tokens of {}.",
        format::grouped(table.tokens),
        table.corpus.rsplit('/').next().unwrap_or(&table.corpus)
    )
}

fn figures(ui: &mut Ui, table: &FeatureTable, latent: &LatentSummary) {
    let sample = sample(table);
    let median = latent.quantiles[QUANTILES.len() / 2];
    ui.columns(3, |columns| {
        let shown = [
            (
                "Density",
                format::percent(f64::from(latent.density)),
                format!(
                    "Share of tokens on which it fires: {}. {sample}",
                    format::grouped(latent.fired)
                ),
            ),
            (
                "Max",
                format::figure(f64::from(latent.max)),
                format!("Its greatest activation. {sample}"),
            ),
            (
                "Median",
                format::figure(f64::from(median)),
                format!(
                    "Median of its activation over the tokens where it fires; the mean is {}. \
                     {sample}",
                    format::figure(f64::from(latent.mean))
                ),
            ),
        ];
        for (ui, (name, value, definition)) in columns.iter_mut().zip(shown) {
            figure(ui, name, &value, None, &definition);
        }
    });
}

/// How strong it is where it fires.
fn activations(ui: &mut Ui, table: &FeatureTable, latent: &LatentSummary) {
    let counts: Vec<u64> = latent.histogram.counts.iter().map(|c| u64::from(*c)).collect();
    let end = f64::from(latent.histogram.width) * counts.len() as f64;
    let response = histogram(
        ui,
        &Histogram {
            name: "Histogram of this latent's activations",
            counts: &counts,
            range: (0.0, end),
            write: format::figure,
            mark: None,
        },
        72.0,
    );
    let quantiles = QUANTILES.iter().zip(latent.quantiles).map(|(q, v)| {
        format!("{} % at or below {}", format::figure(100.0 * q), format::figure(f64::from(v)))
    });
    let said = quantiles.collect::<Vec<_>>().join("\n");
    response.on_hover_text(format!("Activations where it fires. {}\n{said}", sample(table)));
}

/// The box to try it on a text, and what came of it.
fn on_text(ui: &mut Ui, cx: &Cx<'_>, form: &mut FeatureForm, latent: &LatentSummary) {
    let field = TextEdit::singleline(&mut form.text)
        .hint_text("Try it on a text of your own")
        .desired_width(f32::INFINITY)
        .margin(egui::Margin::symmetric(10, 6));
    let response = ui.add(field).accessible_name("Try it on a text of your own");
    let response = ring(ui, response);
    if response.changed() {
        form.text_changed = Some(ui.input(|i| i.time));
    }
    if rested(ui, &mut form.text_changed, DEBOUNCE) {
        cx.send(Command::OfLatent(LatentCommand::OnText(form.text.clone())));
    }
    let state = &cx.state.latent;
    if let Some(error) = &state.text_failure {
        failure(ui, error, false);
        return;
    }
    let Some(found) = &state.on_text else { return };
    card(ui, |ui| {
        let most = found.reading.activations.iter().copied().fold(0.0, f32::max);
        shaded(
            ui,
            &Shaded {
                tokens: &found.tokens,
                activations: &found.reading.activations,
                next: &found.reading.next,
                full: latent.max.max(most),
                peak: None,
                lines: 8,
            },
        );
        let mut said = match most > 0.0 {
            true => format!("Strongest: {}", format::figure(f64::from(most))),
            false => "It does not fire on this text.".to_owned(),
        };
        if found.cut > 0 {
            said += &format!(
                " The last {} tokens do not fit into the model's context and were left out.",
                format::grouped(found.cut as u64)
            );
        }
        ui.add(Label::new(weak(ui, said)).wrap());
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
