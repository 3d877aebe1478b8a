//! What the workspace knows of runs.

use super::train::InUse;
use sparsescope_core::corpus::{CorpusSpec, RowSpec};
use sparsescope_core::evaluation::{EvalSpec, evaluate};
use sparsescope_core::features::FeatureTable;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::llama::Site;
use sparsescope_core::sae::Sae;
use sparsescope_core::training::TrainConfig;
use sparsescope_core::training::TrainPoint;
use sparsescope_core::workspace::NewRun;
use sparsescope_core::workspace::{SaeId, SaeRecord, Workspace};
use sparsescope_core::{Error, IoContext as _, Result};
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

/// An SAE, and its features: `None` if none were collected, an error if they cannot be read.
pub type Opened = (SaeRecord, Result<Option<Arc<FeatureTable>>>);

/// An SAE and its features, if they were collected.
pub fn features(workspace: &Path, id: SaeId) -> Result<Opened> {
    let workspace = Workspace::open(workspace)?;
    Ok((workspace.sae(id)?, workspace.load_features(id).map(|table| table.map(Arc::new))))
}

/// Brings what is in `folder` into the workspace: a dictionary, or every one of a sweep's folder.
/// Files are copied; what is there already (the same weights) is not brought in twice. A
/// dictionary that does not know what it was trained on is taken for one of the model in use at
/// the chosen site.
pub fn import(
    workspace: &Path,
    folder: &Path,
    used: Option<&InUse>,
    site: Option<Site>,
) -> Result<Vec<SaeId>> {
    let mut folders = Vec::new();
    if Sae::is_at(folder) {
        folders.push(folder.to_owned());
    } else {
        let what = || format!("Could not read {}", folder.display());
        for entry in std::fs::read_dir(folder).doing(what)? {
            folders.push(entry.doing(what)?.path());
        }
        folders.retain(|f| Sae::is_at(f));
        folders.sort();
    }
    if folders.is_empty() {
        return Err(Error::format(
            format!("There is no dictionary in {}", folder.display()),
            "neither it nor a folder in it holds a sae.json and a sae.safetensors of Sparsescope",
            "Drop the folder that was given as --out",
        ));
    }
    let mut db = Workspace::open(workspace)?;
    folders.iter().map(|folder| import_one(&mut db, folder, used, site)).collect()
}

fn import_one(
    db: &mut Workspace,
    folder: &Path,
    used: Option<&InUse>,
    site: Option<Site>,
) -> Result<SaeId> {
    let sae = Sae::load(folder)?;
    let hash = sae.hash();
    let same = |r: &&SaeRecord| r.request["imported_hash"].as_str() == Some(&hash);
    if let Some(known) = db.list_saes()?.iter().find(same) {
        return Ok(known.id);
    }
    let from = sae.about.trained_on.clone();
    let (model, site, corpus) = match (from, used, site) {
        (Some(from), ..) => (from.model, from.site, from.corpus),
        (None, Some(used), Some(site)) => {
            (used.model.hash().to_owned(), site, "unknown".to_owned())
        }
        _ => {
            return Err(Error::setting(
                format!("The dictionary in {} cannot be placed", folder.display()),
                "it does not say which model and site it is of, and none is chosen",
                "Open its model and choose its site, then drop it again",
            ));
        }
    };
    let config = sae.about.config.clone().and_then(|c| serde_json::from_value(c).ok());
    let config = config.unwrap_or_else(|| TrainConfig {
        tokens: sae.about.tokens.max(1),
        ..TrainConfig::preset(sae.architecture.clone(), sae.latents())
    });
    let request = serde_json::json!({ "imported_from": folder, "imported_hash": hash });
    let (width, points) = (sae.width(), sae.about.history.clone());
    let run = db.begin_run(&NewRun { model, site, width, corpus, config, request })?;
    let id = run.id;
    let saved = sae.save(&run.dir);
    db.record_points(id, &points)?;
    db.finish_run(run, &saved)?;
    saved?;
    // A sweep in a terminal keeps its evaluation beside the dictionary.
    let evaluation = std::fs::read(folder.join("evaluation.json")).ok();
    if let Some(found) = evaluation.and_then(|text| serde_json::from_slice(&text).ok()) {
        db.save_evaluation(id, &found)?;
    }
    Ok(id)
}
