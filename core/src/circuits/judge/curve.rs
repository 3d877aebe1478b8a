//! How much circuits of every size hold.

use super::super::{Estimate, Node};
use super::verdict::{estimate, share_of};
use super::{Judge, RandomPoint, Which};
use crate::error::Result;
use crate::jobs::JobContext;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A circuit of the first so many nodes of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// How many.
    pub nodes: usize,
    /// F(C).
    pub value: Estimate,
    /// (F(C) − F(∅)) / (F(M) − F(∅)); see [`super::Verdict::faithfulness`].
    pub faithfulness: Option<Estimate>,
    /// The same of all nodes but these.
    pub completeness: Option<Estimate>,
}

/// Faithfulness against the number of nodes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// From few nodes to many.
    pub points: Vec<CurvePoint>,
    /// Random circuits of some of these sizes.
    pub random: Vec<RandomPoint>,
}

impl Judge {
    /// Circuits of the first `counts` nodes of `ranked` (the strongest first), each told to `hear`
    /// as soon as it is judged.
    ///
    /// # Errors
    /// As [`Judge::verdict`].
    pub fn curve<E>(
        &self,
        ctx: &JobContext<E>,
        ranked: &[Node],
        counts: &[usize],
        mut hear: impl FnMut(&CurvePoint),
    ) -> Result<Vec<CurvePoint>> {
        for node in ranked {
            self.known(node)?;
        }
        let model = self.outcome(ctx, Which::Everything, &[])?;
        let empty = self.outcome(ctx, Which::Only(&BTreeSet::new()), &[])?;
        let mut out = Vec::with_capacity(counts.len());
        for &count in counts {
            let nodes: BTreeSet<Node> = ranked.iter().take(count).copied().collect();
            let circuit = self.run(ctx, Which::Only(&nodes), &[])?;
            let rest = self.run(ctx, Which::Without(&nodes), &[])?;
            let point = CurvePoint {
                nodes: nodes.len(),
                value: estimate(&circuit.value),
                faithfulness: share_of(&circuit.value, &empty.value, &model.value),
                completeness: share_of(&rest.value, &empty.value, &model.value),
            };
            hear(&point);
            out.push(point);
            ctx.progress().add(1);
        }
        Ok(out)
    }
}

/// At most `points` numbers of nodes from 1 to `most`, evenly spread on a logarithmic scale.
pub fn counts(most: usize, points: usize) -> Vec<usize> {
    if most == 0 || points == 0 {
        return Vec::new();
    }
    let steps = (points - 1).max(1) as f64;
    let at = |i: usize| (most as f64).powf(i as f64 / steps).round() as usize;
    let all: BTreeSet<usize> = (0..points).map(at).chain([most]).collect();
    all.into_iter().filter(|n| (1..=most).contains(n)).collect()
}
