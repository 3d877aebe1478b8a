//! `circuit eval`: what the model does with and without a circuit.

use super::super::report::Report;
use super::super::table::{Style, Table};
use super::super::{Global, watch};
use super::{BasesArgs, TaskArgs};
use clap::Args;
use serde_json::json;
use sparsescope::work::circuit_graph::open_file;
use sparsescope_core::circuits::{
    Ablation, Circuit, Curve, Cut, Errors, Estimate, Examples, Judge, JudgeSpec, Node, Verdict,
    checks, counts,
};
use sparsescope_core::llama::Site;
use sparsescope_core::{Error, Result};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Judge a circuit: faithfulness and completeness on held-out pairs, and what a cut changes
#[derive(Args, Clone)]
#[command(after_help = "\
F(M) is the mean metric of the model, F(C) that of the circuit alone with every other node put away,
F(0) with every node put away. Faithfulness is (F(C) - F(0)) / (F(M) - F(0)), completeness the same
of all nodes but the circuit's: 0 is best.

Examples:
  sparsescope circuit eval circuit.json --saes saes --task world:across-rc --curve 12 --random 3
  sparsescope circuit eval circuit.json --saes saes --task world:across-rc --cut \"resid.2/41 zero\"")]
pub struct EvalArgs {
    /// The circuit's file, as `circuit find --out` writes it
    #[arg(value_name = "CIRCUIT")]
    circuit: PathBuf,
    #[command(flatten)]
    with: BasesArgs,
    #[command(flatten)]
    task: TaskArgs,
    /// What nodes that are put away become: mean, zero or resample
    #[arg(long, default_value_t = Ablation::Mean, value_name = "HOW")]
    ablation: Ablation,
    /// Error terms: nodes like all others, keep, or cut
    #[arg(long, default_value_t = Errors::AsNodes, value_name = "HOW")]
    errors: Errors,
    /// Sites to leave whole; early for the embedding and the first third of the blocks
    #[arg(long, value_delimiter = ',', value_name = "SITES")]
    exempt: Vec<String>,
    /// A cut, as \"NODE,NODE,… zero|mean|resample|scale S|set V\"; may be given again
    #[arg(long, value_name = "CUT")]
    cut: Vec<Cut>,
    /// Keep only these nodes of the circuit
    #[arg(long, value_delimiter = ',', value_name = "NODES")]
    keep: Vec<Node>,
    /// Keep only so many nodes of the circuit, the strongest
    #[arg(long, value_name = "N")]
    strongest: Option<usize>,
    /// Pairs to judge by at most
    #[arg(long, default_value_t = 100, value_name = "N")]
    pairs: usize,
    /// Judge so many circuits of the strongest nodes too, from one node to all
    #[arg(long, value_name = "POINTS")]
    curve: Option<usize>,
    /// Judge so many random circuits of the same size at every point
    #[arg(long, default_value_t = 0, value_name = "DRAWS")]
    random: usize,
    /// Go on though dictionaries do not fit or the task has changed; what that risks is said
    #[arg(long)]
    anyway: bool,
}

struct Found {
    verdict: Verdict,
    curve: Curve,
    held_out: bool,
    warnings: Vec<String>,
}

/// Judges.
///
/// # Errors
/// Circuit, model, dictionaries or task cannot be read or do not belong together; cancelled.
pub fn run(args: &EvalArgs, global: &Global) -> Result<Report> {
    let circuit = open_file(&args.circuit)?.circuit;
    let (asked, settings, judged) = (args.clone(), global.clone(), circuit.clone());
    let found = watch::quietly("Judge a circuit", move |ctx| {
        let mut with = asked.with.clone();
        if with.sites.is_empty() {
            with.sites = judged.conventions.saes.keys().copied().collect();
        }
        let (model, bases) = with.open(ctx, &settings)?;
        checks::unchanged(&judged, &model, &bases)?;
        let task = asked.task.open(judged.conventions.spec.seed)?;
        let mut warnings = Vec::new();
        if checks::changed(&judged, &model, &bases, Some(&task)).contains(&checks::Changed::Task) {
            let why =
                format!("it was found on {:?} with other pairs", judged.conventions.task.name);
            if !asked.anyway {
                return Err(Error::setting(
                    "The circuit cannot be judged by held-out pairs of this task",
                    why,
                    "Give the task that it was found on, or --anyway to judge by any pairs of this one",
                ));
            }
            warnings.push(format!("{why}: it cannot be said which of these pairs it has not seen"));
        }
        let then = &judged.conventions.spec;
        let examples = Examples::prepare(&model, &task, &then.metric, then.change)?.some()?;
        let (examples, held_out) = examples.to_judge(&judged);
        // Of another task it cannot be said.
        let held_out = held_out && warnings.is_empty();
        let examples = examples.drawn(asked.pairs, then.seed);
        for doubt in checks::fitting(ctx, &model, &bases, &examples, asked.anyway)? {
            warnings.push(format!("{doubt}; {}", checks::RISK));
        }
        let layers = model.config().layers;
        let spec = JudgeSpec {
            metric: then.metric.clone(),
            ablation: asked.ablation,
            errors: asked.errors,
            exempt: exempt(&asked.exempt, layers)?,
            seed: settings.seed.unwrap_or(then.seed),
        };
        ctx.progress().stage("Judging", "circuits", 0, 0);
        let judge = Judge::new(ctx, &model, &bases, &examples, spec)?;
        let ranked = ranked(&judged);
        let nodes = chosen(&asked, &ranked);
        let verdict = judge.verdict(ctx, &nodes, &asked.cut)?;
        let mut curve = Curve::default();
        let sizes = asked.curve.map_or_else(Vec::new, |points| counts(ranked.len(), points));
        curve.points = judge.curve(ctx, &ranked, &sizes, |_| ())?;
        if asked.random > 0 {
            for size in if sizes.is_empty() { vec![nodes.len()] } else { sizes } {
                let nodes: BTreeSet<Node> = match asked.curve {
                    Some(_) => ranked.iter().take(size).copied().collect(),
                    None => nodes.clone(),
                };
                curve.random.push(judge.random(ctx, &nodes, asked.random)?);
            }
        }
        Ok(Found { verdict, curve, held_out, warnings })
    })?;
    report(args, &circuit, &found)
}

