//! The greatest nodes of a circuit measured exactly.

use super::effects::{Batch, Setup, batches, exact};
use super::gathered::estimate;
use super::{CircuitNode, Example, Node, Unit};
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::Site;
use std::collections::{BTreeMap, BTreeSet};

/// Writes to the `spec.audit` nodes of greatest effect what changing each alone does: the mean of
/// `F(clean) − F(node changed)` over pairs, by a pass for each node and pair.
pub(super) fn audit<E>(
    ctx: &JobContext<E>,
    setup: &Setup<'_>,
    examples: &[Example],
    nodes: &mut [CircuitNode],
) -> Result<()> {
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    let size = |i: usize| nodes[i].effect.mean.abs();
    order.sort_by(|a, b| size(*b).total_cmp(&size(*a)).then(a.cmp(b)));
    order.truncate(setup.spec.audit);
    if order.is_empty() {
        return Ok(());
    }
    let mut wanted: BTreeMap<Site, BTreeSet<(Option<u32>, Unit)>> = BTreeMap::new();
    for i in &order {
        let Node { site, position, unit } = nodes[*i].node;
        wanted.entry(site).or_default().insert((position, unit));
    }
    ctx.progress().stage("Measuring exactly", "pairs", 0, examples.len() as u64);
    let mut values: BTreeMap<Node, Vec<(usize, f64)>> = BTreeMap::new();
    for places in batches(setup, examples) {
        ctx.check()?;
        let batch = Batch::new(setup, examples, places)?;
        for (site, only) in &wanted {
            for (pair, effects) in exact(setup, &batch, *site, Some(only))?.into_iter().enumerate()
            {
                for effect in effects {
                    let node = Node { site: *site, position: effect.position, unit: effect.unit };
                    let value = (batch.places[pair], f64::from(effect.effect));
                    values.entry(node).or_default().push(value);
                }
            }
        }
        ctx.progress().add(batch.pairs() as u64);
    }
    for i in order {
        let mut found = values.remove(&nodes[i].node).unwrap_or_default();
        // Batches are in an order of their own.
        found.sort_unstable_by_key(|(place, _)| *place);
        nodes[i].exact = Some(estimate(found.into_iter().map(|(_, v)| v), examples.len()));
    }
    Ok(())
}
