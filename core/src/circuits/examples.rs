//! A task's pairs as tokens, and what could not be used of it.

use super::{Aggregation, Change, Circuit, Metric, Pair, Task, TaskMark};
use crate::error::{Error, Result};
use crate::llama::{Model, TokenizerHandle};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A pair as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Its place in the task.
    pub pair: usize,
    /// The clean prompt, with BOS in front if the model has one.
    pub clean: Vec<u32>,
    /// The patch prompt, as long as the clean one; `None` where there is none that can be used.
    pub patch: Option<Vec<u32>>,
    /// The clean answers, each once. Empty for a probe.
    pub right: Vec<u32>,
    /// The patch answers, each once. Empty where the metric needs none.
    pub wrong: Vec<u32>,
    /// Whether a probe's value counts with the other sign (its clean answer is `-`).
    pub negate: bool,
    /// Which kind of pair it is.
    pub case: String,
}

impl Example {
    /// Number of positions.
    pub fn positions(&self) -> usize {
        self.clean.len()
    }

    /// The first position at which the prompts differ; `None` without a patch prompt.
    pub fn first_difference(&self) -> Option<usize> {
        let patch = self.patch.as_ref()?;
        self.clean.iter().zip(patch).position(|(a, b)| a != b)
    }
}

/// Why a pair cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A prompt or an answer without text.
    Empty,
    /// An answer of several tokens.
    LongAnswer,
    /// The prompt's own tokens change when an answer follows.
    Joined,
    /// The answer's token depends on which of the prompts it follows.
    AnswerDepends,
    /// No patch answer, and the metric needs one.
    NoOtherAnswer,
    /// A clean answer is also a patch answer.
    SameAnswers,
    /// No patch prompt, and effects are to be those of a patch.
    NoPatch,
    /// The two prompts have the same tokens.
    SamePrompts,
    /// The two prompts have different numbers of tokens.
    Lengths,
    /// More tokens than the model can read.
    TooLong,
}

impl Why {
    /// In a few words: the key under which such pairs are counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::LongAnswer => "answer of several tokens",
            Self::Joined => "answer joins the prompt",
            Self::AnswerDepends => "answer depends on the prompt",
            Self::NoOtherAnswer => "no patch answer",
            Self::SameAnswers => "same answers",
            Self::NoPatch => "no patch prompt",
            Self::SamePrompts => "same prompts",
            Self::Lengths => "lengths differ",
            Self::TooLong => "too long",
        }
    }

    /// In a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Empty => "A prompt or an answer has no text.",
            Self::LongAnswer => {
                "An answer is several tokens long; the metric looks at the one token that comes next."
            }
            Self::Joined => {
                "With the answer behind it the prompt is cut into other tokens, so the answer is \
                 no token that follows the prompt. Perhaps its leading space is missing."
            }
            Self::AnswerDepends => {
                "The answer is one token after the clean prompt and another one after the patch \
                 prompt."
            }
            Self::NoOtherAnswer => {
                "It has no patch answer, and a logit difference needs one. Log probability does \
                 not."
            }
            Self::SameAnswers => "A clean answer is also a patch answer.",
            Self::NoPatch => "It has no patch prompt. Zero ablation does without.",
            Self::SamePrompts => "The clean and the patch prompt are the same tokens.",
            Self::Lengths => {
                "The clean and the patch prompt have different numbers of tokens, so positions do \
                 not correspond."
            }
            Self::TooLong => "It has more tokens than the model can read.",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A pair that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its place in the task.
    pub pair: usize,
    /// Why.
    pub why: Why,
}

/// What is used of a task, and what is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examples {
    /// Pairs that are used, in the order of the task.
    pub kept: Vec<Example>,
    /// Pairs that cannot be.
    pub left_out: Vec<LeftOut>,
}

impl Examples {
    /// The pairs of `task` as tokens of `model`, for `metric` and effects of `change`.
    ///
    /// An answer is the one token that its text adds behind the prompt. With
    /// [`Change::Zero`] patch prompts are kept only where they fit.
    ///
    /// # Errors
    /// The model has no tokenizer, or the tokenizer cannot express a text. A pair that cannot be
    /// used is no error: it is left out, with the reason.
    pub fn prepare(model: &Model, task: &Task, metric: &Metric, change: Change) -> Result<Self> {
        Self::tokenized(model.need_tokenizer()?, model.config().context, task, metric, change)
    }

