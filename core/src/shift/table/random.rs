//! As many features as the trim has, drawn at random.

use super::super::pooled::{batches, most_latents};
use super::super::trim;
use super::rows::{Maker, Outcome, plain};
use crate::activations::site_output;
use crate::circuits::{Node, Unit};
use crate::error::{Error, Result};
use crate::llama::{Plan, Site};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// Texts over which a latent must fire to be drawn.
const LOOKED_AT: usize = 100;

pub(super) fn row<E>(maker: &Maker<'_, E>) -> Result<Outcome> {
    let draws = maker.spec.random_draws.max(1);
    let made = format!(
        "As many features as SHIFT trims at each site, drawn at random among those that fire on \
         the first {LOOKED_AT} texts of the ambiguous part and are not trimmed, are put to 0; the \
         probe stays as it is. The mean of {draws} draws."
    );
    if maker.trimmed.is_empty() {
        return Ok(Err((made, "No feature was trimmed.".to_owned())));
    }
    let mut wanted: BTreeMap<Site, usize> = BTreeMap::new();
    maker.trimmed.iter().for_each(|node| *wanted.entry(node.site).or_default() += 1);
    let candidates = candidates(maker, &wanted)?;
    let test = &maker.input.split.balanced_test;
    let mut rng = ChaCha8Rng::seed_from_u64(maker.spec.seed);
    rng.set_stream(1);
    let mut right = vec![0.0; test.len()];
    let mut drawn = 0;
    for _ in 0..draws {
        let mut nodes = Vec::new();
        for (site, count) in &wanted {
            let mut latents = candidates[site].clone();
            latents.shuffle(&mut rng);
            let node = |latent| Node { site: *site, position: None, unit: Unit::Latent(latent) };
            nodes.extend(latents.into_iter().take(*count).map(node));
        }
        drawn = nodes.len();
        let x = maker.pooled(test, &trim(&nodes))?;
        let scores = maker.input.probe.right(&x, test);
        right.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score / draws as f64);
    }
    Ok(Ok(plain(right, drawn, made)))
}

/// Latents that fire and are not trimmed, ascending.
fn candidates<E>(
    maker: &Maker<'_, E>,
    wanted: &BTreeMap<Site, usize>,
) -> Result<BTreeMap<Site, Vec<u32>>> {
    let input = maker.input;
    let texts = &input.split.ambiguous[..LOOKED_AT.min(input.split.ambiguous.len())];
    let sites: Vec<Site> = wanted.keys().copied().collect();
    let mut fires: BTreeMap<Site, BTreeSet<u32>> =
        sites.iter().map(|site| (*site, BTreeSet::new())).collect();
    let check = || maker.ctx.check();
    for batch in batches(input.model, texts, most_latents(input.bases))? {
        let plan = Plan { read: &sites, check: Some(&check), ..Plan::default() };
        let pass = input.model.forward(&batch.tokens, &plan)?;
        let positions = batch.tokens.positions();
        for (site, fires) in &mut fires {
            maker.ctx.check()?;
            let sae = input.bases.sae(*site).ok_or_else(|| {
                Error::internal("Random features cannot be drawn", format!("{site} has none"))
            })?;
            let latents = sae.encode(&site_output(&pass, *site)?)?;
            for (i, length) in batch.lengths.iter().enumerate() {
                for row in i * positions..i * positions + length {
                    fires.extend(latents.row(row).0);
                }
            }
        }
    }
    let trimmed: BTreeSet<Node> = maker.trimmed.iter().copied().collect();
    Ok(fires
        .into_iter()
        .map(|(site, fires)| {
            let free = |latent: &u32| {
                !trimmed.contains(&Node { site, position: None, unit: Unit::Latent(*latent) })
            };
            (site, fires.into_iter().filter(free).collect())
        })
        .collect())
}
