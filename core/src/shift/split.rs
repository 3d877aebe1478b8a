//! The biased part that a probe learns from, and balanced parts to judge by.

use super::Data;
use crate::error::{Error, Result};
use crate::llama::Model;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Fewest texts of a group of a balanced part, and of a class of the ambiguous part.
const FEWEST: usize = 4;

/// How many texts the parts have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SplitSpec {
    /// Texts of each class in the ambiguous part at most.
    pub ambiguous: usize,
    /// Texts of each of the four groups in the balanced part for training at most.
    pub balanced_train: usize,
    /// The same for testing.
    pub balanced_test: usize,
    /// Seed of the drawing.
    pub seed: u64,
}

impl Default for SplitSpec {
    fn default() -> Self {
        Self { ambiguous: 500, balanced_train: 250, balanced_test: 250, seed: 0 }
    }
}

/// A text as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Its place in [`Data::items`].
    pub item: usize,
    /// Its tokens with BOS in front, cut to the model's context.
    pub tokens: Vec<u32>,
    /// Its label, 0 or 1.
    pub label: usize,
    /// Its spurious value, 0 or 1; paired with the label of that number.
    pub spurious: usize,
}

/// Three parts of the data; no text is in two of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// Texts whose label and spurious value agree, as many of each class: all that SHIFT may see.
    pub ambiguous: Vec<Text>,
    /// Four groups of one size: what the oracle and the skylines learn from, and the truth that
    /// features can be judged by.
    pub balanced_train: Vec<Text>,
    /// Four groups of one size: what every accuracy is measured on, and nothing else.
    pub balanced_test: Vec<Text>,
    /// What the split is like.
    pub facts: SplitFacts,
}

/// What a split is like, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitFacts {
    /// Texts of the ambiguous part.
    pub ambiguous: usize,
    /// Texts of the balanced part for training.
    pub balanced_train: usize,
    /// Texts of the balanced part for testing.
    pub balanced_test: usize,
    /// Texts in no part: what equal groups leave over.
    pub unused: usize,
    /// Texts that have the tokens of another one once they are cut to the context.
    pub same_tokens: usize,
    /// Texts longer than the context.
    pub cut_texts: usize,
    /// Tokens that were cut off these.
    pub cut_tokens: usize,
    /// The model's context, BOS included.
    pub context: usize,
    /// Tokens of the three parts.
    pub tokens: usize,
}

impl SplitFacts {
    /// What was cut, in a sentence; `None` if nothing was.
    pub fn cut_sentence(&self) -> Option<String> {
        (self.cut_texts > 0).then(|| {
            format!(
                "{} texts are longer than the model's context of {} tokens: {} tokens were cut off \
                 their ends.",
                self.cut_texts, self.context, self.cut_tokens
            )
        })
    }
}

