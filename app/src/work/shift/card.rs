//! What a person sees of a feature that is to be judged.

use super::{Found, Texts};
use crate::work::saes::OpenSaes;
use sparsescope_core::circuits::{Node, Unit};
use sparsescope_core::features::{
    FeatureFile, LatentDetail, LogitEffects, RowReading, logit_effects, read_latent,
};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::workspace::{SaeRecord, Workspace};
use sparsescope_core::{Error, Result};
use std::path::Path;
use std::sync::Arc;

/// Biographies that the feature is looked for in.
const LOOKED_AT: usize = 48;
/// Those of them that are shown.
const SHOWN: usize = 8;
/// Tokens named at each end of the logit effects.
const TOKENS: usize = 8;

/// What is known of a feature.
#[derive(Debug, Clone, Default)]
pub struct Card {
    /// Texts of its dictionary's corpus that it fires in; `None` where nothing was collected.
    pub detail: Option<Arc<LatentDetail>>,
    /// What it does to the logits along the direct path.
    pub logits: Option<LogitEffects>,
    /// Texts of the ambiguous part that it fires in, the strongest first.
    pub firings: Vec<Firing>,
    /// Texts of the ambiguous part that were looked at.
    pub looked_at: usize,
    /// In how many of these it fires.
    pub fires_in: usize,
    /// Its greatest activation in them.
    pub max: f32,
}

/// A text that a feature fires in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Firing {
    /// The text's tokens, without BOS.
    pub tokens: Vec<String>,
    /// The feature on them.
    pub reading: RowReading,
    /// The text's label.
    pub label: usize,
    /// Where it is strongest.
    pub peak: usize,
    /// How strong it is there.
    pub max: f32,
}

/// Reads the card of `node`. The texts are of the ambiguous part: of those a person may see
/// everything, as the probe has.
///
/// # Errors
/// A dictionary or a file that cannot be read; those of the forward pass; stopped.
pub fn card(
    ctx: &JobContext,
    workspace: &Path,
    saes: &OpenSaes,
    model: &Model,
    texts: &Texts,
    found: &Found,
    node: Node,
) -> Result<Card> {
    let Unit::Latent(latent) = node.unit else { return Ok(Card::default()) };
    let Some(id) = found.saes.get(&node.site).copied() else {
        return Err(Error::setting(
            format!("{node} cannot be looked at"),
            "its dictionary is not in the workspace",
            "Bring it in, or find the circuit again",
        ));
    };
    let sae = saes.get(workspace, id)?;
    let record = Workspace::open(workspace)?.sae(id)?;
    let tokenizer = model.need_tokenizer()?;
    let sample: Vec<_> = texts.split.ambiguous.iter().take(LOOKED_AT).collect();
    let rows: Vec<Vec<u32>> = sample.iter().map(|text| text.tokens.clone()).collect();
    let mut firings = Vec::new();
    let mut scales = Vec::new();
    let mut keep = |row: usize, mut reading: RowReading| {
        let ids = &rows[row];
        let bos = usize::from(ids.first().is_some_and(|id| Some(*id) == tokenizer.bos()));
        for values in [&mut reading.activations, &mut reading.next, &mut reading.scale] {
            values.drain(..bos.min(values.len()));
        }
        let strongest = reading.activations.iter().copied().enumerate();
        let Some((peak, max)) = strongest.max_by(|a, b| a.1.total_cmp(&b.1)) else { return };
        if max <= 0.0 {
            return;
        }
        scales.extend(reading.scale.get(peak).copied());
        let tokens = ids[bos..].iter().map(|id| tokenizer.token_text(*id).to_owned()).collect();
        firings.push(Firing { tokens, reading, label: sample[row].label, peak, max });
    };
    read_latent(model, &sae, node.site, latent, &rows, &|| ctx.check(), &mut keep)?;
    firings.sort_by(|a, b| b.max.total_cmp(&a.max));
    let max = firings.first().map_or(0.0, |f| f.max);
    let fires_in = firings.len();
    firings.truncate(SHOWN);
    let scale = match scales.len() {
        0 => 1.0,
        n => (scales.iter().map(|s| f64::from(*s)).sum::<f64>() / n as f64) as f32,
    };
    let activation = if max > 0.0 { max } else { 1.0 };
    Ok(Card {
        detail: detail(&record, latent)?,
        logits: Some(logit_effects(model, &sae, latent, activation, scale, TOKENS)?),
        firings,
        looked_at: rows.len(),
        fires_in,
        max,
    })
}

fn detail(record: &SaeRecord, latent: u32) -> Result<Option<Arc<LatentDetail>>> {
    if !record.has_features {
        return Ok(None);
    }
    let mut file = FeatureFile::open(&record.features_path())?;
    let place = file.table()?.latents.iter().position(|l| l.index == latent);
    place.map(|place| file.detail(place).map(Arc::new)).transpose()
}
