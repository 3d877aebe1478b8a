//! On the built-in model, whose text knows the truth of every word: what a circuit's nodes tell.

use super::OpenBases;
use sparsescope_core::Result;
use sparsescope_core::circuits::{Circuit, Unit};
use sparsescope_core::demo::{Meaning, TruthRequest, meanings};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::labels::{LabelSource, NewLabel};
use sparsescope_core::llama::Model;
use sparsescope_core::workspace::Workspace;
use std::collections::BTreeSet;
use std::path::Path;

/// Least F1 of a latent that is said to tell something.
const TELLS: f64 = 0.7;
/// Held-out documents on which that is looked at.
const DOCUMENTS: usize = 400;

/// On the built-in model: what the circuit's latents tell of its world, as labels of theirs; those
/// that have a label keep it. How many were written.
pub fn name_nodes(
    ctx: &JobContext,
    workspace: &Path,
    open: &OpenBases,
    model: &Model,
    circuit: &Circuit,
) -> Result<usize> {
    let (choice, bases) = open.of(ctx, workspace, model, circuit)?;
    let mut written = 0;
    for (site, id) in choice {
        let (Some(id), Some(sae)) = (id, bases.sae(site)) else { continue };
        let db = Workspace::open(workspace)?;
        let named: BTreeSet<u32> = db.labels(id)?.iter().map(|label| label.latent).collect();
        let latents: BTreeSet<u32> = circuit
            .nodes
            .iter()
            .filter(|n| n.node.site == site)
            .filter_map(|n| match n.node.unit {
                Unit::Latent(latent) if !named.contains(&latent) => Some(latent),
                _ => None,
            })
            .collect();
        if latents.is_empty() {
            continue;
        }
        let request =
            TruthRequest { site: Some(site), documents: DOCUMENTS, ..TruthRequest::default() };
        let found = meanings(ctx, model, sae, &request, TELLS)?;
        let label = |meaning: &Meaning| NewLabel {
            latent: meaning.latent,
            text: meaning.text(),
            source: LabelSource::Truth {
                f1: meaning.f1,
                definition: told(found.documents, &found.definition),
            },
            scores: None,
        };
        let new: Vec<NewLabel> =
            found.latents.iter().filter(|m| latents.contains(&m.latent)).map(label).collect();
        written += new.len();
        Workspace::open(workspace)?.add_labels(id, &new)?;
    }
    Ok(written)
}

/// How the F1 of a label by the truth was computed.
pub fn told(documents: usize, definition: &str) -> String {
    format!(
        "F1 of this latent alone, with the threshold that is best on half of {documents} held-out \
         documents, on the other half of them. {definition}"
    )
}
