//! What the workspace knows of runs.

use sparsescope_core::Result;
use sparsescope_core::features::FeatureTable;
use sparsescope_core::training::TrainPoint;
use sparsescope_core::workspace::{SaeId, SaeRecord, Workspace};
use std::path::Path;
use std::sync::Arc;

/// Every run, the latest first.
pub fn list(workspace: &Path) -> Result<Vec<SaeRecord>> {
    Workspace::open(workspace)?.list_saes()
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
