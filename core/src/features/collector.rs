//! What a collection knows so far.

use super::CollectSpec;
use super::batch::Batch;
use super::company::Company;
use super::file::Finished;
use super::latent::Latent;
use super::spool::Extent;
use crate::corpus::Row;
use crate::sae::Latents;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Latents of a block of work.
const BLOCK: usize = 32;

/// How far a collection is. Rows are read many at a time, and go through the model in groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    /// What was read before the rows at hand.
    pub before: Extent,
    /// Groups of the rows at hand that are done.
    pub groups: usize,
    /// Tokens looked at.
    pub tokens: u64,
}

pub(super) struct Collector {
    pub latents: Vec<Latent>,
    pub company: Company,
    pub place: Place,
}

impl Collector {
    pub fn new(latents: usize) -> Self {
        let latents = vec![Latent::default(); latents];
        Self { latents, company: Company::default(), place: Place::default() }
    }

    /// Takes the rows of a group (with their numbers) and what fires on their used tokens.
    pub fn see<'r>(
        &mut self,
        spec: &CollectSpec,
        batch: &mut Batch,
        rows: impl Iterator<Item = (u32, &'r Row)>,
        active: &Latents,
    ) {
        batch.fill(rows, active);
        let batch = &*batch;
        let (latents, company) = (&mut self.latents, &mut self.company);
        rayon::join(
            || company.see(spec.seed, batch, active),
            || {
                latents.par_chunks_mut(BLOCK).enumerate().for_each(|(block, latents)| {
                    for (i, latent) in latents.iter_mut().enumerate() {
                        latent.see((block * BLOCK + i) as u32, batch, spec);
                    }
                });
            },
        );
        self.place.groups += 1;
        self.place.tokens += batch.tokens.len() as u64;
    }

    /// Everything, as it is to be written; and the tokens that co-activation was counted on.
    pub fn finish(self, spec: &CollectSpec) -> (Vec<Finished>, u64) {
        let tokens = self.place.tokens;
        let finish = |(i, latent): (usize, Latent)| latent.finish(i as u32, tokens, spec);
        let mut latents: Vec<Finished> =
            self.latents.into_par_iter().enumerate().map(finish).collect();
        self.company.finish(spec.coactive_per_latent, &mut latents);
        (latents, self.company.tokens())
    }
}
