//! What the model itself writes: the probability of she-words and he-words where a pronoun stands,
//! before and after the trim.

use super::pooled::{batches, most_latents};
use super::table::pieces;
use super::table_file::read_column;
use super::{Data, Split, Text};
use crate::activations::numbers;
use crate::circuits::Bases;
use crate::edits::{Edit, Edits};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::JobContext;
use crate::llama::{Model, Plan, Readout, Site, TokenizerHandle};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Places whose logits are computed at once.
const AT_ONCE: usize = 64;

/// What the pronoun figures are.
pub const PRONOUN_DEFINITION: &str = "At every place before a she-word or he-word, the probability \
    that the model gives to the she-words and to the he-words: summed over the first tokens of \
    these words (in small and capital letters), averaged over places. Right: share of places where \
    the words of the gender that stands there are the likelier. Before: the unchanged model; after: \
    under the trim.";

/// What SHIFT does not do.
pub const PRONOUN_CAVEAT: &str = "SHIFT takes away a probe's use of a signal. It does not take a \
    bias out of what the model itself writes: these figures are measured to show it.";

/// Which texts pronouns are looked for in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PronounText {
    /// The balanced test part.
    #[default]
    Test,
    /// A column of a table, or the lines of a `.txt` file.
    File {
        /// Where it is.
        path: PathBuf,
        /// The column; means nothing for lines.
        column: String,
    },
}

/// How pronouns are measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PronounSpec {
    /// Which texts.
    pub text: PronounText,
    /// Texts read at most.
    pub most_texts: usize,
    /// The she-words, in small letters.
    pub she: Vec<String>,
    /// The he-words.
    pub he: Vec<String>,
}

impl Default for PronounSpec {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        Self {
            text: PronounText::Test,
            most_texts: 400,
            she: words(&["she", "her", "hers", "herself"]),
            he: words(&["he", "him", "his", "himself"]),
        }
    }
}

/// Mean probabilities over some places.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PronounMeans {
    /// Of the she-words.
    pub she: f64,
    /// Of the he-words.
    pub he: f64,
    /// Share of places where those of the gender that stands there are the likelier.
    pub right: f64,
}

/// Places of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PronounGroup {
    /// What they are: "nurse, masculine".
    pub name: String,
    /// How many.
    pub places: usize,
    /// On the unchanged model.
    pub before: PronounMeans,
    /// Under the trim.
    pub after: PronounMeans,
}

/// What the model does with pronouns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PronounReport {
    /// What was read.
    pub text: String,
    /// Texts read.
    pub texts: usize,
    /// Pronouns that were left out, by reason.
    pub left_out: BTreeMap<String, usize>,
    /// The she-words, with the tokens that count for them.
    pub she: Vec<String>,
    /// Tokens of the she-words, as drawn.
    pub she_tokens: Vec<String>,
    /// The he-words.
    pub he: Vec<String>,
    /// Tokens of the he-words.
    pub he_tokens: Vec<String>,
    /// Tokens that begin words of both kinds, and count for neither.
    pub shared_tokens: Vec<String>,
    /// Features trimmed.
    pub trimmed: usize,
    /// All places.
    pub all: PronounGroup,
    /// The places of each group of texts; of a file by the gender that stands there.
    pub groups: Vec<PronounGroup>,
    /// What the figures are: [`PRONOUN_DEFINITION`].
    pub definition: String,
    /// What they are there for: [`PRONOUN_CAVEAT`].
    pub caveat: String,
}

/// A place before a pronoun.
struct Place {
    position: usize,
    /// 0: a she-word stands there; 1: a he-word.
    stands: usize,
    group: usize,
}

