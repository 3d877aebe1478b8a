//! What a latent does and what is near it.

use super::saes::OpenSaes;
use sparsescope_core::directions::{Neuron, nearest, nearest_neurons, nearest_to};
use sparsescope_core::evaluation::site_of;
use sparsescope_core::features::{
    FeatureFile, LatentDetail, LogitEffects, RowReading, logit_effects, read_latent,
};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::workspace::{SaeId, SaeRecord, Workspace};
use sparsescope_core::{Error, Result};
use std::path::Path;
use std::sync::Arc;

/// Tokens named at each end of the logit effects.
const TOKENS: usize = 10;
/// Near directions that are named.
const NEAR: usize = 10;
/// Near directions of each other dictionary.
const NEAR_ELSEWHERE: usize = 3;

/// Directions of another dictionary near to one of this one.
#[derive(Debug, Clone, PartialEq)]
pub struct Elsewhere {
    /// The other dictionary.
    pub sae: SaeId,
    /// "topk on resid.2, 1 024".
    pub title: String,
    /// Its nearest latents with their cosines.
    pub near: Vec<(u32, f32)>,
}

/// What is found out, as it is.
#[derive(Debug)]
pub enum News {
    /// The nearest decoder directions of the same dictionary.
    Near(Vec<(u32, f32)>),
    /// The nearest neurons.
    Neurons(Vec<Neuron>),
    /// What it does to the next tokens of a context: group, context, an effect for each token of
    /// the context that has a next one.
    Next(usize, usize, Vec<f32>),
    /// What it does to the logits.
    Logits(LogitEffects),
    /// The nearest directions of another dictionary.
    Elsewhere(Elsewhere),
}

/// Which latent of which dictionary, and what was collected of it.
#[derive(Debug, Clone)]
pub struct Which {
    /// The dictionary.
    pub record: SaeRecord,
    /// What was collected.
    pub detail: Arc<LatentDetail>,
    /// Its greatest activation in the sample.
    pub max: f32,
}

/// Finds out what a latent does and what is near it, the quickest first.
///
/// # Errors
/// The dictionary does not belong to the model; a file that cannot be read; cancelled.
pub fn read(
    ctx: &JobContext<News>,
    workspace: &Path,
    saes: &OpenSaes,
    model: &Model,
    which: &Which,
) -> Result<()> {
    let (record, latent) = (&which.record, which.detail.latent);
    let sae = saes.get(workspace, record.id)?;
    ctx.emit(News::Near(nearest(&sae, latent, NEAR)?));
    let site = site_of(model, &sae, None, false)?;
    let direction = sae.direction(latent as usize);
    ctx.emit(News::Neurons(nearest_neurons(model, site, direction, NEAR)?));
    ctx.check()?;

    let mut file = FeatureFile::open(&record.features_path())?;
    let (mut scales, mut told) = (Vec::new(), false);
    for (g, group) in which.detail.groups.iter().enumerate() {
        for (c, context) in group.contexts.iter().enumerate() {
            let end = context.first + context.tokens.len();
            let mut row = file.row(context.row)?.tokens;
            // One token more than the context: the last one's effect is on what follows it.
            row.truncate(end + 1);
            let mut keep = |_: usize, reading: RowReading| {
                let from = context.first.min(reading.next.len());
                let to = end.min(reading.next.len());
                if g == 0 {
                    scales.extend(reading.scale.get(context.first + context.peak).copied());
                }
                ctx.emit(News::Next(g, c, reading.next[from..to].to_vec()));
            };
            read_latent(model, &sae, site, latent, &[row], &|| ctx.check(), &mut keep)?;
        }
        if g == 0 {
            told = true;
            ctx.emit(News::Logits(effects(model, &sae, latent, which.max, &scales)?));
        }
    }
    if !told {
        ctx.emit(News::Logits(effects(model, &sae, latent, which.max, &[])?));
    }
    elsewhere(ctx, workspace, saes, record, direction)
}

/// At the greatest activation, and with what the final norm multiplies by where the latent is
/// strongest; one unit of both for a latent that never fires.
fn effects(
    model: &Model,
    sae: &sparsescope_core::sae::Sae,
    latent: u32,
    max: f32,
    scales: &[f32],
) -> Result<LogitEffects> {
    let mean = scales.iter().map(|s| f64::from(*s)).sum::<f64>() / scales.len().max(1) as f64;
    let (activation, scale) =
        if scales.is_empty() || max <= 0.0 { (1.0, 1.0) } else { (max, mean as f32) };
    logit_effects(model, sae, latent, activation, scale, TOKENS)
}

/// The other dictionaries of the same model and site.
fn elsewhere(
    ctx: &JobContext<News>,
    workspace: &Path,
    saes: &OpenSaes,
    record: &SaeRecord,
    direction: &[f32],
) -> Result<()> {
    for other in Workspace::open(workspace)?.list_saes()? {
        let fits = other.id != record.id
            && other.model == record.model
            && other.site == record.site
            && other.width == record.width
            && other.tokens_done > 0;
        if !fits {
            continue;
        }
        ctx.check()?;
        // One that is being trained has no dictionary yet; that is no failure of this one.
        let Ok(sae) = saes.get(workspace, other.id) else { continue };
        let near = nearest_to(direction, &sae, NEAR_ELSEWHERE)?;
        let title = format!("SAE {}, {}, {}", other.id, other.architecture, other.latents);
        ctx.emit(News::Elsewhere(Elsewhere { sae: other.id, title, near }));
    }
    Ok(())
}

/// One latent on a text of the person's own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OnText {
    /// The tokens as they are drawn; BOS is left out.
    pub tokens: Vec<String>,
    /// The latent on them.
    pub reading: RowReading,
    /// Tokens at the end that did not fit into the model's context.
    pub cut: usize,
}

/// A latent on a text.
///
/// # Errors
/// As [`read`]; a text that the tokenizer cannot express.
pub fn on_text(
    ctx: &JobContext,
    workspace: &Path,
    saes: &OpenSaes,
    model: &Model,
    id: SaeId,
    latent: u32,
    text: &str,
) -> Result<OnText> {
    let sae = saes.get(workspace, id)?;
    let site = site_of(model, &sae, None, false)?;
    let tokenizer = model.need_tokenizer()?;
    let mut ids = tokenizer.encode(text, true)?;
    let first = usize::from(ids.first().is_some_and(|id| Some(*id) == tokenizer.bos()));
    let cut = ids.len().saturating_sub(model.config().context);
    ids.truncate(model.config().context);
    let tokens =
        ids[first.min(ids.len())..].iter().map(|id| tokenizer.token_text(*id).to_owned()).collect();
    let mut found = None;
    read_latent(model, &sae, site, latent, &[ids], &|| ctx.check(), &mut |_, r| found = Some(r))?;
    let mut reading =
        found.ok_or_else(|| Error::internal("The text was not read", "no row came back"))?;
    // The dictionary was not trained on BOS.
    for values in [&mut reading.activations, &mut reading.next, &mut reading.scale] {
        values.drain(..first.min(values.len()));
    }
    Ok(OnText { tokens, reading, cut })
}
