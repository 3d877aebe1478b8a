//! Features handed out to others, labels taken from others.

use sparsescope_core::Result;
use sparsescope_core::exchange::{
    ExportLabel, ExportRequest, Exported, Format, LabelFile, export, import_labels,
};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::sae::Sae;
use sparsescope_core::workspace::{SaeId, Workspace};
use std::path::{Path, PathBuf};

/// Writes features of an SAE of the workspace, with its labels, to `out`: the `latents` given, or
/// all that ever fired.
pub fn hand_out(
    ctx: &JobContext,
    workspace: &Path,
    id: SaeId,
    model: &Model,
    model_name: &str,
    latents: Option<Vec<u32>>,
    format: Format,
    out: PathBuf,
) -> Result<Exported> {
    let workspace = Workspace::open(workspace)?;
    let record = workspace.sae(id)?;
    let sae = Sae::load(&record.dir)?;
    let current = workspace.labels(id)?.into_iter().filter(|l| l.current);
    let labels = current.map(|l| {
        let source = l.source.short().to_owned();
        (l.latent, ExportLabel { text: l.text, source })
    });
    let request = ExportRequest {
        features: record.features_path(),
        latents,
        format,
        out,
        name: format!("{}-{}", record.architecture, record.latents),
        model_name: model_name.to_owned(),
        labels: labels.collect(),
    };
    // The effects on the logits are those of the model that the dictionary belongs to.
    let model = (model.hash() == record.model).then_some(model);
    export(ctx, model, &sae, &request)
}

/// Takes labels from a file into the workspace.
pub fn take_in(workspace: &Path, id: SaeId, file: &Path) -> Result<LabelFile> {
    import_labels(&mut Workspace::open(workspace)?, id, file, None)
}