fn exempt(names: &[String], layers: usize) -> Result<Vec<Site>> {
    let mut out = Vec::new();
    for name in names {
        match name.as_str() {
            "early" => out.extend(JudgeSpec::first_third(layers)),
            name => out.push(name.parse()?),
        }
    }
    Ok(out)
}

/// The strongest first.
fn ranked(circuit: &Circuit) -> Vec<Node> {
    let mut nodes: Vec<_> = circuit.nodes.iter().collect();
    nodes.sort_by(|a, b| b.effect.mean.abs().total_cmp(&a.effect.mean.abs()));
    nodes.into_iter().map(|node| node.node).collect()
}

fn chosen(args: &EvalArgs, ranked: &[Node]) -> BTreeSet<Node> {
    let most = args.strongest.unwrap_or(usize::MAX);
    let within = |node: &&Node| args.keep.is_empty() || args.keep.contains(node);
    ranked.iter().take(most).filter(within).copied().collect()
}

fn report(args: &EvalArgs, circuit: &Circuit, found: &Found) -> Result<Report> {
    let Found { verdict, curve, held_out, warnings } = found;
    let json = json!({
        "circuit": args.circuit,
        "task": circuit.conventions.task.name,
        "ablation": args.ablation,
        "errors": args.errors,
        "exempt": args.exempt,
        "held_out": held_out,
        "verdict": verdict,
        "curve": curve,
        "warnings": warnings,
    });
    let estimate = |e: Estimate| format!("{:.3} ± {:.3}", e.mean, e.error);
    let share = |e: Option<Estimate>| e.map_or_else(|| "–".to_owned(), estimate);
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let mut table = Table::new(&["", ">F", ">pairs right"]);
    let a = &verdict.accuracy;
    let mut row = |name: &str, value: Estimate, right: Option<f64>| {
        table.row([name.to_owned(), estimate(value), right.map_or_else(String::new, percent)]);
    };
    let cut = !verdict.cuts.is_empty();
    row("model, F(M)", verdict.model, Some(a.model));
    if cut {
        row("model with the cuts", verdict.cut_model, Some(a.cut_model));
    }
    row("circuit, F(C)", verdict.uncut_circuit, Some(a.uncut_circuit));
    if cut {
        row("circuit with the cuts", verdict.circuit, Some(a.circuit));
    }
    row("all but the circuit", verdict.complement, None);
    row("nothing, F(0)", verdict.empty, Some(a.empty));
    let mut text = table.render(Style::of_stdout());
    let pairs = verdict.pairs.len();
    let which = if *held_out { "held-out pairs" } else { "pairs, not known to be held out" };
    text += &format!("{} nodes, on {pairs} {which}\n", verdict.nodes);
    text += &format!("faithfulness {}", share(verdict.uncut_faithfulness));
    if cut {
        text += &format!(", with the cuts {}", share(verdict.faithfulness));
    }
    text += &format!("; completeness {} (0 is best)\n", share(verdict.completeness));
    if !curve.points.is_empty() || !curve.random.is_empty() {
        let mut table = Table::new(&[">nodes", ">faithfulness", ">completeness", ">random nodes"]);
        let random = |nodes: usize| {
            let point = curve.random.iter().find(|r| r.nodes == nodes);
            share(point.and_then(|r| r.faithfulness))
        };
        for p in &curve.points {
            table.row([
                p.nodes.to_string(),
                share(p.faithfulness),
                share(p.completeness),
                random(p.nodes),
            ]);
        }
        if curve.points.is_empty() {
            for r in &curve.random {
                let dash = "–".to_owned();
                table.row([r.nodes.to_string(), dash.clone(), dash, share(r.faithfulness)]);
            }
        }
        text += &table.render(Style::of_stdout());
    }
    for warning in warnings {
        text += &format!("Take care: {warning}.\n");
    }
    Report::new(&json, text)
}
