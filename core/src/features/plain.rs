//! A feature file from plain values: for files that come from elsewhere, and for tests.

use super::file::{Finished, VERSION, list, write};
use super::kept::{Kept, encode};
use super::spool::{Extent, Spool};
use super::{
    CollectSpec, Context, FeatureAbout, FeatureFile, FeatureTable, GroupKind, LatentDetail,
};
use crate::corpus::{CorpusSpec, Row, RowSpec};
use crate::error::{IoContext as _, Result};
use crate::llama::Site;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

impl FeatureFile {
    /// Writes a file of `table`, with the detail of each of its latents in the same order (fewer
    /// details leave the others without). Every context becomes a row of its own, so rows and
    /// tokens are numbered anew.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(path: &Path, table: &FeatureTable, details: &[LatentDetail]) -> Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".rows");
        let folder = path.with_file_name(name);
        fs::create_dir_all(&folder).doing(|| format!("Could not make {}", folder.display()))?;
        let mut rows = Rows {
            spool: Spool::open(&folder, Extent::default())?,
            texts: Vec::new(),
            ids: HashMap::new(),
            count: 0,
        };
        let mut latents = Vec::with_capacity(table.latents.len());
        for (i, summary) in table.latents.iter().enumerate() {
            let mut latent = Finished { summary: summary.clone(), ..Finished::default() };
            if let Some(detail) = details.get(i) {
                rows.put(&mut latent, detail)?;
            }
            latents.push(latent);
        }
        let extent = rows.spool.flush(false)?;
        let coactive_tokens = details.iter().map(|d| d.coactive_tokens).max().unwrap_or(0);
        let about = FeatureAbout {
            version: VERSION,
            spec: CollectSpec::new(
                CorpusSpec::File(table.corpus.clone().into()),
                RowSpec::default(),
            ),
            site: Site::Embed,
            model: String::new(),
            sae: String::new(),
            tokens: table.tokens,
            rows: extent.rows,
            coactive_tokens,
        };
        let texts: Vec<&str> = rows.texts.iter().map(String::as_str).collect();
        write(path, &about, latents, &folder, extent, &texts, &|| Ok(()))?;
        rows.spool.remove()
    }
}

struct Rows {
    spool: Spool,
    texts: Vec<String>,
    ids: HashMap<String, u32>,
    count: u32,
}

impl Rows {
    fn put(&mut self, latent: &mut Finished, detail: &LatentDetail) -> Result<()> {
        for group in &detail.groups {
            let number = match group.kind {
                GroupKind::Top => list::TOP,
                GroupKind::Quantile { from, low, high, .. } => {
                    let fifth = ((from * 5.0).round() as usize).min(4);
                    latent.bounds[fifth] = low;
                    latent.bounds[fifth + 1] = high;
                    list::FIFTH + fifth as u8
                }
            };
            for context in group.contexts.iter().filter(|c| !c.tokens.is_empty()) {
                let value = context.activations.get(context.peak).copied().unwrap_or(0.0);
                latent.kept.push((number, self.row(context, value)?));
            }
        }
        let sentences = &detail.sentences;
        for (number, sentences) in [
            (list::MEAN, &sentences.by_mean),
            (list::LAST, &sentences.by_last),
            (list::MAX, &sentences.by_max),
        ] {
            for one in sentences.iter().filter(|s| !s.context.tokens.is_empty()) {
                latent.kept.push((number, self.row(&one.context, one.score)?));
            }
        }
        latent.sampled = detail.coactive_fired as u32;
        latent.coactive.clone_from(&detail.coactive);
        Ok(())
    }

    /// Makes a row of a context, and the context a stretch of it.
    fn row(&mut self, context: &Context, value: f32) -> Result<Kept> {
        let count = context.tokens.len();
        let peak = context.peak.min(count.saturating_sub(1));
        let mut tokens = Vec::with_capacity(count);
        for text in &context.tokens {
            let next = self.texts.len() as u32;
            let id = *self.ids.entry(text.clone()).or_insert(next);
            if id == next {
                self.texts.push(text.clone());
            }
            tokens.push(id);
        }
        let start = context.start;
        self.spool.push(&Row {
            tokens,
            document: vec![context.document; count],
            position: (0..count as u32).map(|i| start.saturating_add(i)).collect(),
            is_bos: vec![false; count],
            used: vec![true; count],
        })?;
        let active = context.activations.iter().copied().enumerate().take(count);
        let span = encode(0, count, peak, active.filter(|(_, v)| *v != 0.0));
        self.count += 1;
        Ok(Kept { key: 0, value, row: self.count - 1, span })
    }
}
