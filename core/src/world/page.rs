//! The page a document is written on: words with their spans, and the choices behind them.

use super::choice::Choose;
use super::lexicon::{LEXICON, Noun, Topic, Verb, rank_weights};
use super::truth::{Agreement, AgreementKind, DocumentKind, Number, Span, Truth};
use super::writer::Split;

/// Every pair of nouns (head, noun near it) whose numbers add up to a multiple of this is held out.
const HELD_OUT: usize = 6;
/// Weight of the document's first subject among the nouns, beside all others together.
const RETURN: f64 = 0.2;

/// A document in the writing.
pub(super) struct Page<'a> {
    pub text: String,
    pub truth: Truth,
    pub split: Split,
    /// The topic or profession that makes words likely.
    pub topic: &'static Topic,
    /// The first subject, which comes back more often than others.
    pub protagonist: Option<usize>,
    choices: &'a mut dyn Choose,
    capital: bool,
    glue: bool,
}

/// Whoever a verb agrees with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    pub noun: &'static Noun,
    pub span: Span,
    pub number: Number,
    pub kind: AgreementKind,
    /// See [`Agreement::attractor`].
    pub attractor: bool,
}

/// Which nouns are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    Any,
    People,
    Things,
    /// Any noun of the topic, none of the common ones: it tells the topic.
    Topical,
}

impl<'a> Page<'a> {
    pub(super) fn new(
        choices: &'a mut dyn Choose,
        split: Split,
        kind: DocumentKind,
        topic: &'static Topic,
    ) -> Self {
        let truth = Truth {
            kind,
            topic: None,
            person: None,
            nats: 0.0,
            agreements: Vec::new(),
            pronouns: Vec::new(),
            clauses: Vec::new(),
            topical: Vec::new(),
        };
        Self {
            text: String::new(),
            truth,
            split,
            topic,
            protagonist: None,
            choices,
            capital: true,
            glue: true,
        }
    }

    /// Which of several constructions.
    pub(super) fn which(&mut self, weights: &[f64]) -> usize {
        self.choices.choose(weights)
    }

    /// Whether something happens.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.choices.choose(&[1.0 - probability, probability]) == 1
    }

    /// One of a list, the first most often.
    pub(super) fn one_of<T>(&mut self, list: &'static [T]) -> &'static T {
        let weights: Vec<f64> = rank_weights(list.len()).collect();
        &list[self.choices.choose_word(&weights)]
    }

    /// One of a list of words.
    pub(super) fn one_word(&mut self, list: &'static [&'static str]) -> &'static str {
        self.one_of::<&str>(list)
    }

    /// Writes words, with a space before them and a capital at the start of a sentence.
    pub(super) fn put(&mut self, words: &str) -> Span {
        if !self.glue {
            self.text.push(' ');
        }
        let start = self.text.len();
        let mut letters = words.chars();
        if let Some(first) = letters.next() {
            self.text.push(if self.capital { first.to_ascii_uppercase() } else { first });
            self.text.push_str(letters.as_str());
        }
        self.capital = false;
        self.glue = false;
        Span { start, end: self.text.len() }
    }

    /// Writes a word that the topic made likely.
    pub(super) fn put_topical(&mut self, words: &str) -> Span {
        let span = self.put(words);
        self.truth.topical.push(span);
        span
    }

    /// Writes a mark that stands close to the word before it.
    pub(super) fn mark(&mut self, mark: &str) {
        self.text.push_str(mark);
    }

    /// Ends the sentence.
    pub(super) fn stop(&mut self) {
        self.mark(".");
        self.capital = true;
    }

    /// Opens a quotation.
    pub(super) fn open_quote(&mut self) {
        self.mark(", \"");
        self.glue = true;
        self.capital = true;
    }

    /// A two-digit number, in digits.
    pub(super) fn digits(&mut self) -> String {
        let tens = self.choices.choose_word(&[1.0; 9]) + 1;
        let units = self.choices.choose_word(&[1.0; 10]);
        format!("{tens}{units}")
    }

    pub(super) fn number(&mut self) -> Number {
        if self.chance(0.45) { Number::Plural } else { Number::Singular }
    }

    /// A noun; `near` is the head that it stands near, if it stands in a modifier.
    pub(super) fn noun(&mut self, pool: Pool, near: Option<&Noun>) -> &'static Noun {
        let nouns: Vec<&'static Noun> = self.topic.nouns.iter().chain(&LEXICON.common).collect();
        let mut weights = Vec::with_capacity(nouns.len());
        // People and things each fall off by rank, in the topic and among the common nouns.
        for (group, share) in [(&self.topic.nouns, 0.8), (&LEXICON.common, 0.2)] {
            let share = if pool == Pool::Topical && share < 0.5 { 0.0 } else { share };
            let people = group.iter().take_while(|n| n.animate).count();
            for (len, part) in [(people, 0.5), (group.len() - people, 0.5)] {
                let total: f64 = rank_weights(len).sum();
                weights.extend(rank_weights(len).map(|w| share * part * w / total));
            }
        }
        for (noun, weight) in nouns.iter().zip(&mut weights) {
            if self.protagonist == Some(noun.id) {
                *weight += RETURN;
            }
            let fits = match pool {
                Pool::Any | Pool::Topical => true,
                Pool::People => noun.animate,
                Pool::Things => !noun.animate,
            };
            let allowed =
                near.is_none_or(|head| is_held_out(head, noun) == (self.split == Split::Heldout));
            if !fits || !allowed {
                *weight = 0.0;
            }
        }
        nouns[self.choices.choose_word(&weights)]
    }

    /// Writes a noun in its number and notes it if it belongs to the topic.
    pub(super) fn put_noun(&mut self, noun: &'static Noun, number: Number) -> Span {
        let form = if number == Number::Plural { &noun.many } else { &noun.one };
        let of_topic = self.topic.nouns.first().zip(self.topic.nouns.last());
        let topical = of_topic.is_some_and(|(a, b)| (a.id..=b.id).contains(&noun.id));
        if topical { self.put_topical(form) } else { self.put(form) }
    }

    /// Writes a verb in the form its subject asks for.
    pub(super) fn verb(&mut self, verb: &Verb, subject: &Subject, depth: u8) -> Span {
        let (right, wrong) = match subject.number {
            Number::Singular => (&verb.one, &verb.many),
            Number::Plural => (&verb.many, &verb.one),
        };
        let span = self.put(right);
        self.truth.agreements.push(Agreement {
            verb: span,
            wrong: wrong.clone(),
            subject: subject.span,
            number: subject.number,
            kind: subject.kind,
            depth,
            attractor: subject.attractor,
        });
        span
    }

    /// The finished document.
    pub(super) fn finish(mut self) -> (String, Truth) {
        self.truth.nats = self.choices.nats();
        (self.text, self.truth)
    }
}

/// Whether the training split never writes `noun` in a modifier of `head`.
pub(super) fn is_held_out(head: &Noun, noun: &Noun) -> bool {
    (head.id + noun.id).is_multiple_of(HELD_OUT)
}
