//! `export`: features in the forms that others read.

use super::eval::folder_of;
use super::input::{self, BUILTIN};
use super::label::Within;
use super::report::Report;
use super::train::request::{Rows, TrainRequest};
use super::{Global, watch};
use clap::{Args, ValueEnum};
use serde_json::json;
use sparsescope_core::exchange::{
    ExportLabel, ExportRequest, Exported, Format, export, read_labels,
};
use sparsescope_core::features::FeatureFile;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::sae::Sae;
use sparsescope_core::workspace::SaeId;
use sparsescope_core::{Error, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Write features for others: JSON as Neuronpedia and SAEDashboard have it, or one HTML page
#[derive(Args, Clone)]
#[command(after_help = "\
Features are those that were collected before (sparsescope features). Of a dictionary of the
workspace, named by its number, the labels are written too.

neuronpedia  a folder: batch-N.json with SAEDashboard's fields, explanations.jsonl with the labels
html         one page that needs nothing else, to send to a colleague

Examples:
  sparsescope export --sae my-sae --latent 17 --format html --out latent-17.html
  sparsescope export --sae 3 --format neuronpedia --out my-sae-dashboards")]
pub struct ExportArgs {
    /// Folder of the dictionary, or its number in the workspace
    #[arg(long, value_name = "SAE")]
    sae: String,
    /// The latent; may be given again [default: all that ever fired]
    #[arg(long, value_name = "N", conflicts_with = "top")]
    latent: Vec<u32>,
    /// The N latents with the greatest activations
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// The form
    #[arg(long, value_enum, value_name = "FORM")]
    format: Form,
    /// Folder (neuronpedia) or file (html) to write
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// File of features [default: features.safetensors beside the dictionary]
    #[arg(long, value_name = "PATH")]
    features: Option<PathBuf>,
    /// File of labels to write with them
    #[arg(long, value_name = "PATH")]
    labels: Option<PathBuf>,
    /// What the dictionary is called [default: its architecture and size]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The model, for the effects on the logits [default: that of the features, if it is known]
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// Leave out the effects on the logits, which need the model
    #[arg(long, conflicts_with = "model")]
    no_logits: bool,
    #[command(flatten)]
    within: Within,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// SAEDashboard's batch files
    Neuronpedia,
    /// One page
    Html,
}

/// Writes.
///
/// # Errors
/// Nothing was collected, another model, files that cannot be written, cancelled.
pub fn run(args: &ExportArgs, global: &Global) -> Result<Report> {
    let (asked, settings) = (args.clone(), global.clone());
    let done: Exported = watch::quietly("Export", move |ctx| job(ctx, &asked, &settings))?;
    let json = json!({
        "out": done.out,
        "features": done.features,
        "bytes": done.bytes,
    });
    let text = format!("{} features are in {}\n", done.features, done.out.display());
    Report::new(&json, text)
}

fn job(ctx: &JobContext, args: &ExportArgs, global: &Global) -> Result<Exported> {
    let mut labels = BTreeMap::new();
    let mut known = None;
    let (folder, sae) = match args.sae.parse::<SaeId>().ok() {
        Some(id) => {
            let workspace = args.within.open()?;
            let record = workspace.sae(id)?;
            for label in workspace.labels(id)?.into_iter().filter(|l| l.current) {
                let source = label.source.short().to_owned();
                labels.insert(label.latent, ExportLabel { text: label.text, source });
            }
            known = workspace.known_model(&record.model)?.map(|m| m.path);
            let sae = Sae::load(&record.dir)?;
            (record.dir, sae)
        }
        None => {
            let folder = folder_of(args.sae.as_ref()).to_owned();
            let sae = Sae::load(&folder)?;
            if let Some(Rows::Model { model, .. }) = TrainRequest::kept_in(&folder)?.map(|r| r.rows)
            {
                known = Some(model);
            }
            (folder, sae)
        }
    };
    let features = args.features.clone().unwrap_or_else(|| folder.join("features.safetensors"));
    if !features.exists() {
        return Err(Error::setting(
            "There are no features to write",
            format!("{} does not exist", features.display()),
            "Collect them: sparsescope features",
        ));
    }
    let mut file = FeatureFile::open(&features)?;
    if let Some(path) = &args.labels {
        let site = Some(file.about().site);
        let source = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (latent, text) in read_labels(path, sae.latents(), site, None)?.labels {
            labels.insert(latent, ExportLabel { text, source: source.clone() });
        }
    }
    let latents = match args.top {
        Some(top) => {
            let mut all = file.table()?.latents;
            all.retain(|l| l.fired > 0);
            all.sort_by(|a, b| b.max.total_cmp(&a.max).then(a.index.cmp(&b.index)));
            Some(all.iter().take(top).map(|l| l.index).collect())
        }
        None => (!args.latent.is_empty()).then(|| args.latent.clone()),
    };
    let wanted = file.about().model.clone();
    let path = args.model.clone().or(known).unwrap_or_else(|| BUILTIN.into());
    let model = match args.no_logits {
        true => None,
        false => Some(of_features(input::open_model(ctx, &path, global)?, &wanted)?),
    };
    let called = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let usual = || format!("{}-{}", sae.architecture.name(), sae.latents());
    let request = ExportRequest {
        features,
        latents,
        format: match args.format {
            Form::Neuronpedia => Format::Neuronpedia,
            Form::Html => Format::Html,
        },
        out: args.out.clone(),
        name: args.name.clone().or_else(|| sae.about.name.clone()).unwrap_or_else(usual),
        model_name: called,
        labels,
    };
    export(ctx, model.as_ref(), &sae, &request)
}

fn of_features(model: Model, wanted: &str) -> Result<Model> {
    if model.hash() == wanted {
        return Ok(model);
    }
    Err(Error::setting(
        "The features were collected with another model",
        format!("theirs is {wanted}, this one is {}", model.hash()),
        "Name that model (--model), or leave out the effects on the logits (--no-logits)",
    ))
}
