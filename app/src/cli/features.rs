//! `features`: what the latents of a dictionary fire on.

use super::eval::{Opened, WithSae};
use super::report::Report;
use super::table::{Style, Table, count, figure};
use super::{Global, watch};
use clap::{Args, ValueEnum};
use serde_json::json;
use sparsescope_core::features::{CollectSpec, Context, FeatureTable, LatentSummary, collect};
use sparsescope_core::{Error, Result};

/// List the latents of a dictionary with the contexts they fire most strongly in
#[derive(Args, Clone)]
#[command(after_help = "\
Example:
  sparsescope features my-sae --top 20 --sort max")]
pub struct FeaturesArgs {
    #[command(flatten)]
    with: WithSae,
    /// Tokens to look at
    #[arg(long, default_value_t = 200_000, value_name = "N")]
    tokens: u64,
    /// Latents to list; --json lists as many
    #[arg(long, default_value_t = 30, value_name = "N")]
    top: usize,
    /// Contexts to show of each
    #[arg(long, default_value_t = 3, value_name = "N")]
    contexts: usize,
    /// What to sort by, the greatest first
    #[arg(long, value_enum, default_value_t = Sort::Density, value_name = "BY")]
    sort: Sort,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sort {
    /// Share of tokens it fires on
    Density,
    /// Its greatest activation
    Max,
    /// Its mean activation where it fires
    Mean,
    /// Its number, the smallest first
    Index,
}

/// Collects and lists.
///
/// # Errors
/// The dictionary does not fit the model; unreadable text; cancelled.
pub fn run(args: &FeaturesArgs, global: &Global) -> Result<Report> {
    let (asked, settings) = (args.clone(), global.clone());
    let table = watch::quietly("Collect features", move |ctx| {
        let Opened { sae, model, spec } = asked.with.open(ctx, &settings)?;
        let spec = CollectSpec {
            tokens: asked.tokens,
            contexts_per_latent: asked.contexts,
            window: 16,
            seed: spec.seed,
            allow_foreign: spec.allow_foreign,
            ..CollectSpec::new(spec.corpus, spec.rows)
        };
        collect(ctx, &model, &sae, &spec)
    })?;
    let silent = table.latents.iter().filter(|l| l.density == 0.0).count();
    let listed = sorted(&table, args);
    let json = json!({
        "sae": args.with.sae,
        "corpus": table.corpus,
        "tokens": table.tokens,
        "latents": table.latents.len(),
        "silent": silent,
        "features": serde_json::to_value(&listed)
            .map_err(|e| Error::internal("The result could not be written", e.to_string()))?,
    });
    let style = Style::of_stdout();
    let mut lines = Table::new(&[">latent", ">density", ">mean", ">max", "fires on"]);
    for latent in &listed {
        let mut number = latent.index.to_string();
        let [mut density, mut mean, mut max] =
            [latent.density, latent.mean, latent.max].map(|x| figure(x.into()));
        for context in &latent.contexts {
            lines.row([number, density, mean, max, drawn(context, style)]);
            // Only beside the first of its contexts.
            (number, density, mean, max) = Default::default();
        }
    }
    let head = format!(
        "{} latents of {} on {} tokens of {}; {} never fired.\n\n",
        listed.len(),
        table.latents.len(),
        count(table.tokens),
        table.corpus,
        silent
    );
    Report::new(&json, head + &lines.render(style))
}

/// The latents to list: none that never fired.
fn sorted<'a>(table: &'a FeatureTable, args: &FeaturesArgs) -> Vec<&'a LatentSummary> {
    let mut all: Vec<&LatentSummary> = table.latents.iter().filter(|l| l.density > 0.0).collect();
    let key = |l: &LatentSummary| match args.sort {
        Sort::Density => l.density,
        Sort::Max => l.max,
        Sort::Mean => l.mean,
        Sort::Index => 0.0,
    };
    all.sort_by(|a, b| key(b).total_cmp(&key(a)).then(a.index.cmp(&b.index)));
    all.truncate(args.top);
    all
}

/// A context with its strongest token marked: `the key to the «cabinets» is`.
pub fn drawn(context: &Context, style: Style) -> String {
    let mut out = String::new();
    for (i, token) in context.tokens.iter().enumerate() {
        if i == context.peak {
            let space = if token.starts_with(' ') { " " } else { "" };
            out += &format!("{space}{}", style.mark(&format!("«{}»", token.trim_start())));
        } else {
            out += token;
        }
    }
    out.trim().to_owned()
}
