//! What a verdict says, and how its figures follow from the passes.

use super::super::{Cut, Estimate, Examples, Node};
use super::run::Outcome;
use crate::llama::NextToken;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Share of pairs on which the metric says that the behaviour is there: F > 0, or for log
/// probability a clean answer being the likeliest of all tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Of the model as it is.
    pub model: f64,
    /// With the cuts made in it.
    pub cut_model: f64,
    /// Of the circuit, with its cuts.
    pub circuit: f64,
    /// Of the circuit without them.
    pub uncut_circuit: f64,
    /// With every node put away.
    pub empty: f64,
}

/// One pair under the verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairVerdict {
    /// Its place in the task.
    pub pair: usize,
    /// F of the model as it is.
    pub model: f64,
    /// With the cuts made in it.
    pub cut_model: f64,
    /// F of the circuit, with its cuts.
    pub circuit: f64,
    /// Likeliest next tokens of the model as it is.
    pub next: Vec<NextToken>,
    /// With the cuts made in it.
    pub next_cut: Vec<NextToken>,
    /// Of the circuit, with its cuts.
    pub next_circuit: Vec<NextToken>,
}

/// What a circuit is worth. All means are over the same pairs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Nodes of the circuit.
    pub nodes: usize,
    /// What was cut.
    pub cuts: Vec<Cut>,
    /// F(M): the model as it is.
    pub model: Estimate,
    /// The model with the cuts made in it.
    pub cut_model: Estimate,
    /// F(C): only the circuit, with its cuts.
    pub circuit: Estimate,
    /// F(C) without the cuts.
    pub uncut_circuit: Estimate,
    /// F(∅): every node put away.
    pub empty: Estimate,
    /// F(M∖C): all but the circuit.
    pub complement: Estimate,
    /// (F(C) − F(∅)) / (F(M) − F(∅)), with the cuts. `None` where F(M) and F(∅) are no further
    /// apart than twice the standard error of their difference: then it means nothing.
    pub faithfulness: Option<Estimate>,
    /// The same without the cuts.
    pub uncut_faithfulness: Option<Estimate>,
    /// (F(M∖C) − F(∅)) / (F(M) − F(∅)): what is left without the circuit; 0 is complete.
    pub completeness: Option<Estimate>,
    /// On how many pairs the behaviour is there.
    pub accuracy: Accuracy,
    /// Each pair, in the order of the task.
    pub pairs: Vec<PairVerdict>,
}

/// The passes behind a verdict.
pub(super) struct Parts {
    pub model: Arc<Outcome>,
    pub cut_model: Arc<Outcome>,
    pub circuit: Arc<Outcome>,
    pub uncut: Arc<Outcome>,
    pub complement: Arc<Outcome>,
    pub empty: Arc<Outcome>,
}

pub(super) fn verdict(
    examples: &Examples,
    nodes: &BTreeSet<Node>,
    cuts: &[Cut],
    parts: &Parts,
) -> Verdict {
    let (model, empty) = (&parts.model.value, &parts.empty.value);
    let share = |outcome: &Outcome| {
        let right = outcome.right.iter().filter(|right| **right).count();
        right as f64 / outcome.right.len().max(1) as f64
    };
    let pair = |(i, example): (usize, &super::super::Example)| PairVerdict {
        pair: example.pair,
        model: model[i],
        cut_model: parts.cut_model.value[i],
        circuit: parts.circuit.value[i],
        next: parts.model.next[i].clone(),
        next_cut: parts.cut_model.next[i].clone(),
        next_circuit: parts.circuit.next[i].clone(),
    };
    Verdict {
        nodes: nodes.len(),
        cuts: cuts.to_vec(),
        model: estimate(model),
        cut_model: estimate(&parts.cut_model.value),
        circuit: estimate(&parts.circuit.value),
        uncut_circuit: estimate(&parts.uncut.value),
        empty: estimate(empty),
        complement: estimate(&parts.complement.value),
        faithfulness: share_of(&parts.circuit.value, empty, model),
        uncut_faithfulness: share_of(&parts.uncut.value, empty, model),
        completeness: share_of(&parts.complement.value, empty, model),
        accuracy: Accuracy {
            model: share(&parts.model),
            cut_model: share(&parts.cut_model),
            circuit: share(&parts.circuit),
            uncut_circuit: share(&parts.uncut),
            empty: share(&parts.empty),
        },
        pairs: examples.kept.iter().enumerate().map(pair).collect(),
    }
}

/// Mean and its standard error.
pub(super) fn estimate(values: &[f64]) -> Estimate {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let error = if values.len() > 1 { (squares / (n - 1.0) / n).sqrt() } else { 0.0 };
    Estimate { mean, error }
}

/// (mean c − mean e) / (mean m − mean e) with its standard error to first order, pair by pair;
/// `None` where the denominator is within twice its standard error of 0.
pub(super) fn share_of(c: &[f64], e: &[f64], m: &[f64]) -> Option<Estimate> {
    let whole = estimate(&m.iter().zip(e).map(|(m, e)| m - e).collect::<Vec<_>>());
    if whole.mean == 0.0 || whole.mean.abs() <= 2.0 * whole.error {
        return None;
    }
    let part = estimate(&c.iter().zip(e).map(|(c, e)| c - e).collect::<Vec<_>>());
    let share = part.mean / whole.mean;
    let left: Vec<f64> =
        c.iter().zip(e).zip(m).map(|((c, e), m)| (c - e) - share * (m - e)).collect();
    Some(Estimate { mean: share, error: estimate(&left).error / whole.mean.abs() })
}