/// Measures the probabilities of pronouns before and under `edits`.
///
/// # Errors
/// No place to look at; a file that cannot be read; a tokenizer that tells the words of the two
/// kinds not apart; those of the forward pass; the job was stopped.
pub fn pronouns<E>(
    ctx: &JobContext<E>,
    model: &Model,
    bases: &Bases,
    data: &Data,
    split: &Split,
    edits: &[Edit],
    spec: &PronounSpec,
) -> Result<PronounReport> {
    let tokenizer = model.need_tokenizer()?;
    let check = || ctx.check();
    let sets = Sets::new(tokenizer, spec)?;
    let (texts, groups, named) = texts(model, data, split, spec, &check)?;
    let mut left_out = BTreeMap::new();
    let mut places: Vec<Vec<Place>> = Vec::with_capacity(texts.len());
    for (i, (text, ids)) in texts.iter().enumerate() {
        if i % 64 == 0 {
            ctx.check()?;
        }
        let group = groups.of.get(i).copied();
        places.push(find(tokenizer, text, &ids.tokens, group, spec, &mut left_out)?);
    }
    if places.iter().all(Vec::is_empty) {
        return Err(Error::setting(
            "No pronouns can be measured",
            format!("in {} texts none of the words stands at a token's beginning", texts.len()),
            "Choose other texts, or other words",
        ));
    }
    let ids: Vec<Text> = texts.into_iter().map(|(_, ids)| ids).collect();
    let ready = Edits::new(edits, &super::measurer::dictionaries(bases))?;
    ctx.progress().stage("Reading pronouns", "texts", 0, 2 * ids.len() as u64);
    let run = Run { ctx, model, texts: &ids, places: &places, sets: &sets, bases };
    let before = run.probabilities(&Edits::default())?;
    let after = run.probabilities(&ready)?;
    let group = |name: &str, which: Option<usize>| {
        let chosen: Vec<(usize, [f64; 2], [f64; 2])> = places
            .iter()
            .flatten()
            .zip(before.iter().zip(&after))
            .filter(|(place, _)| which.is_none_or(|which| place.group == which))
            .map(|(place, (before, after))| (place.stands, *before, *after))
            .collect();
        PronounGroup {
            name: name.to_owned(),
            places: chosen.len(),
            before: means(chosen.iter().map(|c| (c.0, c.1))),
            after: means(chosen.iter().map(|c| (c.0, c.2))),
        }
    };
    let drawn = |ids: &BTreeSet<u32>| {
        ids.iter().map(|id| tokenizer.token_text(*id).to_owned()).collect::<Vec<_>>()
    };
    Ok(PronounReport {
        text: named,
        texts: ids.len(),
        left_out,
        she: spec.she.clone(),
        she_tokens: drawn(&sets.all[0]),
        he: spec.he.clone(),
        he_tokens: drawn(&sets.all[1]),
        shared_tokens: drawn(&sets.shared),
        trimmed: edits.len(),
        all: group("all places", None),
        groups: groups.names.iter().enumerate().map(|(i, name)| group(name, Some(i))).collect(),
        definition: PRONOUN_DEFINITION.to_owned(),
        caveat: PRONOUN_CAVEAT.to_owned(),
    })
}

/// What groups places have, and that of each text; without the latter what stands decides.
struct Groups {
    names: Vec<String>,
    of: Vec<usize>,
}

type Read = (Vec<(String, Text)>, Groups, String);

fn texts(
    model: &Model,
    data: &Data,
    split: &Split,
    spec: &PronounSpec,
    check: &dyn Fn() -> Result<()>,
) -> Result<Read> {
    match &spec.text {
        PronounText::Test => {
            let chosen = &split.balanced_test[..spec.most_texts.min(split.balanced_test.len())];
            let names = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(l, s)| data.group_name(l, s));
            let of = chosen.iter().map(|text| 2 * text.label + text.spurious).collect();
            let texts = chosen
                .iter()
                .map(|text| (data.items[text.item].text.clone(), text.clone()))
                .collect();
            Ok((texts, Groups { names: names.into(), of }, "the balanced test part".to_owned()))
        }
        PronounText::File { path, column } => {
            let tokenizer = model.need_tokenizer()?;
            let mut lines = read_column(path, column, check)?;
            lines.truncate(spec.most_texts);
            let mut texts = Vec::new();
            for (item, line) in lines.into_iter().enumerate() {
                let mut tokens = tokenizer.encode(&line, true)?;
                tokens.truncate(model.config().context);
                if !tokens.is_empty() {
                    texts.push((line, Text { item, tokens, label: 0, spurious: 0 }));
                }
            }
            let names = vec!["where a she-word stands".into(), "where a he-word stands".into()];
            Ok((texts, Groups { names, of: Vec::new() }, path.display().to_string()))
        }
    }
}

/// The places before pronouns in a text.
fn find(
    tokenizer: &TokenizerHandle,
    text: &str,
    tokens: &[u32],
    group: Option<usize>,
    spec: &PronounSpec,
    left_out: &mut BTreeMap<String, usize>,
) -> Result<Vec<Place>> {
    let mut out = Vec::new();
    let mut at = 0;
    for (piece, is_word) in pieces(text) {
        let start = at;
        at += piece.len();
        if !is_word {
            continue;
        }
        let word = piece.to_lowercase();
        let stands = [&spec.she, &spec.he].iter().position(|words| words.contains(&word));
        let Some(stands) = stands else { continue };
        let before = &text[..start];
        // A word's token usually takes the space before it.
        let before = before.strip_suffix(' ').unwrap_or(before);
        let prompt = tokenizer.encode(before, true)?;
        let mut skip = |why: &str| *left_out.entry(why.to_owned()).or_default() += 1;
        if prompt.is_empty() {
            skip("nothing before it");
        } else if prompt.len() >= tokens.len() {
            skip("cut off");
        } else if !tokens.starts_with(&prompt) {
            skip("its token takes in what comes before it");
        } else {
            let position = prompt.len() - 1;
            out.push(Place { position, stands, group: group.unwrap_or(stands) });
        }
    }
    Ok(out)
}

/// The tokens that count for she-words and he-words.
struct Sets {
    all: [BTreeSet<u32>; 2],
    shared: BTreeSet<u32>,
}

