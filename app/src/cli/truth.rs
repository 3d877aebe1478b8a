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
    let mut edits = Table::new(&[
        "edit of the number latents",
        ">verbs",
        ">flipped",
        ">pronouns",
        ">gender kept",
    ]);
    for e in &truth.causal.edits {
        edits.row([
            e.edit.clone(),
            count(e.verbs as u64),
            percent(e.flip_share()),
            count(e.pronouns as u64),
            percent(e.kept_share()),
        ]);
    }
    format!(
        "{}\n{}\n{}\n",
        held.render(style),
        edits.render(style),
        style.dim(&format!(
            "{} documents of held-out text, seed {}. {}",
            count(truth.documents as u64),
            truth.seed,
            truth.definition
        ))
    )
}
