//! How active the nodes of a circuit are.

use super::effects::{Setup, batches, output};
use super::{Basis, CircuitNode, Example, Node, Unit};
use crate::activations::numbers;
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::{Plan, Site, Tokens};
use std::collections::BTreeMap;

/// Writes to each node its mean activation on the clean and on the patch prompts: summed over
/// positions (but for those left out) unless it stands at one. Of an error the length of the vector
/// is taken at each position.
pub(super) fn describe<E>(
    ctx: &JobContext<E>,
    setup: &Setup<'_>,
    examples: &[Example],
    nodes: &mut [CircuitNode],
) -> Result<()> {
    let mut sites: BTreeMap<Site, BTreeMap<(Option<u32>, Unit), usize>> = BTreeMap::new();
    for (i, Node { site, position, unit }) in nodes.iter().map(|n| n.node).enumerate() {
        sites.entry(site).or_default().insert((position, unit), i);
    }
    if sites.is_empty() {
        return Ok(());
    }
    ctx.progress().stage("Reading activations", "pairs", 0, examples.len() as u64);
    let mut sums = vec![[0.0f64; 2]; nodes.len()];
    let mut counts = [0usize; 2];
    for places in batches(setup, examples) {
        ctx.check()?;
        let prompts = places.iter().map(|i| examples[*i].clean.as_slice()).collect::<Vec<_>>();
        let patches = places.iter().filter_map(|i| examples[*i].patch.as_deref()).collect();
        for (which, rows) in [prompts, patches].into_iter().enumerate() {
            if rows.is_empty() {
                continue;
            }
            counts[which] += rows.len();
            read(setup, &rows, &sites, |node, value| sums[node][which] += value)?;
        }
        ctx.progress().add(places.len() as u64);
    }
    let mean = |sum: f64, count: usize| (sum / count.max(1) as f64) as f32;
    for (node, sum) in nodes.iter_mut().zip(sums) {
        node.clean = mean(sum[0], counts[0]);
        node.patch = mean(sum[1], counts[1]);
    }
    Ok(())
}

/// Gives every activation of the nodes on `prompts` to `take`.
fn read(
    setup: &Setup<'_>,
    prompts: &[&[u32]],
    sites: &BTreeMap<Site, BTreeMap<(Option<u32>, Unit), usize>>,
    mut take: impl FnMut(usize, f64),
) -> Result<()> {
    let tokens = Tokens::rows(prompts)?;
    let names: Vec<Site> = sites.keys().copied().collect();
    let plan = Plan { read: &names, check: Some(setup.check), ..Plan::default() };
    let pass = setup.model.forward(&tokens, &plan)?;
    let width = setup.model.config().width;
    for (site, nodes) in sites {
        (setup.check)()?;
        let x = numbers(output(&pass.sites, *site)?)?;
        let skipped = |row: usize| row % tokens.positions() < setup.spec.skip_positions;
        let mut give = |row: usize, unit: Unit, value: f64| {
            let position = (row % tokens.positions()) as u32;
            for key in [(None, unit), (Some(position), unit)] {
                if let Some(node) = nodes.get(&key).filter(|_| !skipped(row)) {
                    take(*node, value);
                }
            }
        };
        let Some(Basis::Sae(sae)) = setup.bases.sites.get(site) else {
            for (i, value) in x.iter().enumerate() {
                give(i / width, Unit::Latent((i % width) as u32), f64::from(*value));
            }
            continue;
        };
        let latents = setup.encode(sae, *site, &x)?;
        for row in 0..latents.rows() {
            let (index, value) = latents.row(row);
            for (latent, value) in index.iter().zip(value) {
                give(row, Unit::Latent(*latent), f64::from(*value));
            }
        }
        if nodes.keys().any(|(_, unit)| *unit == Unit::Error) {
            let made = sae.decode(&latents)?;
            for (row, (x, made)) in x.chunks(width).zip(made.chunks(width)).enumerate() {
                let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
                give(row, Unit::Error, x.iter().zip(made).map(square).sum::<f64>().sqrt());
            }
        }
    }
    Ok(())
}
