//! The circuit of a probe's output: which features make it say what it says.

use super::{Probe, Text};
use crate::circuits::{
    Aggregation, Bases, Change, Circuit, CircuitNode, Example, Examples, FindSpec, Method, Node,
    Unit, find,
};
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::Model;
use serde::{Deserialize, Serialize};

/// How the circuit of a probe is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CircuitSpec {
    /// How effects are estimated.
    pub method: Method,
    /// Texts of the ambiguous part used at most.
    pub texts: usize,
    /// Features are kept whose mean effect, in units of the probe's log-odds, is greater.
    pub threshold: f32,
    /// Of these the greatest, so many at most.
    pub most: usize,
    /// First positions whose features are left out; 1 leaves out BOS.
    pub skip_positions: usize,
    /// Kept features whose effect is measured exactly too, the greatest first.
    pub audit: usize,
    /// Seed of the drawing.
    pub seed: u64,
}

impl Default for CircuitSpec {
    fn default() -> Self {
        Self {
            method: Method::default(),
            texts: 100,
            threshold: 0.1,
            most: 150,
            skip_positions: 0,
            audit: 0,
            seed: 0,
        }
    }
}

/// What an effect of a feature on a probe is.
pub const EFFECT_DEFINITION: &str = "Effect of a feature: how much the probe's log-odds of the \
    text's own label fall when the feature is put to 0 at all positions (what the dictionary does \
    not reconstruct stays), estimated by the method named, summed over positions and averaged over \
    texts of the ambiguous part. Only features with a positive effect, which the probe leans on, \
    are kept, the greatest first.";

/// Finds the features and errors at the sites of `bases`, up to the probe's own, that make `probe`
/// name the label of `texts`: the nodes whose mean effect on the log-odds of the text's own label is
/// positive and greater than the threshold, the greatest first.
///
/// # Errors
/// No dictionary at any of these sites; nothing passes the threshold; those of
/// [`crate::circuits::find`].
pub fn probe_circuit<E>(
    ctx: &JobContext<E>,
    model: &Model,
    bases: &Bases,
    texts: &[Text],
    probe: &Probe,
    spec: &CircuitSpec,
) -> Result<Circuit> {
    let bases = with_dictionary(bases, probe)?;
    let circuit = effects(ctx, model, &bases, texts, probe, spec, |text| text.label)?;
    if circuit.nodes.iter().all(|node| !is_feature(node)) {
        return Err(Error::setting(
            "The probe's circuit has no features",
            format!("no feature's effect is greater than {}", spec.threshold),
            "Choose a smaller threshold, or dictionaries at other sites",
        ));
    }
    Ok(circuit)
}

/// Positive effects on the log-odds of the label that `wanted` says, the greatest first.
pub(super) fn effects<E>(
    ctx: &JobContext<E>,
    model: &Model,
    bases: &Bases,
    texts: &[Text],
    probe: &Probe,
    spec: &CircuitSpec,
    wanted: impl Fn(&Text) -> usize,
) -> Result<Circuit> {
    let kept = texts
        .iter()
        .enumerate()
        .map(|(pair, text)| Example {
            pair,
            clean: text.tokens.clone(),
            patch: None,
            right: Vec::new(),
            wrong: Vec::new(),
            // F is the log-odds of the first label; of the second they are the negative.
            negate: wanted(text) == 1,
            case: String::new(),
        })
        .collect();
    let examples = Examples { kept, left_out: Vec::new() };
    let find_spec = FindSpec {
        metric: probe.metric(),
        method: spec.method,
        change: Change::Zero,
        aggregation: Aggregation::Summed,
        pairs: spec.texts,
        node_threshold: spec.threshold,
        // Negative effects and errors are left out afterwards, and must not take up room.
        most_nodes: usize::MAX,
        skip_positions: spec.skip_positions,
        audit: spec.audit,
        resamples: 0,
        seed: spec.seed,
        ..FindSpec::default()
    };
    let mut circuit = find(ctx, model, bases, &examples, &find_spec)?;
    circuit.nodes.retain(|node| node.effect.mean > 0.0);
    circuit
        .nodes
        .sort_by(|a, b| b.effect.mean.total_cmp(&a.effect.mean).then_with(|| a.node.cmp(&b.node)));
    let mut features = 0;
    circuit.nodes.retain(|node| {
        features += usize::from(is_feature(node));
        features <= spec.most
    });
    Ok(circuit)
}

/// Only sites with a dictionary, up to the probe's.
pub(super) fn with_dictionary(bases: &Bases, probe: &Probe) -> Result<Bases> {
    let sites = bases.sites.iter().filter(|(site, _)| **site <= probe.site);
    let sites = sites.filter(|(site, _)| bases.sae(**site).is_some());
    let out = Bases { sites: sites.map(|(site, basis)| (*site, basis.clone())).collect() };
    if out.sites.is_empty() {
        return Err(Error::setting(
            "The probe has no features to look at",
            format!("no dictionary stands at {} or before it", probe.site),
            "Train dictionaries at these sites, or put the probe later",
        ));
    }
    Ok(out)
}

/// Whether it can be judged and trimmed; errors cannot.
pub fn is_feature(node: &CircuitNode) -> bool {
    matches!(node.node.unit, Unit::Latent(_))
}

/// The latent of a node; `None` for an error.
pub(super) fn latent(node: &Node) -> Option<u32> {
    match node.unit {
        Unit::Latent(latent) => Some(latent),
        Unit::Error => None,
    }
}

#[cfg(test)]
#[path = "tests/probe_circuit.rs"]
mod tests;
