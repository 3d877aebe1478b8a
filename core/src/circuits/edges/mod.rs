//! Edges: what a change of one node does to F directly through another, past all nodes in between.
//!
//! The weight of u → d is `∂F/∂d · ∂d/∂u · Δu` with no gradient through the sites that have nodes
//! of their own (Marks et al. 2024, appendix A.1), the sign being that of effects. ∂F/∂d is the
//! gradient of the method by which the circuit was found, at each pair and position by itself.

mod place;
mod reach;

use super::effects::{Batch, Setup, batches, gradients, output, rows_at_once};
use super::{Bases, Circuit, CircuitEdge, Example, Examples, Node};
use crate::activations::numbers;
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{Model, Rules, Site, WhatGradients};
use candle_core::Tensor;
pub(super) use place::Kept;
use place::{Place, Pull};
use reach::{Reach, reach};
use std::collections::{BTreeMap, BTreeSet};

/// Computes the edges between the nodes of `circuit`, and from them to the metric, over the pairs
/// by which it was found; those before are replaced.
///
/// Edges to the metric are the effects of the nodes where it is read, or direct effects on it if
/// there are no nodes there.
///
/// # Errors
/// The circuit's pairs are not among `examples`, or its nodes not among `bases`; as
/// [`super::find`].
pub fn connect<E>(
    ctx: &JobContext<E>,
    model: &Model,
    bases: &Bases,
    examples: &Examples,
    circuit: &mut Circuit,
) -> Result<()> {
    let spec = circuit.conventions.spec.clone();
    let check = || ctx.check_cancelled();
    let setup = Setup::new(model, bases, &spec, &check)?;
    let examples = used(examples, circuit)?;
    let kept = kept(&setup, circuit.nodes.iter().map(|n| &n.node))?;
    let mut sums = Sums::default();
    ctx.progress().stage("Computing edges", "pairs", 0, examples.len() as u64);
    for places in batches(&setup, &examples) {
        ctx.check()?;
        let batch = Batch::new(&setup, &examples, places)?;
        let sites: Vec<Site> = kept.keys().copied().collect();
        let at = gradients(&setup, &batch, &sites)?;
        edges(&setup, &batch, (&kept, &kept), &at, &mut sums)?;
        ctx.progress().add(batch.pairs() as u64);
    }
    let n = examples.len().max(1) as f64;
    let mut edges = Vec::new();
    for ((from, to), sums) in sums.0 {
        let (from, to) = (&kept[&from].places, to.map(|to| &kept[&to].places));
        for (i, sum) in sums.iter().enumerate() {
            let edge = CircuitEdge {
                from: from[i % from.len()] as u32,
                to: to.map(|to| to[i / from.len()] as u32),
                weight: (sum / n) as f32,
            };
            edges.push(edge);
        }
    }
    if let Some(kept) = kept.get(&setup.top) {
        for place in &kept.places {
            let weight = circuit.nodes[*place].effect.mean as f32;
            edges.push(CircuitEdge { from: *place as u32, to: None, weight });
        }
    }
    edges.retain(|edge| edge.weight.abs() > spec.edge_threshold);
    edges.sort_by_key(|edge| (edge.from, edge.to));
    circuit.edges = edges;
    Ok(())
}

/// The pairs by which a circuit was found.
fn used(examples: &Examples, circuit: &Circuit) -> Result<Vec<Example>> {
    let wanted: BTreeSet<usize> = circuit.conventions.task.used.iter().copied().collect();
    let found: Vec<Example> =
        examples.kept.iter().filter(|e| wanted.contains(&e.pair)).cloned().collect();
    if found.len() == wanted.len() && !found.is_empty() {
        return Ok(found);
    }
    Err(Error::setting(
        "The edges cannot be computed",
        format!("of the circuit's {} pairs the task has {}", wanted.len(), found.len()),
        "Choose the task and the metric by which the circuit was found",
    ))
}

/// The nodes of each site.
pub(super) fn kept<'a>(
    setup: &Setup<'_>,
    nodes: impl Iterator<Item = &'a Node>,
) -> Result<BTreeMap<Site, Kept>> {
    let mut kept: BTreeMap<Site, Kept> = BTreeMap::new();
    for (place, node) in nodes.enumerate() {
        if !setup.sites.contains(&node.site) {
            return Err(Error::setting(
                "The edges cannot be computed",
                format!("the circuit has the node {node}, and no dictionary stands there"),
                "Choose the dictionaries by which the circuit was found",
            ));
        }
        kept.entry(node.site).or_default().add(place, node);
    }
    Ok(kept)
}

/// Sums over pairs of the weights of all edges between two sites (from, to; the metric is `None`):
/// row by row of the latter's nodes.
#[derive(Default)]
pub(super) struct Sums(BTreeMap<(Site, Option<Site>), Vec<f64>>);

impl Sums {
    /// Number of edges that are not 0.
    pub(super) fn len(&self) -> usize {
        self.0.values().flatten().filter(|sum| **sum != 0.0).count()
    }
}

