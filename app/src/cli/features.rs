//! `features`: what the latents of a dictionary fire on.

use super::eval::{Opened, WithSae, folder_of};
use super::report::Report;
use super::table::{Style, Table, count, figure};
use super::{Global, watch};
use clap::{Args, ValueEnum};
use serde_json::json;
use sparsescope_core::features::{
    CollectSpec, Context, ContextGroup, FeatureAbout, FeatureFile, FeatureTable, GroupKind,
    LatentDetail, LatentSummary, QUANTILES, RankedSentence, collect, fits,
};
use sparsescope_core::{Error, Result};
use std::path::PathBuf;

/// List the latents of a dictionary with the contexts they fire most strongly in
#[derive(Args, Clone)]
#[command(after_help = "\
What was collected is kept in one file beside the dictionary (--file). Asked again with the same
settings, it is read from there; stopped on the way (Ctrl-C), it goes on where it was. With other
settings it is left alone unless --again is given.

Examples:
  sparsescope features my-sae --top 20 --sort max
  sparsescope features my-sae --tokens 10000000
  sparsescope features my-sae --latent 17")]
pub struct FeaturesArgs {
    #[command(flatten)]
    with: WithSae,
    /// Tokens to look at
    #[arg(long, default_value_t = 200_000, value_name = "N")]
    tokens: u64,
    /// Show all that is known of one latent instead of a list
    #[arg(long, value_name = "N")]
    latent: Option<u32>,
    /// File to keep what is collected in [default: features.safetensors beside the dictionary]
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Collect anew though the file holds what was collected with other settings
    #[arg(long)]
    again: bool,
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

/// What is to be shown.
struct Found {
    about: FeatureAbout,
    table: FeatureTable,
    /// In the order of the list, or the one latent that was asked for.
    details: Vec<LatentDetail>,
}

/// Collects, unless that was done before, and lists.
///
/// # Errors
/// The dictionary does not fit the model; unreadable text; cancelled.
pub fn run(args: &FeaturesArgs, global: &Global) -> Result<Report> {
    let (asked, settings) = (args.clone(), global.clone());
    let found = watch::quietly("Collect features", move |ctx| {
        let Opened { sae, model, spec } = asked.with.open(ctx, &settings)?;
        let spec = CollectSpec {
            tokens: asked.tokens,
            seed: spec.seed,
            allow_foreign: spec.allow_foreign,
            ..CollectSpec::new(spec.corpus, spec.rows)
        };
        let usual = || folder_of(&asked.with.sae).join("features.safetensors");
        let path = asked.file.clone().unwrap_or_else(usual);
        let table = match FeatureFile::open(&path) {
            Ok(mut file) if fits(file.about(), &model, &sae, &spec) => file.table()?,
            Ok(file) if !asked.again => return Err(held(&path, file.about())),
            _ => collect(ctx, &model, &sae, &spec, &path)?,
        };
        let mut file = FeatureFile::open(&path)?;
        let details = match asked.latent {
            Some(latent) => vec![file.detail(latent as usize)?],
            None => sorted(&table, &asked)
                .iter()
                .map(|l| file.detail(l.index as usize))
                .collect::<Result<_>>()?,
        };
        Ok(Found { about: file.about().clone(), table, details })
    })?;
    match args.latent {
        Some(_) => one(&found, args),
        None => list(&found, args),
    }
}

/// What was collected may have taken hours: it is not replaced unasked.
fn held(path: &std::path::Path, about: &FeatureAbout) -> Error {
    Error::setting(
        "The features are not collected",
        format!(
            "{} holds those of {} tokens of {}, collected with other settings",
            path.display(),
            count(about.tokens),
            about.spec.corpus
        ),
        "Give --again to collect anew in their place, or --file for another file",
    )
}

fn list(found: &Found, args: &FeaturesArgs) -> Result<Report> {
    let table = &found.table;
    let silent = table.latents.iter().filter(|l| l.fired == 0).count();
    let listed = sorted(table, args);
    let features: Vec<serde_json::Value> = listed
        .iter()
        .zip(&found.details)
        .map(|(summary, detail)| {
            let mut value = as_json(summary)?;
            let shown = &detail.top()[..detail.top().len().min(args.contexts)];
            value["contexts"] = as_json(&shown)?;
            Ok(value)
        })
        .collect::<Result<_>>()?;
    let json = json!({
        "sae": args.with.sae,
        "corpus": table.corpus,
        "tokens": table.tokens,
        "latents": table.latents.len(),
        "silent": silent,
        "features": features,
    });
    let style = Style::of_stdout();
    let mut lines = Table::new(&[">latent", ">density", ">mean", ">max", "fires on"]);
    for (latent, detail) in listed.iter().zip(&found.details) {
        let mut number = latent.index.to_string();
        let [mut density, mut mean, mut max] =
            [latent.density, latent.mean, latent.max].map(|x| figure(x.into()));
        for context in detail.top().iter().take(args.contexts.max(1)) {
            let shown = if args.contexts == 0 { String::new() } else { drawn(context, style) };
            lines.row([number, density, mean, max, shown]);
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

fn one(found: &Found, args: &FeaturesArgs) -> Result<Report> {
    let missing = || Error::internal("The latent cannot be shown", "it was not read");
    let detail = found.details.first().ok_or_else(missing)?;
    let summary =
        found.table.latents.iter().find(|l| l.index == detail.latent).ok_or_else(missing)?;
    let json = json!({
        "sae": args.with.sae,
        "about": as_json(&found.about)?,
        "summary": as_json(summary)?,
        "detail": as_json(detail)?,
    });
    let tokens = count(found.about.tokens);
    let mut text =
        format!("Latent {} on {tokens} tokens of {}.\n", detail.latent, found.table.corpus);
    if summary.fired == 0 {
        return Report::new(&json, text + "It never fired.\n");
    }
    let style = Style::of_stdout();
    let quantiles: Vec<String> = QUANTILES
        .iter()
        .zip(summary.quantiles)
        .map(|(q, v)| format!("{} % {}", (q * 100.0).round(), figure(v.into())))
        .collect();
    text += &format!(
        "Fires on {} of them (density {}); where it fires: mean {}, max {}; quantiles {}.\n",
        count(summary.fired),
        figure(summary.density.into()),
        figure(summary.mean.into()),
        figure(summary.max.into()),
        quantiles.join(", ")
    );
    let context = |c: &Context| {
        let peak = c.activations.get(c.peak).copied().unwrap_or(0.0);
        [figure(peak.into()), drawn(c, style)]
    };
    for ContextGroup { kind, contexts } in &detail.groups {
        let mut lines = Table::new(&[">activation", "context"]);
        contexts.iter().for_each(|c| lines.row(context(c)));
        text += &format!("\n{}\n{}", title(kind), lines.render(style));
    }
    let sentence = |s: &RankedSentence| [figure(s.score.into()), drawn(&s.context, style)];
    for (by, sentences) in [
        ("mean activation", &detail.sentences.by_mean),
        ("activation on the last token", &detail.sentences.by_last),
        ("greatest activation", &detail.sentences.by_max),
    ] {
        let mut lines = Table::new(&[">score", "sentence"]);
        sentences.iter().for_each(|s| lines.row(sentence(s)));
        text += &format!("\nSentences by {by}\n{}", lines.render(style));
    }
    let mut lines = Table::new(&[">latent", ">both", ">Jaccard", ">correlation"]);
    for c in &detail.coactive {
        let [jaccard, correlation] = [c.jaccard, c.correlation].map(|x| figure(x.into()));
        lines.row([c.latent.to_string(), count(c.both.into()), jaccard, correlation]);
    }
    text += &format!(
        "\nFires together with, counted on {} tokens drawn at random ({} with this latent)\n{}",
        count(detail.coactive_tokens),
        count(detail.coactive_fired),
        lines.render(style)
    );
    Report::new(&json, text)
}

fn title(kind: &GroupKind) -> String {
    match kind {
        GroupKind::Top => "The strongest contexts, one a row of text at most".to_owned(),
        GroupKind::Quantile { from, to, low, high } => format!(
            "Drawn from {} % to {} % of its activations ({} to {})",
            (from * 100.0).round(),
            (to * 100.0).round(),
            figure((*low).into()),
            figure((*high).into())
        ),
    }
}

fn as_json<T: serde::Serialize>(value: &T) -> Result<serde_json::Value> {
    serde_json::to_value(value)
        .map_err(|e| Error::internal("The result could not be written", e.to_string()))
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
