//! Short biographies: a person with a gender, a profession and a home.

use super::lexicon::{LEXICON, MEN, SURNAMES, TOWNS, WOMEN};
use super::page::{Page, Pool, Subject};
use super::scene::article;
use super::truth::{AgreementKind, ClauseKind, Gender, Number, Person, Pronoun, Span};

/// What is kept in mind from sentence to sentence.
struct Life {
    first: &'static str,
    surname: &'static str,
    gender: Gender,
    home: Option<&'static str>,
    named: Span,
}

/// The cases of a personal pronoun.
#[derive(Clone, Copy)]
enum Case {
    Subject,
    Object,
    Possessive,
}

impl Gender {
    fn pronoun(self, case: Case) -> &'static str {
        match (self, case) {
            (Self::Feminine, Case::Subject) => "she",
            (Self::Feminine, Case::Object | Case::Possessive) => "her",
            (Self::Masculine, Case::Subject) => "he",
            (Self::Masculine, Case::Object) => "him",
            (Self::Masculine, Case::Possessive) => "his",
        }
    }

    fn other(self) -> Self {
        if self == Self::Feminine { Self::Masculine } else { Self::Feminine }
    }
}

impl Page<'_> {
    /// First name, surname and gender of somebody.
    pub(super) fn name(&mut self) -> (&'static str, &'static str, Gender) {
        let gender = if self.chance(0.5) { Gender::Feminine } else { Gender::Masculine };
        let (first, surname) = self.name_of(gender);
        (first, surname, gender)
    }

    fn name_of(&mut self, gender: Gender) -> (&'static str, &'static str) {
        let names = if gender == Gender::Feminine { WOMEN } else { MEN };
        (self.one_word(names), self.one_word(SURNAMES))
    }

    /// A biography; a `gender` given is not chosen.
    pub(super) fn biography(&mut self, gender: Option<Gender>, most: usize) {
        let (first, surname, gender) = match gender {
            None => self.name(),
            Some(gender) => {
                let (first, surname) = self.name_of(gender);
                (first, surname, gender)
            }
        };
        self.truth.person = Some(Person {
            first_name: first.to_owned(),
            surname: surname.to_owned(),
            gender,
            profession: self.topic.name.to_owned(),
        });
        let mut life = Life { first, surname, gender, home: None, named: Span::default() };
        self.introduce(&mut life);
        let mut sentences = 1;
        while self.goes_on(sentences, most) {
            self.life_sentence(&mut life);
            self.stop();
            sentences += 1;
        }
    }

    /// "Anna Keller is a nurse", "Meet Anna Keller, a nurse", "Anna Keller works on the ward in Brenford"
    fn introduce(&mut self, life: &mut Life) {
        let form = self.which(&[0.4, 0.25, 0.35]);
        if form == 1 {
            self.put("meet");
        }
        let first = self.put(life.first);
        let surname = self.put(life.surname);
        life.named = Span { start: first.start, end: surname.end };
        match form {
            0 => {
                self.person_verb_is(life);
            }
            1 => self.mark(","),
            _ => {
                self.put("works");
                self.put_topical(self.topic.place);
            }
        }
        if form < 2 {
            self.put(article(self.topic.name));
            self.put_topical(self.topic.name);
        }
        if self.chance(0.5) {
            self.put(if form == 2 { "in" } else { "from" });
            let town = self.one_word(TOWNS);
            self.put(town);
            life.home = Some(town);
        }
        self.stop();
    }

    fn person_verb_is(&mut self, life: &Life) {
        let subject = self.as_subject(life.named);
        self.verb(&LEXICON.is, &subject, 0);
    }

    /// The person as the subject of a verb; the noun only says that it is somebody.
    fn as_subject(&self, span: Span) -> Subject {
        Subject {
            noun: &LEXICON.common[0],
            span,
            number: Number::Singular,
            kind: AgreementKind::Pronoun,
            attractor: false,
        }
    }

    fn life_sentence(&mut self, life: &mut Life) {
        match self.which(&[0.3, 0.12, 0.15, 0.12, 0.08, 0.13, 0.1]) {
            0 => self.about(life, |page, subject| {
                let verb = page.one_of(&page.topic.acts);
                let span = page.verb(verb, subject, 0);
                page.truth.topical.push(span);
                page.noun_phrase(Pool::Topical, None, 0.2);
            }),
            1 => self.lives(life),
            2 => self.belonging(life),
            3 => self.about(life, |page, subject| page.state(subject)),
            4 => {
                let year = self.digits();
                self.put(&format!("in 19{year}"));
                self.mark(",");
                self.pronoun(life, Case::Subject);
                self.put("moved to");
                let town = self.one_word(TOWNS);
                self.put(town);
                life.home = Some(town);
            }
            5 => self.regard(life),
            _ => self.about(life, |page, subject| {
                page.verb(&LEXICON.say, subject, 0);
                page.quote();
            }),
        }
    }

    /// A clause about the person, who is named or has a pronoun.
    fn about(&mut self, life: &mut Life, rest: impl FnOnce(&mut Self, &Subject)) {
        let start = self.text.len();
        let span = match self.which(&[0.7, 0.18, 0.12]) {
            0 => self.pronoun(life, Case::Subject),
            which => {
                life.named = self.put([life.first, life.surname][which - 1]);
                life.named
            }
        };
        let subject = self.as_subject(span);
        rest(self, &subject);
        self.close_clause(start, ClauseKind::Main, 0);
    }

    /// "She lives in Brenford", and, once that is known, "She still lives in Brenford".
    fn lives(&mut self, life: &mut Life) {
        let known = life.home;
        let town = known.unwrap_or_else(|| self.one_word(TOWNS));
        life.home = Some(town);
        self.about(life, |page, _| {
            if known.is_some() {
                page.put("still");
            }
            page.put("lives in");
            page.put(town);
        });
    }

    /// "Her sisters are tall"
    fn belonging(&mut self, life: &mut Life) {
        let start = self.text.len();
        self.pronoun(life, Case::Possessive);
        let number = self.number();
        let noun = self.one_of(&LEXICON.belongings);
        let span = self.put_noun(noun, number);
        let kind = AgreementKind::Simple;
        self.predicate(&Subject { noun, span, number, kind, attractor: false });
        self.close_clause(start, ClauseKind::Main, 0);
    }

    /// "The patients near the door trust her"
    fn regard(&mut self, life: &mut Life) {
        let start = self.text.len();
        let subject = self.subject(Pool::People);
        let verb = self.one_of(&LEXICON.attitudes);
        self.verb(verb, &subject, 0);
        self.pronoun(life, Case::Object);
        self.close_clause(start, ClauseKind::Main, 0);
    }

    fn pronoun(&mut self, life: &Life, case: Case) -> Span {
        let span = self.put(life.gender.pronoun(case));
        let wrong = life.gender.other().pronoun(case);
        let capital = self.text[span.start..].starts_with(|c: char| c.is_ascii_uppercase());
        let wrong =
            if capital { wrong[..1].to_uppercase() + &wrong[1..] } else { wrong.to_owned() };
        let antecedent = life.named;
        self.truth.pronouns.push(Pronoun { span, gender: life.gender, wrong, antecedent });
        span
    }
}
