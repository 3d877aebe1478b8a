//! `circuit edges`: how the nodes of a circuit act on one another.

use super::super::report::Report;
use super::super::table::{Style, Table, count};
use super::super::{Global, watch};
use super::{BasesArgs, TaskArgs};
use clap::Args;
use serde_json::json;
use sparsescope::work::circuit_graph::{open_file, save_file};
use sparsescope_core::circuits::checks::{self, Changed};
use sparsescope_core::circuits::{Circuit, Examples, connect};
use sparsescope_core::{Error, Result};
use std::path::PathBuf;
use std::time::Instant;

/// Rows of the table of edges on a terminal.
const SHOWN: usize = 20;

/// Compute the edges between the nodes of a circuit, and from them to the metric
#[derive(Args, Clone)]
#[command(after_help = "\
The weight of an edge is what a change of its first node does to the metric directly through its
second, past all nodes in between; the pairs are those by which the circuit was found.

Example:
  sparsescope circuit edges circuit.json --saes saes --task world:across-rc --out circuit.json")]
pub struct EdgesArgs {
    /// File of the circuit, as `circuit find --out` writes it
    circuit: PathBuf,
    #[command(flatten)]
    with: BasesArgs,
    #[command(flatten)]
    task: TaskArgs,
    /// Edges are kept whose mean weight is greater than this in size [default: what the circuit
    /// says]
    #[arg(long, value_name = "X")]
    edges: Option<f32>,
    /// File to write the circuit with its edges to
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Computes them.
///
/// # Errors
/// Files that cannot be read; a model, dictionaries or a task that the circuit was not found with;
/// cancelled.
pub fn run(args: &EdgesArgs, global: &Global) -> Result<Report> {
    let (asked, settings) = (args.clone(), global.clone());
    let (circuit, seconds) = watch::quietly("Connect a circuit", move |ctx| {
        let read = open_file(&asked.circuit)?;
        let mut circuit = read.circuit;
        let seed = settings.seed.unwrap_or(circuit.conventions.spec.seed);
        let mut with = asked.with.clone();
        if with.sites.is_empty() {
            with.sites = circuit.conventions.saes.keys().copied().collect();
        }
        let (model, bases) = with.open(ctx, &settings)?;
        let task = asked.task.open(seed)?;
        checks::unchanged(&circuit, &model, &bases)?;
        if circuit.conventions.task.hash != task.hash() {
            return Err(Error::setting(
                "The edges would not be those of this circuit",
                Changed::Task.to_string(),
                "Name the task that it was found on (and its seed), or find the circuit again",
            ));
        }
        let spec = &mut circuit.conventions.spec;
        spec.edge_threshold = asked.edges.unwrap_or(spec.edge_threshold);
        spec.validate()?;
        let examples = Examples::prepare(&model, &task, &spec.metric, spec.change)?;
        let since = Instant::now();
        connect(ctx, &model, &bases, &examples, &mut circuit)?;
        let seconds = since.elapsed().as_secs_f64();
        if let Some(out) = &asked.out {
            save_file(&circuit, &read.view, &read.labels, out, false)?;
        }
        Ok((circuit, seconds))
    })?;
    let mut json = serde_json::to_value(&circuit)
        .map_err(|e| Error::internal("The result could not be written", e.to_string()))?;
    json["seconds"] = json!(seconds);
    let mut text = text(&circuit);
    if let Some(out) = &args.out {
        text += &format!("\nThe circuit is in {}\n", out.display());
    }
    Report::new(&json, text)
}

fn text(circuit: &Circuit) -> String {
    let mut out = format!(
        "{} edges of {} nodes (weight greater than {})\n\n",
        count(circuit.edges.len() as u64),
        count(circuit.nodes.len() as u64),
        circuit.conventions.spec.edge_threshold
    );
    let mut order: Vec<_> = circuit.edges.iter().collect();
    order.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
    let name = |place: u32| {
        circuit.nodes.get(place as usize).map_or_else(String::new, |n| n.node.to_string())
    };
    let mut table = Table::new(&["from", "to", ">weight"]);
    for edge in order.iter().take(SHOWN) {
        let to = edge.to.map_or_else(|| "the metric".to_owned(), name);
        table.row([name(edge.from), to, format!("{:+.4}", edge.weight)]);
    }
    out += &table.render(Style::of_stdout());
    if order.len() > SHOWN {
        out += &format!("and {} more\n", count((order.len() - SHOWN) as u64));
    }
    out
}
