//! Collecting the features of an SAE, and reading what was collected.

use super::runs::Opened;
use sparsescope_core::Result;
use sparsescope_core::corpus::{CorpusSpec, RowSpec};
use sparsescope_core::features::{
    CollectSpec, FeatureFile, FeatureTable, LatentDetail, collect as collect_features,
};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::sae::Sae;
use sparsescope_core::workspace::{SaeId, Workspace};
use std::path::Path;
use std::sync::Arc;

/// Tokens that features are collected from, unless another number is asked for.
pub const TOKENS: u64 = 200_000;

/// What is to be known of every latent, left in the file `out`.
pub fn collect<E>(
    ctx: &JobContext<E>,
    model: &Model,
    sae: &Sae,
    corpus: &CorpusSpec,
    rows: RowSpec,
    seed: u64,
    out: &Path,
) -> Result<FeatureTable> {
    let spec = CollectSpec { tokens: TOKENS, seed, ..CollectSpec::new(corpus.clone(), rows) };
    collect_features(ctx, model, sae, &spec, out)
}

/// Collects the features of an SAE of the workspace as `spec` says, and keeps them there. A
/// collection with the same settings that was stopped before goes on.
pub fn collect_again(
    ctx: &JobContext,
    workspace: &Path,
    id: SaeId,
    model: &Model,
    spec: &CollectSpec,
) -> Result<Opened> {
    let db = Workspace::open(workspace)?;
    let record = db.sae(id)?;
    let sae = Sae::load(&record.dir)?;
    let table = collect_features(ctx, model, &sae, spec, &record.features_path())?;
    db.keep_features(id)?;
    Ok((db.sae(id)?, Ok(Some(Arc::new(table)))))
}

/// What was kept of the latent at `place` of the table in the feature file `path`.
pub fn detail(path: &Path, place: usize) -> Result<Arc<LatentDetail>> {
    FeatureFile::open(path)?.detail(place).map(Arc::new)
}
