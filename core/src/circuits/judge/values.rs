//! What nodes are on the prompts that ablation values come from.

use super::super::Basis;
use crate::activations::site_output;
use crate::edits::Values;
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::{Model, Plan, Site, Tokens};
use crate::sae::{Latents, Sae};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Prompts run at once.
const PROMPTS: usize = 64;

/// The nodes of a site on every position of some prompts of one length.
#[derive(Debug)]
pub(super) struct Read {
    sae: Option<Arc<Sae>>,
    latents: Latents,
    /// ε, or x where the coordinates are the nodes.
    rest: Vec<f32>,
    positions: usize,
    width: usize,
}

/// Reads the nodes of every site of `bases` on `prompts`, all of one length.
pub(super) fn read<E>(
    ctx: &JobContext<E>,
    model: &Model,
    bases: &BTreeMap<Site, Basis>,
    prompts: &[&[u32]],
) -> Result<BTreeMap<Site, Read>> {
    let positions = prompts.first().map_or(0, |prompt| prompt.len());
    let width = model.config().width;
    let sites: Vec<Site> = bases.keys().copied().collect();
    let mut out: BTreeMap<Site, Read> = BTreeMap::new();
    for (site, basis) in bases {
        let sae = match basis {
            Basis::Sae(sae) => Some(sae.clone()),
            Basis::Neurons => None,
        };
        let latents = Latents::new(sae.as_ref().map_or(0, |sae| sae.latents()));
        out.insert(*site, Read { sae, latents, rest: Vec::new(), positions, width });
    }
    let check = || ctx.check();
    for chunk in prompts.chunks(PROMPTS) {
        let plan = Plan { read: &sites, check: Some(&check), ..Plan::default() };
        let pass = model.forward(&Tokens::rows(chunk)?, &plan)?;
        for (site, read) in &mut out {
            ctx.check()?;
            read.add(site_output(&pass, *site)?)?;
        }
    }
    Ok(out)
}

impl Read {
    fn add(&mut self, x: Vec<f32>) -> Result<()> {
        let Some(sae) = &self.sae else {
            (0..x.len() / self.width).for_each(|_| self.latents.push_row([]));
            self.rest.extend(x);
            return Ok(());
        };
        let latents = sae.encode(&x)?;
        let decoded = sae.decode(&latents)?;
        self.rest.extend(x.iter().zip(decoded).map(|(x, decoded)| x - decoded));
        for row in 0..latents.rows() {
            let (index, value) = latents.row(row);
            self.latents.push_row(index.iter().copied().zip(value.iter().copied()));
        }
        Ok(())
    }

    /// At each position the mean over all prompts.
    pub(super) fn mean(&self) -> Values {
        let (positions, width) = (self.positions, self.width);
        let prompts = (self.latents.rows() / positions.max(1)).max(1) as f64;
        let mut rest = vec![0f64; positions * width];
        for rows in self.rest.chunks_exact(positions * width) {
            rest.iter_mut().zip(rows).for_each(|(sum, v)| *sum += f64::from(*v));
        }
        let mut latents = Latents::new(self.latents.width);
        for position in 0..positions {
            let mut sums: BTreeMap<u32, f64> = BTreeMap::new();
            for row in (position..self.latents.rows()).step_by(positions) {
                let (index, value) = self.latents.row(row);
                for (&latent, &f) in index.iter().zip(value) {
                    *sums.entry(latent).or_default() += f64::from(f);
                }
            }
            latents
                .push_row(sums.into_iter().map(|(latent, sum)| (latent, (sum / prompts) as f32)));
        }
        let rest = rest.into_iter().map(|sum| (sum / prompts) as f32).collect();
        Values { latents, rest, per_text: None }
    }

    /// Zero everywhere.
    pub(super) fn zero(&self) -> Values {
        let mut latents = Latents::new(self.latents.width);
        (0..self.positions).for_each(|_| latents.push_row([]));
        Values { latents, rest: vec![0.0; self.positions * self.width], per_text: None }
    }

    /// For each of the prompts `range` the values of its donor.
    pub(super) fn of_donors(&self, donors: &[usize]) -> Values {
        let mut latents = Latents::new(self.latents.width);
        let mut rest = Vec::with_capacity(donors.len() * self.positions * self.width);
        for donor in donors {
            for row in donor * self.positions..(donor + 1) * self.positions {
                let (index, value) = self.latents.row(row);
                latents.push_row(index.iter().copied().zip(value.iter().copied()));
                rest.extend_from_slice(&self.rest[row * self.width..][..self.width]);
            }
        }
        Values { latents, rest, per_text: Some(self.positions) }
    }

    /// Latents that are active at `position` of any prompt, ascending; everywhere without a
    /// position. Of coordinates all.
    pub(super) fn active(&self, position: Option<u32>) -> Vec<u32> {
        if self.sae.is_none() {
            return (0..self.width as u32).collect();
        }
        let mut seen = vec![false; self.latents.width];
        for row in 0..self.latents.rows() {
            if position.is_none_or(|p| row % self.positions.max(1) == p as usize) {
                self.latents.row(row).0.iter().for_each(|latent| seen[*latent as usize] = true);
            }
        }
        (0..seen.len()).filter(|i| seen[*i]).map(|i| i as u32).collect()
    }
}

/// For each of `count` prompts another one, drawn by `seed`; with a single prompt itself.
pub(super) fn donors(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(2);
    order.shuffle(&mut rng);
    let mut donors = vec![0; count];
    for (i, prompt) in order.iter().enumerate() {
        donors[*prompt] = order[(i + 1) % count];
    }
    donors
}
