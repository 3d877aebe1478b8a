//! `inspect PATH`: what is this?

mod model;
mod others;

use super::input::BUILTIN;
use super::report::Report;
use super::{Global, watch};
use clap::Args;
use sparsescope_core::sae::Sae;
use sparsescope_core::workspace;
use sparsescope_core::{Error, IoContext as _, Result};
use std::path::{Path, PathBuf};

/// Say what something is: a model, an SAE, stored activations, a text, a workspace
#[derive(Args)]
#[command(after_help = "\
Examples:
  sparsescope inspect ~/models/TinyLlama --text \"The key to the cabinets\"
  sparsescope inspect my-sae --json
  sparsescope inspect stories.txt")]
pub struct InspectArgs {
    /// A file or folder, or builtin for the built-in model
    path: PathBuf,
    /// For a model: its tokens, its likelihood, and the ten likeliest next tokens
    #[arg(long, value_name = "T")]
    text: Option<String>,
}

/// Says what is at the path.
///
/// # Errors
/// Nothing is there, or nothing this program knows.
pub fn run(args: &InspectArgs, global: &Global) -> Result<Report> {
    let (path, text, global) = (args.path.clone(), args.text.clone(), global.clone());
    watch::quietly("Inspect", move |ctx| {
        let kind = Kind::of(&path)?;
        if let (Some(_), false) = (&text, kind == Kind::Model) {
            return Err(Error::setting(
                "--text is for models",
                format!("{} is {}", path.display(), kind.words()),
                "Leave it out, or give the path of a model",
            ));
        }
        match kind {
            Kind::Model => model::report(ctx, &path, text.as_deref(), &global),
            Kind::Sae => others::sae(&path),
            Kind::Store => others::store(&path),
            Kind::Workspace => others::workspace(&path),
            Kind::Corpus => others::corpus(ctx, &path),
        }
    })
}

/// What can be at a path.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Sae,
    Store,
    Workspace,
    Corpus,
}

impl Kind {
    fn of(path: &Path) -> Result<Self> {
        if path.as_os_str() == BUILTIN {
            return Ok(Self::Model);
        }
        let what = || format!("Could not inspect {}", path.display());
        let is_file = path.metadata().doing(what)?.is_file();
        let folder = if is_file { path.parent().unwrap_or(path) } else { path };
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let weights = name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json");
        if is_file
            && !weights
            && !matches!(&*name, "config.json" | "tokenizer.json" | "sae.json" | "manifest.json")
        {
            return Ok(Self::Corpus);
        }
        if Sae::is_at(folder) {
            return Ok(Self::Sae);
        }
        if folder.join("manifest.json").is_file() {
            return Ok(Self::Store);
        }
        if folder.join(workspace::DATABASE).is_file() {
            return Ok(Self::Workspace);
        }
        if is_file || folder.join("config.json").is_file() {
            return Ok(Self::Model);
        }
        Err(Error::format(
            what(),
            "it holds neither a model (config.json, model.safetensors), nor an SAE (sae.json), nor \
             stored activations (manifest.json), nor a workspace",
            "Give one of these, or a .txt or .jsonl file",
        ))
    }

    fn words(self) -> &'static str {
        match self {
            Self::Model => "a model",
            Self::Sae => "an SAE",
            Self::Store => "stored activations",
            Self::Workspace => "a workspace",
            Self::Corpus => "a text",
        }
    }
}

/// Lines of a name and its value, lined up.
fn facts(lines: &[(&str, String)]) -> String {
    let mut table = super::table::Table::new(&["", ""]);
    for (name, value) in lines {
        table.row([*name, value]);
    }
    table.render(super::table::Style::of_stdout())
}
