//! The collection job: one pass over a corpus, what is to be known of every latent.

use super::batch::Batch;
use super::file::{self, VERSION};
use super::latent::Latent;
use super::spool::{Extent, Spool};
use super::{CollectSpec, FeatureAbout, FeatureTable};
use crate::activations::{Group, check_of, gather, groups, site_output};
use crate::corpus::encoder_of;
use crate::error::{IoContext as _, Result};
use crate::evaluation::{Sample, check_memory, site_of};
use crate::jobs::JobContext;
use crate::llama::{Logits, Model};
use crate::sae::Sae;
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

/// Latents of a block of work.
const BLOCK: usize = 64;

/// Collects what is to be known of every latent of `sae`, and leaves it in the file `out`, which
/// [`super::FeatureFile`] reads.
///
/// Memory does not grow with the text. The outcome is a function of its arguments alone.
///
/// # Errors
/// A dictionary that does not fit (see [`crate::evaluation::site_of`]), text that cannot be read,
/// a NaN, too little memory, a file that cannot be written, cancelled.
pub fn collect<E>(
    ctx: &JobContext<E>,
    model: &Model,
    sae: &Sae,
    spec: &CollectSpec,
    out: &Path,
) -> Result<FeatureTable> {
    spec.check()?;
    let site = site_of(model, sae, spec.site, spec.allow_foreign)?;
    let tokenizer = model.need_tokenizer()?;
    encoder_of(model)?;
    let kept = memory(sae.latents(), spec);
    check_memory(model, "collect features", spec.batch, spec.rows.length, Logits::None, kept)?;
    let mut sample = Sample::open(model, &spec.corpus, spec.rows, spec.tokens, 0, spec.seed)?;
    let check = check_of(ctx);
    let folder = folder_of(out);
    fs::create_dir_all(&folder).doing(|| format!("Could not make {}", folder.display()))?;
    let mut spool = Spool::open(&folder, Extent::default())?;
    ctx.progress().stage("Collecting features", "tokens", 0, spec.tokens);
    let mut latents = vec![Latent::default(); sae.latents()];
    let mut batch = Batch::default();
    let mut tokens = 0;
    let mut first = 0;
    while let Some(rows) = sample.next(spec.batch, &check)? {
        for row in &rows {
            spool.push(row)?;
        }
        for members in groups(&rows, spec.batch) {
            check()?;
            let group = Group::new(&rows, &members)?;
            let used = group.used();
            let pass = group.forward(model, Some(site), &[], Logits::None, &check)?;
            let x = gather(&site_output(&pass, site)?, sae.width(), &used, site)?;
            let active = sae.encode(&x)?;
            batch.fill(members.iter().map(|i| (first + *i as u32, &rows[*i])), &active);
            latents.par_chunks_mut(BLOCK).enumerate().for_each(|(block, latents)| {
                for (i, latent) in latents.iter_mut().enumerate() {
                    latent.see((block * BLOCK + i) as u32, &batch, spec);
                }
            });
            tokens += used.len() as u64;
            ctx.progress().add(used.len() as u64);
        }
        first += rows.len() as u32;
    }
    ctx.progress().stage("Writing features", "", 0, 0);
    let extent = spool.flush(false)?;
    let finished = latents
        .into_par_iter()
        .enumerate()
        .map(|(i, latent)| latent.finish(i as u32, tokens, spec))
        .collect();
    let about = FeatureAbout {
        version: VERSION,
        spec: spec.clone(),
        site,
        model: model.hash().to_owned(),
        sae: sae.hash(),
        tokens,
        rows: extent.rows,
        coactive_tokens: 0,
    };
    let texts: Vec<&str> =
        (0..model.config().vocab as u32).map(|id| tokenizer.token_text(id)).collect();
    let table = file::write(out, &about, finished, &folder, extent, &texts, &check)?;
    spool.remove()?;
    Ok(table)
}

/// Whether features were collected of this dictionary, with this model, as `spec` says.
pub fn fits(about: &FeatureAbout, model: &Model, sae: &Sae, spec: &CollectSpec) -> bool {
    about.spec == *spec && about.model == model.hash() && about.sae == sae.hash()
}

/// Where a collection into `out` keeps what it needs to go on.
fn folder_of(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".collecting");
    out.with_file_name(name)
}

/// Bytes that what is kept of `latents` latents may take.
pub fn memory(latents: usize, spec: &CollectSpec) -> u64 {
    let longest = spec.window.min(spec.rows.length) as u64;
    let stretch = |tokens: u64| 48 + tokens.saturating_mul(6);
    let contexts = (spec.contexts_per_latent as u64).saturating_add(spec.drawn() as u64);
    let sentences = (spec.sentences_per_latent as u64).saturating_mul(3);
    let texts = contexts
        .saturating_mul(stretch(longest))
        .saturating_add(sentences.saturating_mul(stretch(spec.rows.length as u64)));
    (latents as u64).saturating_mul(texts.saturating_add(3000))
}
