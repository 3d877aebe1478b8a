//! `bench train|capture|collect|cut|generate|map|graph|attribution`: how fast this machine does it.

use super::report::Report;
use super::table::{Style, Table, count, figure};
use super::{Global, input, watch};
use clap::{Args, Subcommand};
use serde_json::json;
use sparsescope_core::benchmark::{self, CaptureShape, CollectShape, Lap};
use sparsescope_core::llama::Site;
use sparsescope_core::sae::Architecture;
use sparsescope_core::training::{BenchSpec, bench_train};
use sparsescope_core::{Error, Result, device};
use std::path::PathBuf;

/// Measure tokens per second and per CPU-second
#[derive(Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Train(TrainArgs),
    Capture(CaptureArgs),
    Collect(CollectArgs),
    Cut(super::bench_cut::CutArgs),
    Generate(super::bench_generate::GenerateBenchArgs),
    Map(super::bench_map::MapArgs),
    Graph(super::bench_graph::GraphArgs),
    Attribution(super::bench_attribution::AttributionArgs),
}

/// A step of training a dictionary, on random activations in memory
#[derive(Args, Clone)]
#[command(after_help = "\
Example:
  sparsescope bench train --threads 1 --json")]
struct TrainArgs {
    /// Its architecture, as `train` names it
    #[arg(long, default_value = "topk", value_name = "NAME")]
    arch: String,
    /// Width of the activations
    #[arg(long, default_value_t = 512, value_name = "N")]
    width: usize,
    /// Number of latents
    #[arg(long, default_value_t = 16384, value_name = "N")]
    latents: usize,
    /// Latents kept for each token, for topk
    #[arg(long, default_value_t = 32, value_name = "N")]
    k: usize,
    /// Tokens a step
    #[arg(long, default_value_t = 4096, value_name = "N")]
    batch: usize,
    /// Steps that are measured, after one that is not
    #[arg(long, default_value_t = 3, value_name = "N")]
    steps: u64,
    /// Share of latents that are dead, so that the auxiliary loss has work
    #[arg(long, default_value_t = 0.0, value_name = "X")]
    dead: f64,
    /// Begin with biases such that N latents of a token are active on average
    #[arg(long, value_name = "N")]
    l0: Option<f64>,
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

/// Collecting features, against the forward pass alone on the same tokens
#[derive(Args, Clone)]
#[command(after_help = "\
The dictionary is a random one with k latents on each token, the text that of the built-in world.
The collection is measured from the text to the file on disk; the forward pass on tokens that are
ready in memory, in the same batches: up to the site, and whole with the logits of every position.

Example:
  sparsescope bench collect --threads 4 --latents 1024 --json")]
struct CollectArgs {
    /// A model to measure instead of the built-in one
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// The site to read
    #[arg(long, default_value = "resid.2")]
    site: Site,
    /// Number of latents
    #[arg(long, default_value_t = 1024, value_name = "N")]
    latents: usize,
    /// Latents that fire on each token
    #[arg(long, default_value_t = 32, value_name = "N")]
    k: usize,
    /// Tokens of a repetition
    #[arg(long, default_value_t = 500_000, value_name = "N")]
    tokens: u64,
    /// Repetitions, of which the median counts, after one that does not
    #[arg(long, default_value_t = 3, value_name = "N")]
    reps: usize,
    /// Folder for the file of features (deleted at the end) [default: the system's for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Measures.
///
/// # Errors
/// A shape that makes no sense; cancelled.
pub fn run(args: &BenchArgs, global: &Global) -> Result<Report> {
    match &args.what {
        What::Train(args) => train(args.clone()),
        What::Capture(args) => capture(args.clone(), global),
        What::Collect(args) => collect(args.clone(), global),
        What::Cut(args) => super::bench_cut::run(args, global),
        What::Generate(args) => super::bench_generate::run(args, global),
        What::Map(args) => super::bench_map::run(args),
        What::Graph(args) => super::bench_graph::run(args),
        What::Attribution(args) => super::bench_attribution::run(args, global),
    }
}

fn train(args: TrainArgs) -> Result<Report> {
    let spec = BenchSpec {
        architecture: Architecture::named(&args.arch, args.k)?,
        width: args.width,
        latents: args.latents,
        batch: args.batch,
        steps: args.steps,
        threads: device::threads(),
        dead: args.dead,
        l0: args.l0,
        ..BenchSpec::default()
    };
    if spec.steps == 0 || !(0.0..=1.0).contains(&spec.dead) {
        return Err(Error::setting(
            "There is nothing to measure",
            "--steps must be at least 1, and --dead a share from 0 to 1",
            "Give such numbers",
        ));
    }
    let found = watch::quietly("Bench train", move |ctx| {
        ctx.progress().stage("Measuring", "", 0, 0);
        bench_train(&spec)
    })?;
    let mut json = serde_json::to_value(&found)
        .map_err(|e| Error::internal("The result could not be written", e.to_string()))?;
    json["bench"] = json!("train");
    let mut table =
        Table::new(&["train", ">tokens/s", ">best", ">tokens/CPU-s", ">encoder GFLOP/s"]);
    let s = &found.spec;
    table.row([
        format!(
            "{} {}→{}, batch {}, {} threads",
            args.arch, s.width, s.latents, s.batch, s.threads
        ),
        count(found.tokens_per_second as u64),
        count(found.tokens_per_second_best as u64),
        found.tokens_per_cpu_second.map_or_else(|| "–".to_owned(), |r| count(r as u64)),
        figure(found.encoder_gflops),
    ]);
    let seconds: Vec<String> = found.seconds.iter().map(|s| figure(*s)).collect();
    let tail = format!("seconds of each step: {}\n", seconds.join(", "));
    Report::new(&json, table.render(Style::of_stdout()) + &tail)
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

fn collect(args: CollectArgs, global: &Global) -> Result<Report> {
    let shape = CollectShape {
        site: args.site,
        latents: args.latents,
        k: args.k,
        tokens: args.tokens,
        repetitions: args.reps,
        folder: args.dir.clone().unwrap_or_else(std::env::temp_dir),
        seed: global.seed(),
    };
    let (asked, settings) = (shape.clone(), global.clone());
    let path = args.model.clone().unwrap_or_else(|| input::BUILTIN.into());
    let figures = watch::quietly("Bench collect", move |ctx| {
        let model = input::open_model(ctx, &path, &settings)?;
        benchmark::collect(ctx, &model, &asked)
    })?;
    let json = json!({
        "bench": "collect",
        "model": args.model.map_or_else(|| "builtin".into(), |m| m.display().to_string()),
        "threads": device::threads(),
        "shape": shape,
        "figures": figures,
    });
    let mut table = Table::new(&["", ">tokens/s", ">collection is"]);
    let share = |rate: f64| format!("{:.0} %", 100.0 * figures.collect / rate);
    let name = format!("collection, {} latents, k {}", shape.latents, shape.k);
    table.row([name, count(figures.collect as u64), String::new()]);
    for (name, rate) in [
        (format!("forward pass to {}", shape.site), figures.to_site),
        ("whole forward pass".to_owned(), figures.whole_pass_without_logits),
        ("whole forward pass with logits".to_owned(), figures.whole_pass),
    ] {
        table.row([name, count(rate as u64), share(rate)]);
    }
    Report::new(&json, table.render(Style::of_stdout()))
}

fn spread(laps: &[Lap]) -> String {
    let seconds: Vec<String> = laps.iter().map(|l| figure(l.seconds)).collect();
    format!("seconds of each repetition: {}\n", seconds.join(", "))
}
