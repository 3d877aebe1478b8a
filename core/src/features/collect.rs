//! The collection job: one pass over a corpus, the strongest contexts of every latent.

use super::heap::{Best, Kept};
use super::{CollectSpec, Context, FeatureTable, LatentSummary};
use crate::activations::{Group, check_of, gather, groups, site_output};
use crate::corpus::{Row, encoder_of};
use crate::error::{Error, Result};
use crate::evaluation::{Sample, check_memory, site_of};
use crate::jobs::JobContext;
use crate::llama::{Logits, Model};
use crate::sae::{Latents, Sae};

/// Collects density, mean, maximum and strongest contexts of every latent of `sae`.
///
/// Memory does not grow with the text. The outcome is a function of its arguments alone.
///
/// # Errors
/// A dictionary that does not fit (see [`crate::evaluation::site_of`]), text that cannot be read,
/// a NaN, too little memory, cancelled.
pub fn collect<E>(
    ctx: &JobContext<E>,
    model: &Model,
    sae: &Sae,
    spec: &CollectSpec,
) -> Result<FeatureTable> {
    if spec.window == 0 || spec.batch == 0 {
        return Err(Error::setting(
            "Contexts of no tokens cannot be collected",
            format!("the window is {} and the batch {}", spec.window, spec.batch),
            "Choose a window and a batch of one token at least",
        ));
    }
    let site = site_of(model, sae, spec.site, spec.allow_foreign)?;
    let tokenizer = model.need_tokenizer()?;
    encoder_of(model)?;
    let kept = memory(sae.latents(), spec);
    check_memory(model, "collect features", spec.batch, spec.rows.length, Logits::None, kept)?;
    let mut sample = Sample::open(model, &spec.corpus, spec.rows, spec.tokens, 0, spec.seed)?;
    let check = check_of(ctx);
    ctx.progress().stage("Collecting features", "tokens", 0, spec.tokens);
    let mut collector = Collector::new(sae.latents(), spec);
    let mut first = 0;
    while let Some(rows) = sample.next(spec.batch, &check)? {
        for members in groups(&rows, spec.batch) {
            check()?;
            let group = Group::new(&rows, &members)?;
            let used = group.used();
            let pass = group.forward(model, Some(site), &[], Logits::None, &check)?;
            let x = gather(&site_output(&pass, site)?, sae.width(), &used, site)?;
            let latents = sae.encode(&x)?;
            let mut start = 0;
            for i in members {
                let row = &rows[i];
                collector.add(row, first + i as u64, &latents, start);
                start += row.used_tokens();
            }
            ctx.progress().add(used.len() as u64);
        }
        first += rows.len() as u64;
    }
    let text = |id: u32| tokenizer.token_text(id).to_owned();
    Ok(collector.finish(spec.corpus.to_string(), &text))
}

/// Bytes that the contexts of `latents` latents may take, as they are kept and as they are handed
/// out.
pub fn memory(latents: usize, spec: &CollectSpec) -> u64 {
    let context = 96 + spec.window.min(spec.rows.length) as u64 * (8 + 4 + 40);
    (latents as u64).saturating_mul(64 + (spec.contexts_per_latent as u64).saturating_mul(context))
}

#[derive(Debug, Clone, Default)]
struct Latent {
    fired: u64,
    sum: f64,
    max: f32,
    best: Best,
}

struct Collector {
    most: usize,
    window: usize,
    tokens: u64,
    latents: Vec<Latent>,
    /// The greatest activation of each latent in the row at hand, and where; 0 where silent.
    peak: Vec<(f32, u32)>,
    /// Latents that fire in the row at hand.
    touched: Vec<u32>,
}

impl Collector {
    fn new(latents: usize, spec: &CollectSpec) -> Self {
        Self {
            most: spec.contexts_per_latent,
            window: spec.window,
            tokens: 0,
            latents: vec![Latent::default(); latents],
            peak: vec![(0.0, 0); latents],
            touched: Vec::new(),
        }
    }

    /// Adds a token row; its used tokens are the rows of `latents` from `start` on.
    fn add(&mut self, row: &Row, number: u64, latents: &Latents, start: usize) {
        // Where in the token row the used tokens are.
        let used: Vec<usize> = (0..row.len()).filter(|i| row.used[*i]).collect();
        self.tokens += used.len() as u64;
        for at in 0..used.len() {
            let (index, value) = latents.row(start + at);
            for (latent, value) in index.iter().zip(value) {
                let peak = &mut self.peak[*latent as usize];
                if peak.0 == 0.0 {
                    self.touched.push(*latent);
                }
                if *value > peak.0 {
                    *peak = (*value, at as u32);
                }
                let known = &mut self.latents[*latent as usize];
                known.fired += 1;
                known.sum += f64::from(*value);
            }
        }
        for latent in std::mem::take(&mut self.touched) {
            let (value, at) = std::mem::take(&mut self.peak[latent as usize]);
            let known = &mut self.latents[latent as usize];
            known.max = known.max.max(value);
            if known.best.wants(self.most, value, number) {
                let span = window(row, &used, at as usize, self.window);
                let activations = span.clone().map(|at| latents.get(start + at, latent)).collect();
                let tokens = span.clone().map(|at| row.tokens[used[at]]).collect();
                let head = used[span.start];
                known.best.put(
                    self.most,
                    Kept {
                        value,
                        row: number,
                        document: row.document[head],
                        start: row.position[head],
                        peak: at - span.start as u32,
                        tokens,
                        activations,
                    },
                );
            }
        }
    }

    fn finish(self, corpus: String, text: &dyn Fn(u32) -> String) -> FeatureTable {
        let tokens = self.tokens;
        let summary = |(index, latent): (usize, Latent)| LatentSummary {
            index: index as u32,
            density: (latent.fired as f64 / tokens.max(1) as f64) as f32,
            mean: if latent.fired == 0 { 0.0 } else { (latent.sum / latent.fired as f64) as f32 },
            max: latent.max,
            contexts: latent
                .best
                .into_sorted()
                .into_iter()
                .map(|kept| Context {
                    document: kept.document,
                    start: kept.start,
                    tokens: kept.tokens.iter().map(|id| text(*id)).collect(),
                    activations: kept.activations.into_vec(),
                    peak: kept.peak as usize,
                })
                .collect(),
        };
        let latents = self.latents.into_iter().enumerate().map(summary).collect();
        FeatureTable { corpus, tokens, latents }
    }
}

/// The used tokens, as indices into `used`, to show around the peak `at`: `width` of them if the
/// row has so many in the peak's document, with the peak in the middle where there is room.
fn window(row: &Row, used: &[usize], at: usize, width: usize) -> std::ops::Range<usize> {
    let document = row.document[used[at]];
    let same = |i: &usize| row.document[used[*i]] == document;
    let first = (0..=at).rev().take_while(same).last().unwrap_or(at);
    let end = (at..used.len()).take_while(same).last().unwrap_or(at) + 1;
    let start = at.saturating_sub(width / 2).max(first);
    let stop = (start + width).min(end);
    let start = stop.saturating_sub(width).max(first);
    start..stop
}
