//! `labels import`: labels from a file into the workspace.

use super::report::Report;
use super::{Global, watch};
use clap::{Args, Subcommand};
use serde_json::json;
use sparsescope_core::Result;
use sparsescope_core::exchange::import_labels;
use sparsescope_core::workspace::{SaeId, Workspace};
use std::path::PathBuf;

/// Labels of latents, kept in the workspace
#[derive(Args, Clone)]
pub struct LabelsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Clone)]
enum What {
    Import(ImportArgs),
}

/// Take labels from a file
#[derive(Args, Clone)]
#[command(after_help = "\
The file: explanations of Neuronpedia (JSON, JSON lines), annotations of feature-circuits (JSON
lines), a table (CSV) whose first line names its columns (index, description), or an object of
latents and labels. What a person wrote here stays in front.

Example:
  sparsescope labels import explanations.jsonl --sae 3")]
struct ImportArgs {
    /// The file
    file: PathBuf,
    /// Number of the dictionary in the workspace
    #[arg(long, value_name = "N")]
    sae: SaeId,
    /// Which dictionary of the file, where it speaks of several: 6-res-jb
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    #[command(flatten)]
    workspace: WorkspaceArgs,
}

/// Where the workspace is.
#[derive(Args, Clone)]
pub struct WorkspaceArgs {
    /// Folder of the workspace [default: the one of the window]
    #[arg(long = "in", value_name = "DIR")]
    workspace: Option<PathBuf>,
}

impl WorkspaceArgs {
    /// The folder.
    pub fn path(&self) -> PathBuf {
        self.workspace.clone().unwrap_or_else(sparsescope::app::default_workspace)
    }
}

/// The number that a dictionary is named by, if it is.
pub fn number_of(sae: &str) -> Option<SaeId> {
    sae.parse().ok()
}

/// Imports.
///
/// # Errors
/// No file of labels, labels of another dictionary, no such dictionary.
pub fn run(args: &LabelsArgs, _global: &Global) -> Result<Report> {
    let What::Import(asked) = args.what.clone();
    let (file, sae) = (asked.file.clone(), asked.sae);
    let found = watch::quietly("Import labels", move |_| {
        let mut workspace = Workspace::open(&asked.workspace.path())?;
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
