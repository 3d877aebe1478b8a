//! Which contexts a label is written from, and which it is judged on: never the same.

use crate::features::Context;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// How many examples of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Contexts that the label is written from.
    pub shown: usize,
    /// Other contexts it fires in, to judge the label on.
    pub fires: usize,
    /// Contexts it is silent in, to judge the label on.
    pub silent: usize,
    /// Texts in one question to the judge.
    pub per_question: usize,
}

impl Default for Counts {
    fn default() -> Self {
        Self { shown: 20, fires: 20, silent: 20, per_question: 10 }
    }
}

/// What the examples shown to the writer and those of the judge have not in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apart {
    /// No document, and so no row and no text.
    Documents,
    /// No token of a document, and no text: there are too few documents for more.
    Spans,
}

/// The examples of one latent.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// What the label is written from.
    pub shown: Vec<Context>,
    /// What it is judged on: here it fires.
    pub fires: Vec<Context>,
    /// What it is judged on: here it is silent.
    pub silent: Vec<Context>,
    /// How the first is kept apart from the others.
    pub apart: Apart,
}

/// Least contexts of each kind to judge a label on.
const LEAST: usize = 3;

/// Splits the contexts that a latent fires in (`contexts`, in any order) and those that it is
/// silent in. The same seed splits alike. An error is a sentence of why the latent cannot be
/// labelled.
pub fn split(
    contexts: &[Context],
    silent: &[Context],
    counts: &Counts,
    seed: u64,
) -> Result<Split, String> {
    let mut seen = HashSet::new();
    let mut fires: Vec<&Context> = contexts
        .iter()
        .filter(|c| peak(c) > 0.0 && c.tokens.len() == c.activations.len())
        .collect();
    fires.sort_by(|a, b| peak(b).total_cmp(&peak(a)).then(place(a).cmp(&place(b))));
    // Of the same text the strongest stays.
    fires.retain(|c| seen.insert(c.tokens.concat()));
    if fires.len() < 2 {
        return Err(match fires.len() {
            0 => "it fires in no context that was collected".into(),
            _ => "it fires in one context alone".into(),
        });
    }
    let by_document = deal(&fires, |c| c.document, counts);
    let (apart, (shown, judged)) = if by_document.1.len() >= LEAST.min(fires.len() / 2) {
        (Apart::Documents, by_document)
    } else {
        let spans = spans(&fires);
        (Apart::Spans, deal(&fires, |c| spans[&place(c)], counts))
    };
    let documents: HashSet<u64> = shown.iter().map(|c| c.document).collect();
    let clear = |c: &&Context| match apart {
        Apart::Documents => !documents.contains(&c.document),
        Apart::Spans => !shown.iter().any(|s| overlap(s, c)),
    };
    let mut silent: Vec<&Context> =
        silent.iter().filter(clear).filter(|c| seen.insert(c.tokens.concat())).collect();
    silent.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    silent.truncate(counts.silent);
    let own = |contexts: Vec<&Context>| contexts.into_iter().cloned().collect();
    Ok(Split { shown: own(shown), fires: own(judged), silent: own(silent), apart })
}

/// Deals contexts, strongest first, to the writer and the judge by turns: all of one group to the
/// same of them. Of each hand so many are kept, evenly over its strengths.
fn deal<'a>(
    fires: &[&'a Context],
    group: impl Fn(&Context) -> u64,
    counts: &Counts,
) -> (Vec<&'a Context>, Vec<&'a Context>) {
    let mut of: BTreeMap<u64, bool> = BTreeMap::new();
    let (mut shown, mut judged) = (Vec::new(), Vec::new());
    for context in fires {
        // The strongest goes to the writer, and so does whatever keeps the hands in proportion.
        let to_judge = shown.len() * counts.fires.max(1) > judged.len() * counts.shown.max(1);
        let to_judge = *of.entry(group(context)).or_insert(to_judge);
        if to_judge { judged.push(*context) } else { shown.push(*context) }
    }
    (evenly(shown, counts.shown), evenly(judged, counts.fires))
}

/// `most` of them, the first and the last included, evenly spaced.
fn evenly<T>(all: Vec<T>, most: usize) -> Vec<T> {
    let n = all.len();
    if n <= most {
        return all;
    }
    let keep: HashSet<usize> = (0..most).map(|i| i * (n - 1) / (most - 1).max(1)).collect();
    all.into_iter().enumerate().filter(|(i, _)| keep.contains(i)).map(|(_, c)| c).collect()
}

/// A group for every context: those that have a token of a document in common share it.
fn spans(contexts: &[&Context]) -> BTreeMap<(u64, u32), u64> {
    let mut sorted = contexts.to_vec();
    sorted.sort_by_key(|c| place(c));
    let mut groups = BTreeMap::new();
    let (mut group, mut last) = (0, (u64::MAX, 0u64));
    for context in sorted {
        let end = u64::from(context.start) + context.tokens.len() as u64;
        if context.document == last.0 && u64::from(context.start) < last.1 {
            last.1 = last.1.max(end);
        } else {
            group += 1;
            last = (context.document, end);
        }
        groups.insert(place(context), group);
    }
    groups
}

fn place(context: &Context) -> (u64, u32) {
    (context.document, context.start)
}

