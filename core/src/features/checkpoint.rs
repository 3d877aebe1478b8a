//! A collection that was stopped: everything that goes on depends on, in one file that is replaced
//! whole, beside the rows of the sample.

use super::CollectSpec;
use super::collector::{Collector, Place};
use super::company::Company;
use super::kept::{Best, Kept};
use super::latent::Latent;
use super::tally::Tally;
use crate::activations::tensor_file::{Stream, TensorFile, write_streams};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

const VERSION: u32 = 1;
const FILE: &str = "checkpoint.safetensors";
/// Lists of stretches of a latent.
const LISTS: usize = 5;

/// What a collection is; one of another is not gone on with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub version: u32,
    pub spec: CollectSpec,
    pub model: String,
    pub sae: String,
    pub latents: usize,
}

impl Identity {
    pub fn new(spec: &CollectSpec, model: &str, sae: &str, latents: usize) -> Self {
        let (spec, model, sae) = (spec.clone(), model.to_owned(), sae.to_owned());
        Self { version: VERSION, spec, model, sae, latents }
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    identity: Identity,
    place: Place,
    zeros: u32,
}

/// Writes a checkpoint into `folder`; the one before stays whole until the new one is.
pub(super) fn write(folder: &Path, identity: &Identity, collector: &Collector) -> Result<()> {
    let company = &collector.company;
    let state = State { identity: identity.clone(), place: collector.place, zeros: company.zeros };
    let json = serde_json::to_vec(&state)
        .map_err(|e| Error::internal("A checkpoint could not be described", e.to_string()))?;
    let latents = &collector.latents;
    let m = latents.len();
    let tallies = || latents.iter().map(|l| &l.tally);
    let lists = || latents.iter().flat_map(|l| l.lists().map(Best::entries));
    let kept = || lists().flatten();
    let (stretches, spans) = (kept().count(), kept().map(|k| k.span.len()).sum());
    let counts = [
        tallies().map(|t| t.exact.len()).sum(),
        tallies().map(|t| t.buckets.len()).sum(),
        tallies().map(|t| t.bins.len()).sum::<usize>(),
    ];
    let streams = vec![
        Stream::numbers("state", "U8", vec![json.len()], json.iter().map(|b| [*b])),
        u64s("fired", m, tallies().map(|t| t.fired)),
        u64s("sum", m, tallies().map(|t| t.sum.to_bits())),
        u32s("min", m, tallies().map(|t| t.min.to_bits())),
        u32s("max", m, tallies().map(|t| t.max.to_bits())),
        u32s("exact_count", m, tallies().map(|t| t.exact.len() as u32)),
        u32s("exact", counts[0], tallies().flat_map(|t| &t.exact).map(|v| v.to_bits())),
        u32s("lowest", m, tallies().map(|t| t.lowest)),
        u32s("bucket_count", m, tallies().map(|t| t.buckets.len() as u32)),
        u32s("buckets", counts[1], tallies().flat_map(|t| &t.buckets).copied()),
        u32s("exponent", m, tallies().map(|t| t.exponent as u32)),
        u32s("bin_count", m, tallies().map(|t| t.bins.len() as u32)),
        u32s("bins", counts[2], tallies().flat_map(|t| &t.bins).copied()),
        u32s("list_count", m * LISTS, lists().map(|l| l.len() as u32)),
        u64s("key", stretches, kept().map(|k| k.key)),
        u32s("value", stretches, kept().map(|k| k.value.to_bits())),
        u32s("row", stretches, kept().map(|k| k.row)),
        u32s("span_length", stretches, kept().map(|k| k.span.len() as u32)),
        Stream::numbers(
            "spans",
            "U8",
            vec![spans],
            kept().flat_map(|k| k.span.iter().map(|b| [*b])),
        ),
        u64s("lots", company.lots.len(), company.lots.iter().copied()),
        u64s("ends", company.ends.len(), company.ends.iter().copied()),
        u32s("index", company.index.len(), company.index.iter().copied()),
        u32s("firing", company.value.len(), company.value.iter().map(|v| v.to_bits())),
    ];
    write_streams(&folder.join(FILE), streams, &|| Ok(()))
}

fn u64s<'a>(
    name: &'static str,
    count: usize,
    values: impl Iterator<Item = u64> + 'a,
) -> Stream<'a> {
    Stream::numbers(name, "U64", vec![count], values.map(u64::to_le_bytes))
}

