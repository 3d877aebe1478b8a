//! Features as SAEDashboard writes them for Neuronpedia: `batch-N.json` with the fields of its
//! `NeuronpediaDashboardBatch` (as of its commit 3ea1249), and the labels in the form of
//! Neuronpedia's explanations (its commit ebb8426), one JSON object a line.
//!
//! Where the two definitions differ from ours: `pos_values` and `neg_values` are W_U (γ ⊙ d) less
//! the mean over the vocabulary; bins of `freq_hist_data` are named by their middles; the group of
//! the greatest activations has `bin_min` and `bin_contains` -1, as there; the other groups are
//! fifths of the activations, not intervals of equal length. `correlated_features` are those that
//! fire together, with Pearson's correlation; what is not computed here (`correlated_neurons`,
//! `correlated_features_l1`, `decoder_weights_dist`) is empty.

use super::{Common, Feature, write_file};
use crate::error::{Error, Result};
use crate::features::{ContextGroup, GroupKind};
use serde::{Deserialize, Serialize};

/// Features of one file.
const BATCH: usize = 128;
/// Neurons named that the direction is aligned with.
const ALIGNED: usize = 3;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    pub model_id: String,
    pub layer: usize,
    pub sae_set: String,
    pub features: Vec<Dashboard>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dashboard {
    pub feature_index: u32,
    pub neuron_alignment_indices: Vec<usize>,
    pub neuron_alignment_values: Vec<f32>,
    pub neuron_alignment_l1: Vec<f32>,
    pub correlated_neurons_indices: Vec<u32>,
    pub correlated_neurons_l1: Vec<f32>,
    pub correlated_neurons_pearson: Vec<f32>,
    pub correlated_features_indices: Vec<u32>,
    pub correlated_features_l1: Vec<f32>,
    pub correlated_features_pearson: Vec<f32>,
    pub neg_str: Vec<String>,
    pub neg_values: Vec<f32>,
    pub pos_str: Vec<String>,
    pub pos_values: Vec<f32>,
    pub frac_nonzero: f32,
    pub freq_hist_data_bar_values: Vec<f32>,
    pub freq_hist_data_bar_heights: Vec<u32>,
    pub logits_hist_data_bar_heights: Vec<u64>,
    pub logits_hist_data_bar_values: Vec<f32>,
    pub n_prompts_total: u64,
    pub n_tokens_in_prompt: usize,
    pub dataset: String,
    pub decoder_weights_dist: Vec<f32>,
    pub activations: Vec<Activation>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Activation {
    pub bin_min: f32,
    pub bin_max: f32,
    pub bin_contains: f32,
    pub tokens: Vec<String>,
    pub values: Vec<f32>,
}

/// A label as Neuronpedia hands it out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explanation {
    pub model_id: String,
    pub layer: String,
    pub index: String,
    pub description: String,
    pub explanation_model_name: String,
}

/// Writes the folder; returns the bytes of its files.
pub(super) fn write<'a>(
    common: &Common<'_>,
    features: &mut dyn Iterator<Item = Result<Feature<'a>>>,
) -> Result<u64> {
    let request = common.request;
    let layer = common.about.site.layer().unwrap_or(0);
    let batch_of = |features| Batch {
        model_id: request.model_name.clone(),
        layer,
        sae_set: request.name.clone(),
        features,
    };
    let mut bytes = 0;
    let mut held = Vec::new();
    let mut batches = 0;
    let mut explanations = String::new();
    let mut put = |held: &mut Vec<Dashboard>| -> Result<u64> {
        let json = serde_json::to_vec(&batch_of(std::mem::take(held))).map_err(unwritable)?;
        let path = request.out.join(format!("batch-{batches}.json"));
        batches += 1;
        write_file(&path, &json)
    };
    for feature in features {
        let feature = feature?;
        if let Some(label) = feature.label {
            let line = Explanation {
                model_id: request.model_name.clone(),
                layer: format!("{layer}-{}", request.name),
                index: feature.summary.index.to_string(),
                description: label.text.clone(),
                explanation_model_name: label.source.clone(),
            };
            explanations += &serde_json::to_string(&line).map_err(unwritable)?;
            explanations.push('\n');
        }
        held.push(dashboard(common, &feature));
        if held.len() == BATCH {
            bytes += put(&mut held)?;
        }
    }
    if !held.is_empty() {
        bytes += put(&mut held)?;
    }
    if !explanations.is_empty() {
        bytes += write_file(&request.out.join("explanations.jsonl"), explanations.as_bytes())?;
    }
    Ok(bytes)
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::internal("Features could not be written", error.to_string())
}

pub(super) fn dashboard(common: &Common<'_>, feature: &Feature<'_>) -> Dashboard {
    let (summary, detail) = (feature.summary, &feature.detail);
    let histogram = &summary.histogram;
    let middle = |i: usize| (i as f32 + 0.5) * histogram.width;
    let mut out = Dashboard {
        feature_index: summary.index,
        correlated_features_indices: detail.coactive.iter().map(|c| c.latent).collect(),
        correlated_features_pearson: detail.coactive.iter().map(|c| c.correlation).collect(),
        frac_nonzero: summary.density,
        freq_hist_data_bar_values: (0..histogram.counts.len()).map(middle).collect(),
        freq_hist_data_bar_heights: histogram.counts.clone(),
        n_prompts_total: common.about.rows,
        n_tokens_in_prompt: common.about.spec.rows.length,
        dataset: common.about.spec.corpus.name(),
        activations: detail.groups.iter().flat_map(|g| activations(g, summary.max)).collect(),
        ..Dashboard::default()
    };
    let total: f32 = feature.direction.iter().map(|v| v.abs()).sum();
    let mut order: Vec<usize> = (0..feature.direction.len()).collect();
    order.sort_by(|a, b| feature.direction[*b].total_cmp(&feature.direction[*a]).then(a.cmp(b)));
    for i in order.into_iter().take(ALIGNED) {
        out.neuron_alignment_indices.push(i);
        out.neuron_alignment_values.push(feature.direction[i]);
        let share = if total > 0.0 { feature.direction[i].abs() / total } else { 0.0 };
        out.neuron_alignment_l1.push(share);
    }
    if let Some(effects) = &feature.effects {
        for token in &effects.promoted {
            out.pos_str.push(token.text.clone());
            out.pos_values.push(token.effect);
        }
        for token in &effects.suppressed {
            out.neg_str.push(token.text.clone());
            out.neg_values.push(token.effect);
        }
        let (low, high) = effects.range;
        let step = (high - low) / effects.counts.len().max(1) as f32;
        out.logits_hist_data_bar_heights.clone_from(&effects.counts);
        out.logits_hist_data_bar_values =
            (0..effects.counts.len()).map(|i| low + (i as f32 + 0.5) * step).collect();
    }
    out
}

fn activations(group: &ContextGroup, max: f32) -> impl Iterator<Item = Activation> {
    let (bin_min, bin_max, bin_contains) = match group.kind {
        GroupKind::Top => (-1.0, max, -1.0),
        GroupKind::Quantile { from, to, low, high } => (low, high, to - from),
    };
    group.contexts.iter().map(move |context| Activation {
        bin_min,
        bin_max,
        bin_contains,
        tokens: context.tokens.clone(),
        values: context.activations.clone(),
    })
}
