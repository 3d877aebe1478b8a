//! How well a dictionary holds what is true of the built-in world, as tables.

use super::table::{Style, Table, count, figure, percent};
use sparsescope_core::demo::TruthReport;

/// The report as two tables.
pub fn text(truth: &TruthReport, style: Style) -> String {
    let mut held = Table::new(&["variable", ">tokens", ">F1, best latent", ">F1, probe on 5"]);
    for v in &truth.variables {
        held.row([
            v.variable.name().to_owned(),
            count(v.tokens as u64),
            figure(v.best_latent_f1),
            figure(v.sparse_probe_f1),
        ]);
    }
    let causal = &truth.causal;
    let mut edits = Table::new(&[
        "edit at the token before",
        ">verbs flipped",
        ">of them",
        ">genders kept",
        ">of them",
    ]);
    for e in &causal.edits {
        edits.row([
            e.edit.clone(),
            percent(e.flip_share()),
            count(e.verbs as u64),
            percent(e.kept_share()),
            count(e.pronouns as u64),
        ]);
    }
    let mut curve = Table::new(&[">latents swapped", ">verbs flipped", ">genders kept"]);
    for point in &causal.curve {
        curve.row([count(point.latents as u64), percent(point.flipped), percent(point.kept)]);
    }
    let documents = format!(
        "{} documents of held-out text, seed {}.",
        count(truth.documents as u64),
        truth.seed
    );
    let notes = [documents.as_str(), &truth.definition, &causal.definition];
    format!(
        "{}\n{}\n{}\n{}\n",
        held.render(style),
        edits.render(style),
        curve.render(style),
        style.dim(&notes.join("\n"))
    )
}