/// Whether two contexts have a token of a document in common.
pub fn overlap(a: &Context, b: &Context) -> bool {
    let end = |c: &Context| u64::from(c.start) + c.tokens.len() as u64;
    a.document == b.document && u64::from(a.start) < end(b) && u64::from(b.start) < end(a)
}

fn peak(context: &Context) -> f32 {
    context.activations.iter().copied().fold(0.0, f32::max)
}

/// Share of its greatest activation above which a token is marked.
const MARKED: f32 = 0.3;

/// Which tokens of a context are marked: those above [`MARKED`] of the greatest activation.
pub(super) fn marks(context: &Context) -> Vec<bool> {
    let least = peak(context) * MARKED;
    context.activations.iter().map(|a| *a > 0.0 && *a > least).collect()
}

/// As many marks as the context has, but on tokens where the latent is silent; `None` if it has
/// too few of those.
pub(super) fn wrong_marks(context: &Context, rng: &mut ChaCha8Rng) -> Option<Vec<bool>> {
    let right = marks(context);
    let count = right.iter().filter(|m| **m).count();
    let mut free: Vec<usize> = (0..right.len())
        .filter(|i| context.activations[*i] <= 0.0 && !context.tokens[*i].trim().is_empty())
        .collect();
    if count == 0 || free.len() < count {
        return None;
    }
    let mut wrong = vec![false; right.len()];
    for _ in 0..count {
        wrong[free.swap_remove(rng.random_range(0..free.len()))] = true;
    }
    Some(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn context(document: u64, start: u32, peak: f32, word: usize) -> Context {
        let tokens = vec![format!("w{word}"), " is".into(), " here".into()];
        let activations = vec![0.0, peak, 0.0];
        Context { document, start, tokens, activations, peak: 1, ..Context::default() }
    }

    proptest! {
        #[test]
        fn writer_and_judge_never_see_the_same(
            places in prop::collection::vec((0u64..12, 0u32..9, 0u8..9, 0usize..30), 0..120),
            documents in 1u64..12, seed: u64,
        ) {
            let all: Vec<Context> = places
                .iter()
                .map(|(d, s, p, w)| context(d % documents, *s, f32::from(*p), *w))
                .collect();
            let (silent, fires): (Vec<_>, Vec<_>) = all.into_iter().partition(|c| peak(c) == 0.0);
            let counts = Counts { shown: 8, fires: 6, silent: 6, per_question: 3 };
            let Ok(s) = split(&fires, &silent, &counts, seed) else { return Ok(()) };
            prop_assert!(!s.shown.is_empty() && s.shown.len() <= 8 && s.fires.len() <= 6 && s.silent.len() <= 6);
            let strongest = fires.iter().map(peak).fold(0.0, f32::max);
            prop_assert_eq!(peak(&s.shown[0]), strongest, "the writer sees the strongest");
            for shown in &s.shown {
                for judged in s.fires.iter().chain(&s.silent) {
                    prop_assert!(shown.tokens != judged.tokens, "the same text");
                    prop_assert!(!overlap(shown, judged), "the same tokens");
                    if s.apart == Apart::Documents {
                        prop_assert!(shown.document != judged.document, "the same document");
                    }
                }
            }
            prop_assert_eq!(&split(&fires, &silent, &counts, seed).unwrap(), &s, "the same seed, the same split");
        }
    }

    #[test]
    fn with_documents_enough_no_document_is_shared() {
        let fires: Vec<_> = (0..40).map(|i| context(i, 0, 1.0 + i as f32, i as usize)).collect();
        let s = split(&fires, &[], &Counts { shown: 10, fires: 10, silent: 0, per_question: 5 }, 0)
            .unwrap();
        assert_eq!((s.shown.len(), s.fires.len(), s.apart), (10, 10, Apart::Documents));
        // Both hands reach from strong to weak.
        assert!(peak(&s.fires[0]) > 37.0 && peak(&s.fires[9]) < 4.0);
        let one: Vec<_> = (0..40).map(|i| context(7, i * 2, 1.0, i as usize)).collect();
        let overlapping = split(&one, &[], &Counts::default(), 0).unwrap();
        assert!(
            overlapping.fires.is_empty(),
            "every context overlaps the next: all are the writer's"
        );
        let one: Vec<_> = (0..40).map(|i| context(7, i * 3, 1.0, i as usize)).collect();
        let s = split(&one, &[], &Counts::default(), 0).unwrap();
        assert_eq!((s.apart, s.fires.len()), (Apart::Spans, 20));
        assert!(split(&[], &[], &Counts::default(), 0).unwrap_err().contains("no context"));
    }

    #[test]
    fn wrong_marks_are_as_many_and_all_on_silent_tokens() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let tokens = ["a", " b", " c", " d", " "].map(str::to_owned).to_vec();
        let c = Context {
            tokens,
            activations: vec![0.0, 4.0, 1.0, 0.0, 0.0],
            peak: 1,
            ..Context::default()
        };
        assert_eq!(marks(&c), [false, true, false, false, false]);
        for _ in 0..20 {
            let wrong = wrong_marks(&c, &mut rng).unwrap();
            assert!(
                wrong == [true, false, false, false, false]
                    || wrong == [false, false, false, true, false]
            );
        }
        let full =
            Context { tokens: vec!["a".into()], activations: vec![1.0], ..Context::default() };
        assert_eq!(wrong_marks(&full, &mut rng), None);
    }
}
