//! `meanings`: what the latents of dictionaries tell of the built-in world.

use super::circuit::folders;
use super::input::{ModelArgs, open_model};
use super::report::Report;
use super::table::{Style, Table, figure};
use super::{Global, watch};
use clap::Args;
use serde_json::json;
use sparsescope_core::Result;
use sparsescope_core::demo::{Meanings, TruthRequest, meanings};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::sae::Sae;
use std::path::PathBuf;

/// Say what the latents of a dictionary tell of the built-in world: number, gender, topic, …
#[derive(Args, Clone)]
#[command(after_help = "\
Only for the built-in model, whose text knows the truth of every word.

Examples:
  sparsescope meanings my-sae
  sparsescope meanings at-every-site --least 0.8 --json")]
pub struct MeaningsArgs {
    /// Folder of the dictionary, or of several in folders of their own
    pub saes: PathBuf,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Least F1 of a latent that is said to tell something
    #[arg(long, default_value_t = 0.7, value_name = "X")]
    pub least: f64,
    /// Held-out documents to look at
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub documents: usize,
}

/// Compares latents with the truth.
///
/// # Errors
/// No dictionary there, one that does not fit, a model that does not know this world.
pub fn run(args: &MeaningsArgs, global: &Global) -> Result<Report> {
    let (asked, settings) = (args.clone(), global.clone());
    let told = watch::quietly("Meanings", move |ctx| look(ctx, &asked, &settings))?;
    let style = Style::of_stdout();
    let mut table = Table::new(&["site", ">latent", "what it tells", ">F1"]);
    for one in &told {
        for m in &one.latents {
            table.row([one.site.to_string(), m.latent.to_string(), m.text(), figure(m.f1)]);
        }
    }
    let note = told.first().map(|one| {
        let sample = format!("{} held-out documents, seed {}.", one.documents, one.seed);
        style.dim(&format!("{sample} {}", one.definition))
    });
    let text = format!("{}\n{}\n", table.render(style), note.unwrap_or_default());
    Report::new(&json!({ "dictionaries": told }), text)
}

fn look(ctx: &JobContext, args: &MeaningsArgs, global: &Global) -> Result<Vec<Meanings>> {
    let model = open_model(ctx, &args.model.path()?, global)?;
    let request = TruthRequest { documents: args.documents, ..TruthRequest::default() };
    let mut told = Vec::new();
    for folder in folders(&args.saes)? {
        let sae = Sae::load(&folder)?;
        told.push(meanings(ctx, &model, &sae, &request, args.least)?);
    }
    told.sort_by_key(|one| one.site);
    Ok(told)
}
