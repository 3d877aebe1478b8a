//! `circuit compare`: what two circuits share, and how their effects agree at each site.

use super::super::report::Report;
use super::super::table::{Style, Table, count, figure, percent};
use clap::Args;
use serde_json::{Value, json};
use sparsescope::work::circuit_graph::open_file;
use sparsescope_core::Result;
use sparsescope_core::circuits::{Circuit, CircuitComparison, Node, compare_circuits};
use sparsescope_core::llama::Site;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Compare two circuits: shared nodes, and how their effects agree at each site
#[derive(Args, Clone)]
#[command(after_help = "\
The correlation is Pearson's, over the nodes that both have: to compare two ways of estimating
effects, find both circuits with --nodes 0 on the same pairs.

Example:
  sparsescope circuit find --saes saes --task world:simple --method exact --nodes 0 --out exact.json
  sparsescope circuit find --saes saes --task world:simple --method ig --nodes 0 --out ig.json
  sparsescope circuit compare exact.json ig.json --json")]
pub struct CompareArgs {
    /// A circuit's file
    #[arg(value_name = "FIRST")]
    first: PathBuf,
    /// Another one's
    #[arg(value_name = "SECOND")]
    second: PathBuf,
}

/// Compares them.
///
/// # Errors
/// A file that is no circuit.
pub fn run(args: &CompareArgs) -> Result<Report> {
    let first = open_file(&args.first)?.circuit;
    let second = open_file(&args.second)?.circuit;
    let of = |circuit: &Circuit, site: Option<Site>| -> BTreeSet<Node> {
        let here = |node: &Node| site.is_none_or(|site| node.site == site);
        circuit.nodes.iter().map(|n| n.node).filter(here).collect()
    };
    let at = |site| compare_circuits(&first, &of(&first, site), &second, &of(&second, site));
    let all = at(None);
    let sites: BTreeSet<Site> =
        first.nodes.iter().chain(&second.nodes).map(|n| n.node.site).collect();
    let sites: Vec<_> = sites.into_iter().map(|site| (site, at(Some(site)))).collect();
    let json = json!({
        "first": args.first,
        "second": args.second,
        "methods": [first.conventions.spec.method, second.conventions.spec.method],
        "all": numbers(&all),
        "sites": sites
            .iter()
            .map(|(site, one)| (site.to_string(), numbers(one)))
            .collect::<serde_json::Map<_, _>>(),
        "summed_over_positions": all.summed,
        "unlike_sites": all.unlike,
        "left_out": all.left_out,
    });
    Report::new(&json, text(&all, &sites))
}

fn numbers(one: &CircuitComparison) -> Value {
    json!({
        "both": one.both.len(),
        "first_only": one.first.len(),
        "second_only": one.second.len(),
        "jaccard": one.jaccard,
        "correlation": one.correlation,
    })
}

fn text(all: &CircuitComparison, sites: &[(Site, CircuitComparison)]) -> String {
    let style = Style::of_stdout();
    let mut table =
        Table::new(&["site", ">both", ">first only", ">second only", ">shared", ">correlation"]);
    let mut line = |name: String, one: &CircuitComparison| {
        table.row([
            name,
            count(one.both.len() as u64),
            count(one.first.len() as u64),
            count(one.second.len() as u64),
            one.jaccard.map_or("–".to_owned(), percent),
            one.correlation.map_or("–".to_owned(), figure),
        ]);
    };
    for (site, one) in sites {
        line(site.to_string(), one);
    }
    line("all".to_owned(), all);
    let mut said = table.render(style);
    if all.summed {
        said += "One circuit sums over positions: the other's nodes are summed too.\n";
    }
    if !all.unlike.is_empty() {
        let unlike: Vec<String> = all.unlike.iter().map(Site::to_string).collect();
        said += &format!(
            "Other dictionaries, so other nodes, at {}: {} and {} nodes left out.\n",
            unlike.join(", "),
            all.left_out[0],
            all.left_out[1]
        );
    }
    said
}
