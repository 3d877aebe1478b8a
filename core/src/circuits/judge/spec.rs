//! How circuits are judged.

use super::super::Metric;
use crate::error::{Error, Result};
use crate::llama::{Model, Site};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What the nodes that are put away become.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ablation {
    /// At each position their mean over the patch prompts of the same length (over the clean ones
    /// where there is no pair).
    #[default]
    Mean,
    /// Zero; the decoder's bias stays.
    Zero,
    /// Their value on the patch prompt of another pair of the same length, drawn by the seed.
    Resample,
}

/// How error terms are treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Errors {
    /// As any node: kept if and only if they are in the circuit.
    #[default]
    AsNodes,
    /// Always kept, in the circuit, in its complement and in F(∅).
    Keep,
    /// Always put away (but in F(M)).
    Cut,
}

/// How circuits are judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JudgeSpec {
    /// What is measured.
    pub metric: Metric,
    /// What nodes that are put away become.
    pub ablation: Ablation,
    /// How error terms are treated.
    pub errors: Errors,
    /// Sites that are left whole.
    pub exempt: Vec<Site>,
    /// Seed of resampling and of random circuits.
    pub seed: u64,
}

impl JudgeSpec {
    /// The sites of the first third of the blocks, and the embedding: what the paper leaves whole,
    /// since early features of single tokens are many and of little interest.
    pub fn first_third(layers: usize) -> Vec<Site> {
        let early = |site: &Site| site.layer().is_none_or(|layer| layer < layers / 3);
        Site::all(layers).into_iter().filter(early).collect()
    }

    pub(super) fn fits(&self, model: &Model) -> Result<()> {
        let layers = model.config().layers;
        for site in &self.exempt {
            site.within(layers)?;
        }
        Ok(())
    }
}

impl Ablation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mean, Self::Zero, Self::Resample];

    /// Its name in files, commands and on screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Zero => "zero",
            Self::Resample => "resample",
        }
    }
}

impl Errors {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AsNodes, Self::Keep, Self::Cut];

    /// Its name in files, commands and on screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::AsNodes => "nodes",
            Self::Keep => "keep",
            Self::Cut => "cut",
        }
    }
}

impl fmt::Display for Ablation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Ablation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|a| a.name() == text).ok_or_else(|| {
            Error::setting(
                format!("{text:?} is no ablation"),
                "nodes can be put to their mean, to zero, or to what they are on another prompt",
                "Write mean, zero or resample",
            )
        })
    }
}

impl FromStr for Errors {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|e| e.name() == text).ok_or_else(|| {
            Error::setting(
                format!("Error terms cannot be treated as {text:?}"),
                "they can be nodes, be kept, or be cut",
                "Write nodes, keep or cut",
            )
        })
    }
}
