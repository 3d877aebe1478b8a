//! `circuit tasks`: a task as a file, and what a model can use of it.

use super::super::input::{ModelArgs, open_model};
use super::super::report::Report;
use super::super::table::{Style, Table};
use super::super::{Global, watch};
use clap::Args;
use serde_json::json;
use sparsescope_core::circuits::{Change, Examples, Metric, Task};
use sparsescope_core::{Error, Result};
use std::path::{Path, PathBuf};

/// Write a task of the built-in world, or look at what a model can use of one
#[derive(Args, Clone)]
#[command(after_help = "\
The built-in world's tasks are world:simple, world:across-pp, world:across-rc and world:within-rc;
with :train behind the name, on pairs of nouns that the built-in model was trained on.

Examples:
  sparsescope circuit tasks world:across-rc --out across-rc.jsonl
  sparsescope circuit tasks my-pairs.jsonl --model ~/models/TinyLlama")]
pub struct TasksArgs {
    /// A JSON Lines file, or a task of the built-in world
    #[arg(value_name = "TASK")]
    task: String,
    /// Pairs that are written of a task of the built-in world
    #[arg(long, default_value_t = 200, value_name = "N")]
    pairs: usize,
    /// File to write it to, as JSON Lines
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
}

/// Writes, or looks.
///
/// # Errors
/// No such task or model; a file that cannot be read or written; cancelled.
pub fn run(args: &TasksArgs, global: &Global) -> Result<Report> {
    let task = match args.task.strip_prefix("world:") {
        Some(name) => Task::world(name, args.pairs, global.seed())?,
        None => Task::read(Path::new(&args.task))?,
    };
    if let Some(out) = &args.out {
        task.write(out)?;
    }
    let (asked, settings, looked) = (args.clone(), global.clone(), task.clone());
    let examples = watch::quietly("Look at a task", move |ctx| {
        let model = open_model(ctx, &asked.model.path()?, &settings)?;
        Examples::prepare(&model, &looked, &Metric::LogitDifference, Change::Patch)
    })?;
    let lengths: Vec<(usize, usize)> =
        examples.by_length().into_iter().map(|(n, pairs)| (n, pairs.len())).collect();
    let first = task
        .pairs
        .first()
        .ok_or_else(|| Error::internal("The task cannot be looked at", "it has no pairs"))?;
    let json = json!({
        "task": task.name,
        "hash": task.hash(),
        "pairs": task.pairs.len(),
        "usable": examples.kept.len(),
        "left_out": examples.counts(),
        "positions": lengths.iter().map(|(n, pairs)| json!({"positions": n, "pairs": pairs}))
            .collect::<Vec<_>>(),
        "out": args.out,
    });
    let mut table = Table::new(&["", ">pairs"]);
    table.row(["in the task".to_owned(), task.pairs.len().to_string()]);
    table.row(["that this model can use".to_owned(), examples.kept.len().to_string()]);
    for (positions, pairs) in lengths {
        table.row([format!("  of {positions} tokens"), pairs.to_string()]);
    }
    for (why, pairs) in examples.counts() {
        table.row([format!("left out: {why}"), pairs.to_string()]);
    }
    let patch = first.patch_prefix.as_deref().unwrap_or("(no patch prompt)");
    let tail = format!(
        "e.g. {:?} → {:?}, against {patch:?}\n",
        first.clean_prefix,
        first.clean_answer.all().join("|")
    );
    Report::new(&json, table.render(Style::of_stdout()) + &tail)
}
