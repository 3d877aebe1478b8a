//! Contexts of the sample in which a latent is silent: looked at, not guessed.

use crate::activations::{Group, check_of, gather, groups, site_output};
use crate::corpus::Row;
use crate::error::Result;
use crate::evaluation::{Sample, check_memory, site_of};
use crate::features::{CollectSpec, Context};
use crate::jobs::JobContext;
use crate::llama::{Logits, Model};
use crate::sae::Sae;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;

/// What contexts are read from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The model.
    pub model: &'a Model,
    /// The dictionary.
    pub sae: &'a Sae,
    /// Whether to go on with a dictionary that was trained on another model or site.
    pub allow_foreign: bool,
}

/// Tokens of a context.
const WINDOW: usize = 32;

/// Tokens in one forward pass, about.
const BATCH: usize = 4096;

/// Random contexts of a sample, and the latents that fire in each.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    contexts: Vec<(Context, HashSet<u32>)>,
}

impl Pool {
    /// Reads `count` random contexts of the sample that features were collected from as `spec`
    /// says, one of each row at most.
    pub fn read<E>(
        ctx: &JobContext<E>,
        source: &Source<'_>,
        spec: &CollectSpec,
        count: usize,
    ) -> Result<Self> {
        let Source { model, sae, .. } = *source;
        let site = site_of(model, sae, spec.site, source.allow_foreign)?;
        let tokenizer = model.need_tokenizer()?;
        let held = (count * (WINDOW * 48 + sae.latents() / 4)) as u64;
        check_memory(model, "read contexts", BATCH, spec.rows.length, Logits::None, held)?;
        // Short rows hold less than a window each; more rows than needed are read and chosen from.
        let tokens = ((count * spec.rows.length.max(WINDOW)) as u64).min(spec.tokens);
        let mut sample = Sample::open(model, &spec.corpus, spec.rows, tokens, 0, spec.seed)?;
        let check = check_of(ctx);
        let mut rng = ChaCha8Rng::seed_from_u64(spec.seed);
        ctx.progress().stage("Reading contexts where latents are silent", "tokens", 0, tokens);
        let mut pool = Self::default();
        let mut number = 0;
        while pool.contexts.len() < count
            && let Some(rows) = sample.next(BATCH, &check)?
        {
            for members in groups(&rows, BATCH) {
                check()?;
                let group = Group::new(&rows, &members)?;
                let used = group.used();
                let pass = group.forward(model, Some(site), &[], Logits::None, &check)?;
                let x = gather(&site_output(&pass, site)?, sae.width(), &used, site)?;
                let latents = sae.encode(&x)?;
                let mut start = 0;
                for i in members {
                    let row = &rows[i];
                    if pool.contexts.len() < count
                        && let Some((mut context, used)) =
                            window(row, &mut rng, &|id| tokenizer.token_text(id).to_owned())
                    {
                        let mut fire = HashSet::new();
                        for at in used {
                            let (index, value) = latents.row(start + at);
                            fire.extend(
                                index.iter().zip(value).filter(|(_, v)| **v > 0.0).map(|(i, _)| *i),
                            );
                        }
                        context.row = number + i as u64;
                        pool.contexts.push((context, fire));
                    }
                    start += row.used_tokens();
                }
                ctx.progress().add(used.len() as u64);
            }
            number += rows.len() as u64;
        }
        Ok(pool)
    }

    /// The contexts in which `latent` is silent.
    pub fn silent(&self, latent: u32) -> Vec<Context> {
        let silent = self.contexts.iter().filter(|(_, fire)| !fire.contains(&latent));
        silent.map(|(context, _)| context.clone()).collect()
    }
}

/// A random stretch of a row within one document, as indices of its used tokens.
fn window(
    row: &Row,
    rng: &mut ChaCha8Rng,
    text: &dyn Fn(u32) -> String,
) -> Option<(Context, std::ops::Range<usize>)> {
    let used: Vec<usize> = (0..row.len()).filter(|i| row.used[*i]).collect();
    if used.is_empty() {
        return None;
    }
    let at = rng.random_range(0..used.len());
    let same = |i: &usize| row.document[used[*i]] == row.document[used[at]];
    let first = (0..=at).rev().take_while(same).last()?;
    let end = (at..used.len()).take_while(same).last()? + 1;
    let start = at.saturating_sub(WINDOW / 2).max(first);
    let stop = (start + WINDOW).min(end);
    let start = stop.saturating_sub(WINDOW).max(first);
    let ids: Vec<u32> = (start..stop).map(|i| row.tokens[used[i]]).collect();
    let tokens: Vec<String> = ids.iter().map(|id| text(*id)).collect();
    let context = Context {
        row: 0,
        first: used[start],
        ids,
        document: row.document[used[start]],
        start: row.position[used[start]],
        activations: vec![0.0; tokens.len()],
        tokens,
        peak: 0,
    };
    Some((context, start..stop))
}
