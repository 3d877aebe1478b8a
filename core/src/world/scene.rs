//! Scenes, with lists, quotations, quantities; and notices of sale.

use super::lexicon::{LEXICON, OPENERS};
use super::page::{Page, Pool, Subject};
use super::truth::{AgreementKind, ClauseKind, Number};

/// Chance that a document ends after a sentence.
const END: f64 = 0.2;
/// Most sentences of a document.
pub(super) const MOST_SENTENCES: usize = 16;

impl Page<'_> {
    /// Whether the document goes on after `sentences`.
    pub(super) fn goes_on(&mut self, sentences: usize, most: usize) -> bool {
        sentences < most && !self.chance(END)
    }

    /// What happens at a place.
    pub(super) fn scene(&mut self, most: usize) {
        self.truth.topic = Some(self.topic.name.to_owned());
        if self.chance(0.4) {
            self.put_topical(self.topic.place);
            self.mark(",");
        }
        let mut last = self.clause(Pool::Topical, ClauseKind::Main);
        self.protagonist = Some(last.noun.id);
        self.stop();
        let mut sentences = 1;
        while self.goes_on(sentences, most) {
            self.scene_sentence(&mut last);
            sentences += 1;
        }
    }

    fn scene_sentence(&mut self, last: &mut Subject) {
        // "It" would be rude to a person, and "he or she" is not known.
        let pronoun = if last.noun.animate && last.number == Number::Singular { 0.0 } else { 0.15 };
        match self.which(&[0.45, 0.12, pronoun, 0.1, 0.1, 0.08]) {
            0 => *last = self.clause(Pool::Any, ClauseKind::Main),
            1 => {
                let opener = self.one_word(OPENERS);
                self.put(opener);
                self.mark(",");
                *last = self.clause(Pool::Any, ClauseKind::Main);
            }
            2 => self.again(last),
            3 => self.list(),
            4 => *last = self.quotation(),
            _ => *last = self.price(),
        }
        self.stop();
    }

    /// "They are red": more about the last subject.
    fn again(&mut self, last: &mut Subject) {
        let start = self.text.len();
        let word = if last.number == Number::Plural { "they" } else { "it" };
        let span = self.put(word);
        let subject = Subject { span, kind: AgreementKind::Pronoun, attractor: false, ..*last };
        self.predicate(&subject);
        self.close_clause(start, ClauseKind::Main, 0);
    }

    /// "There are three pots, a spade and some seeds"
    fn list(&mut self) {
        self.put("there");
        let number = self.number();
        self.put(if number == Number::Plural { "are" } else { "is" });
        self.list_item(number);
        self.more_items();
    }

    fn more_items(&mut self) {
        let more = self.which(&[0.3, 0.3, 0.25, 0.15]);
        for item in 1..=more {
            if item == more {
                self.put("and");
            } else {
                self.mark(",");
            }
            let number = self.number();
            self.list_item(number);
        }
    }

    fn list_item(&mut self, number: Number) {
        let noun = self.noun(Pool::Any, None);
        let described = self.chance(0.25).then(|| self.adjective(noun.animate));
        let next = described.unwrap_or(&noun.one);
        let count = match number {
            Number::Singular => article(next).to_owned(),
            Number::Plural => match self.which(&[0.35, 0.45, 0.2]) {
                0 => "some".to_owned(),
                1 => self.one_word(super::lexicon::NUMBERS).to_owned(),
                _ => self.digits(),
            },
        };
        self.put(&count);
        if let Some(adjective) = described {
            self.put(adjective);
        }
        self.put_noun(noun, number);
    }

    /// `The gardeners say, "The roses are red"`
    fn quotation(&mut self) -> Subject {
        let start = self.text.len();
        let speaker = self.noun_phrase(Pool::People, None, 0.2);
        self.verb(&LEXICON.say, &speaker, 0);
        self.quote();
        self.close_clause(start, ClauseKind::Main, 0);
        speaker
    }

    /// What is said, with its marks; the sentence's full stop is to follow inside of them.
    pub(super) fn quote(&mut self) {
        self.open_quote();
        let start = self.text.len();
        let subject = self.noun_phrase(Pool::Any, None, 0.1);
        self.copula(&subject);
        self.close_clause(start, ClauseKind::Quoted, 0);
        self.mark("\"");
    }

    /// "These pots cost 37 coins"
    fn price(&mut self) -> Subject {
        let start = self.text.len();
        let goods = self.noun_phrase(Pool::Things, None, 0.3);
        self.verb(&LEXICON.cost, &goods, 0);
        let price = self.digits();
        self.put(&price);
        self.put("coins");
        self.close_clause(start, ClauseKind::Main, 0);
        goods
    }

    /// "For sale: a spade and three pots. Price: 45 coins. Call Anna Keller."
    pub(super) fn notice(&mut self) {
        self.truth.topic = Some(self.topic.name.to_owned());
        self.put("for sale");
        self.mark(":");
        let number = self.number();
        self.first_item(number);
        self.more_items();
        self.stop();
        self.put("price");
        self.mark(":");
        let price = self.digits();
        self.put(&price);
        self.put("coins");
        self.stop();
        if self.chance(0.7) {
            self.put("call");
            let (first, surname, _) = self.name();
            self.put(first);
            self.put(surname);
            self.stop();
        }
    }

    /// A first item that tells the topic.
    fn first_item(&mut self, number: Number) {
        let noun = self.noun(Pool::Topical, None);
        match number {
            Number::Singular => self.put(article(&noun.one)),
            Number::Plural => {
                let count = self.one_word(super::lexicon::NUMBERS);
                self.put(count)
            }
        };
        self.put_noun(noun, number);
    }
}

/// "a" or "an".
pub(super) fn article(next: &str) -> &'static str {
    let vowel = next.starts_with(['a', 'e', 'i', 'o', 'u']) && !next.starts_with("use");
    if vowel { "an" } else { "a" }
}
