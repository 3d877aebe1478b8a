//! The feature table on disk, made to open at once however large it is.
//!
//! One safetensors file. What a list of latents shows is a handful of columns; the contexts lie
//! behind them, and those of one latent are two short reads. Each token's text is stored once.

use super::{Context, FeatureTable, LatentSummary};
use crate::activations::tensor_file::{Column, TensorFile, to_f32s, to_u32s, write};
use crate::error::Result;
use std::collections::HashMap;
use std::path::Path;

/// A feature table on disk: the summaries of all latents in memory, the contexts read as asked.
#[derive(Debug)]
pub struct FeatureFile {
    file: TensorFile,
    /// What was collected of every latent, without its contexts.
    table: FeatureTable,
    /// Contexts `first_context[i] .. first_context[i + 1]` are latent i's.
    first_context: Vec<u64>,
    document: Vec<u64>,
    start: Vec<u32>,
    peak: Vec<u32>,
    /// Tokens `first_token[c] .. first_token[c + 1]` are context c's.
    first_token: Vec<u64>,
    texts: Vec<String>,
}

impl FeatureFile {
    /// Writes `table` to `path`; a file that was there stays whole until the new one is.
    ///
    /// # Errors
    /// The file cannot be written, the disk is full.
    pub fn save(path: &Path, table: &FeatureTable) -> Result<()> {
        let latents = &table.latents;
        let contexts = || latents.iter().flat_map(|l| &l.contexts);
        let mut ids: HashMap<&str, u32> = HashMap::new();
        let mut texts: Vec<&str> = Vec::new();
        let mut text_id = |text| {
            *ids.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() as u32 - 1
            })
        };
        let token = contexts().flat_map(|c| &c.tokens).map(|t| text_id(t)).collect::<Vec<u32>>();
        let ends = |lengths: &mut dyn Iterator<Item = usize>| -> Vec<u64> {
            let mut at = 0;
            let after = lengths.map(|n| {
                at += n as u64;
                at
            });
            std::iter::once(0).chain(after).collect()
        };
        let columns = [
            Column::u8("corpus", table.corpus.as_bytes().to_vec()),
            Column::u64("sample_tokens", [table.tokens]),
            Column::u32("index", latents.iter().map(|l| l.index)),
            Column::f32("density", latents.iter().map(|l| l.density)),
            Column::f32("mean", latents.iter().map(|l| l.mean)),
            Column::f32("max", latents.iter().map(|l| l.max)),
            Column::u64("first_context", ends(&mut latents.iter().map(|l| l.contexts.len()))),
            Column::u64("document", contexts().map(|c| c.document)),
            Column::u32("start", contexts().map(|c| c.start)),
            Column::u32("peak", contexts().map(|c| c.peak as u32)),
            Column::u64("first_token", ends(&mut contexts().map(|c| c.tokens.len()))),
            Column::u64("first_text", ends(&mut texts.iter().map(|t| t.len()))),
            Column::u8("texts", texts.concat().into_bytes()),
            Column::u32("token", token),
            Column::f32("activation", contexts().flat_map(|c| c.activations.iter().copied())),
        ];
        write(path, &columns).map(|_| ())
    }

    /// Opens a file that [`FeatureFile::save`] wrote.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = TensorFile::open(path)?;
        let corpus = String::from_utf8(file.u8s("corpus")?)
            .map_err(|_| file.damaged("its corpus is no text"))?;
        let sample_tokens = file.u64s("sample_tokens")?;
        let index = file.u32s("index")?;
        let columns = [file.f32s("density")?, file.f32s("mean")?, file.f32s("max")?];
        let first_context = file.u64s("first_context")?;
        let document = file.u64s("document")?;
        let (start, peak) = (file.u32s("start")?, file.u32s("peak")?);
        let first_token = file.u64s("first_token")?;
        let first_text = file.u64s("first_text")?;
        let texts = file.u8s("texts")?;
        let token = file.shape("token", "U32")?.iter().product::<usize>();
        let activation = file.shape("activation", "F32")?.iter().product::<usize>();
        let contexts = document.len();
        let fits = columns.iter().all(|c| c.len() == index.len())
            && sample_tokens.len() == 1
            && is_split(&first_context, index.len(), contexts)
            && start.len() == contexts
            && peak.len() == contexts
            && is_split(&first_token, contexts, token)
            && activation == token
            && first_text.first() == Some(&0)
            && is_split(&first_text, first_text.len() - 1, texts.len());
        if !fits {
            return Err(file.damaged("its columns do not fit together"));
        }
        let texts = first_text
            .windows(2)
            .map(|w| String::from_utf8(texts[w[0] as usize..w[1] as usize].to_vec()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| file.damaged("a token of it is no text"))?;
        let latents = index
            .iter()
            .enumerate()
            .map(|(i, index)| LatentSummary {
                index: *index,
                density: columns[0][i],
                mean: columns[1][i],
                max: columns[2][i],
                contexts: Vec::new(),
            })
            .collect();
        let table = FeatureTable { corpus, tokens: sample_tokens[0], latents };
        Ok(Self { file, table, first_context, document, start, peak, first_token, texts })
    }

    /// Everything but the contexts.
    pub fn summaries(&self) -> &FeatureTable {
        &self.table
    }

    /// The contexts of the latent at place `i` of the table, strongest first.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged; there is no such latent.
    pub fn contexts(&mut self, i: usize) -> Result<Vec<Context>> {
        let Some([first, end]) = self.first_context.get(i..i + 2).and_then(<[u64]>::as_array)
        else {
            return Err(self.file.damaged(&format!("it has no latent at place {i}")));
        };
        let contexts = *first as usize..*end as usize;
        self.read(contexts)
    }

    /// The whole table.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn into_table(mut self) -> Result<FeatureTable> {
        let mut all = self.read(0..self.document.len())?.into_iter();
        for (latent, w) in self.table.latents.iter_mut().zip(self.first_context.windows(2)) {
            latent.contexts = all.by_ref().take((w[1] - w[0]) as usize).collect();
        }
        Ok(self.table)
    }

    fn read(&mut self, contexts: std::ops::Range<usize>) -> Result<Vec<Context>> {
        let first = self.first_token[contexts.start];
        let count = (self.first_token[contexts.end] - first) as usize;
        let tokens = to_u32s(&self.file.bytes("token", "U32", first, count)?);
        let activations = to_f32s(&self.file.bytes("activation", "F32", first, count)?);
        let mut all = Vec::with_capacity(contexts.len());
        for c in contexts {
            let span =
                (self.first_token[c] - first) as usize..(self.first_token[c + 1] - first) as usize;
            let texts = tokens[span.clone()]
                .iter()
                .map(|t| self.texts.get(*t as usize).cloned())
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| self.file.damaged("a context has a token without text"))?;
            let peak = self.peak[c] as usize;
            if peak >= texts.len() {
                return Err(self.file.damaged("the peak of a context lies outside it"));
            }
            all.push(Context {
                document: self.document[c],
                start: self.start[c],
                tokens: texts,
                activations: activations[span].to_vec(),
                peak,
            });
        }
        Ok(all)
    }
}

/// Whether `bounds` cut `total` things into `parts` parts.
fn is_split(bounds: &[u64], parts: usize, total: usize) -> bool {
    bounds.len() == parts + 1
        && bounds.first() == Some(&0)
        && bounds.last() == Some(&(total as u64))
        && bounds.is_sorted()
}
