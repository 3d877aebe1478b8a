//! The stages of finding by themselves, for [`crate::benchmark`].

use super::edges::{Kept, Sums, edges, kept};
use super::effects::{Batch, Effect, Setup, batches, effects, gradients};
use super::{Bases, Examples, FindSpec, Node};
use crate::error::Result;
use crate::llama::{Model, Site};
use std::collections::{BTreeMap, BTreeSet};

/// Finding, taken apart.
pub(crate) struct Stages<'a> {
    setup: Setup<'a>,
    examples: &'a Examples,
}

/// What edges are computed from.
pub(crate) struct BeforeEdges {
    batches: Vec<(Batch, BTreeMap<Site, Vec<f32>>)>,
    /// The nodes chosen, and all that have an effect.
    chosen: BTreeMap<Site, Kept>,
    all: BTreeMap<Site, Kept>,
}

impl<'a> Stages<'a> {
    pub(crate) fn new(
        model: &'a Model,
        bases: &'a Bases,
        examples: &'a Examples,
        spec: &'a FindSpec,
    ) -> Result<Self> {
        Ok(Self { setup: Setup::new(model, bases, spec, &|| Ok(()))?, examples })
    }

    /// Runs the pairs and estimates the effect of every node in each; how many effects there are.
    pub(crate) fn effects(&self) -> Result<usize> {
        Ok(self.all()?.iter().map(|(_, _, effects)| effects.len()).sum())
    }

    fn all(&self) -> Result<Vec<(usize, Site, Vec<Effect>)>> {
        let mut out = Vec::new();
        for places in batches(&self.setup, &self.examples.kept) {
            let batch = Batch::new(&self.setup, &self.examples.kept, places)?;
            for pair in effects(&self.setup, &batch)? {
                let place = pair.place;
                out.extend(pair.sites.into_iter().map(|(site, effects)| (place, site, effects)));
            }
        }
        Ok(out)
    }

    /// Runs the pairs and chooses the `count` nodes past the embedding with the greatest effects in
    /// single pairs.
    pub(crate) fn before_edges(&self, count: usize) -> Result<BeforeEdges> {
        let mut greatest: BTreeMap<Node, f32> = BTreeMap::new();
        for (_, site, effects) in self.all()? {
            for Effect { position, unit, effect } in effects {
                let size = greatest.entry(Node { site, position, unit }).or_default();
                *size = size.max(effect.abs());
            }
        }
        let all: Vec<Node> = greatest.keys().copied().collect();
        let mut order: Vec<&Node> = all.iter().filter(|node| node.site != Site::Embed).collect();
        order.sort_by(|a, b| greatest[*b].total_cmp(&greatest[*a]).then(a.cmp(b)));
        order.truncate(count);
        let chosen: BTreeSet<Node> = order.into_iter().copied().collect();
        let mut ready = Vec::new();
        for places in batches(&self.setup, &self.examples.kept) {
            let batch = Batch::new(&self.setup, &self.examples.kept, places)?;
            let at = gradients(&self.setup, &batch, &self.setup.sites)?;
            ready.push((batch, at));
        }
        Ok(BeforeEdges {
            batches: ready,
            chosen: kept(&self.setup, chosen.iter())?,
            all: kept(&self.setup, all.iter())?,
        })
    }

    /// Edges to the nodes chosen: from each other, or from all nodes with an effect.
    pub(crate) fn edges(&self, before: &BeforeEdges, from_all: bool) -> Result<usize> {
        let mut sums = Sums::default();
        let from = if from_all { &before.all } else { &before.chosen };
        for (batch, at) in &before.batches {
            edges(&self.setup, batch, (from, &before.chosen), at, &mut sums)?;
        }
        Ok(sums.len())
    }
}
