//! Writing a feature file: what a list of latents shows in front, everything else behind it, in
//! the order of the latents, so that one latent's part is a few short reads.

use super::kept::Kept;
use super::spool::{Extent, RUN, Spool};
use super::{CoActive, FeatureAbout, FeatureTable, LatentSummary, QUANTILES};
use crate::activations::tensor_file::{Stream, write_streams};
use crate::error::{Error, Result};
use std::path::Path;

/// Version of the layout.
pub(super) const VERSION: u32 = 2;

/// Lists of a latent's stretches, by their numbers in the file.
pub(super) mod list {
    /// The strongest contexts.
    pub const TOP: u8 = 0;
    /// Sampled from the lowest fifth; the other fifths follow.
    pub const FIFTH: u8 = 1;
    /// Sentences by mean, by last, by greatest activation.
    pub const MEAN: u8 = 6;
    pub const LAST: u8 = 7;
    pub const MAX: u8 = 8;
}

/// All that is known of a latent at the end.
#[derive(Debug, Default)]
pub(super) struct Finished {
    pub summary: LatentSummary,
    /// Its least activation, the four bounds between fifths, its greatest.
    pub bounds: [f32; 6],
    /// Stretches of text, each with the number of its list, the best of each list first.
    pub kept: Vec<(u8, Kept)>,
    /// Tokens of the sample of co-activation on which it fires.
    pub sampled: u32,
    pub coactive: Vec<CoActive>,
}

/// Writes a feature file and hands back its table. `spool` is the folder of the rows.
pub(super) fn write(
    path: &Path,
    about: &FeatureAbout,
    latents: Vec<Finished>,
    spool: &Path,
    extent: Extent,
    texts: &[&str],
    check: &dyn Fn() -> Result<()>,
) -> Result<FeatureTable> {
    let json = serde_json::to_vec(about)
        .map_err(|e| Error::internal("Features could not be described", e.to_string()))?;
    let m = latents.len();
    let all = &latents;
    let summaries = || all.iter().map(|l| &l.summary);
    let kept = || all.iter().flat_map(|l| &l.kept);
    let coactive = || all.iter().flat_map(|l| &l.coactive);
    let stretches = kept().count();
    let spans: usize = kept().map(|(_, k)| k.span.len()).sum();
    let others = coactive().count();
    let bins = summaries().map(|s| s.histogram.counts.len()).sum();
    let characters = texts.iter().map(|t| t.len()).sum();
    let copy = |name: &'static str, dtype, shape| Stream {
        name,
        dtype,
        shape,
        write: Box::new(move |out| Spool::copy(spool, extent, name, out)),
    };
    let streams = vec![
        bytes("about", json.len(), std::iter::once(json.as_slice())),
        u32s("index", vec![m], summaries().map(|s| s.index)),
        Stream::numbers("fired", "U64", vec![m], summaries().map(|s| s.fired.to_le_bytes())),
        f32s("density", vec![m], summaries().map(|s| s.density)),
        f32s("mean", vec![m], summaries().map(|s| s.mean)),
        f32s("max", vec![m], summaries().map(|s| s.max)),
        f32s("quantiles", vec![m, QUANTILES.len()], summaries().flat_map(|s| s.quantiles)),
        f32s("bin_width", vec![m], summaries().map(|s| s.histogram.width)),
        splits("first_bin", m, summaries().map(|s| s.histogram.counts.len())),
        u32s("bins", vec![bins], summaries().flat_map(|s| &s.histogram.counts).copied()),
        // From here on nothing is read when the file is opened.
        f32s("bounds", vec![m, 6], all.iter().flat_map(|l| l.bounds)),
        splits("first_stretch", m, all.iter().map(|l| l.kept.len())),
        bytes("list", stretches, kept().map(|(list, _)| std::slice::from_ref(list))),
        u32s("row", vec![stretches], kept().map(|(_, k)| k.row)),
        f32s("value", vec![stretches], kept().map(|(_, k)| k.value)),
        splits("first_span", stretches, kept().map(|(_, k)| k.span.len())),
        bytes("spans", spans, kept().map(|(_, k)| &*k.span)),
        u32s("sampled", vec![m], all.iter().map(|l| l.sampled)),
        splits("first_other", m, all.iter().map(|l| l.coactive.len())),
        u32s("other", vec![others, 2], coactive().flat_map(|c| [c.latent, c.both])),
        f32s("other_share", vec![others, 2], coactive().flat_map(|c| [c.jaccard, c.correlation])),
        splits("first_text", texts.len(), texts.iter().map(|t| t.len())),
        bytes("texts", characters, texts.iter().map(|t| t.as_bytes())),
        copy("rows", "U64", vec![extent.rows as usize + 1, 2]),
        copy("runs", "U32", vec![extent.runs as usize, RUN]),
        copy("tokens", "U32", vec![extent.tokens as usize]),
    ];
    write_streams(path, streams, check)?;
    Ok(FeatureTable {
        corpus: about.spec.corpus.to_string(),
        tokens: about.tokens,
        latents: latents.into_iter().map(|l| l.summary).collect(),
    })
}

fn bytes<'a>(
    name: &'static str,
    length: usize,
    mut parts: impl Iterator<Item = &'a [u8]> + 'a,
) -> Stream<'a> {
    let write = move |out: &mut dyn std::io::Write| parts.try_for_each(|part| out.write_all(part));
    Stream { name, dtype: "U8", shape: vec![length], write: Box::new(write) }
}

fn u32s<'a>(
    name: &'static str,
    shape: Vec<usize>,
    values: impl Iterator<Item = u32> + 'a,
) -> Stream<'a> {
    Stream::numbers(name, "U32", shape, values.map(u32::to_le_bytes))
}

fn f32s<'a>(
    name: &'static str,
    shape: Vec<usize>,
    values: impl Iterator<Item = f32> + 'a,
) -> Stream<'a> {
    Stream::numbers(name, "F32", shape, values.map(f32::to_le_bytes))
}

/// Where each of `parts` parts of the given lengths begins, and where the last one ends.
fn splits<'a>(
    name: &'static str,
    parts: usize,
    lengths: impl Iterator<Item = usize> + 'a,
) -> Stream<'a> {
    let mut at = 0u64;
    let ends = lengths.map(move |n| {
        at += n as u64;
        at
    });
    let all = std::iter::once(0).chain(ends).map(u64::to_le_bytes);
    Stream::numbers(name, "U64", vec![parts + 1], all)
}
