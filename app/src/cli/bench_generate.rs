//! `bench generate`: how fast text is written, and what steering it costs.

use super::report::Report;
use super::table::{Style, Table, count};
use super::{Global, input, watch};
use clap::Args;
use serde_json::json;
use sparsescope_core::benchmark::{self, GenerateShape};
use sparsescope_core::llama::Site;
use sparsescope_core::{Result, device};
use std::path::PathBuf;

/// Text written a token at a time, unsteered and steered
#[derive(Args, Clone)]
#[command(after_help = "\
Every site has a random dictionary with k latents on each token. In each round every case writes one
text; a case's cost is its time over that of the unsteered text of the same round.

Example:
  sparsescope bench generate --threads 4 --json")]
pub struct GenerateBenchArgs {
    /// A model to measure instead of the built-in one
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// How the text begins
    #[arg(long, default_value = "The pilots near the old house", value_name = "TEXT")]
    prompt: String,
    /// Tokens of each text
    #[arg(long, default_value_t = 200, value_name = "N")]
    tokens: usize,
    /// The site that is steered
    #[arg(long, default_value = "resid.2")]
    site: Site,
    /// Latents of each dictionary
    #[arg(long, default_value_t = 512, value_name = "N")]
    latents: usize,
    /// Latents on each token
    #[arg(long, default_value_t = 16, value_name = "N")]
    k: usize,
    /// Rounds, of which the one in the middle counts
    #[arg(long, default_value_t = 15, value_name = "N")]
    rounds: usize,
}

/// Measures.
///
/// # Errors
/// A shape that makes no sense; cancelled.
pub fn run(args: &GenerateBenchArgs, global: &Global) -> Result<Report> {
    let shape = GenerateShape {
        prompt: args.prompt.clone(),
        tokens: args.tokens,
        site: args.site,
        latents: args.latents,
        k: args.k,
        rounds: args.rounds,
        seed: global.seed(),
    };
    let (asked, settings) = (shape.clone(), global.clone());
    let path = args.model.clone().unwrap_or_else(|| input::BUILTIN.into());
    let figures = watch::quietly("Bench generate", move |ctx| {
        let model = input::open_model(ctx, &path, &settings)?;
        benchmark::generate(ctx, &model, &asked)
    })?;
    let json = json!({
        "bench": "generate",
        "model": args.model.as_ref().map_or_else(|| "builtin".into(), |m| m.display().to_string()),
        "threads": device::threads(),
        "shape": shape,
        "figures": figures,
    });
    let mut table = Table::new(&["", ">tokens/s", ">cost"]);
    for case in &figures.cases {
        table.row([
            case.name.clone(),
            count(case.tokens_per_second as u64),
            format!("{:+.1} %", 100.0 * (case.cost - 1.0)),
        ]);
    }
    Report::new(&json, table.render(Style::of_stdout()))
}
