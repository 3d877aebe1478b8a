//! Collecting the features of an SAE.

use sparsescope_core::Result;
use sparsescope_core::corpus::{CorpusSpec, RowSpec};
use sparsescope_core::features::{CollectSpec, FeatureTable, collect as collect_features};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::sae::Sae;
use sparsescope_core::workspace::{SaeId, SaeRecord, Workspace};
use std::path::Path;
use std::sync::Arc;

/// Tokens that features are collected from.
const TOKENS: u64 = 200_000;

/// Densities and the strongest contexts of every latent.
pub fn collect<E>(
    ctx: &JobContext<E>,
    model: &Model,
    sae: &Sae,
    corpus: &CorpusSpec,
    rows: RowSpec,
    seed: u64,
) -> Result<FeatureTable> {
    let spec = CollectSpec { tokens: TOKENS, seed, ..CollectSpec::new(corpus.clone(), rows) };
    collect_features(ctx, model, sae, &spec)
}

/// Collects the features of an SAE of the workspace and keeps them there.
pub fn collect_again(
    ctx: &JobContext,
    workspace: &Path,
    id: SaeId,
    model: &Model,
    corpus: &CorpusSpec,
    rows: RowSpec,
) -> Result<(SaeRecord, Option<Arc<FeatureTable>>)> {
    let db = Workspace::open(workspace)?;
    let record = db.sae(id)?;
    let sae = Sae::load(&record.dir)?;
    let table = collect(ctx, model, &sae, corpus, rows, 0)?;
    db.save_features(id, &table)?;
    Ok((db.sae(id)?, Some(Arc::new(table))))
}
