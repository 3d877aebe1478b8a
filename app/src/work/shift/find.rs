//! The circuit of a probe's output.

use super::Trained;
use crate::work::circuit::{Choice, OpenBases};
use sparsescope_core::circuits::{self, Circuit, Example, Examples};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Model, Site};
use sparsescope_core::shift::{self, CircuitSpec, Text};
use sparsescope_core::workspace::{SaeId, Workspace};
use sparsescope_core::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Texts on which dictionaries are looked at: whether they fit.
const FITTED: usize = 24;

/// What circuit to look for.
#[derive(Debug, Clone)]
pub struct FindRequest {
    /// Of which probe.
    pub trained: Arc<Trained>,
    /// With which dictionaries.
    pub choice: Choice,
    /// How.
    pub spec: CircuitSpec,
    /// Whether to go on with dictionaries that do not fit the model.
    pub anyway: bool,
    /// What the model is called.
    pub model_name: String,
}

/// The circuit of a probe's output, and what is known of its features.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The circuit, the strongest first.
    pub circuit: Circuit,
    /// How it was found.
    pub spec: CircuitSpec,
    /// The dictionary of the workspace at each site.
    pub saes: BTreeMap<Site, SaeId>,
    /// What latents are called.
    pub labels: BTreeMap<(Site, u32), String>,
    /// Dictionaries that should not be used, each in a sentence.
    pub doubts: Vec<String>,
}

/// Finds it.
///
/// # Errors
/// A site up to the probe's without a dictionary; dictionaries that do not fit; those of
/// [`shift::probe_circuit`].
pub fn find(
    ctx: &JobContext,
    workspace: &Path,
    open: &OpenBases,
    model: &Model,
    request: &FindRequest,
) -> Result<Found> {
    let FindRequest { trained, choice, spec, anyway, model_name } = request;
    let missing: Vec<String> =
        choice.iter().filter(|(_, id)| id.is_none()).map(|(site, _)| site.to_string()).collect();
    if !missing.is_empty() {
        return Err(Error::setting(
            "The probe's circuit cannot be found yet",
            format!("there is no dictionary at {}", missing.join(", ")),
            "Train the missing dictionaries first",
        ));
    }
    let bases = open.choose(ctx, workspace, model, choice)?;
    let texts = &trained.texts.split.ambiguous;
    let doubts = circuits::checks::fitting(ctx, model, &bases, &examples(texts), *anyway)?;
    let mut circuit = shift::probe_circuit(ctx, model, &bases, texts, &trained.probe, spec)?;
    circuit.conventions.model_name.clone_from(model_name);
    Ok(Found {
        circuit,
        spec: spec.clone(),
        saes: choice.iter().filter_map(|(site, id)| Some((*site, (*id)?))).collect(),
        labels: labels(ctx, workspace, choice)?,
        doubts: doubts.iter().map(ToString::to_string).collect(),
    })
}

/// The dictionaries of a circuit that was found before, and what its latents are called.
///
/// # Errors
/// A dictionary is not here any more.
pub(super) fn known(
    ctx: &JobContext,
    workspace: &Path,
    open: &OpenBases,
    model: &Model,
    circuit: Circuit,
    spec: CircuitSpec,
) -> Result<Found> {
    let (choice, _) = open.of(ctx, workspace, model, &circuit)?;
    Ok(Found {
        circuit,
        spec,
        labels: labels(ctx, workspace, &choice)?,
        saes: choice.into_iter().filter_map(|(site, id)| Some((site, id?))).collect(),
        doubts: Vec::new(),
    })
}

fn labels(
    ctx: &JobContext,
    workspace: &Path,
    choice: &Choice,
) -> Result<BTreeMap<(Site, u32), String>> {
    let db = Workspace::open(workspace)?;
    let mut labels = BTreeMap::new();
    for (site, id) in choice {
        ctx.check()?;
        for label in id.map(|id| db.labels(id)).transpose()?.into_iter().flatten() {
            labels.insert((*site, label.latent), label.text);
        }
    }
    Ok(labels)
}

/// Some of the texts as prompts that a circuit's dictionaries are looked at on.
fn examples(texts: &[Text]) -> Examples {
    let example = |(pair, text): (usize, &Text)| Example {
        pair,
        clean: text.tokens.clone(),
        patch: None,
        right: Vec::new(),
        wrong: Vec::new(),
        negate: text.label == 1,
        case: String::new(),
    };
    let kept = texts.iter().take(FITTED).enumerate().map(example).collect();
    Examples { kept, left_out: Vec::new() }
}