fn u32s<'a>(
    name: &'static str,
    count: usize,
    values: impl Iterator<Item = u32> + 'a,
) -> Stream<'a> {
    Stream::numbers(name, "U32", vec![count], values.map(u32::to_le_bytes))
}

/// The collection in `folder`, if there is one of this identity that can be read.
pub(super) fn read(folder: &Path, identity: &Identity) -> Option<Collector> {
    let mut file = TensorFile::open(&folder.join(FILE)).ok()?;
    let state: State = serde_json::from_slice(&file.u8s("state").ok()?).ok()?;
    if state.identity != *identity {
        return None;
    }
    let m = identity.latents;
    let mut u32s = |name| file.u32s(name).ok().map(Vec::into_iter);
    let floats = |values: std::vec::IntoIter<u32>| values.map(f32::from_bits);
    let (mut min, mut max) = (floats(u32s("min")?), floats(u32s("max")?));
    let (exact_count, mut exact) = (u32s("exact_count")?, floats(u32s("exact")?));
    let (mut lowest, mut exponent) = (u32s("lowest")?, u32s("exponent")?);
    let (mut bucket_count, mut buckets) = (u32s("bucket_count")?, u32s("buckets")?);
    let (mut bin_count, mut bins) = (u32s("bin_count")?, u32s("bins")?);
    let (mut list_count, mut value) = (u32s("list_count")?, floats(u32s("value")?));
    let (mut row, mut span_length) = (u32s("row")?, u32s("span_length")?);
    let (index, firing) = (u32s("index")?.collect(), floats(u32s("firing")?).collect());
    let mut fired = file.u64s("fired").ok()?.into_iter();
    let mut sum = file.u64s("sum").ok()?.into_iter();
    let mut key = file.u64s("key").ok()?.into_iter();
    let spans = file.u8s("spans").ok()?;
    let mut spans = spans.as_slice();
    let mut latents = Vec::with_capacity(m);
    for count in exact_count {
        let tally = Tally {
            fired: fired.next()?,
            sum: f64::from_bits(sum.next()?),
            min: min.next()?,
            max: max.next()?,
            exact: exact.by_ref().take(count as usize).collect(),
            lowest: lowest.next()?,
            buckets: take(&mut buckets, bucket_count.next()?)?,
            exponent: exponent.next()? as i32,
            bins: take(&mut bins, bin_count.next()?)?,
        };
        let mut list = || {
            let one = |_| {
                let span;
                (span, spans) = spans.split_at_checked(span_length.next()? as usize)?;
                let (key, value, row) = (key.next()?, value.next()?, row.next()?);
                Some(Kept { key, value, row, span: span.into() })
            };
            (0..list_count.next()?).map(one).collect::<Option<Vec<_>>>().map(Best::of)
        };
        latents.push(Latent {
            tally,
            top: list()?,
            drawn: list()?,
            by_mean: list()?,
            by_last: list()?,
            by_max: list()?,
        });
    }
    let (lots, ends) = (file.u64s("lots").ok()?, file.u64s("ends").ok()?);
    let company =
        Company { zeros: state.zeros, lots, ends, index, value: firing, ..Company::default() };
    let whole = latents.len() == m
        && company.lots.len() == company.ends.len()
        && company.ends.is_sorted()
        && company.ends.last().copied().unwrap_or(0) == company.index.len() as u64
        && company.index.len() == company.value.len()
        && company.index.iter().all(|l| (*l as usize) < m);
    whole.then_some(Collector { latents, company, place: state.place })
}

fn take(values: &mut std::vec::IntoIter<u32>, count: u32) -> Option<Vec<u32>> {
    let taken: Vec<u32> = values.by_ref().take(count as usize).collect();
    (taken.len() == count as usize).then_some(taken)
}