/// Adds the edges of a batch from the nodes `from` to the nodes `to`, `at` being the gradient of F
/// at each site with nodes of the latter.
pub(super) fn edges(
    setup: &Setup<'_>,
    batch: &Batch,
    (from, to): (&BTreeMap<Site, Kept>, &BTreeMap<Site, Kept>),
    at: &BTreeMap<Site, Vec<f32>>,
    sums: &mut Sums,
) -> Result<()> {
    let nodes: BTreeSet<Site> = setup.sites.iter().copied().collect();
    let all: BTreeSet<&Site> = from.keys().chain(to.keys()).collect();
    let none = Kept::default();
    let mut places = BTreeMap::new();
    for site in all {
        (setup.check)()?;
        let from = from.get(site).unwrap_or(&none);
        let to = to.get(site).unwrap_or(&none);
        places.insert(*site, Place::new(setup, batch, *site, from, to)?);
    }
    for (site, place) in places.iter().filter(|(site, _)| to.contains_key(site)) {
        let gradient = at.get(site).ok_or_else(|| {
            Error::internal("The edges cannot be computed", format!("{site} has no gradient"))
        })?;
        let pulls = place.pulls(gradient);
        let reach = reach(*site, &nodes);
        pulled(setup, batch, &places, (*site, Some(*site)), &reach, pulls, sums)?;
    }
    if nodes.contains(&setup.top) {
        return Ok(());
    }
    let own: Vec<usize> = (0..batch.pairs()).collect();
    let x = output(&batch.clean.sites, setup.top)?;
    let seed = numbers(&batch.gauge.gradients(x, &own, &setup.rules())?.1)?;
    let width = setup.model.config().width;
    let pulls = seed.chunks(width).enumerate().map(|(row, gradient)| Pull {
        row,
        node: 0,
        gradient: gradient.to_vec(),
    });
    let pulls = pulls.filter(|pull| pull.gradient.iter().any(|g| *g != 0.0)).collect();
    let reach = reach(setup.top, &nodes);
    pulled(setup, batch, &places, (setup.top, None), &reach, pulls, sums)
}

/// What pulls at `down` traced back to the sites directly before it, where the changes there weigh
/// it.
fn pulled(
    setup: &Setup<'_>,
    batch: &Batch,
    places: &BTreeMap<Site, Place<'_>>,
    (down, to): (Site, Option<Site>),
    reach: &Reach,
    mut pulls: Vec<Pull>,
    sums: &mut Sums,
) -> Result<()> {
    let has = |site: &Site| places.get(site).is_some_and(|place| place.changing() > 0);
    let from: Vec<Site> = reach.from.iter().copied().filter(has).collect();
    if from.is_empty() || pulls.is_empty() {
        return Ok(());
    }
    let width = setup.model.config().width;
    let downs = to.map_or(1, |to| places[&to].pulled());
    let stop: Vec<Site> = setup.sites.iter().copied().filter(|site| *site != down).collect();
    // Where attention is on the way, all positions of a pair are one row, a node of a pair each.
    // Elsewhere every pull is a row by itself.
    let each = if reach.attention { batch.positions } else { 1 };
    let group = |pull: &Pull| match reach.attention {
        true => (pull.row / batch.positions, pull.node, 0),
        false => (pull.row, pull.node, pull.row),
    };
    pulls.sort_by_key(group);
    let groups: Vec<&[Pull]> = pulls.chunk_by(|a, b| group(a) == group(b)).collect();
    let at_once = (rows_at_once(setup) / each).max(1);
    for groups in groups.chunks(at_once) {
        (setup.check)()?;
        let mut seed = vec![0.0; groups.len() * each * width];
        for (seed, pulls) in seed.chunks_mut(each * width).zip(groups) {
            for pull in *pulls {
                let place = if reach.attention { pull.row % batch.positions } else { 0 };
                seed[place * width..][..width].copy_from_slice(&pull.gradient);
            }
        }
        let device = setup.model.device();
        let seed = Tensor::from_vec(seed, (groups.len(), each, width), device)?;
        let seed = seed.to_dtype(setup.model.dtype())?;
        let names: Vec<usize> = groups.iter().map(|pulls| group(&pulls[0]).0).collect();
        let pass = match reach.attention {
            true => batch.clean.rows(&names, reach.blocks.clone())?,
            false => batch.clean.places(&names, reach.blocks.clone())?,
        };
        let rules: Rules = setup.rules();
        let what = WhatGradients { sites: &from, rules, stop: &stop, ..WhatGradients::default() };
        let found = setup.model.backward_from(&pass, &[(down, seed)], what)?;
        let rows: Vec<usize> = match reach.attention {
            false => names,
            true => names.iter().flat_map(|pair| (0..each).map(move |p| pair * each + p)).collect(),
        };
        for up in &from {
            let gradient = numbers(output(&found.sites, *up)?)?;
            super::effects::finite_gradient(*up, &gradient)?;
            let place = &places[up];
            let ups = place.changing();
            let sums = sums.0.entry((*up, to)).or_insert_with(|| vec![0.0; downs * ups]);
            place.along(&rows, &gradient, |i, node, weight| {
                sums[groups[i / each][0].node * ups + node] += weight;
            });
        }
    }
    Ok(())
}
