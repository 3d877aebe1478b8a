//! `circuit export`, `circuit import`: circuits as attribution graphs and figures, and back.

use crate::cli::report::Report;
use clap::{Args, ValueEnum};
use serde_json::json;
use sparsescope::work::circuit_graph::{figure, open_file, save_figure, save_file};
use sparsescope_core::{Error, Result};
use std::path::PathBuf;

/// Write a circuit as an attribution graph (circuit-tracer, Neuronpedia) or as a figure
#[derive(Args, Clone)]
#[command(after_help = "\
What is shown in a figure is what the file's view shows, or what the thresholds here say.

Examples:
  sparsescope circuit export circuit.json --format graph-json --out circuit.graph.json
  sparsescope circuit export circuit.json --format svg --out figure.svg --most-nodes 40")]
pub struct ExportArgs {
    /// File of the circuit, or an attribution graph
    #[arg(value_name = "CIRCUIT.json")]
    circuit: PathBuf,
    /// What to write
    #[arg(long, value_enum)]
    format: Format,
    /// Where to write it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Figures: show nodes whose effect is at least this in size
    #[arg(long, value_name = "X")]
    node_threshold: Option<f32>,
    /// Figures: show at most so many nodes, the largest first
    #[arg(long, value_name = "N")]
    most_nodes: Option<usize>,
    /// Figures: show edges whose weight is at least this in size
    #[arg(long, value_name = "X")]
    edge_threshold: Option<f32>,
    /// Figures: the title [default: the task's name]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Figures: width and height in points [default: by the number of nodes]
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<[f32; 2]>,
}

/// What a circuit can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An attribution graph as circuit-tracer writes it
    GraphJson,
    /// A figure in vectors
    Svg,
    /// A figure in pixels
    Png,
}

/// Read an attribution graph, written by circuit-tracer or by this program, as a circuit
#[derive(Args, Clone)]
#[command(after_help = "\
Example:
  sparsescope circuit import dallas-austin.json --out circuit.json")]
pub struct ImportArgs {
    /// The attribution graph
    #[arg(value_name = "FILE")]
    graph: PathBuf,
    /// Where to write the circuit
    #[arg(long, value_name = "CIRCUIT.json")]
    out: PathBuf,
}

fn size(text: &str) -> std::result::Result<[f32; 2], String> {
    let number = |word: &str| word.parse::<f32>().ok().filter(|v| (200.0..=8000.0).contains(v));
    let sides = text.split_once('x').and_then(|(w, h)| Some([number(w)?, number(h)?]));
    sides.ok_or_else(|| "write for example 1200x800; a side has 200 to 8000 points".to_owned())
}

/// Writes.
///
/// # Errors
/// The file is no circuit, or the other cannot be written.
pub fn export(args: &ExportArgs) -> Result<Report> {
    let read = open_file(&args.circuit)?;
    let (circuit, mut view) = (read.circuit, read.view);
    if let Some(threshold) = args.node_threshold {
        view.node_threshold = threshold;
    }
    if let Some(threshold) = args.edge_threshold {
        view.edge_threshold = threshold;
    }
    view.most_nodes = args.most_nodes.or(view.most_nodes);
    let shown = view.shown(&circuit);
    let ends = |suffix: &str| args.out.to_string_lossy().to_lowercase().ends_with(suffix);
    match args.format {
        Format::GraphJson => save_file(&circuit, &view, &read.labels, &args.out, true)?,
        Format::Png if !ends(".png") => return Err(wrong_name("a PNG", ".png", args)),
        Format::Svg if ends(".png") => return Err(wrong_name("an SVG", ".svg", args)),
        Format::Svg | Format::Png => {
            let mut figure = figure(&circuit, &view, &read.labels);
            figure.title = args.title.clone().unwrap_or(figure.title);
            figure.size = args.size.unwrap_or(figure.size);
            save_figure(&figure, &args.out)?;
        }
    }
    let json = json!({
        "out": args.out,
        "nodes": circuit.nodes.len(),
        "edges": circuit.edges.len(),
        "nodes_shown": shown.nodes.len(),
        "edges_shown": shown.edges.len(),
    });
    let count = match args.format {
        Format::GraphJson => (circuit.nodes.len(), circuit.edges.len()),
        Format::Svg | Format::Png => (shown.nodes.len(), shown.edges.len()),
    };
    let text = format!("{}: {} nodes, {} edges\n", args.out.display(), count.0, count.1);
    Report::new(&json, text)
}

fn wrong_name(what: &str, end: &str, args: &ExportArgs) -> Error {
    Error::setting(
        format!("{} is no name for {what}", args.out.display()),
        format!("such a file ends in {end}"),
        "Choose another --format or another --out",
    )
}

/// Reads.
///
/// # Errors
/// The file is no attribution graph, or the circuit cannot be written.
pub fn import(args: &ImportArgs) -> Result<Report> {
    let read = open_file(&args.graph)?;
    let mut view = read.view;
    // The file of a circuit has no labels of its own: they become names.
    for (node, label) in &read.labels {
        view.names.entry(*node).or_insert_with(|| label.clone());
    }
    save_file(&read.circuit, &view, &read.labels, &args.out, false)?;
    let (nodes, edges) = (read.circuit.nodes.len(), read.circuit.edges.len());
    let json = json!({ "out": args.out, "nodes": nodes, "edges": edges, "notes": read.notes });
    let mut text = format!("{}: {nodes} nodes, {edges} edges\n", args.out.display());
    for note in &read.notes {
        text += &format!("{note}.\n");
    }
    Report::new(&json, text)
}
