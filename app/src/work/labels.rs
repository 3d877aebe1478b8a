//! Labels: read, searched, written by hand or by a language model.

use sparsescope_core::jobs::JobContext;
use sparsescope_core::labels::index_contexts;
use sparsescope_core::labels::{
    self, Agreed, Found, Label, LabelNews, LabelRequest, LabelRunId, Labelled, NewLabel, Prepared,
    Query, RunView, Source, WallClock,
};
use sparsescope_core::llama::Model;
use sparsescope_core::sae::Sae;
use sparsescope_core::workspace::{SaeId, SaeRecord, Workspace};
use sparsescope_core::{Error, Result, device};
use std::path::Path;

/// Hits of a search that are shown at most.
const HITS: usize = 100;

/// Runs of labelling that are shown.
const RUNS: usize = 4;

/// The labels of an SAE, and its latest runs of labelling. A run that cannot be read is left out.
pub fn read(workspace: &Path, sae: SaeId) -> Result<(Vec<Label>, Vec<RunView>)> {
    let db = Workspace::open(workspace)?;
    let runs = db.label_runs(Some(sae))?;
    let runs = runs.iter().filter_map(|r| labels::view(&db, r.id).ok()).take(RUNS);
    Ok((db.labels(sae)?, runs.collect()))
}

/// Gives a latent a label by hand, or takes its label back if the text is empty.
pub fn set(workspace: &Path, sae: SaeId, latent: u32, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return undo(workspace, sae, latent);
    }
    let mut db = Workspace::open(workspace)?;
    db.add_label(sae, NewLabel::by_hand(latent, text)).map(|_| ())
}

/// Takes the label of a latent back.
pub fn undo(workspace: &Path, sae: SaeId, latent: u32) -> Result<()> {
    Workspace::open(workspace)?.undo_label(sae, latent).map(|_| ())
}

/// Latents whose labels or contexts hold these words.
pub fn search(workspace: &Path, sae: Option<SaeId>, text: &str) -> Result<Found> {
    let query = Query { text: text.to_owned(), sae, limit: HITS };
    labels::search(&Workspace::look(workspace)?, &query)
}

/// Makes the contexts of an SAE searchable, if they are not.
pub fn index(ctx: &JobContext, workspace: &Path, sae: SaeId) -> Result<()> {
    index_contexts(ctx, &Workspace::open(workspace)?, sae).map(|_| ())
}

/// The model that a dictionary was trained on: the one at `path`, the built-in one, or the one that
/// was opened before under the dictionary's hash of it.
pub fn model_of(
    workspace: &Workspace,
    record: &SaeRecord,
    path: Option<&Path>,
    device: &str,
) -> Result<Model> {
    if let Some(path) = path {
        return Model::open(path, &device::choose(device)?);
    }
    let builtin = super::model::builtin(device)?;
    if builtin.hash() == record.model {
        return Ok(builtin);
    }
    match workspace.known_model(&record.model)? {
        Some(known) => Model::open(&known.path, &device::choose(device)?),
        None => Err(Error::setting(
            format!("The model of SAE {} is not known", record.id),
            "it was not opened in this workspace",
            "Name its folder",
        )),
    }
}

/// What a run would send and cost.
pub fn plan(
    ctx: &JobContext,
    workspace: &Path,
    model: &Model,
    request: &LabelRequest,
) -> Result<Prepared> {
    let db = Workspace::open(workspace)?;
    let sae = Sae::load(&db.sae_dir(request.sae)?)?;
    let source = Source { model, sae: &sae, allow_foreign: false };
    labels::plan(ctx, &db, &source, request)
}

/// Begins what was estimated and agreed to.
pub fn begin(
    ctx: &JobContext<LabelNews>,
    workspace: &Path,
    prepared: &Prepared,
    agreed: Agreed,
) -> Result<Labelled> {
    let mut db = Workspace::open(workspace)?;
    let confirmed = prepared.estimate().confirm(agreed)?;
    let id = labels::begin(&mut db, prepared, &confirmed)?;
    labels::run(ctx, &mut db, id, &WallClock::default())
}

/// Goes on with a run.
pub fn go_on(ctx: &JobContext<LabelNews>, workspace: &Path, id: LabelRunId) -> Result<Labelled> {
    labels::run(ctx, &mut Workspace::open(workspace)?, id, &WallClock::default())
}

/// Asks the server to stop the batches of a run.
pub fn call_back(ctx: &JobContext<LabelNews>, workspace: &Path, id: LabelRunId) -> Result<usize> {
    let mut db = Workspace::open(workspace)?;
    labels::cancel_batches(ctx, &mut db, id, &WallClock::default())
}
