//! `eval`: how good a dictionary is.

use super::input::{ModelArgs, TextArgs, usual_rows};
use super::report::Report;
use super::table::{Style, Table, count, figure, percent};
use super::train::request::{Rows, TrainRequest};
use super::{Global, input, watch};
use clap::Args;
use serde_json::json;
use sparsescope_core::corpus::CorpusSpec;
use sparsescope_core::evaluation::{EvalSpec, Evaluation, evaluate};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::sae::Sae;
use sparsescope_core::{Error, Result};
use std::path::{Path, PathBuf};

/// Measure a dictionary: L0, FVU, loss recovered, shrinkage, dead latents
#[derive(Args, Clone)]
#[command(after_help = "\
Model, corpus and row cutting are those the dictionary was trained with unless others are given.
The built-in corpus never repeats the text of the training; with a file, --skip passes over it.

Examples:
  sparsescope eval my-sae
  sparsescope eval my-sae --model ~/models/TinyLlama --corpus held-out.txt --json")]
pub struct EvalArgs {
    #[command(flatten)]
    with: WithSae,
    /// Tokens to look at
    #[arg(long, default_value_t = 50_000, value_name = "N")]
    tokens: u64,
    /// Tokens at the beginning of the corpus to pass over
    #[arg(long, default_value_t = 0, value_name = "N")]
    skip: u64,
}

/// A dictionary and what to look at it with.
#[derive(Args, Clone)]
pub struct WithSae {
    /// Folder of the dictionary
    pub sae: PathBuf,
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub text: TextArgs,
    /// Go on though the dictionary was trained on another model
    #[arg(long)]
    pub allow_foreign: bool,
}

/// A dictionary with the model and the text that are meant.
pub struct Opened {
    /// The dictionary.
    pub sae: Sae,
    /// The model.
    pub model: Model,
    /// The text and its rows, in a specification whose other settings are the usual ones.
    pub spec: EvalSpec,
}

impl WithSae {
    /// Opens both. What is not given is taken from the request that the dictionary was trained by,
    /// if that lies beside it, else from the built-in world.
    ///
    /// # Errors
    /// The dictionary or the model cannot be read.
    pub fn open<E>(&self, ctx: &JobContext<E>, global: &Global) -> Result<Opened> {
        let folder = folder_of(&self.sae);
        let sae = Sae::load(folder)?;
        let kept = TrainRequest::kept_in(folder)?.map(|r| r.rows);
        let (mut path, mut corpus, mut rows) = (None, None, None);
        if let Some(Rows::Model { model, stream, .. }) = kept {
            (path, corpus, rows) = (Some(model), Some(stream.corpus), Some(stream.rows));
        }
        let path = match (&self.model.model, path) {
            (None, Some(path)) => path,
            _ => self.model.path()?,
        };
        let model = input::open_model(ctx, &path, global)?;
        let corpus = self.text.corpus()?.or(corpus).unwrap_or(CorpusSpec::Builtin(None));
        let rows = self.text.rows(rows.unwrap_or_else(|| usual_rows(&model)));
        let spec = EvalSpec {
            seed: global.seed(),
            allow_foreign: self.allow_foreign,
            ..EvalSpec::new(corpus, rows)
        };
        Ok(Opened { sae, model, spec })
    }
}

/// The folder of a dictionary of which the folder or a file is named.
pub fn folder_of(path: &Path) -> &Path {
    match path.is_file() {
        true => path.parent().unwrap_or(path),
        false => path,
    }
}

/// Measures.
///
/// # Errors
/// The dictionary does not fit the model; unreadable text; cancelled.
pub fn run(args: &EvalArgs, global: &Global) -> Result<Report> {
    let (asked, settings) = (args.clone(), global.clone());
    let (sae, found) = watch::quietly("Evaluate", move |ctx| {
        let Opened { sae, model, spec } = asked.with.open(ctx, &settings)?;
        let spec = EvalSpec { tokens: asked.tokens, skip: asked.skip, ..spec };
        let found = evaluate(ctx, &model, &sae, &spec)?;
        Ok((sae, found))
    })?;
    let mut json = serde_json::to_value(&found)
        .map_err(|e| Error::internal("The result could not be written", e.to_string()))?;
    json["sae"] = json!(args.with.sae);
    json["hash"] = json!(sae.hash());
    Report::new(&json, text(&args.with.sae, &found))
}

/// The figures, under what they were measured on.
fn text(path: &Path, e: &Evaluation) -> String {
    let head = format!(
        "{} on {} tokens of {}, seed {}\n\n",
        path.display(),
        count(e.tokens),
        e.corpus,
        e.seed
    );
    head + &figures(e).render(Style::of_stdout())
}

/// The figures with what each means.
pub fn figures(e: &Evaluation) -> Table {
    let mut table = Table::new(&["measure", ">value", "meaning"]);
    let mut row = |name: &str, value: String, meaning: &str| table.row([name, &value, meaning]);
    row("L0", figure(e.l0), "mean number of active latents a token");
    row("FVU", figure(e.fvu), "Σ‖x−x̂‖² / Σ‖x−mean x‖², pooled");
    row("FVU per token", figure(e.fvu_per_token), "mean of each token's own ratio");
    row("MSE", figure(e.mse), "mean of ‖x−x̂‖², summed over the width");
    row("γ", figure(e.gamma), "E‖x̂‖² / E[x·x̂]; under 1 the dictionary shrinks");
    row("dead", percent(e.dead), "latents that fired on none of these tokens");
    if let Some(loss) = &e.loss {
        row("loss recovered", percent(loss.recovered), "(zero − SAE) / (zero − model)");
        row("loss, model", figure(loss.model), "nats a token, the model as it is");
        row("loss, SAE", figure(loss.sae), "its site replaced by the reconstruction");
        row("loss, zero", figure(loss.zero), "its site replaced by zero");
    }
    table
}
