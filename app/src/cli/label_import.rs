//! `label import`: labels from a file into the workspace.

use super::report::Report;
use super::watch;
use clap::Args;
use serde_json::json;
use sparsescope_core::Result;
use sparsescope_core::exchange::import_labels;
use sparsescope_core::workspace::{SaeId, Workspace};
use std::path::PathBuf;

/// Take labels from a file
#[derive(Args, Clone)]
#[command(after_help = "\
The file: explanations of Neuronpedia (JSON, JSON lines), annotations of feature-circuits (JSON
lines), a table (CSV) whose first line names its columns (index, description), or an object of
latents and labels. What a person wrote here stays in front.

Example:
  sparsescope label import explanations.jsonl --sae 3")]
pub struct ImportArgs {
    /// The file
    file: PathBuf,
    /// Number of the dictionary in the workspace
    #[arg(long, value_name = "ID")]
    sae: SaeId,
    /// Which dictionary of the file, where it speaks of several: 6-res-jb
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
}

/// Imports.
///
/// # Errors
/// No file of labels, labels of another dictionary, no such dictionary.
pub fn run(mut workspace: Workspace, args: &ImportArgs) -> Result<Report> {
    let asked = args.clone();
    let (file, sae) = (asked.file.clone(), asked.sae);
    let found = watch::quietly("Import labels", move |_| {
        import_labels(&mut workspace, asked.sae, &asked.file, asked.source.as_deref())
    })?;
    let json = json!({
        "sae": sae,
        "labels": found.labels.len(),
        "elsewhere": found.elsewhere,
        "empty": found.empty,
        "repeated": found.repeated,
    });
    let text = format!(
        "{} labels of {} are in the workspace; left out: {} of other dictionaries, {} empty, {} for \
         a latent that had one already.\n",
        found.labels.len(),
        file.display(),
        found.elsewhere,
        found.empty,
        found.repeated
    );
    Report::new(&json, text)
}
