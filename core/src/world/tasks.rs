//! Contrasts of agreement: two openings of a text that differ in the number of one noun, and the
//! two forms of the verb that comes next.
//!
//! Every opening is one that the grammar can write, as the first words of a scene.

use super::lexicon::{LEXICON, Noun, PREPOSITIONS, Topic, Verb};
use super::page::is_held_out;
use super::truth::{AgreementKind, Number};
use super::writer::Split;
use crate::error::{Error, Result};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// Draws in a row that bring nothing new before it is said that there is no more.
const VAIN: usize = 5000;

/// Two openings and what follows each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contrast {
    /// An opening: "The pilots near the car".
    pub clean: String,
    /// The same with the deciding noun in the other number: "The pilot near the car".
    pub patch: String,
    /// The verb after the clean one, with the space before it: " are".
    pub right: String,
    /// The verb after the other: " is".
    pub wrong: String,
    /// Numbers of the clean opening's nouns in their order: `plural_singular`; of a simple one
    /// that of its only noun.
    pub case: &'static str,
}

/// `count` different contrasts of a kind, on noun pairs of a split, each case equally often.
///
/// `fits` is asked of every noun and of every verb, with both its forms, whether it may be used:
/// a tokenizer's two forms may not be of one length. The head of a relative clause is followed by
/// "that", every noun is preceded by "the", and no adjective is written, so that a position means
/// the same in every opening.
///
/// # Errors
/// A kind or a split that has no contrasts, or fewer than `count`.
pub fn contrasts(
    kind: AgreementKind,
    split: Split,
    count: usize,
    seed: u64,
    fits: &dyn Fn(&str, &str) -> bool,
) -> Result<Vec<Contrast>> {
    let refused = |why: String, remedy: &str| {
        Err(Error::setting("The built-in world cannot write this task", why, remedy))
    };
    if !matches!(split, Split::Train | Split::Heldout) {
        let why = format!("the split {split} is one of biographies");
        return refused(why, "Choose train or heldout");
    }
    if matches!(kind, AgreementKind::Coordinated | AgreementKind::Pronoun) {
        let why = "it contrasts simple agreement, agreement across a prepositional phrase, across \
                   and within a relative clause"
            .to_owned();
        return refused(why, "Choose one of these");
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(kind as u64);
    let (mut out, mut known) = (Vec::with_capacity(count), BTreeSet::new());
    let mut vain = 0;
    while out.len() < count {
        let case = CASES[out.len() % if kind == AgreementKind::Simple { 2 } else { 4 }];
        let drawing = Drawing { rng: &mut rng, split, fits };
        let new = drawing.contrast(kind, case).filter(|c| known.insert(c.clone()));
        vain = if new.is_some() { 0 } else { vain + 1 };
        out.extend(new);
        if vain == VAIN {
            let why = format!("it has only about {} different pairs of this kind", out.len());
            return refused(why, "Ask for fewer");
        }
    }
    Ok(out)
}

const CASES: [[Number; 2]; 4] = [
    [Number::Singular, Number::Plural],
    [Number::Plural, Number::Singular],
    [Number::Singular, Number::Singular],
    [Number::Plural, Number::Plural],
];

fn case_name([head, near]: [Number; 2]) -> &'static str {
    match (head, near) {
        (Number::Singular, Number::Singular) => "singular_singular",
        (Number::Singular, Number::Plural) => "singular_plural",
        (Number::Plural, Number::Singular) => "plural_singular",
        (Number::Plural, Number::Plural) => "plural_plural",
    }
}

fn form(noun: &Noun, number: Number) -> &str {
    if number == Number::Plural { &noun.many } else { &noun.one }
}

fn agreeing(verb: &Verb, number: Number) -> &str {
    if number == Number::Plural { &verb.many } else { &verb.one }
}

fn other(number: Number) -> Number {
    if number == Number::Plural { Number::Singular } else { Number::Plural }
}

struct Drawing<'a> {
    rng: &'a mut ChaCha8Rng,
    split: Split,
    fits: &'a dyn Fn(&str, &str) -> bool,
}

