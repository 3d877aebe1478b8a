//! Pairs of one length, with the values that their nodes can be put to.

use super::super::{Bases, Example, Examples, Gauge};
use super::values::{self, Read};
use super::{Ablation, JudgeSpec};
use crate::edits::Values;
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::{Model, Site, Tokens};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Prompts that run as one: few, since batches run side by side, and always as many, so that the
/// number of threads changes no bit.
const PROMPTS: usize = 10;

/// Values by site.
pub(super) type BySite = BTreeMap<Site, Arc<Values>>;

/// Pairs of one length that run as one.
pub(super) struct Batch {
    /// Their places in [`Examples::kept`].
    pub places: Vec<usize>,
    /// Their clean prompts.
    pub tokens: Tokens,
    /// The metric on them.
    pub gauge: Gauge,
    /// What nodes that are put away become.
    pub ablation: BySite,
    /// Their means over the prompts that ablation values come from.
    pub means: BySite,
    /// What was read on these prompts.
    pub reads: Arc<BTreeMap<Site, Read>>,
    donors: Vec<usize>,
    resampled: OnceLock<BySite>,
}

impl Batch {
    pub(super) fn positions(&self) -> usize {
        self.tokens.positions()
    }

    /// What nodes are on another pair's patch prompt.
    pub(super) fn resampled(&self) -> &BySite {
        self.resampled.get_or_init(|| {
            let of = |read: &Read| Arc::new(read.of_donors(&self.donors));
            self.reads.iter().map(|(site, read)| (*site, of(read))).collect()
        })
    }
}

/// All pairs, the shortest first.
pub(super) fn batches<E>(
    ctx: &JobContext<E>,
    model: &Model,
    bases: &Bases,
    examples: &Examples,
    spec: &JudgeSpec,
) -> Result<Vec<Batch>> {
    let mut out = Vec::new();
    for places in examples.by_length().into_values() {
        let source = |i: &usize| {
            let example = &examples.kept[*i];
            example.patch.as_deref().unwrap_or(&example.clean)
        };
        let sources: Vec<&[u32]> = places.iter().map(source).collect();
        let clean: Vec<&[u32]> = places.iter().map(|i| &examples.kept[*i].clean[..]).collect();
        let reads = Arc::new(values::read(ctx, model, &bases.sites, &sources)?);
        let by_site = |of: &dyn Fn(&Read) -> Values| -> BySite {
            reads.iter().map(|(site, read)| (*site, Arc::new(of(read)))).collect()
        };
        let means = by_site(&Read::mean);
        let donors = values::donors(places.len(), spec.seed);
        for (chunk, donors) in places.chunks(PROMPTS).zip(donors.chunks(PROMPTS)) {
            let start = chunk[0];
            let from = places.iter().position(|place| *place == start).unwrap_or(0);
            let rows = &clean[from..from + chunk.len()];
            let pairs: Vec<&Example> = chunk.iter().map(|i| &examples.kept[*i]).collect();
            let mut batch = Batch {
                places: chunk.to_vec(),
                tokens: Tokens::rows(rows)?,
                gauge: Gauge::new(model, &spec.metric, &pairs)?,
                ablation: means.clone(),
                means: means.clone(),
                reads: reads.clone(),
                donors: donors.to_vec(),
                resampled: OnceLock::new(),
            };
            match spec.ablation {
                Ablation::Mean => {}
                Ablation::Zero => batch.ablation = by_site(&Read::zero),
                Ablation::Resample => batch.ablation = batch.resampled().clone(),
            }
            out.push(batch);
        }
    }
    Ok(out)
}