    /// As [`Examples::prepare`], for a model that reads at most `context` tokens.
    ///
    /// # Errors
    /// The tokenizer cannot express a text.
    pub fn tokenized(
        tokenizer: &TokenizerHandle,
        context: usize,
        task: &Task,
        metric: &Metric,
        change: Change,
    ) -> Result<Self> {
        let preparing = Preparing { tokenizer, context, metric, change };
        let mut out = Self::default();
        for (i, pair) in task.pairs.iter().enumerate() {
            match preparing.example(i, pair)? {
                Ok(example) => out.kept.push(example),
                Err(why) => out.left_out.push(LeftOut { pair: i, why }),
            }
        }
        Ok(out)
    }

    /// Itself, if there is anything to work with.
    ///
    /// # Errors
    /// No pair is kept; says why they were left out.
    pub fn some(self) -> Result<Self> {
        if !self.kept.is_empty() {
            return Ok(self);
        }
        let counts: Vec<String> =
            self.counts().iter().map(|(why, n)| format!("{n}: {why}")).collect();
        let why = match counts.is_empty() {
            true => "there are none".to_owned(),
            false => format!("all were left out ({})", counts.join(", ")),
        };
        Err(Error::setting(
            "No pair of the task can be used",
            why,
            "Correct the pairs, or choose another task, metric or kind of change",
        ))
    }

    /// How many pairs were left out, by reason.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for left in &self.left_out {
            *counts.entry(left.why.name()).or_default() += 1;
        }
        counts
    }

    /// Places in [`Examples::kept`] by number of positions: what can run as one batch.
    pub fn by_length(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut lengths = BTreeMap::<usize, Vec<usize>>::new();
        for (i, example) in self.kept.iter().enumerate() {
            lengths.entry(example.positions()).or_default().push(i);
        }
        lengths
    }

    /// The number of positions that most pairs have, the smaller of equals; `None` without pairs.
    pub fn commonest_length(&self) -> Option<usize> {
        let lengths = self.by_length();
        lengths.iter().rev().max_by_key(|(_, pairs)| pairs.len()).map(|(length, _)| *length)
    }

    /// The pairs of `positions` positions; the others are not named as left out.
    pub fn of_length(&self, positions: usize) -> Self {
        self.only(|example| example.positions() == positions)
    }

    /// At most `count` pairs, drawn by `seed`, in the order of the task.
    pub fn drawn(&self, count: usize, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..self.kept.len()).collect();
        order.shuffle(&mut rng(seed, 1));
        let chosen: BTreeSet<usize> =
            order.into_iter().take(count).map(|i| self.kept[i].pair).collect();
        self.only(|example| chosen.contains(&example.pair))
    }

    /// Two halves by `seed`: pairs to find a circuit on, and pairs held out to judge it by. Pairs
    /// of the same two prompts (either way round, with other answers) go into the same half, so
    /// that no prompt is in both; with a single such group nothing is held out.
    pub fn split(&self, seed: u64) -> (Self, Self) {
        let key = |example: &Example| {
            let patch = example.patch.clone().unwrap_or_default();
            let clean = example.clean.clone();
            if clean < patch { (clean, patch) } else { (patch, clean) }
        };
        let mut groups = BTreeMap::<_, Vec<usize>>::new();
        for (i, example) in self.kept.iter().enumerate() {
            groups.entry(key(example)).or_default().push(i);
        }
        let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
        groups.shuffle(&mut rng(seed, 0));
        let mut held = BTreeSet::new();
        for group in groups.iter().skip(1) {
            if 2 * (held.len() + group.len()) <= self.kept.len() + group.len() {
                held.extend(group.iter().map(|&i| self.kept[i].pair));
            }
        }
        (
            self.only(|example| !held.contains(&example.pair)),
            self.only(|example| held.contains(&example.pair)),
        )
    }

    /// The pairs to judge `circuit` by, and whether they were held out when it was found: the half
    /// that its seed holds out, without any pair that it used (of its length, where its nodes
    /// stand at positions); where nothing is held out, all of them.
    pub fn to_judge(&self, circuit: &Circuit) -> (Self, bool) {
        let then = &circuit.conventions;
        let all = match then.spec.aggregation {
            // A position means nothing in a prompt of another length.
            Aggregation::PerPosition => self.of_length(then.task.positions),
            Aggregation::Summed => self.clone(),
        };
        let used: BTreeSet<usize> = then.task.used.iter().copied().collect();
        let held = all.split(then.spec.seed).1.only(|example| !used.contains(&example.pair));
        if held.kept.is_empty() { (all, false) } else { (held, true) }
    }

    /// What a circuit says of the task it was found on: `task` is the one these were prepared of.
    pub fn mark(&self, task: &Task, tokenizer: Option<&TokenizerHandle>) -> TaskMark {
        let first = self.kept.first();
        let drawn = |id: &u32| tokenizer.map_or(String::new(), |t| t.token_text(*id).to_owned());
        TaskMark {
            name: task.name.clone(),
            hash: task.hash(),
            pairs: task.pairs.len(),
            used: self.kept.iter().map(|example| example.pair).collect(),
            left_out: self.counts().into_iter().map(|(why, n)| (why.to_owned(), n)).collect(),
            positions: self.kept.iter().map(Example::positions).max().unwrap_or(0),
            tokens: first.map_or_else(Vec::new, |e| e.clean.iter().map(drawn).collect()),
        }
    }

    fn only(&self, keep: impl Fn(&Example) -> bool) -> Self {
        Self {
            kept: self.kept.iter().filter(|example| keep(example)).cloned().collect(),
            left_out: self.left_out.clone(),
        }
    }
}

