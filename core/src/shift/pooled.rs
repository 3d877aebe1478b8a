//! Texts through the model, many at a time, and the mean of a site's output over each.

use super::Text;
use crate::activations::site_output;
use crate::circuits::{Bases, Basis};
use crate::error::{Error, ErrorKind, Result};
use crate::llama::{Change, Model, Plan, Site, Tokens};
use std::collections::BTreeMap;

/// Multiplications of one block, or of one dictionary, in one pass: at this rate a job is stopped
/// well within 100 ms.
const WORK: usize = 1_000_000_000;

/// A vector for each text, `[texts, width]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pooled {
    width: usize,
    values: Vec<f64>,
}

impl Pooled {
    /// From rows one after another.
    pub fn new(width: usize, values: Vec<f64>) -> Self {
        Self { width: width.max(1), values }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.width..][..self.width]
    }

    /// Every row.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.width.max(1))
    }
}

/// Texts of similar length, padded on the right to one. Attention looks only back, so what stands
/// at a text's own positions is that of the text alone; the padding goes into no mean.
#[derive(Debug)]
pub(super) struct Batch {
    /// Which texts.
    pub places: Vec<usize>,
    /// Their lengths.
    pub lengths: Vec<usize>,
    /// Their tokens, padded.
    pub tokens: Tokens,
}

impl Batch {
    /// Adds the mean over each text's own positions of `x` (`[texts, positions, width]` numbers) to
    /// its row of `out`.
    pub(super) fn pool(&self, x: &[f32], width: usize, site: Site, out: &mut [f64]) -> Result<()> {
        let positions = self.tokens.positions();
        for ((i, place), length) in self.places.iter().enumerate().zip(&self.lengths) {
            let mean = &mut out[place * width..][..width];
            for row in x[i * positions * width..][..length * width].chunks_exact(width) {
                mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x));
            }
            mean.iter_mut().for_each(|mean| *mean /= *length as f64);
            if mean.iter().any(|mean| !mean.is_finite()) {
                return Err(Error::new(
                    ErrorKind::Numeric,
                    format!("The activations at {site} cannot be used"),
                    "a text gives NaN or an infinity there",
                    "Check the model's weights and the edits in force",
                ));
            }
        }
        Ok(())
    }
}

/// The batches of `texts`: a function of the texts, the model's shape and `latents` (those of the
/// largest dictionary that will encode them) alone.
pub(super) fn batches(model: &Model, texts: &[Text], latents: usize) -> Result<Vec<Batch>> {
    let c = model.config();
    let attention = c.width * c.head_dim * (2 * c.heads + 2 * c.kv_heads);
    let block = attention + 3 * c.width * c.hidden;
    let rows = (WORK / block.max(c.width * latents).max(1)).clamp(16, 4096);
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(texts[*i].tokens.len()), *i));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut longest = 0;
    for i in order {
        match groups.last_mut() {
            Some(group) if (group.len() + 1) * longest <= rows => group.push(i),
            _ => {
                longest = texts[i].tokens.len();
                groups.push(vec![i]);
            }
        }
    }
    groups
        .into_iter()
        .map(|places| {
            let ids: Vec<&[u32]> = places.iter().map(|i| texts[*i].tokens.as_slice()).collect();
            let lengths = ids.iter().map(|ids| ids.len()).collect();
            Ok(Batch { tokens: Tokens::padded(&ids, 0)?, lengths, places })
        })
        .collect()
}

/// Latents of the largest dictionary of `bases`.
pub(super) fn most_latents(bases: &Bases) -> usize {
    let latents = |basis: &Basis| match basis {
        Basis::Sae(sae) => sae.latents(),
        Basis::Neurons => 0,
    };
    bases.sites.values().map(latents).max().unwrap_or(0)
}

/// The mean output of each of `sites` over each of `texts`, under `change`.
pub(super) fn pooled(
    model: &Model,
    texts: &[Text],
    sites: &[Site],
    change: &[(Site, &dyn Change)],
    latents: usize,
    check: &dyn Fn() -> Result<()>,
) -> Result<BTreeMap<Site, Pooled>> {
    let width = model.config().width;
    let mut out: BTreeMap<Site, Vec<f64>> =
        sites.iter().map(|site| (*site, vec![0.0; texts.len() * width])).collect();
    let last = sites.iter().max().copied();
    // What comes after all that is read changes nothing, and would only be computed.
    let change: Vec<(Site, &dyn Change)> =
        change.iter().filter(|(site, _)| Some(*site) <= last).copied().collect();
    for batch in batches(model, texts, latents)? {
        check()?;
        let plan = Plan { read: sites, change: &change, check: Some(check), ..Plan::default() };
        let pass = model.forward(&batch.tokens, &plan)?;
        for (site, out) in &mut out {
            batch.pool(&site_output(&pass, *site)?, width, *site, out)?;
        }
    }
    Ok(out.into_iter().map(|(site, values)| (site, Pooled::new(width, values))).collect())
}

/// The same for one site.
pub(super) fn pooled_at(
    model: &Model,
    texts: &[Text],
    site: Site,
    change: &[(Site, &dyn Change)],
    latents: usize,
    check: &dyn Fn() -> Result<()>,
) -> Result<Pooled> {
    let mut found = pooled(model, texts, &[site], change, latents, check)?;
    found
        .remove(&site)
        .ok_or_else(|| Error::internal("Activations were not read", format!("{site} is absent")))
}

#[cfg(test)]
#[path = "tests/pooled.rs"]
mod tests;
