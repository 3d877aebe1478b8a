//! Clauses: noun phrases with their modifiers, and what is said of them.

use super::lexicon::{
    ADVERBS, COLOURS, COMMON_ADJECTIVES, LEXICON, MOODS, NUMBERS, PREPOSITIONS, Verb,
};
use super::page::{Page, Pool, Subject};
use super::truth::{AgreementKind, Clause, ClauseKind, Number, Span};

/// Deepest relative clause.
const DEEPEST: u8 = 2;

impl Page<'_> {
    /// A main clause without its full stop; returns its subject.
    pub(super) fn clause(&mut self, pool: Pool, kind: ClauseKind) -> Subject {
        let start = self.text.len();
        let subject = self.subject(pool);
        self.predicate(&subject);
        self.close_clause(start, kind, 0);
        subject
    }

    /// Notes a clause that began at `start` (before its space) and ends here.
    pub(super) fn close_clause(&mut self, start: usize, kind: ClauseKind, depth: u8) {
        let spaces = self.text[start..].len() - self.text[start..].trim_start().len();
        let span = Span { start: start + spaces, end: self.text.len() };
        self.truth.clauses.push(Clause { span, kind, depth });
    }

    /// A subject with what may stand between it and its verb.
    pub(super) fn subject(&mut self, pool: Pool) -> Subject {
        let mut subject = self.noun_phrase(pool, None, 0.3);
        match self.which(&[0.5, 0.16, 0.04, 0.1, 0.13, 0.07]) {
            0 => {}
            1 => self.prepositional(&mut subject),
            2 => {
                self.prepositional(&mut subject);
                self.prepositional(&mut subject);
            }
            3 => self.subject_relative(&mut subject),
            4 => {
                self.object_relative(&mut subject, 1);
            }
            _ => {
                self.put("and");
                self.noun_phrase(Pool::Any, Some(&subject), 0.1);
                subject.kind = AgreementKind::Coordinated;
                subject.number = Number::Plural;
            }
        }
        subject
    }

    /// Determiner, perhaps an adjective, noun.
    pub(super) fn noun_phrase(
        &mut self,
        pool: Pool,
        near: Option<&Subject>,
        adjective: f64,
    ) -> Subject {
        let number = self.number();
        let noun = self.noun(pool, near.map(|head| head.noun));
        let described = self.chance(adjective).then(|| self.adjective(noun.animate));
        let next = described.unwrap_or(match number {
            Number::Singular => &noun.one,
            Number::Plural => &noun.many,
        });
        let determiner = self.determiner(number, next);
        self.put(determiner);
        if let Some(adjective) = described {
            self.put(adjective);
        }
        let span = self.put_noun(noun, number);
        Subject { noun, span, number, kind: AgreementKind::Simple, attractor: false }
    }

    fn determiner(&mut self, number: Number, next: &str) -> &'static str {
        if number == Number::Singular {
            let article = if next.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            // "a university": the one word here that begins with a consonant's sound.
            let article = if next.starts_with("use") { "a" } else { article };
            let determiners = ["the", article, "this", "every", "that"];
            return determiners[self.which(&[0.6, 0.2, 0.08, 0.08, 0.04])];
        }
        match self.which(&[0.6, 0.1, 0.08, 0.08, 0.04, 0.1]) {
            5 => self.one_word(NUMBERS),
            plain => ["the", "some", "these", "many", "those"][plain],
        }
    }

    pub(super) fn adjective(&mut self, animate: bool) -> &'static str {
        let colours = if animate { 0.0 } else { 0.3 };
        match self.which(&[0.4, 0.3, colours]) {
            0 => self.one_word(&self.topic.adjectives),
            1 => self.one_word(COMMON_ADJECTIVES),
            _ => self.one_word(COLOURS),
        }
    }

    fn prepositional(&mut self, head: &mut Subject) {
        let preposition = self.one_word(PREPOSITIONS);
        self.put(preposition);
        let noun = self.noun_phrase(Pool::Any, Some(head), 0.1);
        head.kind = AgreementKind::AcrossPrepositional;
        head.attractor |= noun.number != head.number;
    }

    fn relative_pronoun(&mut self, head: &Subject) {
        let who = if head.noun.animate { 0.4 } else { 0.0 };
        let word = ["that", "who"][self.which(&[1.0 - who, who])];
        self.put(word);
    }

    /// "that sees the cars"
    fn subject_relative(&mut self, head: &mut Subject) {
        let start = self.text.len();
        self.relative_pronoun(head);
        let inner = Subject { kind: AgreementKind::WithinRelative, ..*head };
        let verb = self.act(head.noun.animate);
        self.verb(verb, &inner, 1);
        let object = self.noun_phrase(Pool::Any, Some(head), 0.1);
        head.kind = AgreementKind::AcrossRelative;
        head.attractor |= object.number != head.number;
        self.close_clause(start, ClauseKind::SubjectRelative, 1);
    }

    /// "that the drivers see", itself perhaps with one inside; returns whether it has a noun in
    /// the singular, in the plural.
    fn object_relative(&mut self, head: &mut Subject, depth: u8) -> [bool; 2] {
        let start = self.text.len();
        self.relative_pronoun(head);
        let mut inner = self.noun_phrase(Pool::People, Some(head), 0.1);
        let mut seen = [inner.number == Number::Singular, inner.number == Number::Plural];
        let deeper = if depth < DEEPEST { 0.15 } else { 0.0 };
        if self.chance(deeper) {
            let nested = self.object_relative(&mut inner, depth + 1);
            seen = [seen[0] || nested[0], seen[1] || nested[1]];
        } else {
            inner.kind = AgreementKind::WithinRelative;
            inner.attractor = inner.number != head.number;
        }
        let verb = self.act(true);
        self.verb(verb, &inner, depth);
        head.kind = AgreementKind::AcrossRelative;
        head.attractor = seen[usize::from(head.number == Number::Singular)];
        self.close_clause(start, ClauseKind::ObjectRelative, depth);
        seen
    }

    fn act(&mut self, animate: bool) -> &'static Verb {
        match (animate, self.which(&[0.75, 0.25 * f64::from(u8::from(animate))])) {
            (false, _) => self.one_of(&LEXICON.thing_acts),
            (true, 0) => self.one_of(&self.topic.acts),
            (true, _) => self.one_of(&LEXICON.attitudes),
        }
    }

    /// What is said of the subject.
    pub(super) fn predicate(&mut self, subject: &Subject) {
        let transitive = if subject.noun.animate { 0.35 } else { 0.25 };
        if !self.chance(transitive) {
            return self.state(subject);
        }
        let verb = self.act(subject.noun.animate);
        self.verb(verb, subject, 0);
        self.noun_phrase(Pool::Any, None, 0.25);
        self.adverb();
    }

    /// What the subject is, has or does by itself.
    pub(super) fn state(&mut self, subject: &Subject) {
        let animate = subject.noun.animate;
        match self.which(if animate { &[0.3, 0.5, 0.2] } else { &[0.33, 0.67, 0.0] }) {
            0 => {
                let verb = if animate {
                    self.one_of(&self.topic.does)
                } else {
                    self.one_of(&LEXICON.thing_does)
                };
                self.verb(verb, subject, 0);
                if self.chance(0.35) {
                    self.place();
                }
            }
            1 => self.copula(subject),
            _ => {
                self.verb(&LEXICON.have, subject, 0);
                self.noun_phrase(Pool::Things, None, 0.3);
            }
        }
        self.adverb();
    }

    fn adverb(&mut self) {
        if self.chance(0.15) {
            let adverb = self.one_word(ADVERBS);
            self.put(adverb);
        }
    }

    /// "is not very old", "were near the door"
    pub(super) fn copula(&mut self, subject: &Subject) {
        let verb = [&LEXICON.is, &LEXICON.was][self.which(&[0.75, 0.25])];
        self.verb(verb, subject, 0);
        if self.chance(0.08) {
            self.put("not");
        }
        if self.chance(0.25) {
            self.place();
            return;
        }
        let described = if subject.noun.animate && self.chance(0.5) {
            self.one_word(MOODS)
        } else {
            self.adjective(subject.noun.animate)
        };
        if self.chance(0.12) {
            self.put("very");
        }
        self.put(described);
    }

    fn place(&mut self) {
        let preposition = self.one_word(PREPOSITIONS);
        self.put(preposition);
        self.noun_phrase(Pool::Things, None, 0.1);
    }
}
