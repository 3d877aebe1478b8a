//! One changed pass over all pairs, and the memory of those that were made.

use super::super::{Cut, Metric, Node};
use super::batch::Batch;
use super::{Judge, Which};
use crate::activations::numbers;
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{Change, Logits, NextToken, Pass, Plan, Site, Start};
use candle_core::Tensor;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Likeliest next tokens that are kept of each prompt.
const NEXT: usize = 8;
/// Passes that are remembered.
const MEMORY: usize = 64;
/// Passes without cuts whose residual stream is kept as well.
const STREAMS: usize = 3;

/// What came of one changed pass, in the order of the examples.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// F.
    pub value: Vec<f64>,
    /// Whether the model behaves as expected.
    pub right: Vec<bool>,
    /// The likeliest next tokens.
    pub next: Vec<Vec<NextToken>>,
}

/// F of a pair, whether it is right, and the likeliest next tokens.
type Looked = (f64, bool, Vec<NextToken>);

/// The residual stream of a pass over each batch: the output of the embedding and of every block.
pub(super) type Streams = Vec<BTreeMap<Site, Tensor>>;

impl Judge {
    /// F and what comes with it under a circuit and cuts.
    pub(super) fn run<E>(
        &self,
        ctx: &JobContext<E>,
        which: Which<'_>,
        cuts: &[Cut],
    ) -> Result<Outcome> {
        Ok(self.pass(ctx, which, cuts, false)?.0)
    }

    /// The same, and the residual stream if it is to be kept. With cuts only the blocks from the
    /// first one cut are computed, if the stream of the pass without them was kept.
    pub(super) fn pass<E>(
        &self,
        ctx: &JobContext<E>,
        which: Which<'_>,
        cuts: &[Cut],
        keep: bool,
    ) -> Result<(Outcome, Streams)> {
        let known = if cuts.is_empty() { None } else { self.memory.streams(which) };
        let from = cuts.iter().flat_map(|cut| &cut.nodes).map(|node| before(node.site)).min();
        let from = from.flatten();
        let gauge_site = self.spec.metric.site(&self.model);
        let mut read = vec![gauge_site];
        if keep {
            read.extend(stream_sites(self.model.config().layers));
            read.sort_unstable();
            read.dedup();
        }
        ctx.check()?;
        let one = |(i, batch): (usize, &Batch)| {
            // Shared threads must not wait for a pause.
            let check = || ctx.check_cancelled();
            check()?;
            let begun = known.as_ref().zip(from).and_then(|(streams, from)| {
                let value = streams.get(i)?.get(&from)?;
                // Only what comes after can be read.
                (gauge_site > from).then_some(Start { site: from, value, beside: None })
            });
            let changes = self.changes(batch, which, cuts)?;
            let change: Vec<(Site, &dyn Change)> = changes
                .iter()
                .filter(|(site, _)| begun.is_none_or(|start| *site > start.site))
                .map(|(site, edits)| (*site, edits as &dyn Change))
                .collect();
            let plan = Plan {
                read: &read,
                change: &change,
                logits: Logits::Last,
                check: Some(&check),
                start: begun,
                ..Plan::default()
            };
            let pass = self.model.forward(&batch.tokens, &plan)?;
            let looked = self.look(batch, &pass, gauge_site)?;
            Ok((looked, if keep { pass.sites } else { BTreeMap::new() }))
        };
        let all: Vec<(Vec<Looked>, _)> =
            self.batches.par_iter().enumerate().map(one).collect::<Result<_>>()?;
        let count = self.examples.kept.len();
        let mut out = Outcome {
            value: vec![0.0; count],
            right: vec![false; count],
            next: vec![Vec::new(); count],
        };
        let mut streams = Streams::new();
        for (batch, (looked, sites)) in self.batches.iter().zip(all) {
            for (&place, (value, right, next)) in batch.places.iter().zip(looked) {
                out.value[place] = value;
                out.right[place] = right;
                out.next[place] = next;
            }
            streams.push(sites);
        }
        Ok((out, streams))
    }