impl Drawing<'_> {
    /// `None` where the draw has no word that may be used.
    fn contrast(mut self, kind: AgreementKind, case: [Number; 2]) -> Option<Contrast> {
        let topic = LEXICON.topics.choose(self.rng)?;
        let within = kind == AgreementKind::WithinRelative;
        // A person acts on whatever a relative clause is about; only people are in one.
        let head = self.noun(topic.nouns.iter())?;
        let near = match kind {
            AgreementKind::Simple => None,
            _ => Some(self.near(topic, head, kind != AgreementKind::AcrossPrepositional)?),
        };
        let words = |[head_number, near_number]: [Number; 2], between: &Between| {
            let head = form(head, head_number);
            match (near, between) {
                (Some(near), Between::Preposition(preposition)) => {
                    format!("The {head} {preposition} the {}", form(near, near_number))
                }
                (Some(near), Between::Relative(verb)) => {
                    let verb = agreeing(verb, near_number);
                    format!("The {head} that the {} {verb}", form(near, near_number))
                }
                (Some(near), Between::Open) => {
                    format!("The {head} that the {}", form(near, near_number))
                }
                (None, _) => format!("The {head}"),
            }
        };
        let between = match kind {
            AgreementKind::AcrossPrepositional => Between::Preposition(self.preposition()?),
            AgreementKind::AcrossRelative => Between::Relative(self.act(topic)?),
            _ => Between::Open,
        };
        let verb = if within { self.act(topic)? } else { self.state(head.animate)? };
        let patched = if within { [case[0], other(case[1])] } else { [other(case[0]), case[1]] };
        let number = if within { case[1] } else { case[0] };
        Some(Contrast {
            clean: words(case, &between),
            patch: words(patched, &between),
            right: format!(" {}", agreeing(verb, number)),
            wrong: format!(" {}", agreeing(verb, other(number))),
            case: match (near, case[0]) {
                (Some(_), _) => case_name(case),
                (None, Number::Singular) => "singular",
                (None, Number::Plural) => "plural",
            },
        })
    }

    fn noun<'n>(&mut self, nouns: impl Iterator<Item = &'n Noun>) -> Option<&'n Noun> {
        let nouns: Vec<&Noun> = nouns.filter(|n| (self.fits)(&n.one, &n.many)).collect();
        nouns.choose(self.rng).copied()
    }

    /// A noun in a modifier of `head`.
    fn near(&mut self, topic: &'static Topic, head: &Noun, people: bool) -> Option<&'static Noun> {
        let held = self.split == Split::Heldout;
        let nouns = topic.nouns.iter().chain(&LEXICON.common);
        self.noun(nouns.filter(|noun| {
            (noun.animate || !people) && noun.id != head.id && is_held_out(head, noun) == held
        }))
    }

    fn verb(&mut self, verbs: Vec<&'static Verb>) -> Option<&'static Verb> {
        let verbs: Vec<_> = verbs.into_iter().filter(|v| (self.fits)(&v.one, &v.many)).collect();
        verbs.choose(self.rng).copied()
    }

    /// What one person does to another.
    fn act(&mut self, topic: &'static Topic) -> Option<&'static Verb> {
        self.verb(topic.acts.iter().chain(&LEXICON.attitudes).collect())
    }

    /// What can be said of any subject.
    fn state(&mut self, animate: bool) -> Option<&'static Verb> {
        let mut verbs = vec![&LEXICON.is, &LEXICON.was];
        if animate {
            verbs.push(&LEXICON.have);
        }
        self.verb(verbs)
    }

    fn preposition(&mut self) -> Option<&'static str> {
        let fit: Vec<&str> =
            PREPOSITIONS.iter().copied().filter(|word| (self.fits)(word, word)).collect();
        if fit.is_empty() { None } else { Some(fit[self.rng.random_range(0..fit.len())]) }
    }
}

enum Between {
    Preposition(&'static str),
    Relative(&'static Verb),
    Open,
}
