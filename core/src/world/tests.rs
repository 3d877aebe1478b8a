//! The grammar against a second reading of its own texts.

use super::choice::{Choose, Enumerator, Sampler};
use super::lexicon::{COLOURS, COMMON_ADJECTIVES, LEXICON, MOODS, Topic};
use super::page::{Page, Pool, is_held_out};
use super::truth::{AgreementKind, DocumentKind, Gender, Number, Variable};
use super::writer::{Document, Split, Writer, write};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

fn documents(split: Split, count: usize) -> Vec<Document> {
    Writer::new(7, split).take(count).collect()
}

#[test]
fn the_same_seed_writes_the_same() {
    assert_eq!(documents(Split::Train, 50), documents(Split::Train, 50));
    let other: Vec<Document> = Writer::new(8, Split::Train).take(50).collect();
    assert_ne!(documents(Split::Train, 50), other);
    assert_ne!(documents(Split::Train, 50), documents(Split::Heldout, 50));
}

#[test]
fn split_names_go_there_and_back() {
    for split in [Split::Train, Split::Heldout, Split::Biased, Split::Balanced] {
        assert_eq!(split.to_string().parse::<Split>().ok(), Some(split));
    }
    assert!("test".parse::<Split>().is_err());
}

#[test]
fn no_noun_stands_in_two_lists_and_no_adjective_in_two_of_a_topic() {
    let mut forms = BTreeSet::new();
    for noun in LEXICON.nouns() {
        assert!(forms.insert(&noun.one), "{} twice", noun.one);
        assert_ne!(noun.one, noun.many);
    }
    assert!(forms.len() >= 300, "{} nouns", forms.len());
    for topic in LEXICON.topics.iter().chain(&LEXICON.professions) {
        let lists = [&topic.adjectives[..], COMMON_ADJECTIVES, COLOURS, MOODS];
        let all: Vec<&str> = lists.concat();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{}", topic.name);
        let acts: BTreeSet<_> =
            topic.acts.iter().chain(&LEXICON.attitudes).map(|v| &v.one).collect();
        assert_eq!(acts.len(), topic.acts.len() + LEXICON.attitudes.len(), "{}", topic.name);
    }
}

/// Number of a noun as the lexicon spells it.
fn number_of(word: &str) -> Option<Number> {
    LEXICON.nouns().find_map(|n| {
        if n.one == word {
            Some(Number::Singular)
        } else {
            (n.many == word).then_some(Number::Plural)
        }
    })
}

#[test]
fn the_truth_of_agreement_is_what_the_words_say() {
    let mut kinds: BTreeMap<AgreementKind, usize> = BTreeMap::new();
    for split in [Split::Train, Split::Heldout] {
        for document in documents(split, 400) {
            let text = &document.text;
            assert!(text.is_ascii());
            for a in &document.truth.agreements {
                *kinds.entry(a.kind).or_default() += 1;
                let form = a.verb.of(text);
                let verb = LEXICON.verbs().find(|v| v.one == form || v.many == form);
                let verb = verb.unwrap_or_else(|| panic!("{form} is no verb: {text}"));
                let (right, wrong) = match a.number {
                    Number::Singular => (&verb.one, &verb.many),
                    Number::Plural => (&verb.many, &verb.one),
                };
                assert_eq!((form, &a.wrong), (right.as_str(), wrong));
                assert!(a.subject.end < a.verb.start, "{text}");
                let between = text[a.subject.end..a.verb.start].trim();
                let subject = a.subject.of(text).to_lowercase();
                match a.kind {
                    AgreementKind::Pronoun => {}
                    AgreementKind::Coordinated => assert_eq!(a.number, Number::Plural),
                    _ => assert_eq!(number_of(&subject), Some(a.number), "{subject}: {text}"),
                }
                match a.kind {
                    AgreementKind::Simple => assert_eq!(between, "", "{text}"),
                    AgreementKind::AcrossRelative => {
                        assert!(between.starts_with("that ") || between.starts_with("who "));
                    }
                    AgreementKind::WithinRelative => {
                        assert!(["", "that", "who"].contains(&between) && a.depth > 0, "{text}");
                    }
                    AgreementKind::AcrossPrepositional => assert!(between.contains(' ')),
                    AgreementKind::Coordinated => assert!(between.starts_with("and ")),
                    AgreementKind::Pronoun => {}
                }
                let across = [AgreementKind::AcrossPrepositional, AgreementKind::AcrossRelative];
                if across.contains(&a.kind) {
                    let other = between.split(' ').filter_map(number_of).any(|n| n != a.number);
                    assert_eq!(a.attractor, other, "{between}: {text}");
                }
            }
        }
    }
    for kind in [
        AgreementKind::Simple,
        AgreementKind::AcrossPrepositional,
        AgreementKind::AcrossRelative,
        AgreementKind::WithinRelative,
        AgreementKind::Coordinated,
    ] {
        assert!(kinds[&kind] > 50, "{kind:?}: {kinds:?}");
    }
}

