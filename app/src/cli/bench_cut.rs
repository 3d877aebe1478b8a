//! `bench cut`: how long a verdict takes after a click on a node of a circuit.

use super::report::Report;
use super::table::{Style, Table};
use super::{Global, input, watch};
use clap::Args;
use serde_json::json;
use sparsescope_core::benchmark::{self, CutShape, Lap};
use sparsescope_core::{Result, device};

/// A verdict on a circuit after one of its nodes was cut, on the built-in model
#[derive(Args, Clone)]
#[command(after_help = "\
Every site has a random dictionary with k latents on each token. A click cuts one node of a circuit
of drawn nodes; the verdict that follows is F(M), F(C) and faithfulness with the cut, on all pairs.

Example:
  sparsescope bench cut --threads 4 --json")]
pub struct CutArgs {
    /// Task of the built-in world
    #[arg(long, default_value = "across-rc", value_name = "NAME")]
    task: String,
    /// Pairs that are judged by
    #[arg(long, default_value_t = 40, value_name = "N")]
    pairs: usize,
    /// Latents of each dictionary
    #[arg(long, default_value_t = 512, value_name = "N")]
    latents: usize,
    /// Latents on each token
    #[arg(long, default_value_t = 16, value_name = "N")]
    k: usize,
    /// Nodes of the circuit
    #[arg(long, default_value_t = 100, value_name = "N")]
    nodes: usize,
    /// Clicks, of which the median counts
    #[arg(long, default_value_t = 30, value_name = "N")]
    clicks: usize,
}

/// Measures.
///
/// # Errors
/// A shape that makes no sense; cancelled.
pub fn run(args: &CutArgs, global: &Global) -> Result<Report> {
    let shape = CutShape {
        task: args.task.clone(),
        pairs: args.pairs,
        latents: args.latents,
        k: args.k,
        nodes: args.nodes,
        clicks: args.clicks,
        seed: global.seed(),
    };
    let (asked, settings) = (shape.clone(), global.clone());
    let figures = watch::quietly("Bench cut", move |ctx| {
        let model = input::open_model(ctx, input::BUILTIN.as_ref(), &settings)?;
        benchmark::cut(ctx, &model, &asked)
    })?;
    let threads = device::threads();
    let json = json!({ "bench": "cut", "threads": threads, "shape": shape, "figures": figures });
    let mut table = Table::new(&["", ">ms", ">CPU ms"]);
    let ms = |seconds: f64| format!("{:.1}", 1000.0 * seconds);
    for (name, lap) in [
        ("getting ready", figures.ready),
        ("first verdict", figures.first),
        ("verdict after a click", figures.click),
        ("undoing it", figures.undo),
    ] {
        let Lap { seconds, cpu_seconds } = lap;
        table.row([name.to_owned(), ms(seconds), cpu_seconds.map_or_else(|| "–".to_owned(), ms)]);
    }
    let tail = format!(
        "{} pairs of {} tokens, {} sites, {threads} threads; the slowest click {} ms\n",
        shape.pairs,
        figures.positions,
        figures.sites,
        ms(figures.slowest),
    );
    Report::new(&json, table.render(Style::of_stdout()) + &tail)
}
