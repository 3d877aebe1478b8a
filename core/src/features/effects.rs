//! What a latent does to the output: to every logit at once along the direct path, and to the token
//! that follows in its contexts, exactly.

use crate::activations::site_output;
use crate::edits::{Dictionaries, Edit, Edits, Op, Positions};
use crate::error::Result;
use crate::llama::{Model, Plan, Site, Tokens};
use crate::sae::Sae;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Logits that one pass may hold, in numbers: 256 MiB.
const LOGITS: usize = 1 << 26;
/// Bars of the histogram of logit effects.
const BINS: usize = 50;

/// A token and what is done to its logit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenEffect {
    /// The token.
    pub id: u32,
    /// As it should be drawn.
    pub text: String,
    /// Change of its logit.
    pub effect: f32,
}

/// What a latent does to the logits along the direct path: `a · s · W_U (γ ⊙ d)` less its mean over
/// the vocabulary, with d the latent's decoder direction, a its activation, γ the weight of the
/// final norm and s what that norm multiplies by, held as it is. What later blocks make of the
/// latent is not in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogitEffects {
    /// The tokens it makes likelier the most, the most first.
    pub promoted: Vec<TokenEffect>,
    /// The tokens it makes less likely the most, the most first.
    pub suppressed: Vec<TokenEffect>,
    /// How many tokens have an effect in each of equal bins.
    pub counts: Vec<u64>,
    /// Left edge of the first bin and right edge of the last.
    pub range: (f32, f32),
    /// The activation a.
    pub activation: f32,
    /// The factor s.
    pub scale: f32,
}

/// The direct effect of `latent` of `sae` at activation `activation` on every logit, the `count`
/// greatest and least of them named; of equals the lower token first.
///
/// # Errors
/// A dictionary of another width, a model without tokenizer.
pub fn logit_effects(
    model: &Model,
    sae: &Sae,
    latent: u32,
    activation: f32,
    scale: f32,
    count: usize,
) -> Result<LogitEffects> {
    let tokenizer = model.need_tokenizer()?;
    let mut all = model.unembed(sae.direction(latent as usize))?;
    let mean = all.iter().map(|v| f64::from(*v)).sum::<f64>() / all.len().max(1) as f64;
    let factor = f64::from(activation) * f64::from(scale);
    for v in &mut all {
        *v = ((f64::from(*v) - mean) * factor) as f32;
    }
    let mut order: Vec<u32> = (0..all.len() as u32).collect();
    let named = |id: &u32| TokenEffect {
        id: *id,
        text: tokenizer.token_text(*id).to_owned(),
        effect: all[*id as usize],
    };
    let count = count.min(order.len());
    let by_size = |a: &u32, b: &u32| all[*b as usize].total_cmp(&all[*a as usize]).then(a.cmp(b));
    order.par_sort_unstable_by(by_size);
    let promoted = order[..count].iter().map(named).collect();
    let by_least = |a: &u32, b: &u32| all[*a as usize].total_cmp(&all[*b as usize]).then(a.cmp(b));
    order.par_sort_unstable_by(by_least);
    let suppressed = order[..count].iter().map(named).collect();
    let least = order.first().map_or(0.0, |i| all[*i as usize]);
    let most = order.last().map_or(0.0, |i| all[*i as usize]);
    let mut counts = vec![0; BINS];
    for v in &all {
        let share = if most > least { (v - least) / (most - least) } else { 0.0 };
        counts[((share * BINS as f32) as usize).min(BINS - 1)] += 1;
    }
    Ok(LogitEffects { promoted, suppressed, counts, range: (least, most), activation, scale })
}

/// One latent in one text, token by token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RowReading {
    /// The latent's activation on each token.
    pub activations: Vec<f32>,
    /// For each token but the last: log p of the token that follows, less the same with the latent
    /// set to 0 on the whole text; nats. Above 0 the latent makes what follows likelier.
    pub next: Vec<f32>,
    /// What the final norm multiplies by at each token.
    pub scale: Vec<f32>,
}

/// Reads `latent` of `sae` at `site` in each of `rows` (token ids, BOS included where the model
/// wants one): its activations, and what its removal does to each next token. Two passes a row, one
/// as the model is and one with the latent ablated; the dictionary's error stays in both.
///
/// `done` gets the number of each row and its reading, in order, as soon as it is there.
///
/// # Errors
/// Those of the forward pass; what `check` returns.
pub fn read_latent(
    model: &Model,
    sae: &Arc<Sae>,
    site: Site,
    latent: u32,
    rows: &[Vec<u32>],
    check: &dyn Fn() -> Result<()>,
    done: &mut dyn FnMut(usize, RowReading),
) -> Result<()> {
    let last = Site::Resid(model.config().layers - 1);
    let read: &[Site] = if site == last { &[last] } else { &[site, last] };
    let dictionaries = Dictionaries::from([(site, sae.clone())]);
    let ablate = Edit { site, latent, positions: Positions::All, op: Op::Ablate };
    let edits = Edits::new(&[ablate], &dictionaries)?;
    let (width, vocab) = (model.config().width, model.config().vocab);
    for (number, row) in rows.iter().enumerate() {
        check()?;
        if row.is_empty() {
            done(number, RowReading::default());
            continue;
        }
        let tokens = Tokens::row(row)?;
        // A row of the whole context times a great vocabulary would fill the memory at once: then
        // the logits are made from the final stream a stretch at a time.
        let stretch = (LOGITS / vocab.max(1)).max(1);
        let as_is = Plan { read, check: Some(check), ..Plan::default() };
        let pass = model.forward(&tokens, &as_is)?;
        let x = site_output(&pass, site)?;
        let stream = site_output(&pass, last)?;
        let latents = sae.encode(&x)?;
        let activations: Vec<f32> = (0..row.len()).map(|i| latents.get(i, latent)).collect();
        let scale = model.inverse_rms(&stream);
        let next = if activations.iter().any(|a| *a != 0.0) {
            let changes = edits.changes();
            let plan =
                Plan { read: &[last], change: &changes, check: Some(check), ..Plan::default() };
            let without = site_output(&model.forward(&tokens, &plan)?, last)?;
            let mut next = Vec::with_capacity(row.len() - 1);
            for from in (0..row.len() - 1).step_by(stretch) {
                check()?;
                let to = (from + stretch).min(row.len() - 1);
                let follows = &row[from + 1..to + 1];
                let clean = log_p(model, &stream[from * width..to * width], follows)?;
                let cut = log_p(model, &without[from * width..to * width], follows)?;
                next.extend(clean.iter().zip(cut).map(|(a, b)| (a - b) as f32));
            }
            next
        } else {
            vec![0.0; row.len() - 1]
        };
        done(number, RowReading { activations, next, scale });
    }
    Ok(())
}

/// log p of each of `tokens` at the final residual streams `stream`, `[n, width]`.
fn log_p(model: &Model, stream: &[f32], tokens: &[u32]) -> Result<Vec<f64>> {
    let width = model.config().width;
    let mut normed = stream.to_vec();
    for (row, s) in normed.chunks_exact_mut(width).zip(model.inverse_rms(stream)) {
        row.iter_mut().for_each(|v| *v *= s);
    }
    let vocab = model.config().vocab;
    let logits = model.unembed(&normed)?;
    Ok(logits
        .par_chunks_exact(vocab)
        .zip(tokens)
        .map(|(row, token)| {
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row.iter().map(|v| f64::from(v - top).exp()).sum();
            f64::from(row[*token as usize]) - f64::from(top) - sum.ln()
        })
        .collect())
}
