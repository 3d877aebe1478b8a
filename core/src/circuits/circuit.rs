//! A circuit that was found, with every convention that made it.

use super::{FindSpec, Node};
use crate::llama::Site;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A mean over pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error; 0 for a single pair.
    pub error: f64,
}

impl Estimate {
    /// Of these values, one a pair.
    pub fn of(values: &[f64]) -> Self {
        super::gathered::estimate(values.iter().copied(), values.len())
    }
}

/// A node of a circuit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CircuitNode {
    /// Which.
    pub node: Node,
    /// Its effect by the method of the circuit; positive where it supports the behaviour.
    pub effect: Estimate,
    /// Its mean activation on the clean prompts (summed over positions where the node is); of an
    /// error the mean length of the vector.
    pub clean: f32,
    /// The same on the patch prompts.
    pub patch: f32,
    /// Its effect measured by changing this node alone, if it was audited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<Estimate>,
    /// Share of resamples of the pairs in which it would be kept, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stability: Option<f32>,
}

/// The direct effect of one node on another: past all nodes in between.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CircuitEdge {
    /// Place of the upstream node in [`Circuit::nodes`].
    pub from: u32,
    /// Place of the downstream node; `None` for the metric itself.
    pub to: Option<u32>,
    /// The part of the metric that goes along it; signs as for nodes.
    pub weight: f32,
}

/// Which pairs made a circuit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskMark {
    /// The task's name.
    pub name: String,
    /// Content hash of its pairs.
    pub hash: String,
    /// Pairs in it.
    pub pairs: usize,
    /// Pairs used, as places in the task.
    pub used: Vec<usize>,
    /// Pairs that could not be used, by reason.
    pub left_out: BTreeMap<String, usize>,
    /// Positions of each prompt where all have one length; else that of the longest.
    pub positions: usize,
    /// Where nodes stand at positions: the tokens there in the first pair used, as drawn.
    pub tokens: Vec<String>,
}

/// What the sign of an effect means, in every circuit of this program.
pub const SIGN: &str = "F(clean) - F(node changed): positive where the node supports the behaviour";

/// When thresholds are applied, in every circuit of this program.
pub const THRESHOLD_STAGE: &str = "after averaging over pairs";

/// Everything that a circuit depends on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conventions {
    /// Content hash of the model.
    pub model: String,
    /// What the model is called.
    pub model_name: String,
    /// Content hash of the dictionary at each site; `None` where coordinates are the nodes.
    pub saes: BTreeMap<Site, Option<String>>,
    /// The task.
    pub task: TaskMark,
    /// How it was found.
    pub spec: FindSpec,
    /// What the sign of an effect means: [`SIGN`].
    #[serde(default)]
    pub sign: String,
    /// When thresholds are applied: [`THRESHOLD_STAGE`].
    #[serde(default)]
    pub threshold_stage: String,
    /// Version of the program.
    pub version: String,
}

/// A sparse feature circuit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Circuit {
    /// What it depends on.
    pub conventions: Conventions,
    /// Mean metric on the clean prompts.
    pub clean: Estimate,
    /// Mean metric on the patch prompts (with the clean answers); with zero ablation not known.
    pub patch: Option<Estimate>,
    /// Kept nodes, in the order of the forward pass.
    pub nodes: Vec<CircuitNode>,
    /// Nodes that were looked at: those with any effect at all.
    pub candidates: usize,
    /// Kept edges between them; empty until they are computed.
    pub edges: Vec<CircuitEdge>,
    /// Mean Jaccard index between the nodes kept and those kept on resamples of the pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stability: Option<f64>,
}

impl Circuit {
    /// Names the task that its pairs are of.
    pub fn of_task(&mut self, task: &super::Task) {
        let mark = &mut self.conventions.task;
        (mark.name, mark.hash, mark.pairs) = (task.name.clone(), task.hash(), task.pairs.len());
    }
}
