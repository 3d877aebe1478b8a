//! The program from a terminal: the same jobs as the window's, one file a subcommand.

mod bench;
mod bench_attribution;
mod bench_cut;
mod bench_generate;
mod bench_graph;
mod bench_map;
mod capture;
mod circuit;
mod compare;
mod contrast;
mod demo;
mod demo_model;
mod directions;
mod display;
mod eval;
mod export;
mod features;
mod generate;
mod input;
mod inspect;
mod label;
mod label_import;
mod meanings;
mod prompt;
mod report;
mod search;
mod shift;
mod sweep;
mod table;
mod train;
mod truth;
mod watch;
mod window;

use clap::error::ErrorKind as Usage;
use clap::{Args, Parser, Subcommand};
use report::Report;
use sparsescope_core::{Error, Result, device};
use std::num::NonZeroUsize;
use std::process::ExitCode;

/// Look inside a Llama: capture activations, train sparse autoencoders, read their features.
///
/// Without a subcommand the window opens, with a built-in model and corpus already loaded.
#[derive(Parser)]
#[command(name = "sparsescope", version, args_conflicts_with_subcommands = false)]
#[command(after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    window: window::WindowArgs,
    #[command(flatten)]
    global: Global,
}

const EXAMPLES: &str = "\
Examples:
  sparsescope                                  open the window
  sparsescope demo                             the whole tour in this terminal
  sparsescope inspect ~/models/TinyLlama --text \"The cat\"
  sparsescope train --site resid.2 --latents 1024 --k 16 --out my-sae
  sparsescope sweep --site resid.2 --arch topk,standard --l0 8,16,32 --out my-sweep
  sparsescope eval my-sae
  sparsescope features my-sae --latent 17
  sparsescope generate \"The pilots\" --saes my-sweep --edit \"resid.2/17 add 30\"

Exit codes: 0 it worked, 1 it failed, 2 it was asked for something that makes no sense.";

/// What every subcommand understands.
#[derive(Args, Clone)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Print one JSON object on stdout (progress stays on stderr)
    #[arg(long, global = true)]
    pub json: bool,
    /// Threads to compute with [default: one a core]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Where to compute: cpu, cuda, cuda:N or metal
    #[arg(long, global = true, default_value = "cpu", value_name = "NAME")]
    pub device: String,
    /// Seed of everything random [default: 0]
    #[arg(long, global = true, value_name = "N")]
    pub seed: Option<u64>,
}

impl Global {
    /// The seed asked for, or the usual one.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(0)
    }
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    DemoModel(demo_model::DemoModelArgs),
    Inspect(inspect::InspectArgs),
    Capture(Box<capture::CaptureArgs>),
    Train(Box<train::TrainArgs>),
    Sweep(Box<sweep::SweepArgs>),
    Eval(eval::EvalArgs),
    Features(features::FeaturesArgs),
    Directions(directions::DirectionsArgs),
    Compare(compare::CompareArgs),
    Circuit(circuit::CircuitArgs),
    Shift(Box<shift::ShiftArgs>),
    Export(export::ExportArgs),
    Label(Box<label::LabelArgs>),
    Search(search::SearchArgs),
    Prompt(prompt::PromptArgs),
    Meanings(meanings::MeaningsArgs),
    Generate(Box<generate::GenerateArgs>),
    Contrast(contrast::ContrastArgs),
    Bench(bench::BenchArgs),
}

/// Runs what the arguments ask for.
pub fn main() -> ExitCode {
    listen_to_logs();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return misunderstood(&usage),
    };
    if let Some(threads) = cli.global.threads
        && let Err(error) = device::set_threads(threads.get())
    {
        return report::leave(Err(error), cli.global.json);
    }
    match &cli.command {
        None => window::main(&cli.window, &cli.global),
        Some(command) => report::leave(run(command, &cli.global), cli.global.json),
    }
}

fn run(command: &Command, global: &Global) -> Result<Report> {
    match command {
        Command::Demo(args) => demo::run(args, global),
        Command::DemoModel(args) => demo_model::run(args, global),
        Command::Inspect(args) => inspect::run(args, global),
        Command::Capture(args) => capture::run(args, global),
        Command::Train(args) => train::run(args, global),
        Command::Sweep(args) => sweep::run(args, global),
        Command::Eval(args) => eval::run(args, global),
        Command::Features(args) => features::run(args, global),
        Command::Directions(args) => directions::run(args, global),
        Command::Compare(args) => compare::run(args, global),
        Command::Circuit(args) => circuit::run(args, global),
        Command::Shift(args) => shift::run(args, global),
        Command::Export(args) => export::run(args, global),
        Command::Label(args) => label::run(args, global),
        Command::Search(args) => search::run(args, global),
        Command::Prompt(args) => prompt::run(args, global),
        Command::Meanings(args) => meanings::run(args, global),
        Command::Generate(args) => generate::run(args, global),
        Command::Contrast(args) => contrast::run(args, global),
        Command::Bench(args) => bench::run(args, global),
    }
}

/// Arguments that clap refuses. `--json` still gets its one object.
fn misunderstood(usage: &clap::Error) -> ExitCode {
    if matches!(usage.kind(), Usage::DisplayHelp | Usage::DisplayVersion) {
        let _ = usage.print();
        return ExitCode::SUCCESS;
    }
    if std::env::args_os().any(|a| a == "--json") {
        let text = usage.to_string();
        let why = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let error =
            Error::setting("The arguments were not understood", why, "See sparsescope --help");
        println!("{}", report::as_json(&error));
    }
    let _ = usage.print();
    ExitCode::from(2)
}

/// Logs on stderr; more of them with `SPARSESCOPE_LOG=debug`.
fn listen_to_logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SPARSESCOPE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }
}
