//! `circuit find`: the nodes of a circuit.

use super::super::report::Report;
use super::super::table::{Style, Table, count, figure};
use super::super::{Global, watch};
use super::{BasesArgs, TaskArgs, examples};
use clap::{Args, ValueEnum};
use serde_json::json;
use sparsescope::work::circuit_graph::save_file;
use sparsescope_core::circuits::View;
use sparsescope_core::circuits::checks;
use sparsescope_core::circuits::{
    Aggregation, Change, Circuit, Estimate, FindSpec, Method, Metric, connect, find,
};
use sparsescope_core::{Error, IoContext as _, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// Rows of the table of nodes on a terminal.
const SHOWN: usize = 20;

/// Find the nodes of a circuit: latents and errors whose change changes the behaviour
#[derive(Args, Clone)]
#[command(after_help = "\
A node's effect is F(clean) - F(node changed), with F the metric: positive where the node supports
the behaviour. Circuits are found on half of the pairs, drawn by the seed; the others are left to
judge them by.

Examples:
  sparsescope sweep --site all --l0 16 --latents 512 --out saes
  sparsescope circuit find --saes saes --task world:across-rc --out circuit.json
  sparsescope circuit find --task world:simple --method relp --nodes 0.05 --json")]
pub struct FindArgs {
    #[command(flatten)]
    with: BasesArgs,
    #[command(flatten)]
    task: TaskArgs,
    /// How effects are estimated: atp, ig (or ig:STEPS), relp or exact
    #[arg(long, default_value_t = Method::default(), value_name = "HOW")]
    method: Method,
    /// What is measured: logit-difference, log-probability, or a JSON file with a probe
    #[arg(long, default_value = "logit-difference", value_name = "WHAT")]
    metric: String,
    /// What nodes are changed to: their value on the patch prompt, or zero
    #[arg(long, value_enum, default_value_t = ChangeArg::Patch)]
    change: ChangeArg,
    /// What a node is: a latent at all positions, or at one
    #[arg(long, value_enum, default_value_t = AggregationArg::Summed)]
    aggregation: AggregationArg,
    /// Nodes are kept whose mean effect is greater than this in size
    #[arg(long, default_value_t = FindSpec::default().node_threshold, value_name = "X")]
    nodes: f32,
    /// Of these so many at most, the greatest
    #[arg(long, default_value_t = FindSpec::default().most_nodes, value_name = "N")]
    most_nodes: usize,
    /// Compute edges too, and keep those whose mean weight is greater than this in size
    #[arg(long, value_name = "X")]
    edges: Option<f32>,
    /// Pairs used at most
    #[arg(long, default_value_t = FindSpec::default().pairs, value_name = "N")]
    pairs: usize,
    /// Use all pairs of the task: none are left to judge by
    #[arg(long)]
    all_pairs: bool,
    /// First positions whose nodes are left out; 1 leaves out BOS
    #[arg(long, default_value_t = 0, value_name = "N")]
    skip: usize,
    /// Kept nodes whose effect is measured exactly too, the greatest first
    #[arg(long, default_value_t = FindSpec::default().audit, value_name = "N")]
    audit: usize,
    /// Resamples of the pairs by which the stability of nodes is judged
    #[arg(long, default_value_t = FindSpec::default().resamples, value_name = "N")]
    resamples: usize,
    /// File to write the circuit to
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ChangeArg {
    Patch,
    Zero,
}

#[derive(Clone, Copy, ValueEnum)]
enum AggregationArg {
    Summed,
    Position,
}

impl FindArgs {
    fn spec(&self, global: &Global) -> Result<FindSpec> {
        let usual = FindSpec::default();
        Ok(FindSpec {
            metric: metric(&self.metric)?,
            method: self.method,
            change: match self.change {
                ChangeArg::Patch => Change::Patch,
                ChangeArg::Zero => Change::Zero,
            },
            aggregation: match self.aggregation {
                AggregationArg::Summed => Aggregation::Summed,
                AggregationArg::Position => Aggregation::PerPosition,
            },
            pairs: self.pairs,
            node_threshold: self.nodes,
            most_nodes: self.most_nodes,
            edge_threshold: self.edges.unwrap_or(usual.edge_threshold),
            skip_positions: self.skip,
            audit: self.audit,
            resamples: self.resamples,
            seed: global.seed(),
        })
    }
}

/// A metric by name, or from a file.
fn metric(name: &str) -> Result<Metric> {
    match name {
        "logit-difference" => return Ok(Metric::LogitDifference),
        "log-probability" => return Ok(Metric::LogProbability),
        _ => (),
    }
    let what = || format!("Could not read the metric {name}");
    let text = std::fs::read_to_string(name).doing(what)?;
    serde_json::from_str(&text).map_err(|e| {
        Error::format(
            what(),
            e.to_string(),
            "Name logit-difference, log-probability, or a file such as {\"probe\": {\"site\": \
             \"resid.2\", \"weights\": [...], \"bias\": 0, \"pool\": \"mean\"}}",
        )
    })
}

/// Finds.
///
/// # Errors
/// Model, dictionaries or task cannot be read or do not fit; cancelled.
pub fn run(args: &FindArgs, global: &Global) -> Result<Report> {
    let (asked, settings) = (args.clone(), global.clone());
    let (circuit, doubts, seconds) = watch::quietly("Find a circuit", move |ctx| {
        let spec = asked.spec(&settings)?;
        let (model, bases) = asked.with.open(ctx, &settings)?;
        let task = asked.task.open(settings.seed())?;
        let what = (&spec.metric, spec.change);
        let examples = examples(&model, &task, what, spec.seed, asked.all_pairs)?;
        let anyway = asked.with.allow_foreign;
        let doubts = checks::fitting(ctx, &model, &bases, &examples, anyway)?;
        let since = Instant::now();
        let mut circuit = find(ctx, &model, &bases, &examples, &spec)?;
        circuit.of_task(&task);
        circuit.conventions.model_name = asked.with.model.path()?.display().to_string();
        if asked.edges.is_some() {
            connect(ctx, &model, &bases, &examples, &mut circuit)?;
        }
        let seconds = since.elapsed().as_secs_f64();
        if let Some(out) = &asked.out {
            save_file(&circuit, &View::default(), &BTreeMap::new(), out, false)?;
        }
        Ok((circuit, doubts, seconds))
    })?;
    let mut json = serde_json::to_value(&circuit)
        .map_err(|e| Error::internal("The result could not be written", e.to_string()))?;
    json["seconds"] = json!(seconds);
    json["doubts"] = json!(doubts);
    let mut text = text(&circuit);
    for doubt in &doubts {
        text += &format!("\nBeware: {doubt}; {}\n", checks::RISK);
    }
    if let Some(out) = &args.out {
        text += &format!("\nThe circuit is in {}\n", out.display());
    }
    Report::new(&json, text)
}

/// The circuit in words, and its greatest nodes.
pub fn text(circuit: &Circuit) -> String {
    let task = &circuit.conventions.task;
    let spec = &circuit.conventions.spec;
    let mut out = format!(
        "{} pairs of {}, {}, by {}, seed {}\n",
        count(task.used.len() as u64),
        task.name,
        spec.metric.name(),
        spec.method,
        spec.seed
    );
    for (why, pairs) in &task.left_out {
        out += &format!("{} pairs left out: {why}\n", count(*pairs as u64));
    }
    out += &format!("metric on the clean prompts {}", estimate(circuit.clean));
    if let Some(patch) = circuit.patch {
        out += &format!(", on the patch prompts {}", estimate(patch));
    }
    out += &format!(
        "\n{} of {} nodes kept (effect greater than {}), {} edges\n",
        count(circuit.nodes.len() as u64),
        count(circuit.candidates as u64),
        spec.node_threshold,
        count(circuit.edges.len() as u64)
    );
    if let Some(stability) = circuit.stability {
        out += &format!(
            "mean Jaccard index with the nodes kept on {} resamples of the pairs: {stability:.2}\n",
            spec.resamples
        );
    }
    let mut order: Vec<_> = circuit.nodes.iter().collect();
    order.sort_by(|a, b| b.effect.mean.abs().total_cmp(&a.effect.mean.abs()));
    let mut table = Table::new(&["node", ">effect", ">exact", ">clean", ">patch", ">stability"]);
    let none = || "–".to_owned();
    for node in order.iter().take(SHOWN) {
        table.row([
            node.node.to_string(),
            estimate(node.effect),
            node.exact.map_or_else(none, estimate),
            figure(f64::from(node.clean)),
            figure(f64::from(node.patch)),
            node.stability.map_or_else(none, |s| format!("{s:.2}")),
        ]);
    }
    out += &format!("\n{}", table.render(Style::of_stdout()));
    if order.len() > SHOWN {
        out += &format!("and {} more\n", count((order.len() - SHOWN) as u64));
    }
    out
}

fn estimate(e: Estimate) -> String {
    format!("{:+.4} ± {:.4}", e.mean, e.error)
}
