//! What most subcommands are told: a model, a corpus, how rows are cut.

use super::Global;
use clap::Args;
use sparsescope_core::corpus::{Bos, CorpusSpec, RowSpec, Split};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::{Result, device};
use std::path::{Path, PathBuf};

/// The name of what is inside the binary.
pub const BUILTIN: &str = "builtin";

/// A model.
#[derive(Args, Clone)]
pub struct ModelArgs {
    /// A Hugging Face Llama folder or its model.safetensors, or builtin
    #[arg(long, default_value = BUILTIN, value_name = "PATH")]
    pub model: PathBuf,
}

/// A corpus and how it is cut into rows.
#[derive(Args, Clone)]
pub struct TextArgs {
    /// A .txt or .jsonl file, or builtin (builtin:balanced: gender apart from profession)
    #[arg(long, default_value = BUILTIN, value_name = "PATH")]
    pub corpus: CorpusSpec,
    /// How text becomes rows: sentences or packed
    #[arg(long, default_value_t = Split::default(), value_name = "HOW")]
    pub split: Split,
    /// The token that begins a row: keep its activation, drop it, or none
    #[arg(long, default_value_t = Bos::default(), value_name = "HOW")]
    pub bos: Bos,
    /// Tokens in a row at most [default: 128, or the model's context if that is less]
    #[arg(long, value_name = "N")]
    pub row_length: Option<usize>,
}

impl TextArgs {
    /// How rows are cut for `model`.
    pub fn rows(&self, model: &Model) -> RowSpec {
        let length =
            self.row_length.unwrap_or(RowSpec::default().length.min(model.config().context));
        RowSpec { split: self.split, bos: self.bos, length }
    }
}

/// Opens a model within a job.
///
/// # Errors
/// As [`Model::open`]; no such device.
pub fn open_model<E>(ctx: &JobContext<E>, path: &Path, global: &Global) -> Result<Model> {
    ctx.progress().stage("Opening the model", "", 0, 0);
    let device = device::choose(&global.device)?;
    let model = Model::open(path, &device)?;
    ctx.check()?;
    Ok(model)
}
