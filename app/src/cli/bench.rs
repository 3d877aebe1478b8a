//! `bench train|capture`: how fast this machine does it.

use super::report::Report;
use super::table::{Style, Table, count, figure};
use super::{Global, input, watch};
use clap::{Args, Subcommand};
use serde_json::json;
use sparsescope_core::benchmark::{self, CaptureShape, Lap};
use sparsescope_core::llama::Site;
use sparsescope_core::{Result, device};
use std::path::PathBuf;

/// Measure tokens per second and per CPU-second
#[derive(Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Capture(CaptureArgs),
}

/// The forward pass of a Llama, stopped at a site
#[derive(Args, Clone)]
#[command(after_help = "\
Without --model a Llama of random weights is measured: 6 blocks of width 288, 32,000 tokens.

Example:
  sparsescope bench capture --threads 4 --site resid.2 --batch 32 --positions 128 --json")]
struct CaptureArgs {
    /// A model to measure instead
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// The site to read
    #[arg(long, default_value = "resid.2")]
    site: Site,
    /// Rows of a forward pass
    #[arg(long, default_value_t = 32, value_name = "N")]
    batch: usize,
    /// Tokens of a row
    #[arg(long, default_value_t = 128, value_name = "N")]
    positions: usize,
    /// Forward passes of one repetition
    #[arg(long, default_value_t = 4, value_name = "N")]
    passes: usize,
    /// Repetitions, of which the median counts
    #[arg(long, default_value_t = 5, value_name = "N")]
    reps: usize,
    /// Discard the activations instead of writing them to disk as f32
    #[arg(long)]
    no_write: bool,
    /// Folder to write them to (the file is deleted at the end) [default: the system's for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Measures.
///
/// # Errors
/// A shape that makes no sense; cancelled.
pub fn run(args: &BenchArgs, global: &Global) -> Result<Report> {
    match &args.what {
        What::Capture(args) => capture(args.clone(), global),
    }
}

fn capture(args: CaptureArgs, global: &Global) -> Result<Report> {
    let file = format!("sparsescope-bench-{}.bin", std::process::id());
    let folder = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let shape = CaptureShape {
        site: args.site,
        batch: args.batch,
        positions: args.positions,
        passes: args.passes,
        repetitions: args.reps,
        write: (!args.no_write).then(|| folder.join(file)),
        seed: global.seed(),
    };
    let (asked, settings) = (shape.clone(), global.clone());
    let model = args.model.clone();
    let figures = watch::quietly("Bench capture", move |ctx| {
        let model = match &model {
            Some(path) => input::open_model(ctx, path, &settings)?,
            None => benchmark::tiny(asked.seed, &device::choose(&settings.device)?)?,
        };
        benchmark::capture(ctx, &model, &asked)
    })?;
    let json = json!({
        "bench": "capture",
        "model": args.model.map_or_else(|| "tiny".into(), |m| m.display().to_string()),
        "threads": device::threads(),
        "shape": shape,
        "figures": figures,
    });
    let mut table = Table::new(&["capture", ">tokens/s", ">best", ">tokens/CPU-s"]);
    table.row([
        format!(
            "{}, {} x {} tokens, {} threads",
            shape.site,
            shape.batch,
            shape.positions,
            device::threads()
        ),
        count(figures.tokens_per_second as u64),
        count(figures.best_tokens_per_second as u64),
        figures.tokens_per_cpu_second.map_or_else(|| "–".to_owned(), |r| count(r as u64)),
    ]);
    Report::new(&json, table.render(Style::of_stdout()) + &spread(&figures.laps))
}

fn spread(laps: &[Lap]) -> String {
    let seconds: Vec<String> = laps.iter().map(|l| figure(l.seconds)).collect();
    format!("seconds of each repetition: {}\n", seconds.join(", "))
}