fn rng(seed: u64, stream: u64) -> impl Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

struct Preparing<'a> {
    tokenizer: &'a TokenizerHandle,
    context: usize,
    metric: &'a Metric,
    change: Change,
}

impl Preparing<'_> {
    fn example(&self, place: usize, pair: &Pair) -> Result<std::result::Result<Example, Why>> {
        if pair.clean_prefix.is_empty() || pair.patch_prefix.as_deref() == Some("") {
            return Ok(Err(Why::Empty));
        }
        let clean = self.tokenizer.encode(&pair.clean_prefix, true)?;
        if clean.len() > self.context {
            return Ok(Err(Why::TooLong));
        }
        let patch = match &pair.patch_prefix {
            Some(prefix) => Some((prefix.as_str(), self.tokenizer.encode(prefix, true)?)),
            None => None,
        };
        let patch = match self.patch(&clean, patch) {
            Ok(patch) => patch,
            Err(why) => return Ok(Err(why)),
        };
        let probe = matches!(self.metric, Metric::Probe { .. });
        let (mut right, mut wrong, mut negate) = (Vec::new(), Vec::new(), false);
        if probe {
            negate = pair.clean_answer.all().iter().any(|answer| answer.trim() == "-");
        } else {
            let mut prompts = vec![(pair.clean_prefix.as_str(), clean.as_slice())];
            prompts.extend(patch.as_ref().map(|(text, ids)| (*text, ids.as_slice())));
            let answers = [Some(&pair.clean_answer), pair.patch_answer.as_ref()];
            for (answers, out) in answers.into_iter().zip([&mut right, &mut wrong]) {
                for answer in answers.into_iter().flat_map(|a| a.all()) {
                    match self.answer(&prompts, answer)? {
                        Ok(token) if out.contains(&token) => {}
                        Ok(token) => out.push(token),
                        Err(why) => return Ok(Err(why)),
                    }
                }
            }
            if *self.metric == Metric::LogitDifference && wrong.is_empty() {
                return Ok(Err(Why::NoOtherAnswer));
            }
            if right.iter().any(|token| wrong.contains(token)) {
                return Ok(Err(Why::SameAnswers));
            }
        }
        let patch = patch.map(|(_, ids)| ids);
        let case = pair.case.clone();
        Ok(Ok(Example { pair: place, clean, patch, right, wrong, negate, case }))
    }

    /// The patch prompt if it fits; with zero ablation it may be missing.
    fn patch<'t>(
        &self,
        clean: &[u32],
        patch: Option<(&'t str, Vec<u32>)>,
    ) -> std::result::Result<Option<(&'t str, Vec<u32>)>, Why> {
        let why = match &patch {
            None => Why::NoPatch,
            Some((_, ids)) if ids.len() != clean.len() => Why::Lengths,
            Some((_, ids)) if ids == clean => Why::SamePrompts,
            Some(_) => return Ok(patch),
        };
        if self.change == Change::Zero { Ok(None) } else { Err(why) }
    }

    /// The token that `answer` adds behind every one of the prompts. Encoded alone it could begin
    /// with another token: many tokenizers put a space in front of a text.
    fn answer(
        &self,
        prompts: &[(&str, &[u32])],
        answer: &str,
    ) -> Result<std::result::Result<u32, Why>> {
        if answer.is_empty() {
            return Ok(Err(Why::Empty));
        }
        let mut token = None;
        for (text, ids) in prompts {
            let whole = self.tokenizer.encode(&format!("{text}{answer}"), true)?;
            let here = match whole.strip_prefix(*ids) {
                None => return Ok(Err(Why::Joined)),
                Some(&[one]) => one,
                Some([]) => return Ok(Err(Why::Empty)),
                Some(_) => return Ok(Err(Why::LongAnswer)),
            };
            if token.is_some_and(|token| token != here) {
                return Ok(Err(Why::AnswerDepends));
            }
            token = Some(here);
        }
        Ok(token.ok_or(Why::Empty))
    }
}

#[cfg(test)]
#[path = "examples_tests.rs"]
mod tests;
