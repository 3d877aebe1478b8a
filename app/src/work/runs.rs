//! What the workspace knows of runs.

use sparsescope_core::Result;
use sparsescope_core::corpus::{CorpusSpec, RowSpec};
use sparsescope_core::evaluation::{EvalSpec, evaluate};
use sparsescope_core::features::FeatureTable;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::sae::Sae;
use sparsescope_core::training::TrainPoint;
use sparsescope_core::workspace::{SaeId, SaeRecord, Workspace};
use std::path::Path;
use std::sync::Arc;

/// Every run, the latest first.
pub fn list(workspace: &Path) -> Result<Vec<SaeRecord>> {
    Workspace::open(workspace)?.list_saes()
}

/// Measures how good the dictionary `id` is on `corpus`, and keeps that.
pub fn evaluate_again(
    ctx: &JobContext,
    workspace: &Path,
    id: SaeId,
    model: &Model,
    corpus: &CorpusSpec,
    rows: RowSpec,
) -> Result<SaeId> {
    let workspace = Workspace::open(workspace)?;
    let sae = Sae::load(&workspace.sae_dir(id)?)?;
    let spec = EvalSpec::new(corpus.clone(), rows);
    let evaluation = evaluate(ctx, model, &sae, &spec)?;
    workspace.save_evaluation(id, &evaluation)?;
    Ok(id)
}

/// A run and its curves.
pub fn history(workspace: &Path, id: SaeId) -> Result<(SaeRecord, Vec<TrainPoint>)> {
    let workspace = Workspace::open(workspace)?;
    Ok((workspace.sae(id)?, workspace.history(id)?))
}

/// An SAE and its features, if they were collected.
pub fn features(workspace: &Path, id: SaeId) -> Result<(SaeRecord, Option<Arc<FeatureTable>>)> {
    let workspace = Workspace::open(workspace)?;
    Ok((workspace.sae(id)?, workspace.load_features(id)?.map(Arc::new)))
}
