//! `capture`: activations to disk.

use super::input::{ModelArgs, TextArgs, open_model, usual_rows};
use super::report::Report;
use super::table::{bytes, count};
use super::{Global, watch};
use clap::Args;
use sparsescope_core::Result;
use sparsescope_core::activations::{self, CaptureSpec, StoreDtype, StreamSpec};
use sparsescope_core::corpus::CorpusSpec;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Site;
use std::path::PathBuf;

/// Write a model's activations at a site to disk, shuffled
#[derive(Args, Clone)]
#[command(after_help = "\
The folder holds safetensors files (activation, token_ids, doc_id, position, outlier) and a
manifest with model, site, mean, E‖x‖² and checksums. The same command again goes on with a capture
that was stopped or killed, and ends with the same bytes.

Examples:
  sparsescope capture --site resid.2 --tokens 1000000 --out rows
  sparsescope capture --model ~/models/TinyLlama --corpus stories.txt --site mlp.11 --dtype f16 --out rows
  sparsescope train --activations rows --latents 4096 --out my-sae")]
pub struct CaptureArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The site to read
    #[arg(long)]
    site: Site,
    /// Folder to write: new, or one that this very command began
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Tokens to store; needed for the built-in corpus, which never ends [default: the whole corpus]
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
    /// Number type on disk: f32, f16 or bf16
    #[arg(long, default_value_t = StoreDtype::default(), value_name = "TYPE")]
    dtype: StoreDtype,
    /// Rows of one file [default: about 64 MiB]
    #[arg(long, value_name = "N")]
    chunk: Option<usize>,
    /// Rows of the shuffle buffer [default: 65536, or what fits into 512 MiB]
    #[arg(long, value_name = "N")]
    buffer: Option<usize>,
    /// Leave out tokens whose activation is more than ten times as long as the median
    #[arg(long)]
    leave_out_outliers: bool,
    #[command(flatten)]
    text: TextArgs,
}

/// Captures.
///
/// # Errors
/// Bad settings, unreadable input, a folder that cannot be written or is taken; cancelled.
pub fn run(args: &CaptureArgs, global: &Global) -> Result<Report> {
    let (asked, settings) = (args.clone(), global.clone());
    let done = watch::quietly("Capture", move |ctx| capture(ctx, &asked, &settings))?;
    let notes: String = done.notes.iter().map(|n| format!("{n}\n")).collect();
    let before = match done.resumed_from {
        0 => String::new(),
        rows => format!(" ({} were there already)", count(rows)),
    };
    let text = format!(
        "{} rows{before} in {} file(s), {}, in {}; {} of outlier norm.\n{notes}\
         Next: sparsescope train --activations {} --out my-sae\n",
        count(done.rows),
        done.chunks,
        bytes(done.bytes),
        done.out.display(),
        count(done.outliers),
        done.out.display(),
    );
    Report::new(&done, text)
}

fn capture(
    ctx: &JobContext<()>,
    args: &CaptureArgs,
    global: &Global,
) -> Result<activations::CaptureOutcome> {
    let model = open_model(ctx, &args.model.path()?, global)?;
    let site = args.site.within(model.config().layers)?;
    let corpus = args.text.corpus()?.unwrap_or(CorpusSpec::Builtin(None));
    let rows = args.text.rows(usual_rows(&model));
    let mut stream = StreamSpec::new(site, corpus, rows, model.config().width);
    stream.seed = global.seed();
    stream.buffer = args.buffer.unwrap_or(stream.buffer);
    stream.outliers.leave_out = args.leave_out_outliers;
    let spec = CaptureSpec {
        stream,
        rows: args.tokens,
        dtype: args.dtype,
        chunk: args.chunk,
        out: args.out.clone(),
    };
    activations::capture(ctx, &model, &spec)
}
