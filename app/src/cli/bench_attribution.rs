//! `bench attribution`: how long finding a circuit takes.

use super::report::Report;
use super::table::{Style, Table, count};
use super::{Global, watch};
use clap::Args;
use serde_json::json;
use sparsescope_core::benchmark::{AttributionShape, attribution};
use sparsescope_core::{Result, device};

/// Finding a circuit: effects of all nodes, and edges
#[derive(Args, Clone)]
#[command(after_help = "\
A Llama of random weights (6 blocks of width 288, 32,000 tokens) with a random dictionary at each of
its 19 sites. Seconds are those of a pair.

Example:
  sparsescope bench attribution --threads 1 --json")]
pub struct AttributionArgs {
    /// Pairs
    #[arg(long, default_value_t = 4, value_name = "N")]
    batch: usize,
    /// Tokens of a prompt
    #[arg(long, default_value_t = 16, value_name = "N")]
    positions: usize,
    /// Position at which the prompts of a pair differ [default: the middle]
    #[arg(long, value_name = "N")]
    differ: Option<usize>,
    /// Latents of each dictionary as a multiple of the width
    #[arg(long, default_value_t = 8, value_name = "N")]
    expansion: usize,
    /// Latents kept for each token [default: a ReLU dictionary, of which half are active]
    #[arg(long, value_name = "N")]
    k: Option<usize>,
    /// Steps of integrated gradients
    #[arg(long, default_value_t = 10, value_name = "N")]
    steps: usize,
    /// Nodes whose incoming edges are computed
    #[arg(long, default_value_t = 200, value_name = "N")]
    nodes: usize,
    /// Times that each is run in a repetition
    #[arg(long, default_value_t = 3, value_name = "N")]
    passes: usize,
    /// Repetitions, of which the median counts
    #[arg(long, default_value_t = 5, value_name = "N")]
    reps: usize,
}

/// Measures.
///
/// # Errors
/// A shape that makes no sense; cancelled.
pub fn run(args: &AttributionArgs, global: &Global) -> Result<Report> {
    let shape = AttributionShape {
        batch: args.batch,
        positions: args.positions,
        differ: args.differ.unwrap_or(args.positions / 2),
        expansion: args.expansion,
        k: args.k,
        steps: args.steps,
        nodes: args.nodes,
        passes: args.passes,
        repetitions: args.reps,
        seed: global.seed(),
    };
    let asked = shape.clone();
    let found = watch::quietly("Bench attribution", move |ctx| attribution(ctx, &asked))?;
    let json = json!({
        "bench": "attribution",
        "threads": device::threads(),
        "shape": shape,
        "figures": found,
    });
    let mut table = Table::new(&["a pair", ">CPU seconds", ">seconds", ">effects or edges"]);
    for timing in &found {
        table.row([
            timing.work.clone(),
            timing.cpu_seconds.map_or_else(|| "–".to_owned(), |s| format!("{s:.4}")),
            format!("{:.4}", timing.seconds),
            count(timing.outcome as u64),
        ]);
    }
    Report::new(&json, table.render(Style::of_stdout()))
}