#[test]
fn pronouns_have_the_gender_of_the_name() {
    let mut seen = 0;
    for document in documents(Split::Balanced, 300) {
        let (text, truth) = (&document.text, &document.truth);
        let person = truth.person.as_ref().expect("a biography has a person");
        let women = super::WOMEN.contains(&person.first_name.as_str());
        assert_eq!(women, person.gender == Gender::Feminine);
        let pronouns: BTreeSet<usize> = truth.pronouns.iter().map(|p| p.span.start).collect();
        let mut at = 0;
        for word in text.split(' ') {
            let bare = word.trim_matches(|c: char| !c.is_ascii_alphabetic()).to_lowercase();
            let feminine = ["she", "her"].contains(&bare.as_str());
            if feminine || ["he", "his", "him"].contains(&bare.as_str()) {
                assert_eq!(feminine, women, "{text}");
                assert!(pronouns.contains(&at), "{word} at {at}: {text}");
                seen += 1;
            }
            at += word.len() + 1;
        }
        for p in &truth.pronouns {
            let name = p.antecedent.of(text);
            assert!(name.contains(&person.first_name) || name == person.surname, "{name}: {text}");
            assert_ne!(p.wrong, p.span.of(text));
        }
    }
    assert!(seen > 300, "{seen}");
}

#[test]
fn gender_follows_profession_only_where_biased() {
    let share = |split| {
        let documents = documents(split, 600);
        let stereotyped = documents.iter().filter(|d| {
            let person = d.truth.person.as_ref().expect("a biography");
            let topic = LEXICON.professions.iter().find(|t| t.name == person.profession);
            topic.and_then(|t: &Topic| t.stereotype) == Some(person.gender)
        });
        stereotyped.count() as f64 / documents.len() as f64
    };
    assert_eq!(share(Split::Biased), 1.0);
    assert!((share(Split::Balanced) - 0.5).abs() < 0.08);
}

#[test]
fn held_out_pairs_stay_out_of_training() {
    let noun = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphabetic());
        LEXICON.nouns().find(|n| n.one == word || n.many == word)
    };
    for (split, held) in [(Split::Train, false), (Split::Heldout, true)] {
        let mut pairs = 0;
        for document in documents(split, 300) {
            let nesting = document.text.matches(" that ").count();
            for a in &document.truth.agreements {
                if a.kind != AgreementKind::AcrossPrepositional || nesting > 0 {
                    continue;
                }
                let text = &document.text;
                let head = noun(a.subject.of(text)).expect("the subject is a noun");
                for near in text[a.subject.end..a.verb.start].split(' ').filter_map(noun) {
                    assert_eq!(is_held_out(head, near), held, "{text}");
                    pairs += 1;
                }
            }
        }
        assert!(pairs > 20, "{pairs}");
    }
}

