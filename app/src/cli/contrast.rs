//! `contrast`: a direction from contrasted prompts, and the features that lie along it.

use super::circuit::dictionaries;
use super::input::{ModelArgs, open_model};
use super::report::Report;
use super::table::{Style, Table, figure};
use super::{Global, watch};
use clap::{Args, ValueEnum};
use serde_json::json;
use sparsescope_core::llama::Site;
use sparsescope_core::steering::{Pool, contrast, project};
use sparsescope_core::{Error, Result};
use std::path::PathBuf;

/// Say which latents tell some prompts from others, to steer by
#[derive(Args, Clone)]
#[command(after_help = "\
The direction is the mean activation of the prompts toward, less that of the prompts away. Latents
are sorted by the difference of their mean activation on the two; the cosine is that of their decoder
direction with the direction.

Example:
  sparsescope contrast --toward \"She is a nurse\" --away \"He is a nurse\" --site resid.2 --saes my-saes")]
pub struct ContrastArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// A prompt that the direction leads toward; may be given several times
    #[arg(long, required = true, value_name = "TEXT")]
    toward: Vec<String>,
    /// A prompt that it leads away from; may be given several times
    #[arg(long, alias = "against", required = true, value_name = "TEXT")]
    away: Vec<String>,
    /// Where
    #[arg(long)]
    site: Site,
    /// The site's dictionary, or a folder with a folder for each; may be given several times
    #[arg(long, alias = "dictionaries", required = true, value_name = "DIR")]
    saes: Vec<PathBuf>,
    /// What stands for a prompt
    #[arg(long, value_enum, default_value_t = By::Last, value_name = "HOW")]
    pool: By,
    /// Latents to list; --json lists every one
    #[arg(long, default_value_t = 20, value_name = "N")]
    top: usize,
    /// Go on though a dictionary was trained on another model
    #[arg(long)]
    allow_foreign: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum By {
    /// Its last token
    Last,
    /// The mean over its tokens
    Mean,
}

/// Contrasts.
///
/// # Errors
/// Prompts that make no direction; no dictionary for the site.
pub fn run(args: &ContrastArgs, global: &Global) -> Result<Report> {
    let (asked, settings) = (args.clone(), global.clone());
    let (direction, found) = watch::quietly("Contrast", move |ctx| {
        let model = open_model(ctx, &asked.model.path()?, &settings)?;
        let dictionaries = dictionaries(ctx, &model, &asked.saes, asked.allow_foreign)?;
        let site = asked.site.within(model.config().layers)?;
        let sae = dictionaries.get(&site).ok_or_else(|| {
            Error::setting(
                "The direction cannot be read",
                format!("there is no dictionary for {site} among those named"),
                "Name one that was trained at this site",
            )
        })?;
        let pool = match asked.pool {
            By::Last => Pool::Last,
            By::Mean => Pool::Mean,
        };
        let direction = contrast(ctx, &model, site, &asked.toward, &asked.away, pool)?;
        let found = project(sae, &direction)?;
        Ok((direction, found))
    })?;
    let mut table = Table::new(&[">latent", ">difference", ">cosine"]);
    for p in found.iter().take(args.top) {
        table.row([
            p.latent.to_string(),
            format!("{:+.4}", p.difference),
            format!("{:+.3}", p.cosine),
        ]);
    }
    let head = format!(
        "The direction is the {}; its length is {}.\n\n",
        direction.definition,
        figure(f64::from(direction.norm))
    );
    let json = json!({
        "site": direction.site,
        "definition": direction.definition,
        "norm": direction.norm,
        "vector": direction.vector,
        "latents": found,
    });
    Report::new(&json, head + &table.render(Style::of_stdout()))
}