impl Sets {
    fn new(tokenizer: &TokenizerHandle, spec: &PronounSpec) -> Result<Self> {
        let mut all: [BTreeSet<u32>; 2] = Default::default();
        for (words, set) in [&spec.she, &spec.he].into_iter().zip(&mut all) {
            for word in words {
                let mut letters = word.chars();
                let capital: String = letters
                    .next()
                    .map(|c| c.to_uppercase().chain(letters).collect())
                    .unwrap_or_default();
                for form in [word, &capital] {
                    set.extend(first_tokens(tokenizer, form)?);
                }
            }
        }
        let shared: BTreeSet<u32> = all[0].intersection(&all[1]).copied().collect();
        all.iter_mut().for_each(|set| set.retain(|id| !shared.contains(id)));
        match all.iter().any(BTreeSet::is_empty) {
            false => Ok(Self { all, shared }),
            true => Err(Error::setting(
                "The pronouns cannot be measured",
                "the tokenizer begins all words of one kind with tokens that begin words of the \
                 other kind too",
                "Choose other words",
            )),
        }
    }
}

/// The tokens that a word begins with, within a text and at its beginning.
fn first_tokens(tokenizer: &TokenizerHandle, word: &str) -> Result<Vec<u32>> {
    let mut out = Vec::new();
    for before in ["a", "."] {
        let prompt = tokenizer.encode(before, false)?;
        let whole = tokenizer.encode(&format!("{before} {word}"), false)?;
        out.extend(whole.strip_prefix(prompt.as_slice()).and_then(<[u32]>::first));
    }
    out.extend(tokenizer.encode(word, false)?.first());
    Ok(out)
}

struct Run<'a, E> {
    ctx: &'a JobContext<E>,
    model: &'a Model,
    bases: &'a Bases,
    texts: &'a [Text],
    places: &'a [Vec<Place>],
    sets: &'a Sets,
}

impl<E> Run<'_, E> {
    /// For each place, text by text, the probabilities of the she-words and of the he-words.
    fn probabilities(&self, edits: &Edits) -> Result<Vec<[f64; 2]>> {
        let layers = self.model.config().layers;
        let width = self.model.config().width;
        let last = layers.checked_sub(1).map_or(Site::Embed, Site::Resid);
        let readout = self.model.readout(None)?;
        let check = || self.ctx.check();
        let change = edits.changes();
        let mut found: Vec<Vec<[f64; 2]>> = self.texts.iter().map(|_| Vec::new()).collect();
        for batch in batches(self.model, self.texts, most_latents(self.bases))? {
            self.ctx.check()?;
            let read = [last];
            let plan =
                Plan { read: &read, change: &change, check: Some(&check), ..Plan::default() };
            let pass = self.model.forward(&batch.tokens, &plan)?;
            let Some(x) = pass.sites.get(&last) else { continue };
            let positions = batch.tokens.positions();
            let x = x.reshape((batch.places.len() * positions, width))?;
            let rows: Vec<(usize, u32)> = batch
                .places
                .iter()
                .enumerate()
                .flat_map(|(i, text)| {
                    let row = move |p: &Place| (*text, (i * positions + p.position) as u32);
                    self.places[*text].iter().map(row)
                })
                .collect();
            for chunk in rows.chunks(AT_ONCE) {
                self.ctx.check()?;
                let ids: Vec<u32> = chunk.iter().map(|(_, row)| *row).collect();
                let ids = Tensor::new(ids, x.device())?;
                let logits = self.logits(&readout, &x.index_select(&ids, 0)?)?;
                let vocab = logits.len() / chunk.len().max(1);
                for ((text, _), logits) in chunk.iter().zip(logits.chunks_exact(vocab.max(1))) {
                    found[*text].push(self.sums(logits));
                }
            }
            self.ctx.progress().add(batch.places.len() as u64);
        }
        Ok(found.into_iter().flatten().collect())
    }

    fn logits(&self, readout: &Readout, rows: &Tensor) -> Result<Vec<f32>> {
        let logits = numbers(&readout.logits(rows)?)?;
        if logits.iter().all(|logit| logit.is_finite()) {
            return Ok(logits);
        }
        Err(Error::new(
            ErrorKind::Numeric,
            "The pronouns could not be measured",
            "a logit is NaN or infinite",
            "Check the model's weights and the trim",
        ))
    }

    fn sums(&self, logits: &[f32]) -> [f64; 2] {
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |logit: f32| f64::from(logit - top).exp();
        let all: f64 = logits.iter().copied().map(weight).sum();
        self.sets.all.each_ref().map(|set| {
            set.iter().filter_map(|id| logits.get(*id as usize)).copied().map(weight).sum::<f64>()
                / all
        })
    }
}

fn means(places: impl Iterator<Item = (usize, [f64; 2])>) -> PronounMeans {
    let (mut out, mut n) = (PronounMeans::default(), 0usize);
    for (stands, [she, he]) in places {
        out.she += she;
        out.he += he;
        let right = if stands == 0 { she > he } else { he > she };
        out.right += f64::from(u8::from(right));
        n += 1;
    }
    let n = n.max(1) as f64;
    PronounMeans { she: out.she / n, he: out.he / n, right: out.right / n }
}

#[cfg(test)]
#[path = "tests/pronouns.rs"]
mod tests;
