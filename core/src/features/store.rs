//! Reading a feature file, which opens at once however large it is.

use super::file::{VERSION, list};
use super::kept::{Span, decode};
use super::spool::{self, RUN};
use super::{
    ActivationHistogram, BestSentences, CoActive, Context, ContextGroup, FIFTHS, FeatureAbout,
    FeatureTable, GroupKind, LatentDetail, LatentSummary, QUANTILES, RankedSentence,
};
use crate::activations::tensor_file::{TensorFile, to_f32s, to_u32s};
use crate::corpus::Row;
use crate::error::{Error, Result};
use std::path::Path;

/// The features of a dictionary on disk. Opening reads next to nothing; the table of all latents,
/// one latent's detail and single rows of the sample are read as they are asked for.
#[derive(Debug)]
pub struct FeatureFile {
    file: TensorFile,
    about: FeatureAbout,
    /// Texts of the tokens by their numbers, once they were needed.
    texts: Option<Vec<String>>,
}

/// What is known of each stretch of text of a latent.
struct Stretch {
    list: u8,
    value: f32,
    context: Context,
}

impl FeatureFile {
    /// Opens a file that [`super::collect`] wrote.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or was written by another version of the program.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = TensorFile::open(path)?;
        if !file.has("about") && file.has("first_context") {
            return Err(outdated(path, "an older version of the program"));
        }
        let json = file.u8s("about")?;
        let value: serde_json::Value = serde_json::from_slice(&json)
            .map_err(|e| file.damaged(&format!("it does not say what it is ({e})")))?;
        if value.get("version").and_then(serde_json::Value::as_u64) != Some(VERSION.into()) {
            return Err(outdated(path, "another version of the program"));
        }
        let about = serde_json::from_value(value)
            .map_err(|e| file.damaged(&format!("it does not say what it is ({e})")))?;
        Ok(Self { file, about, texts: None })
    }

    /// Where it comes from.
    pub fn about(&self) -> &FeatureAbout {
        &self.about
    }

    /// What is known of every latent, in numbers.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn table(&mut self) -> Result<FeatureTable> {
        let file = &mut self.file;
        let (index, fired) = (file.u32s("index")?, file.u64s("fired")?);
        let [density, mean, max, width] =
            [file.f32s("density")?, file.f32s("mean")?, file.f32s("max")?, file.f32s("bin_width")?];
        let quantiles = file.f32s("quantiles")?;
        let (first_bin, bins) = (file.u64s("first_bin")?, file.u32s("bins")?);
        let m = index.len();
        let fits = [fired.len(), density.len(), mean.len(), max.len(), width.len()] == [m; 5]
            && quantiles.len() == m * QUANTILES.len()
            && is_split(&first_bin, m, bins.len());
        if !fits {
            return Err(file.damaged("its columns do not fit together"));
        }
        let (quantiles, _) = quantiles.as_chunks();
        let latent = |i: usize| LatentSummary {
            index: index[i],
            fired: fired[i],
            density: density[i],
            mean: mean[i],
            max: max[i],
            quantiles: quantiles[i],
            histogram: ActivationHistogram {
                width: width[i],
                counts: bins[first_bin[i] as usize..first_bin[i + 1] as usize].to_vec(),
            },
        };
        Ok(FeatureTable {
            corpus: self.about.spec.corpus.to_string(),
            tokens: self.about.tokens,
            latents: (0..m).map(latent).collect(),
        })
    }

    /// Everything that was kept of the latent at place `i` of the table.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged; there is no such latent.
    pub fn detail(&mut self, i: usize) -> Result<LatentDetail> {
        let latents = self.file.shape("index", "U32")?.iter().product::<usize>();
        if i >= latents {
            return Err(Error::setting(
                format!("There is no latent at place {i}"),
                format!("the features are of {latents} latents"),
                "Choose one of these",
            ));
        }
        let latent = self.one("index", i)?;
        let bounds = to_f32s(&self.file.bytes("bounds", "F32", i as u64 * 6, 6)?);
        let stretches = self.stretches(i)?;
        let mut detail = LatentDetail { latent, ..LatentDetail::default() };
        let of = |wanted: u8| stretches.iter().filter(move |s| s.list == wanted);
        let group = |kind, list: u8| {
            let contexts: Vec<Context> = of(list).map(|s| s.context.clone()).collect();
            (!contexts.is_empty()).then_some(ContextGroup { kind, contexts })
        };
        detail.groups.extend(group(GroupKind::Top, list::TOP));
        for fifth in (0..5).rev() {
            let share = |edge: usize| match edge {
                0 => 0.0,
                edge => FIFTHS.get(edge - 1).map_or(1.0, |q| *q as f32),
            };
            let kind = GroupKind::Quantile {
                from: share(fifth),
                to: share(fifth + 1),
                low: bounds[fifth],
                high: bounds[fifth + 1],
            };
            detail.groups.extend(group(kind, list::FIFTH + fifth as u8));
        }
        let ranked = |list: u8| {
            of(list)
                .map(|s| RankedSentence { score: s.value, context: s.context.clone() })
                .collect()
        };
        detail.sentences = BestSentences {
            by_mean: ranked(list::MEAN),
            by_last: ranked(list::LAST),
            by_max: ranked(list::MAX),
        };
        detail.coactive = self.coactive(i)?;
        detail.coactive_tokens = self.about.coactive_tokens;
        detail.coactive_fired = self.one("sampled", i)?.into();
        Ok(detail)
    }

    /// Row `n` of the sample, as the model saw it.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged; there is no such row.
    pub fn row(&mut self, n: u64) -> Result<Row> {
        if n >= self.about.rows {
            return Err(self.file.damaged(&format!("it has no row {n} in {}", self.about.rows)));
        }
        let at = self.file.bytes("rows", "U64", n * 2, 4)?;
        let at: Vec<u64> = at.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
        let lost = |file: &TensorFile| file.damaged(&format!("its row {n} is lost"));
        let (Some(tokens), Some(runs)) = (at[2].checked_sub(at[0]), at[3].checked_sub(at[1]))
        else {
            return Err(lost(&self.file));
        };
        let fits = |name, dtype, count: u64| -> Result<bool> {
            Ok(count <= self.file.shape(name, dtype)?.iter().product::<usize>() as u64)
        };
        if !fits("tokens", "U32", tokens)? || !fits("runs", "U32", runs.saturating_mul(RUN as u64))?
        {
            return Err(lost(&self.file));
        }
        let tokens = to_u32s(&self.file.bytes("tokens", "U32", at[0], tokens as usize)?);
        let first = at[1].saturating_mul(RUN as u64);
        let runs = to_u32s(&self.file.bytes("runs", "U32", first, runs as usize * RUN)?);
        spool::row(tokens, runs.as_chunks().0).ok_or_else(|| lost(&self.file))
    }

    /// The texts of tokens as they are to be drawn.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn texts(&mut self, ids: &[u32]) -> Result<Vec<String>> {
        let texts = match self.texts.take() {
            Some(texts) => texts,
            None => self.read_texts()?,
        };
        let text = |id: &u32| texts.get(*id as usize).cloned();
        let found = ids.iter().map(text).collect::<Option<Vec<_>>>();
        self.texts = Some(texts);
        found.ok_or_else(|| self.file.damaged("a token of it has no text"))
    }

    /// Bytes of the file that were read since it was opened.
    #[cfg(test)]
    pub(super) fn bytes_read(&self) -> u64 {
        self.file.bytes_read()
    }

    fn read_texts(&mut self) -> Result<Vec<String>> {
        let (first, texts) = (self.file.u64s("first_text")?, self.file.u8s("texts")?);
        if first.is_empty() || !is_split(&first, first.len() - 1, texts.len()) {
            return Err(self.file.damaged("the texts of its tokens do not fit together"));
        }
        first
            .windows(2)
            .map(|w| String::from_utf8(texts[w[0] as usize..w[1] as usize].to_vec()))
            .collect::<Result<_, _>>()
            .map_err(|_| self.file.damaged("a token of it is no text"))
    }

    /// Number `i` of a column of u32.
    fn one(&mut self, name: &str, i: usize) -> Result<u32> {
        Ok(to_u32s(&self.file.bytes(name, "U32", i as u64, 1)?)[0])
    }

    /// What part `i` of a split column is, `total` things long.
    fn part(&mut self, name: &str, i: usize, total: usize) -> Result<(u64, usize)> {
        let bytes = self.file.bytes(name, "U64", i as u64, 2)?;
        match bytes.as_chunks::<8>().0 {
            [from, to] => {
                let (from, to) = (u64::from_le_bytes(*from), u64::from_le_bytes(*to));
                if from <= to && to <= total as u64 {
                    return Ok((from, (to - from) as usize));
                }
                Err(self.file.damaged(&format!("its {name} does not fit")))
            }
            _ => Err(self.file.damaged(&format!("its {name} is too short"))),
        }
    }

    fn stretches(&mut self, i: usize) -> Result<Vec<Stretch>> {
        let total = self.file.shape("row", "U32")?.iter().product();
        let (first, count) = self.part("first_stretch", i, total)?;
        let lists = self.file.bytes("list", "U8", first, count)?;
        let rows = to_u32s(&self.file.bytes("row", "U32", first, count)?);
        let values = to_f32s(&self.file.bytes("value", "F32", first, count)?);
        let bytes = self.file.shape("spans", "U8")?.iter().product();
        let mut out = Vec::with_capacity(count);
        for at in 0..count {
            let (from, length) = self.part("first_span", first as usize + at, bytes)?;
            let span = self.file.bytes("spans", "U8", from, length)?;
            let row = self.row(rows[at].into())?;
            let span = decode(&span, row.len())
                .ok_or_else(|| self.file.damaged("a context lies outside its row"))?;
            let context = self.context(rows[at].into(), &row, span)?;
            out.push(Stretch { list: lists[at], value: values[at], context });
        }
        Ok(out)
    }

    fn context(&mut self, number: u64, row: &Row, span: Span) -> Result<Context> {
        let place = span.first..span.first + span.activations.len();
        let ids = row.tokens[place].to_vec();
        Ok(Context {
            row: number,
            first: span.first,
            document: row.document[span.first],
            start: row.position[span.first],
            tokens: self.texts(&ids)?,
            ids,
            activations: span.activations,
            peak: span.peak,
        })
    }

    fn coactive(&mut self, i: usize) -> Result<Vec<CoActive>> {
        let total = self.file.shape("other", "U32")?.iter().product::<usize>() / 2;
        let (first, count) = self.part("first_other", i, total)?;
        let counts = to_u32s(&self.file.bytes("other", "U32", first * 2, count * 2)?);
        let shares = to_f32s(&self.file.bytes("other_share", "F32", first * 2, count * 2)?);
        let pairs = counts.as_chunks::<2>().0.iter().zip(shares.as_chunks::<2>().0);
        let one = |([latent, both], [jaccard, correlation]): (&[u32; 2], &[f32; 2])| CoActive {
            latent: *latent,
            both: *both,
            jaccard: *jaccard,
            correlation: *correlation,
        };
        Ok(pairs.map(one).collect())
    }
}

fn outdated(path: &Path, by: &str) -> Error {
    Error::format(
        format!("The features in {} cannot be read", path.display()),
        format!("they were collected by {by}"),
        "Collect again",
    )
}

/// Whether `bounds` cut `total` things into `parts` parts.
fn is_split(bounds: &[u64], parts: usize, total: usize) -> bool {
    bounds.len() == parts + 1
        && bounds.first() == Some(&0)
        && bounds.last() == Some(&(total as u64))
        && bounds.is_sorted()
}
