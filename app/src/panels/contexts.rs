//! The texts a latent fires in: contexts by quantile of its activation, and whole sentences.

use crate::context::Cx;
use crate::format;
use crate::theme;
use crate::widgets::card::{card, weak};
use crate::widgets::token_strip::{Shaded, shaded};
use egui::{Label, Ui};
use sparsescope_core::features::{Context, GroupKind, LatentDetail, RankedSentence};

/// Draws the contexts in their groups; `max` is drawn at full strength.
pub fn groups(ui: &mut Ui, cx: &Cx<'_>, detail: &LatentDetail, max: f32) {
    let study = &cx.state.latent;
    let same = study.of.is_some_and(|(_, latent)| latent == detail.latent);
    for (g, group) in detail.groups.iter().enumerate() {
        ui.add_space(4.0);
        let (head, note, definition) = heading(&group.kind);
        ui.horizontal(|ui| {
            ui.label(theme::strong(head, 13.5));
            ui.label(weak(ui, note)).on_hover_text(definition);
        });
        for (c, context) in group.contexts.iter().enumerate() {
            let next = study.next.get(&(g, c)).filter(|_| same);
            one(ui, context, next.map_or(&[], Vec::as_slice), max, None);
        }
    }
}

fn heading(kind: &GroupKind) -> (String, String, &'static str) {
    match kind {
        GroupKind::Top => (
            "Strongest".to_owned(),
            "one a row of the sample at most; the peak is underlined".to_owned(),
            "The contexts of its greatest activations. Rest the pointer on a token for its \
             activation and what the latent does to the token that follows.",
        ),
        GroupKind::Quantile { from, to, low, high } => (
            format!("{:.0}–{:.0} %", 100.0 * from, 100.0 * to),
            format!(
                "of its firings: {} to {}",
                format::figure(f64::from(*low)),
                format::figure(f64::from(*high))
            ),
            "Drawn at random from the tokens whose activation lies in this part of all its \
             activations, so that not only the best examples are seen.",
        ),
    }
}

/// Draws whole sentences.
pub fn sentences(ui: &mut Ui, sentences: &[RankedSentence], max: f32) {
    if sentences.is_empty() {
        ui.label(weak(ui, "No sentence."));
    }
    for sentence in sentences {
        one(ui, &sentence.context, &[], max, Some(sentence.score));
    }
}

fn one(ui: &mut Ui, context: &Context, next: &[f32], max: f32, score: Option<f32>) {
    card(ui, |ui| {
        let peak = context.activations.get(context.peak).copied().unwrap_or(0.0);
        shaded(
            ui,
            &Shaded {
                tokens: &context.tokens,
                activations: &context.activations,
                next,
                full: max,
                peak: Some(context.peak),
                lines: 6,
            },
        );
        let place = format!(
            "{}   document {}, token {}",
            format::figure(f64::from(score.unwrap_or(peak))),
            format::grouped(context.document),
            context.start as usize + context.peak
        );
        ui.add(Label::new(weak(ui, place)).truncate());
    });
}
