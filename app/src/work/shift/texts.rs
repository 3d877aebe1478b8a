//! Reading texts, and training a probe on them.

use sparsescope_core::circuits::Bases;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::shift::{
    self, Accuracies, Columns, Data, Measurer, Pairing, Probe, ProbeSpec, Source, Split, SplitSpec,
};
use sparsescope_core::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which texts are meant, and how they are parted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextsSpec {
    /// Where they are from.
    pub source: Source,
    /// Which spurious value goes with which label.
    pub pairing: Pairing,
    /// How many texts the parts have.
    pub split: SplitSpec,
}

/// Texts that were read and parted.
#[derive(Debug, Clone, PartialEq)]
pub struct Texts {
    /// Which.
    pub spec: TextsSpec,
    /// All of them.
    pub data: Data,
    /// Their parts.
    pub split: Split,
    /// The model whose tokens they are, by its hash.
    pub model: String,
}

/// Reads and parts texts.
///
/// # Errors
/// As [`shift::read`] and [`Split::new`].
pub fn read(ctx: &JobContext, model: &Model, spec: &TextsSpec) -> Result<Texts> {
    let data = shift::read(ctx, &spec.source, &spec.pairing).map_err(in_the_window)?;
    ctx.check()?;
    ctx.progress().stage("Parting the texts", "texts", 0, data.items.len() as u64);
    let split = Split::new(model, &data, &spec.split)?;
    Ok(Texts { spec: spec.clone(), data, split, model: model.hash().to_owned() })
}

/// The remedy as a person finds it on screen: the terminal's options are of no use there.
fn in_the_window(mut error: Error) -> Error {
    for (option, name) in [("--labels", "Labels"), ("--spurious", "Spurious labels")] {
        if error.remedy.contains(option) {
            error.remedy = format!("Untick \"{name}: the two there are\" and name two of them");
        }
    }
    error
}

/// A probe and what it does on the balanced test texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The texts it was trained on.
    pub texts: Arc<Texts>,
    /// How.
    pub spec: ProbeSpec,
    /// The probe.
    pub probe: Probe,
    /// On the whole balanced test part, with nothing trimmed.
    pub original: Accuracies,
}

/// Trains a probe on the ambiguous part and measures it on the balanced test part.
///
/// # Errors
/// As [`shift::train_probe`].
pub fn train(
    ctx: &JobContext,
    model: &Model,
    texts: Arc<Texts>,
    spec: &ProbeSpec,
) -> Result<Trained> {
    let none = Bases::default();
    let probe = shift::train_probe(ctx, model, &none, &texts.split.ambiguous, &[], spec)?;
    measured(ctx, model, texts, spec, probe)
}

/// A probe that was trained before, measured on the balanced test part.
pub(super) fn measured(
    ctx: &JobContext,
    model: &Model,
    texts: Arc<Texts>,
    spec: &ProbeSpec,
    probe: Probe,
) -> Result<Trained> {
    ctx.progress().stage("Measuring the probe", "texts", 0, 0);
    let test = texts.split.balanced_test.clone();
    let mut measurer =
        Measurer::new(model, &Bases::default(), test, probe.clone(), super::live::SEED)?;
    let original = measurer.original(ctx)?;
    Ok(Trained { texts, spec: spec.clone(), probe, original })
}

/// The columns of a file of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileColumns {
    /// The file.
    pub path: PathBuf,
    /// What its columns are called.
    pub names: Vec<String>,
}

impl FileColumns {
    /// Which of them are likely meant.
    pub fn guess(&self) -> Columns {
        let find = |words: &[&str], taken: &[&str]| {
            let free = || self.names.iter().filter(|name| !taken.contains(&name.as_str()));
            let like = |word: &&str| {
                let is = |name: &&String| name.to_lowercase().contains(*word);
                free().find(is).cloned()
            };
            words.iter().find_map(like).or_else(|| free().next().cloned()).unwrap_or_default()
        };
        let text = find(&["text", "bio", "sentence", "prompt"], &[]);
        let spurious = find(&["spurious", "gender", "sex", "bias"], &[&text]);
        let label = find(&["label", "profession", "class", "target"], &[&text, &spurious]);
        Columns { text, label, spurious }
    }
}

/// Looks at the columns of a file of texts.
///
/// # Errors
/// It cannot be read, or is no table.
pub fn columns(path: &Path) -> Result<FileColumns> {
    Ok(FileColumns { path: path.to_owned(), names: shift::columns_of(path)? })
}