    /// What is wanted of a pass over `batch`, pair by pair.
    fn look(&self, batch: &Batch, pass: &Pass, site: Site) -> Result<Vec<Looked>> {
        let absent = |what: &str| Error::internal("The circuit was not judged", what.to_owned());
        let x = pass.sites.get(&site).ok_or_else(|| absent("the metric's site was not read"))?;
        let rows: Vec<usize> = (0..batch.places.len()).collect();
        let values = batch.gauge.values(x, &rows)?;
        let logits = pass.logits.as_ref().ok_or_else(|| absent("the pass gave no logits"))?;
        let logits = numbers(logits)?;
        let vocab = logits.len() / batch.places.len();
        let looked = |((row, &place), value): ((&[f32], &usize), f64)| {
            let next = self.model.likeliest(row, NEXT);
            let right = match self.spec.metric {
                Metric::LogProbability => {
                    let answers = &self.examples.kept[place].right;
                    next.first().is_some_and(|best| answers.contains(&best.id))
                }
                _ => value > 0.0,
            };
            (value, right, next)
        };
        Ok(logits.chunks(vocab).zip(&batch.places).zip(values).map(looked).collect())
    }
}

/// Where a pass can begin that changes nothing before `site`.
fn before(site: Site) -> Option<Site> {
    match site.layer()? {
        0 => Some(Site::Embed),
        layer => Some(Site::Resid(layer - 1)),
    }
}

fn stream_sites(layers: usize) -> impl Iterator<Item = Site> {
    // Nothing begins after the last block.
    std::iter::once(Site::Embed).chain((1..layers).map(|layer| Site::Resid(layer - 1)))
}

#[derive(PartialEq)]
struct Key {
    /// `None` for the whole model; else whether only these nodes stay, or all but these.
    kept: Option<(bool, BTreeSet<Node>)>,
    cuts: Vec<Cut>,
}

impl Key {
    fn new(which: Which<'_>, cuts: &[Cut]) -> Self {
        let kept = match which {
            Which::Everything => None,
            Which::Only(nodes) => Some((true, nodes.clone())),
            Which::Without(nodes) => Some((false, nodes.clone())),
        };
        Self { kept, cuts: cuts.to_vec() }
    }

    fn is(&self, which: Which<'_>, cuts: &[Cut]) -> bool {
        let kept = match (&self.kept, which) {
            (None, Which::Everything) => true,
            (Some((true, known)), Which::Only(nodes))
            | (Some((false, known)), Which::Without(nodes)) => known == nodes,
            _ => false,
        };
        kept && self.cuts == cuts
    }
}

/// What was computed before, so that undoing a cut costs nothing.
#[derive(Default)]
pub(super) struct Memory {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    outcomes: Vec<(Key, Arc<Outcome>)>,
    streams: Vec<(Key, Arc<Streams>)>,
}

impl Memory {
    pub(super) fn get(&self, which: Which<'_>, cuts: &[Cut]) -> Option<Arc<Outcome>> {
        find(&self.lock().outcomes, which, cuts)
    }

    pub(super) fn put(&self, which: Which<'_>, cuts: &[Cut], outcome: Arc<Outcome>) {
        put(&mut self.lock().outcomes, MEMORY, Key::new(which, cuts), outcome);
    }

    /// The residual stream of the pass without cuts.
    pub(super) fn streams(&self, which: Which<'_>) -> Option<Arc<Streams>> {
        find(&self.lock().streams, which, &[])
    }

    pub(super) fn put_streams(&self, which: Which<'_>, streams: Streams) {
        put(&mut self.lock().streams, STREAMS, Key::new(which, &[]), Arc::new(streams));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find<T>(known: &[(Key, Arc<T>)], which: Which<'_>, cuts: &[Cut]) -> Option<Arc<T>> {
    known.iter().find(|(key, _)| key.is(which, cuts)).map(|(_, value)| value.clone())
}

fn put<T>(known: &mut Vec<(Key, Arc<T>)>, most: usize, key: Key, value: Arc<T>) {
    // The first is the whole model, which every verdict needs.
    if known.len() >= most {
        known.remove(1);
    }
    known.push((key, value));
}
