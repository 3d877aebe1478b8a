//! How strongly latents fire at most: the unit of a steering slider.

use crate::activations::{Group, check_of, gather, groups, site_output};
use crate::corpus::{CorpusSpec, RowSpec};
use crate::error::{Error, Result};
use crate::evaluation::Sample;
use crate::jobs::JobContext;
use crate::llama::{Logits, Model, Site};
use crate::sae::Sae;
use serde::{Deserialize, Serialize};

/// Tokens of a forward pass, about.
const BATCH: usize = 4096;

/// What text to look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaximaSpec {
    /// The text.
    pub corpus: CorpusSpec,
    /// How it is cut into rows.
    pub rows: RowSpec,
    /// Tokens to look at; fewer if the corpus ends before.
    pub tokens: u64,
    /// Seed of the built-in corpus's text, which is never that of a training with the same seed.
    pub seed: u64,
}

impl MaximaSpec {
    /// 20,000 tokens of `corpus`.
    pub fn new(corpus: CorpusSpec, rows: RowSpec) -> Self {
        Self { corpus, rows, tokens: 20_000, seed: 0 }
    }
}

/// Greatest activations of some latents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Maxima {
    /// Of each latent asked for, in their order; 0 for one that never fired.
    pub max: Vec<f32>,
    /// Tokens looked at.
    pub tokens: u64,
    /// How it was computed, in a sentence.
    pub definition: String,
}

/// The greatest activation of each of `latents` of `sae` on a sample of text at `site`. Where a
/// feature file was collected, its [`crate::features::LatentSummary::max`] is the same figure of
/// more text.
///
/// # Errors
/// A latent that the dictionary does not have; a dictionary of another width; text that cannot be
/// read; cancelled.
pub fn maxima<E>(
    ctx: &JobContext<E>,
    model: &Model,
    site: Site,
    sae: &Sae,
    latents: &[u32],
    spec: &MaximaSpec,
) -> Result<Maxima> {
    site.within(model.config().layers)?;
    if let Some(latent) = latents.iter().find(|l| **l as usize >= sae.latents()) {
        return Err(Error::setting(
            format!("The dictionary has no latent {latent}"),
            format!("it has latents 0 to {}", sae.latents().saturating_sub(1)),
            "Choose one of these",
        ));
    }
    if sae.width() != model.config().width {
        return Err(Error::setting(
            "The dictionary does not fit the site",
            format!("it is {} wide, and the site {}", sae.width(), model.config().width),
            "Choose a dictionary that was trained on this model at this site",
        ));
    }
    let check = check_of(ctx);
    let mut sample = Sample::open(model, &spec.corpus, spec.rows, spec.tokens, 0, spec.seed)?;
    ctx.progress().stage("Measuring activations", "tokens", 0, spec.tokens);
    let mut max = vec![0f32; latents.len()];
    let mut tokens = 0;
    while let Some(rows) = sample.next(BATCH, &check)? {
        for members in groups(&rows, BATCH) {
            check()?;
            let group = Group::new(&rows, &members)?;
            let pass = group.forward(model, Some(site), &[], Logits::None, &check)?;
            let used = group.used();
            let x = gather(&site_output(&pass, site)?, sae.width(), &used, site)?;
            let active = sae.encode(&x)?;
            for row in 0..active.rows() {
                for (max, latent) in max.iter_mut().zip(latents) {
                    *max = max.max(active.get(row, *latent));
                }
            }
            tokens += used.len() as u64;
            ctx.progress().add(used.len() as u64);
        }
    }
    let definition =
        format!("greatest activation on {tokens} tokens of {}, {}", spec.corpus.name(), spec.rows);
    Ok(Maxima { max, tokens, definition })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activations::testing::{text_file, tiny_model, tiny_sae};
    use crate::features::{CollectSpec, collect};

    #[test]
    fn maxima_are_those_that_features_are_collected_with() {
        let dir = tempfile::tempdir().unwrap();
        let corpus = CorpusSpec::File(text_file(dir.path(), 20));
        let rows = RowSpec { length: 16, ..RowSpec::default() };
        let (model, sae) = (tiny_model(), tiny_sae(&[16, 24]));
        let ctx = JobContext::<()>::unwatched();
        let site = Site::Resid(0);
        let collected = CollectSpec {
            site: Some(site),
            tokens: 300,
            allow_foreign: true,
            ..CollectSpec::new(corpus.clone(), rows)
        };
        let table = collect(&ctx, &model, &sae, &collected, &dir.path().join("features")).unwrap();
        let spec = MaximaSpec { tokens: 300, ..MaximaSpec::new(corpus, rows) };
        let latents: Vec<u32> = (0..24).rev().collect();
        let found = maxima(&ctx, &model, site, &sae, &latents, &spec).unwrap();
        let wanted: Vec<f32> = table.latents.iter().rev().map(|l| l.max).collect();
        assert_eq!(found.max, wanted);
        assert_eq!(found.tokens, table.tokens);
        assert!(found.max.iter().any(|m| *m > 0.0));
        assert!(maxima(&ctx, &model, site, &sae, &[24], &spec).is_err());
        assert!(maxima(&ctx, &model, site, &tiny_sae(&[8, 24]), &[2], &spec).is_err());
    }
}
