//! What most subcommands are told: a model, a corpus, how rows are cut.

use super::Global;
use clap::Args;
use sparsescope_core::corpus::{Bos, CorpusSpec, RowSpec, Split};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::{Error, IoContext as _, Result, demo, device};
use std::path::{Path, PathBuf};

/// The name of what is inside the binary.
pub const BUILTIN: &str = "builtin";

/// A model.
#[derive(Args, Clone)]
pub struct ModelArgs {
    /// A Hugging Face Llama folder or its model.safetensors, or builtin [default: builtin]
    #[arg(long, value_name = "PATH")]
    pub model: Option<PathBuf>,
}

/// A corpus and how it is cut into rows.
#[derive(Args, Clone)]
#[command(next_help_heading = "Text")]
pub struct TextArgs {
    /// A .txt or .jsonl file, or builtin; builtin:balanced parts gender from profession [default: builtin]
    #[arg(long, value_name = "PATH")]
    pub corpus: Option<CorpusSpec>,
    /// How text becomes rows: sentences or packed [default: sentences]
    #[arg(long, value_name = "HOW")]
    pub split: Option<Split>,
    /// The token that begins a row: keep its activation, drop it, or none [default: drop]
    #[arg(long, value_name = "HOW")]
    pub bos: Option<Bos>,
    /// Tokens in a row at most [default: 128, or the model's context if that is less]
    #[arg(long, value_name = "N")]
    pub row_length: Option<usize>,
}

impl ModelArgs {
    /// The model that is meant, as a path that is good from any folder.
    ///
    /// # Errors
    /// There is no such file or folder.
    pub fn path(&self) -> Result<PathBuf> {
        self.model.as_deref().map_or_else(|| Ok(BUILTIN.into()), absolute)
    }
}

impl TextArgs {
    /// The corpus that is meant, as a path that is good from any folder.
    ///
    /// # Errors
    /// There is no such file.
    pub fn corpus(&self) -> Result<Option<CorpusSpec>> {
        Ok(match &self.corpus {
            Some(CorpusSpec::File(path)) => Some(CorpusSpec::File(absolute(path)?)),
            other => other.clone(),
        })
    }

    /// How rows are cut: what was asked for, and `usual` for the rest.
    pub fn rows(&self, usual: RowSpec) -> RowSpec {
        RowSpec {
            split: self.split.unwrap_or(usual.split),
            bos: self.bos.unwrap_or(usual.bos),
            length: self.row_length.unwrap_or(usual.length),
        }
    }
}

/// The usual way of cutting rows for `model`.
pub fn usual_rows(model: &Model) -> RowSpec {
    let usual = RowSpec::default();
    RowSpec { length: usual.length.min(model.config().context), ..usual }
}

/// A path that is good from any folder.
///
/// # Errors
/// Nothing is there, or its name cannot be written down.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    if path.as_os_str() == BUILTIN {
        return Ok(path.to_owned());
    }
    let whole = path.canonicalize().doing(|| format!("Could not open {}", path.display()))?;
    if whole.to_str().is_none() {
        return Err(Error::setting(
            format!("{} cannot be used", whole.display()),
            "its name is not UTF-8, and could not be written down with the result",
            "Rename it",
        ));
    }
    Ok(whole)
}

/// Opens a model within a job.
///
/// # Errors
/// As [`Model::open`]; no such device.
pub fn open_model<E>(ctx: &JobContext<E>, path: &Path, global: &Global) -> Result<Model> {
    ctx.progress().stage("Opening the model", "", 0, 0);
    let device = device::choose(&global.device)?;
    let model = if path.as_os_str() == BUILTIN {
        demo::model(&device)?
    } else {
        Model::open(path, &device)?
    };
    ctx.check()?;
    Ok(model)
}
