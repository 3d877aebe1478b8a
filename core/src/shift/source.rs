//! Where texts with a label and a spurious value come from.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Texts of which each has a label (what a probe is to tell) and a spurious value (what it must
/// not lean on): a profession and a gender, say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Biographies of the built-in world: the label is the profession, the spurious value the
    /// gender. Profession and gender are independent in what is written; a [`super::Split`] makes
    /// the biased part.
    World {
        /// Two professions. The first is paired with the gender that the world's biased split
        /// gives it, the second with the other.
        labels: [String; 2],
        /// Biographies of these two professions that are written.
        texts: usize,
        /// Seed of the writer.
        seed: u64,
    },
    /// A table: `.csv`, `.tsv` or `.jsonl`.
    File {
        /// Where it is.
        path: PathBuf,
        /// Which of its columns are meant.
        columns: Columns,
        /// The two labels to use, where the column has more than two; `None`: it has two.
        labels: Option<[String; 2]>,
        /// The two spurious values to use, where the column has more than two.
        spurious: Option<[String; 2]>,
    },
}

/// Names of the columns of a table (keys of the objects of a JSON Lines file).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// The text.
    pub text: String,
    /// The label.
    pub label: String,
    /// The spurious value.
    pub spurious: String,
}

impl Default for Columns {
    fn default() -> Self {
        Self { text: "text".into(), label: "label".into(), spurious: "spurious".into() }
    }
}

impl Default for Source {
    fn default() -> Self {
        Self::World { labels: ["nurse".into(), "doctor".into()], texts: 4000, seed: 0 }
    }
}

/// Which spurious value stands where a probe could mistake it for a label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pairing {
    /// Of the two ways to pair labels with spurious values the one that more texts have; in the
    /// built-in world the stereotype of its biased split.
    #[default]
    Usual,
    /// The first label goes with this spurious value.
    FirstWith(String),
}

impl Source {
    /// What it is, in a few words.
    pub fn name(&self) -> String {
        match self {
            Self::World { labels: [a, b], .. } => format!("built-in world, {a} and {b}"),
            Self::File { path, .. } => {
                path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
            }
        }
    }

    /// Whether it makes sense by itself.
    ///
    /// # Errors
    /// Says what does not.
    pub fn validate(&self) -> Result<()> {
        let same = |what: &str, value: &str| {
            Err(Error::setting(
                format!("The two {what} cannot be told apart"),
                format!("both are {value:?}"),
                "Choose two different ones",
            ))
        };
        match self {
            Self::World { labels: [a, b], .. } if a == b => same("labels", a),
            Self::File { labels: Some([a, b]), .. } if a == b => same("labels", a),
            Self::File { spurious: Some([a, b]), .. } if a == b => same("spurious values", a),
            Self::File { columns, .. } if columns.label == columns.spurious => {
                same("columns", &columns.label)
            }
            _ => Ok(()),
        }
    }
}
