//! What kind of word a word is.

use super::lexicon::{ADVERBS, COLOURS, COMMON_ADJECTIVES, LEXICON, MEN, MOODS, NUMBERS};
use super::lexicon::{PREPOSITIONS, SURNAMES, TOWNS, WOMEN};
use super::truth::Span;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Kinds by word; a word of two kinds has none.
static KINDS: LazyLock<HashMap<&'static str, Option<&'static str>>> = LazyLock::new(|| {
    let mut kinds: HashMap<&'static str, Option<&'static str>> = HashMap::new();
    let mut add = |word: &'static str, kind: &'static str| {
        kinds
            .entry(word)
            .and_modify(|known| *known = known.filter(|k| *k == kind))
            .or_insert(Some(kind));
    };
    let lists: [(&[&'static str], &'static str); 10] = [
        (COLOURS, "colour"),
        (COMMON_ADJECTIVES, "adjective"),
        (MOODS, "mood"),
        (PREPOSITIONS, "preposition"),
        (ADVERBS, "adverb"),
        (NUMBERS, "quantity"),
        (TOWNS, "town"),
        (WOMEN, "woman's name"),
        (MEN, "man's name"),
        (SURNAMES, "surname"),
    ];
    for (words, kind) in lists {
        words.iter().for_each(|word| add(word, kind));
    }
    for topic in LEXICON.topics.iter().chain(&LEXICON.professions) {
        topic.adjectives.iter().for_each(|word| add(word, "adjective"));
    }
    for noun in LEXICON.nouns() {
        add(&noun.one, "singular noun");
        add(&noun.many, "plural noun");
    }
    for verb in LEXICON.verbs() {
        add(&verb.one, "singular verb");
        add(&verb.many, "plural verb");
    }
    kinds
});

/// The words of `text` whose kind is known, each with its kind. Figures are quantities.
pub(super) fn kinds(text: &str) -> Vec<(Span, &'static str)> {
    let mut out = Vec::new();
    let mut start = None;
    for (i, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if c.is_ascii_alphanumeric() {
            start.get_or_insert(i);
            continue;
        }
        let Some(start) = start.take() else { continue };
        let word = &text[start..i];
        let kind = match KINDS.get(word) {
            Some(kind) => *kind,
            None => word.bytes().all(|b| b.is_ascii_digit()).then_some("quantity"),
        };
        if let Some(kind) = kind {
            out.push((Span { start, end: i }, kind));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_their_kinds() {
        let text = "Six red boxes stand near Torvik, Anna says; 93 coins.";
        let found: Vec<(&str, &str)> =
            kinds(text).into_iter().map(|(span, kind)| (span.of(text), kind)).collect();
        assert_eq!(
            found,
            [
                ("red", "colour"),
                ("boxes", "plural noun"),
                ("stand", "plural verb"),
                ("near", "preposition"),
                ("Torvik", "town"),
                ("Anna", "woman's name"),
                ("says", "singular verb"),
                ("93", "quantity"),
                ("coins", "plural noun"),
            ]
        );
    }

    #[test]
    fn a_word_of_two_kinds_has_none() {
        let twice: Vec<&str> =
            KINDS.iter().filter(|(_, kind)| kind.is_none()).map(|(word, _)| *word).collect();
        for word in twice {
            assert!(kinds(word).is_empty());
        }
        assert!(KINDS.values().filter(|kind| kind.is_some()).count() > 500);
    }
}
