//! Tasks: prompts, the answers that the model is expected to prefer, and the metric.

use crate::llama::Site;
use serde::{Deserialize, Serialize};

/// One or several answers that count alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answers {
    /// One.
    One(String),
    /// Several: their probabilities are summed.
    Several(Vec<String>),
}

impl Answers {
    /// Each of them.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(answer) => std::slice::from_ref(answer),
            Self::Several(answers) => answers,
        }
    }
}

/// A prompt with its contrast: a line of a task file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The prompt.
    pub clean_prefix: String,
    /// The prompt that differs in what matters; without it effects are those of zero ablation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch_prefix: Option<String>,
    /// What follows the clean prompt.
    pub clean_answer: Answers,
    /// What follows the other one. Needed for logit differences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch_answer: Option<Answers>,
    /// Which kind of pair it is: `singular_plural`.
    #[serde(default)]
    pub case: String,
}

/// Prompts that show one behaviour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What it is called.
    pub name: String,
    /// Its pairs.
    pub pairs: Vec<Pair>,
}

/// How a probe's site is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// The mean over all positions.
    #[default]
    Mean,
    /// The last position.
    Last,
}

/// What is measured on the output: F, high where the model behaves as expected.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// log Σ exp(logit of a clean answer) − log Σ exp(logit of a patch answer), at the last
    /// position: of two single answers the difference of their logits.
    #[default]
    LogitDifference,
    /// log of the clean answers' probability at the last position.
    LogProbability,
    /// `⟨w, pooled x⟩ + b` of a linear probe at a site; negated where the pair's clean answer is
    /// `-`.
    Probe {
        /// Where it reads.
        site: Site,
        /// w, as wide as the site.
        weights: Vec<f32>,
        /// b.
        bias: f32,
        /// How positions become one vector.
        pool: Pool,
    },
}

impl Metric {
    /// Its name in files, commands and on screen.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LogitDifference => "logit difference",
            Self::LogProbability => "log probability",
            Self::Probe { .. } => "probe",
        }
    }
}
