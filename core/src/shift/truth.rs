//! Judging by the truth: which of the two labels a feature's activation tells.

use super::pooled::{batches, most_latents};
use super::probe_circuit::latent;
use super::{Judgement, Judgements, Text, Verdict};
use crate::activations::site_output;
use crate::circuits::{Bases, Circuit, Node};
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{Model, Plan, Site};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How features are judged by the truth.
pub const TRUTH_DEFINITION: &str = "A feature's activation, averaged over the positions of each \
    text, is compared with both labels over the balanced training set, where the two are \
    independent. AUC: the chance that a text with the label has the greater activation than one \
    without (ties count half; one half: it tells nothing). A feature is trimmed if it tells the \
    spurious value better than the label: if its AUC there is further from one half. No text of \
    the test set is looked at.";

/// What a feature tells on a balanced set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Telling {
    /// Which feature.
    pub node: Node,
    /// Chance that a text with the first label has the greater mean activation than one with the
    /// second; 0.5: it tells nothing.
    pub label_auc: f64,
    /// The same of the spurious values.
    pub spurious_auc: f64,
    /// Mean activation over positions and texts of each group, `[label][spurious]`.
    pub means: [[f64; 2]; 2],
    /// Share of texts in which it fires at all.
    pub fires: f64,
}

impl Telling {
    /// The verdict that follows.
    pub fn verdict(&self) -> Verdict {
        let tells = |auc: f64| (auc - 0.5).abs();
        match tells(self.spurious_auc) > tells(self.label_auc) {
            true => Verdict::Trim,
            false => Verdict::Keep,
        }
    }

    /// It in a few words: "gender 0.97, profession 0.51".
    pub fn note(&self, label: &str, spurious: &str) -> String {
        let clear = |auc: f64| auc.max(1.0 - auc);
        format!(
            "tells {spurious} {:.2}, {label} {:.2}",
            clear(self.spurious_auc),
            clear(self.label_auc)
        )
    }
}

/// What each feature of `nodes` tells of `texts` (a balanced set); errors are passed over.
///
/// # Errors
/// A node of a site without a dictionary; those of the forward pass; the job was stopped.
pub fn tellings<E>(
    ctx: &JobContext<E>,
    model: &Model,
    bases: &Bases,
    nodes: &[Node],
    texts: &[Text],
) -> Result<Vec<Telling>> {
    let mut wanted: BTreeMap<Site, Vec<(u32, usize)>> = BTreeMap::new();
    let mut features = Vec::new();
    for node in nodes {
        if let Some(latent) = latent(node) {
            wanted.entry(node.site).or_default().push((latent, features.len()));
            features.push(*node);
        }
    }
    if features.is_empty() || texts.is_empty() {
        return Ok(Vec::new());
    }
    ctx.progress().stage("Reading activations", "texts", 0, texts.len() as u64);
    let sites: Vec<Site> = wanted.keys().copied().collect();
    let check = || ctx.check();
    // Mean activation of each feature over each text.
    let mut means = vec![vec![0.0f64; texts.len()]; features.len()];
    for batch in batches(model, texts, most_latents(bases))? {
        ctx.check()?;
        let plan = Plan { read: &sites, check: Some(&check), ..Plan::default() };
        let pass = model.forward(&batch.tokens, &plan)?;
        let positions = batch.tokens.positions();
        for (site, latents) in &wanted {
            let sae = bases.sae(*site).ok_or_else(|| {
                Error::setting(
                    format!("The features at {site} cannot be looked at"),
                    "there is no dictionary",
                    "Load the one that the circuit was found with",
                )
            })?;
            ctx.check()?;
            let active = sae.encode(&site_output(&pass, *site)?)?;
            for ((i, place), length) in batch.places.iter().enumerate().zip(&batch.lengths) {
                for (latent, feature) in latents {
                    let sum: f64 = (i * positions..i * positions + length)
                        .map(|row| f64::from(active.get(row, *latent)))
                        .sum();
                    means[*feature][*place] = sum / *length as f64;
                }
            }
        }
        ctx.progress().add(batch.places.len() as u64);
    }
    Ok(features.into_iter().zip(means).map(|(node, of)| telling(node, &of, texts)).collect())
}

fn telling(node: Node, means: &[f64], texts: &[Text]) -> Telling {
    let mut sums = [[(0.0, 0usize); 2]; 2];
    for (mean, text) in means.iter().zip(texts) {
        let (sum, n) = &mut sums[text.label][text.spurious];
        *sum += mean;
        *n += 1;
    }
    Telling {
        node,
        label_auc: auc(means, texts.iter().map(|text| text.label == 0)),
        spurious_auc: auc(means, texts.iter().map(|text| text.spurious == 0)),
        means: sums.map(|row| row.map(|(sum, n)| sum / n.max(1) as f64)),
        fires: means.iter().filter(|mean| **mean > 0.0).count() as f64 / texts.len().max(1) as f64,
    }
}

/// Chance that a value with `is` is greater than one without, ties counting half.
fn auc(values: &[f64], is: impl Iterator<Item = bool>) -> f64 {
    let mut sorted: Vec<(f64, bool)> = values.iter().copied().zip(is).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Each value with `is` against those below it, half of its equals.
    let (mut below, mut wins, mut at) = (0usize, 0.0f64, 0);
    while at < sorted.len() {
        let equals = sorted[at..].iter().take_while(|(v, _)| *v == sorted[at].0).count();
        let yes = sorted[at..at + equals].iter().filter(|(_, is)| *is).count();
        let no = equals - yes;
        wins += yes as f64 * (below as f64 + no as f64 / 2.0);
        below += no;
        at += equals;
    }
    let yes = sorted.len() - below;
    if yes == 0 || below == 0 { 0.5 } else { wins / (yes as f64 * below as f64) }
}

/// Judges every feature of `circuit` by what it tells of `texts` (a balanced set, not the one that
/// is tested on), with the figures in the notes.
///
/// # Errors
/// As [`tellings`].
pub fn judge_by_truth<E>(
    ctx: &JobContext<E>,
    model: &Model,
    bases: &Bases,
    circuit: &Circuit,
    texts: &[Text],
    [label, spurious]: [&str; 2],
) -> Result<(Judgements, Vec<Telling>)> {
    let nodes: Vec<Node> = circuit.nodes.iter().map(|node| node.node).collect();
    let found = tellings(ctx, model, bases, &nodes, texts)?;
    let judged =
        |t: &Telling| (t.node, Judgement { verdict: t.verdict(), note: t.note(label, spurious) });
    Ok((Judgements { all: found.iter().map(judged).collect() }, found))
}

#[cfg(test)]
#[path = "tests/truth.rs"]
mod tests;