impl Split {
    /// Draws the parts of `data`, as tokens of `model`.
    ///
    /// A balanced part takes as many texts of each group as the smallest allows; of the groups
    /// that the ambiguous part draws on at most half. Where there are fewer than `spec` asks for,
    /// training and testing share them as `spec` would.
    ///
    /// # Errors
    /// The model has no tokenizer; a group without texts, or with too few.
    pub fn new(model: &Model, data: &Data, spec: &SplitSpec) -> Result<Self> {
        let tokenizer = model.need_tokenizer()?;
        let context = model.config().context;
        let mut facts = SplitFacts { context, ..SplitFacts::default() };
        let mut known = BTreeSet::new();
        let mut groups: [[Vec<Text>; 2]; 2] = Default::default();
        for (place, item) in data.items.iter().enumerate() {
            let mut tokens = tokenizer.encode(&item.text, true)?;
            if tokens.len() > context {
                facts.cut_texts += 1;
                facts.cut_tokens += tokens.len() - context;
                tokens.truncate(context);
            }
            if known.insert(tokens.clone()) {
                let (label, spurious) = (item.label & 1, item.spurious & 1);
                groups[label][spurious].push(Text { item: place, tokens, label, spurious });
            } else {
                facts.same_tokens += 1;
            }
        }
        let mut rng = ChaCha8Rng::seed_from_u64(spec.seed);
        groups.iter_mut().flatten().for_each(|group| group.shuffle(&mut rng));
        let [train, test] = balanced_sizes(data, &groups, spec)?;
        let mut out = Self::default();
        for (label, row) in groups.iter_mut().enumerate() {
            for (spurious, group) in row.iter_mut().enumerate() {
                out.balanced_test.extend(group.drain(..test));
                out.balanced_train.extend(group.drain(..train));
                if label != spurious {
                    facts.unused += group.len();
                }
            }
        }
        let [[first, _], [_, second]] = groups;
        let each = first.len().min(second.len()).min(spec.ambiguous);
        if each < FEWEST {
            return Err(Error::setting(
                "There are too few texts",
                format!("only {each} of each class are left where label and spurious value agree"),
                "Give more texts, or smaller balanced parts",
            ));
        }
        facts.unused += first.len() + second.len() - 2 * each;
        out.ambiguous = first.into_iter().take(each).chain(second.into_iter().take(each)).collect();
        // Classes and groups lie mixed, so that any first few texts are a fair sample.
        for part in [&mut out.ambiguous, &mut out.balanced_train, &mut out.balanced_test] {
            part.shuffle(&mut rng);
        }
        facts.ambiguous = out.ambiguous.len();
        facts.balanced_train = out.balanced_train.len();
        facts.balanced_test = out.balanced_test.len();
        facts.tokens = [&out.ambiguous, &out.balanced_train, &out.balanced_test]
            .iter()
            .flat_map(|part| part.iter().map(|text| text.tokens.len()))
            .sum();
        out.facts = facts;
        Ok(out)
    }

    /// `count` texts of the balanced test part, as many of each group, the first ones: a sample
    /// that is measured faster.
    pub fn test_sample(&self, count: usize) -> Vec<Text> {
        let each = count.div_ceil(4);
        let mut taken = [[0; 2]; 2];
        let mut out = Vec::new();
        for text in &self.balanced_test {
            let here = &mut taken[text.label][text.spurious];
            if *here < each {
                *here += 1;
                out.push(text.clone());
            }
        }
        out
    }
}

/// Texts a group of the balanced part for training and of that for testing.
fn balanced_sizes(
    data: &Data,
    groups: &[[Vec<Text>; 2]; 2],
    spec: &SplitSpec,
) -> Result<[usize; 2]> {
    let mut most = usize::MAX;
    for (label, row) in groups.iter().enumerate() {
        for (spurious, group) in row.iter().enumerate() {
            if group.is_empty() {
                return Err(Error::setting(
                    "There is no balanced set",
                    format!("no text is {}", data.group_name(label, spurious)),
                    "Give texts of all four groups, or choose other labels",
                ));
            }
            // Half of what agrees is left to learn from.
            most = most.min(if label == spurious { group.len() / 2 } else { group.len() });
        }
    }
    let wanted = spec.balanced_train + spec.balanced_test;
    let (train, test) = match most >= wanted {
        true => (spec.balanced_train, spec.balanced_test),
        false => {
            let test = (most * spec.balanced_test).div_ceil(wanted.max(1)).min(most);
            (most - test, test)
        }
    };
    if train.min(test) < FEWEST {
        return Err(Error::setting(
            "There are too few texts for a balanced set",
            format!(
                "its four groups would have {train} texts to train on and {test} to test on; {}",
                sizes(data, groups)
            ),
            format!("Give at least {FEWEST} of each, with texts of every group"),
        ));
    }
    Ok([train, test])
}

fn sizes(data: &Data, groups: &[[Vec<Text>; 2]; 2]) -> String {
    let named = |label: usize, spurious: usize| {
        format!("{}: {}", data.group_name(label, spurious), groups[label][spurious].len())
    };
    [named(0, 0), named(0, 1), named(1, 0), named(1, 1)].join("; ")
}

#[cfg(test)]
#[path = "tests/split.rs"]
mod tests;
