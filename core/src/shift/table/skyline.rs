//! Skylines: what is cut is chosen with the spurious labels of balanced texts.

use super::super::pooled::{batches, most_latents};
use super::super::probe_circuit::{effects, latent, with_dictionary};
use super::super::{CircuitSpec, is_feature, trim};
use super::rows::{Maker, Outcome, plain};
use crate::activations::site_output;
use crate::circuits::{Bases, Basis, Node};
use crate::edits::{NodeEdits, Stay, To, Values};
use crate::error::Result;
use crate::llama::{Change, Plan, Site};
use crate::sae::Latents;
use std::collections::BTreeMap;
use std::sync::Arc;

const NOTHING: &str = "No feature was trimmed, so it is not known how many to take.";

/// The features of greatest effect on the log-odds of the label that is paired with the text's own
/// spurious value.
pub(super) fn features<E>(maker: &Maker<'_, E>) -> Result<Outcome> {
    let made = "As many features as SHIFT trims, those that push the probe most towards the label \
                paired with the text's own spurious value, measured on the balanced training part, \
                are put to 0; the probe stays as it is.";
    if maker.trimmed.is_empty() {
        return Ok(Err((made.to_owned(), NOTHING.to_owned())));
    }
    let bases = with_dictionary(maker.input.bases, maker.input.probe)?;
    let nodes = greatest(maker, &bases)?;
    let test = &maker.input.split.balanced_test;
    let x = maker.pooled(test, &trim(&nodes))?;
    Ok(Ok(plain(maker.input.probe.right(&x, test), nodes.len(), made)))
}

/// The coordinates of greatest effect, put to their mean.
pub(super) fn neurons<E>(maker: &Maker<'_, E>) -> Result<Outcome> {
    let made = "As many coordinates of the same sites as SHIFT trims features, those that push the \
                probe most towards the label paired with the text's own spurious value, measured \
                on the balanced training part, are put to their mean over its texts and positions; \
                the probe stays as it is.";
    if maker.trimmed.is_empty() {
        return Ok(Err((made.to_owned(), NOTHING.to_owned())));
    }
    let input = maker.input;
    let with = with_dictionary(input.bases, input.probe)?;
    let sites = with.sites.keys().map(|site| (*site, Basis::Neurons)).collect();
    let nodes = greatest(maker, &Bases { sites })?;
    let mut by_site: BTreeMap<Site, Vec<u32>> = BTreeMap::new();
    for node in &nodes {
        by_site.entry(node.site).or_default().extend(latent(node));
    }
    let means = means(maker, &by_site)?;
    let test = &input.split.balanced_test;
    let positions = test.iter().map(|text| text.tokens.len()).max().unwrap_or(0);
    let width = input.model.config().width;
    let mut edits = Vec::new();
    for (site, coordinates) in &by_site {
        let to = |i: &u32| (Some(*i), To::Value(means[site][*i as usize] as f32));
        let further = coordinates.iter().map(to).collect::<Vec<_>>();
        let mut latents = Latents::new(0);
        (0..positions).for_each(|_| latents.push_row([]));
        let values = Values { latents, rest: vec![0.0; positions * width], per_text: None };
        let stay = Stay { listed: Vec::new(), only: false, error: true };
        let (stay, further) = (vec![stay; positions], vec![further; positions]);
        edits.push((*site, NodeEdits::new(None, width, Arc::new(values), stay, further)?));
    }
    let change: Vec<(Site, &dyn Change)> =
        edits.iter().map(|(site, edits)| (*site, edits as &dyn Change)).collect();
    let x = maker.changed(test, &change)?;
    Ok(Ok(plain(input.probe.right(&x, test), nodes.len(), made)))
}

/// As many nodes as are trimmed, by their effect on what the spurious value says.
fn greatest<E>(maker: &Maker<'_, E>, bases: &Bases) -> Result<Vec<Node>> {
    let input = maker.input;
    let most = maker.trimmed.len();
    let spec = CircuitSpec { threshold: 0.0, most, audit: 0, ..input.circuit_spec.clone() };
    let texts = &input.split.balanced_train;
    let circuit =
        effects(maker.ctx, input.model, bases, texts, input.probe, &spec, |text| text.spurious)?;
    Ok(circuit.nodes.iter().filter(|node| is_feature(node)).map(|node| node.node).collect())
}

/// The mean of each coordinate of each site over all positions of the balanced training part.
fn means<E>(
    maker: &Maker<'_, E>,
    by_site: &BTreeMap<Site, Vec<u32>>,
) -> Result<BTreeMap<Site, Vec<f64>>> {
    let input = maker.input;
    let width = input.model.config().width;
    let texts = &input.split.balanced_train;
    let sites: Vec<Site> = by_site.keys().copied().collect();
    let mut sums: BTreeMap<Site, Vec<f64>> =
        sites.iter().map(|site| (*site, vec![0.0; width])).collect();
    let mut count = 0;
    let check = || maker.ctx.check();
    for batch in batches(input.model, texts, most_latents(input.bases))? {
        let plan = Plan { read: &sites, check: Some(&check), ..Plan::default() };
        let pass = input.model.forward(&batch.tokens, &plan)?;
        let positions = batch.tokens.positions();
        for (site, sum) in &mut sums {
            let x = site_output(&pass, *site)?;
            for (i, length) in batch.lengths.iter().enumerate() {
                for row in x[i * positions * width..][..length * width].chunks_exact(width) {
                    sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
                }
            }
        }
        count += batch.lengths.iter().sum::<usize>();
    }
    sums.values_mut().flatten().for_each(|sum| *sum /= count.max(1) as f64);
    Ok(sums)
}
