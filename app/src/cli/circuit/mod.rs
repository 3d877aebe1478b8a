//! `circuit`: circuits from a terminal.

mod export;

use super::Global;
use super::report::Report;
use clap::{Args, Subcommand};
use sparsescope_core::Result;

/// Sparse feature circuits: hand them to other programs and draw them
#[derive(Args)]
pub struct CircuitArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Export(export::ExportArgs),
    Import(export::ImportArgs),
}

/// Runs what was asked for.
///
/// # Errors
/// What the subcommand says.
pub fn run(args: &CircuitArgs, _global: &Global) -> Result<Report> {
    match &args.what {
        What::Export(args) => export::export(args),
        What::Import(args) => export::import(args),
    }
}
