//! How a circuit is found.

use super::Metric;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How node effects are estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Method {
    /// Attribution patching: Δ times the gradient at the clean run (`atp`).
    Attribution,
    /// Integrated gradients: Δ times the mean gradient at α = 0, 1/n, … (n−1)/n of the way, one
    /// site at a time (`ig`, `ig:20`).
    IntegratedGradients {
        /// n.
        steps: usize,
    },
    /// A forward pass for each node (`exact`).
    Exact,
    /// As attribution patching, with norm, gate and products linearised (RelP, arXiv:2508.21258;
    /// `relp`).
    Relp,
}

impl Default for Method {
    fn default() -> Self {
        Self::IntegratedGradients { steps: 10 }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribution => f.write_str("atp"),
            Self::IntegratedGradients { steps: 10 } => f.write_str("ig"),
            Self::IntegratedGradients { steps } => write!(f, "ig:{steps}"),
            Self::Exact => f.write_str("exact"),
            Self::Relp => f.write_str("relp"),
        }
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            Error::setting(
                format!("{text:?} is no way to estimate effects"),
                "there are atp, ig (or ig:STEPS), relp and exact",
                "Write one of these",
            )
        };
        match text {
            "atp" => Ok(Self::Attribution),
            "ig" => Ok(Self::default()),
            "exact" => Ok(Self::Exact),
            "relp" => Ok(Self::Relp),
            _ => match text.strip_prefix("ig:").and_then(|n| n.parse().ok()) {
                Some(steps) if (1..=1000).contains(&steps) => {
                    Ok(Self::IntegratedGradients { steps })
                }
                _ => Err(unknown()),
            },
        }
    }
}

impl TryFrom<String> for Method {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Method> for String {
    fn from(method: Method) -> Self {
        method.to_string()
    }
}

/// What a node is changed to when its effect is estimated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Its value on the patch prompt.
    #[default]
    Patch,
    /// Zero (the decoder's bias stays): for prompts without a pair.
    Zero,
}

/// What one node stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Effects are summed over positions, then averaged over pairs.
    #[default]
    Summed,
    /// Every position has nodes of its own, averaged over pairs: for templates, where a position
    /// means the same in every pair. Pairs of the commonest length only.
    PerPosition,
}

/// How a circuit is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FindSpec {
    /// What is measured.
    pub metric: Metric,
    /// How effects are estimated.
    pub method: Method,
    /// What nodes are changed to.
    pub change: Change,
    /// What a node stands for.
    pub aggregation: Aggregation,
    /// Pairs used at most, drawn by the seed.
    pub pairs: usize,
    /// Nodes are kept whose effect, after averaging, is greater than this in size.
    pub node_threshold: f32,
    /// Of these the greatest, so many at most.
    pub most_nodes: usize,
    /// Edges are kept whose weight, after averaging, is greater than this in size.
    pub edge_threshold: f32,
    /// First positions whose nodes are left out: 1 leaves out BOS.
    pub skip_positions: usize,
    /// Kept nodes whose effect is measured exactly beside, the greatest first.
    pub audit: usize,
    /// Resamples of the pairs by which each node's stability is judged.
    pub resamples: usize,
    /// Seed of all drawing.
    pub seed: u64,
}

impl Default for FindSpec {
    fn default() -> Self {
        Self {
            metric: Metric::default(),
            method: Method::default(),
            change: Change::default(),
            aggregation: Aggregation::default(),
            pairs: 100,
            node_threshold: 0.02,
            most_nodes: 1000,
            edge_threshold: 0.002,
            skip_positions: 0,
            audit: 20,
            resamples: 100,
            seed: 0,
        }
    }
}