#[test]
fn marks_stand_before_what_they_are_about() {
    let mut seen = BTreeMap::<Variable, usize>::new();
    for document in documents(Split::Train, 200) {
        for mark in document.truth.marks(&document.text) {
            *seen.entry(mark.variable).or_default() += 1;
            assert!(mark.at > 0 && !document.text[..mark.at].ends_with(' '));
            let next = document.text[mark.at..].trim_start();
            if mark.variable == Variable::Gender {
                let she = next.to_lowercase().starts_with("she")
                    || next.to_lowercase().starts_with("her");
                assert_eq!(she, mark.value == "feminine");
            }
        }
    }
    assert_eq!(seen.len(), Variable::ALL.len());
}

/// Walks through every derivation of a part of the grammar, with `words` words in every list;
/// returns the sum of their probabilities and their number.
fn every_derivation(words: usize, write: impl Fn(&mut Page)) -> (f64, usize) {
    let mut choices = Enumerator::new(words);
    let mut texts = BTreeSet::new();
    let mut total = 0.0;
    loop {
        let topic = &LEXICON.topics[0];
        let mut page = Page::new(&mut choices, Split::Train, DocumentKind::Scene, topic);
        write(&mut page);
        let (text, truth) = page.finish();
        total += (-truth.nats).exp();
        assert!(texts.insert(text.clone()), "two derivations of {text:?}");
        if !choices.advance() {
            return (total, texts.len());
        }
    }
}

#[test]
fn probabilities_add_up_to_one() {
    let (total, count) = every_derivation(3, |page| {
        page.noun_phrase(Pool::Any, None, 0.3);
    });
    // Singular: 3 nouns x (plain or one of 6 adjectives) x 5 determiners (the people among them
    // have no colours); plural: 5 determiners and 3 number words. All three nouns are people.
    assert!((total - 1.0).abs() < 1e-12, "{total}");
    assert_eq!(count, 3 * 7 * 5 + 3 * 7 * (5 + 3));
    let (total, count) = every_derivation(1, |page| {
        let subject = page.noun_phrase(Pool::Things, None, 0.3);
        page.state(&subject);
    });
    assert!((total - 1.0).abs() < 1e-9, "{total} over {count}");
    let (total, count) = every_derivation(2, |page| page.biography(None, 1));
    assert!((total - 1.0).abs() < 1e-12, "{total} over {count}");
    // 3 forms x 2 x 2 first names x 2 surnames x (no town or one of 2).
    assert_eq!(count, 3 * 4 * 2 * 3);
}

#[test]
fn no_text_has_two_derivations() {
    let mut texts = BTreeMap::new();
    for (split, count) in [(Split::Train, 60_000), (Split::Balanced, 40_000)] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..count {
            // With one word in every list the texts are short of words, and would collide.
            let mut choices = FewWords { words: 1, sampler: Sampler::new(&mut rng), made: vec![] };
            let document = write(&mut choices, split, 2);
            let made = choices.made;
            let before = texts.entry((split, document.text.clone())).or_insert(made.clone());
            assert_eq!(*before, made, "two derivations of {:?}", document.text);
        }
    }
    assert!(texts.len() > 10_000, "{}", texts.len());
}

/// Chooses by chance, among the first words of each list only, and remembers.
struct FewWords<'a> {
    words: usize,
    sampler: Sampler<'a>,
    made: Vec<usize>,
}

impl Choose for FewWords<'_> {
    fn choose(&mut self, weights: &[f64]) -> usize {
        self.made.push(self.sampler.choose(weights));
        self.made[self.made.len() - 1]
    }

    fn choose_word(&mut self, weights: &[f64]) -> usize {
        let mut left = self.words;
        let few: Vec<f64> = weights
            .iter()
            .map(|&w| {
                let keep = w > 0.0 && left > 0;
                left -= usize::from(keep);
                if keep { w } else { 0.0 }
            })
            .collect();
        self.choose(&few)
    }

    fn nats(&self) -> f64 {
        self.sampler.nats()
    }
}

#[test]
fn every_kind_of_document_occurs() {
    let kinds: BTreeSet<String> =
        documents(Split::Train, 200).iter().map(|d| format!("{:?}", d.truth.kind)).collect();
    assert_eq!(kinds.len(), 3);
    let biased = documents(Split::Biased, 50);
    assert!(biased.iter().all(|d| d.truth.kind == DocumentKind::Biography));
}
