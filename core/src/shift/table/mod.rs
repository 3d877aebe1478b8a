//! The result table: the probe before and after the trim, beside baselines, skylines and controls.

mod concepts;
mod random;
mod rows;
mod skyline;
mod words;

pub(super) use words::pieces;

use super::{Accuracies, CircuitSpec, Data, Judgements, Probe, ProbeSpec, Source, Split};
use crate::circuits::Bases;
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::Model;
use serde::{Deserialize, Serialize};

/// What a row measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// The probe as it was trained, on the unchanged model.
    Original,
    /// As many features trimmed, drawn at random.
    Random,
    /// The judged features trimmed.
    Shift,
    /// The same, and the probe trained anew on the trimmed model.
    ShiftRetrained,
    /// Coordinates chosen with the spurious labels.
    NeuronSkyline,
    /// Features chosen with the spurious labels.
    FeatureSkyline,
    /// A probe on similarities to keywords.
    ConceptBottleneck,
    /// A probe that learnt from balanced texts.
    Oracle,
    /// Only the trimmed features of the embedding.
    EmbeddingOnly,
    /// The same, retrained.
    EmbeddingOnlyRetrained,
    /// Only the trimmed features that are not of the embedding.
    WithoutEmbedding,
    /// The same, retrained.
    WithoutEmbeddingRetrained,
    /// No trim: the words that give the spurious value away are deleted from the texts.
    WordsDeleted,
}

impl RowKind {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 13] = [
        Self::Original,
        Self::Random,
        Self::Shift,
        Self::ShiftRetrained,
        Self::NeuronSkyline,
        Self::FeatureSkyline,
        Self::ConceptBottleneck,
        Self::Oracle,
        Self::EmbeddingOnly,
        Self::EmbeddingOnlyRetrained,
        Self::WithoutEmbedding,
        Self::WithoutEmbeddingRetrained,
        Self::WordsDeleted,
    ];

    /// Its name on screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "Original",
            Self::Random => "Random features",
            Self::Shift => "SHIFT",
            Self::ShiftRetrained => "SHIFT + retrain",
            Self::NeuronSkyline => "Neuron skyline",
            Self::FeatureSkyline => "Feature skyline",
            Self::ConceptBottleneck => "Concept bottleneck",
            Self::Oracle => "Oracle",
            Self::EmbeddingOnly => "Embedding features only",
            Self::EmbeddingOnlyRetrained => "Embedding features only + retrain",
            Self::WithoutEmbedding => "Without embedding features",
            Self::WithoutEmbeddingRetrained => "Without embedding features + retrain",
            Self::WordsDeleted => "Words deleted",
        }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableRow {
    /// What it measures.
    pub kind: RowKind,
    /// How it was made, in a sentence or two.
    pub made: String,
    /// Features (or coordinates) trimmed.
    pub trimmed: usize,
    /// Accuracies on the balanced test part; `None`: see [`TableRow::missing`].
    pub accuracies: Option<Accuracies>,
    /// Why there is no figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Where a probe was trained for this row: the share of its own training texts it names right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_accuracy: Option<f64>,
    /// Words that play a part: those deleted, or the keywords.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
}

/// The table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its rows, in the order of [`RowKind::ALL`].
    pub rows: Vec<TableRow>,
    /// What the figures are.
    pub definition: String,
}

impl Table {
    /// The row of `kind`.
    pub fn row(&self, kind: RowKind) -> Option<&TableRow> {
        self.rows.iter().find(|row| row.kind == kind)
    }
}

/// How the table is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableSpec {
    /// Draws of random features.
    pub random_draws: usize,
    /// Words that are deleted; `None`: by the world's truth, or found by log-odds.
    pub words: Option<Vec<String>>,
    /// Words found by log-odds at most.
    pub most_words: usize,
    /// Keywords of the concept bottleneck; `None`: the world's own words of the two professions.
    pub keywords: Option<Vec<String>>,
    /// Seed of random features and of the bootstrap.
    pub seed: u64,
}

impl Default for TableSpec {
    fn default() -> Self {
        Self { random_draws: 5, words: None, most_words: 40, keywords: None, seed: 0 }
    }
}

/// What the table is made of.
#[derive(Debug, Clone, Copy)]
pub struct TableInput<'a> {
    /// The model.
    pub model: &'a Model,
    /// The dictionaries.
    pub bases: &'a Bases,
    /// Where the texts come from.
    pub source: &'a Source,
    /// The texts.
    pub data: &'a Data,
    /// Their parts.
    pub split: &'a Split,
    /// The probe, trained on the ambiguous part of the unchanged model.
    pub probe: &'a Probe,
    /// How it was trained; every other probe of the table is trained so.
    pub probe_spec: &'a ProbeSpec,
    /// How its circuit was found; the skylines find theirs so.
    pub circuit_spec: &'a CircuitSpec,
    /// What is trimmed.
    pub judgements: &'a Judgements,
}

/// Makes the table; `on_row` is told each row as soon as it is there.
///
/// # Errors
/// Judgements of features that the dictionaries do not have; those of the forward pass, of finding
/// circuits and of training probes; the job was stopped.
pub fn table<E>(
    ctx: &JobContext<E>,
    input: &TableInput<'_>,
    spec: &TableSpec,
    on_row: &mut dyn FnMut(&TableRow),
) -> Result<Table> {
    let maker = rows::Maker::new(ctx, input, spec)?;
    let mut out = Table { rows: Vec::new(), definition: super::ACCURACY_DEFINITION.to_owned() };
    for kind in RowKind::ALL {
        ctx.check()?;
        ctx.progress().stage("Making the table", "rows", out.rows.len() as u64, 13);
        let row = maker.row(kind)?;
        on_row(&row);
        out.rows.push(row);
    }
    Ok(out)
}

#[cfg(test)]
#[path = "../tests/table.rs"]
mod tests;
