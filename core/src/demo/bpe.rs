//! A byte-pair tokenizer for the world, in the form of Llama 2's `tokenizer.json`.
//!
//! A space is part of the word after it (`▁the`); what has no token falls back to bytes, so every
//! text can be written and read back.

use crate::world::{LEXICON, Split, Writer};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Number of tokens.
pub const VOCABULARY: usize = 1000;
/// Token that begins a text.
pub const BOS: u32 = 1;
/// Token that ends a text.
pub const EOS: u32 = 2;

const SPACE: char = '▁';
/// Documents whose words are counted.
const DOCUMENTS: usize = 20_000;
/// Seed of these documents; the model's training starts from another.
const SEED: u64 = 1 << 40;
/// What a verb form counts at least: both forms of most verbs are to be one token each, so that
/// agreement shows in one token. The verbs of professions and those without an object are rarer,
/// and take what comes.
const VERB: f64 = 1e6;

/// Learns the merges from the world's own text and writes `tokenizer.json`.
pub fn tokenizer_json() -> Vec<u8> {
    let words = word_weights();
    let mut vocabulary: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).into();
    vocabulary.extend((0..=255u8).map(|byte| format!("<0x{byte:02X}>")));
    let letters: BTreeSet<char> = words.keys().flat_map(|w| w.chars()).collect();
    vocabulary.extend(letters.iter().map(char::to_string));
    let merges = learn(&words, VOCABULARY - vocabulary.len());
    vocabulary.extend(merges.iter().map(|(a, b)| format!("{a}{b}")));
    let json = file(&vocabulary, &merges);
    // A pretty form, so that a change of a merge is a change of a line.
    let mut bytes = serde_json::to_vec_pretty(&json).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Every word of the world, with the space before it, and how much it counts: the square root of
/// its frequency, which leaves something for the rare ones.
fn word_weights() -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::<String, f64>::new();
    for document in Writer::new(SEED, Split::Train).take(DOCUMENTS) {
        for word in document.text.split(' ') {
            let mut rest = word;
            // Marks stand by themselves: no merge joins them to a word.
            while let Some(at) = rest.find(|c: char| !c.is_ascii_alphanumeric()) {
                *counts.entry(rest[at..=at].to_owned()).or_default() += 1.0;
                rest = if at == 0 { &rest[1..] } else { &rest[..at] };
            }
            *counts.entry(format!("{SPACE}{rest}")).or_default() += 1.0;
        }
    }
    counts.values_mut().for_each(|count| *count = count.sqrt());
    let of_topics = LEXICON.topics.iter().flat_map(|t| &t.acts);
    let of_things = LEXICON.thing_acts.iter().chain(&LEXICON.thing_does);
    let rest = [&LEXICON.have, &LEXICON.say, &LEXICON.cost, &LEXICON.is, &LEXICON.was];
    for verb in of_topics.chain(of_things).chain(&LEXICON.attitudes).chain(rest) {
        for form in [&verb.one, &verb.many] {
            *counts.entry(format!("{SPACE}{form}")).or_default() += VERB;
        }
    }
    for digit in '0'..='9' {
        counts.entry(digit.to_string()).or_insert(1.0);
    }
    counts
}

/// The `count` merges that shorten the words most, one after the other.
fn learn(words: &BTreeMap<String, f64>, count: usize) -> Vec<(String, String)> {
    let mut split: Vec<(Vec<String>, f64)> =
        words.iter().map(|(w, n)| (w.chars().map(String::from).collect(), *n)).collect();
    let mut merges = Vec::with_capacity(count);
    while merges.len() < count {
        let mut pairs = BTreeMap::<(&str, &str), f64>::new();
        for (pieces, weight) in &split {
            for pair in pieces.windows(2) {
                // Digits stay apart, so that a number has one token a digit.
                let digit = pair[1].ends_with(|c: char| c.is_ascii_digit());
                if !digit {
                    *pairs.entry((&pair[0], &pair[1])).or_default() += weight;
                }
            }
        }
        // Of equals the first in the alphabet.
        let best = pairs.into_iter().reduce(|best, pair| if pair.1 > best.1 { pair } else { best });
        let Some(((a, b), _)) = best else { break };
        let (a, b) = (a.to_owned(), b.to_owned());
        for (pieces, _) in &mut split {
            let mut i = 0;
            while i + 1 < pieces.len() {
                if pieces[i] == a && pieces[i + 1] == b {
                    let second = pieces.remove(i + 1);
                    pieces[i].push_str(&second);
                }
                i += 1;
            }
        }
        merges.push((a, b));
    }
    merges
}

fn file(vocabulary: &[String], merges: &[(String, String)]) -> Value {
    let ids: HashMap<&str, usize> =
        vocabulary.iter().enumerate().map(|(id, token)| (token.as_str(), id)).collect();
    let mut ordered: Vec<(&str, usize)> = ids.into_iter().collect();
    ordered.sort_by_key(|(_, id)| *id);
    let vocab: serde_json::Map<String, Value> =
        ordered.into_iter().map(|(token, id)| (token.to_owned(), id.into())).collect();
    let special: Vec<Value> = ["<unk>", "<s>", "</s>"]
        .iter()
        .enumerate()
        .map(|(id, content)| {
            json!({
                "id": id, "content": content, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true
            })
        })
        .collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": special,
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "Prepend", "prepend": "▁" },
            { "type": "Replace", "pattern": { "String": " " }, "content": "▁" }
        ]},
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
            { "type": "ByteFallback" },
            { "type": "Fuse" },
            { "type": "Strip", "content": " ", "start": 1, "stop": 0 }
        ]},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<unk>",
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true,
            "byte_fallback": true, "ignore_merges": false,
            "vocab": vocab,
            "merges": merges.iter().map(|(a, b)| format!("{a} {b}")).collect::<Vec<_>>()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llama::TokenizerHandle;

    fn tokenizer() -> TokenizerHandle {
        TokenizerHandle::from_bytes(&tokenizer_json(), None, Some(BOS), VOCABULARY).expect("fits")
    }

    #[test]
    fn every_text_comes_back() {
        let tokenizer = tokenizer();
        assert_eq!(tokenizer.vocab(), VOCABULARY);
        for document in Writer::new(3, Split::Heldout).take(200) {
            let ids = tokenizer.encode(&document.text, true).expect("tokens");
            assert_eq!(ids[0], BOS);
            assert!(ids[1..].iter().all(|&id| id > 258), "world text needs no bytes");
            assert_eq!(tokenizer.decode(&ids).expect("text"), document.text);
        }
        for text in ["", " two  spaces ", "naïve 한국어 😀\n\ttab", "<0x41> ▁"] {
            let ids = tokenizer.encode(text, false).expect("tokens");
            assert_eq!(tokenizer.decode(&ids).expect("text"), text.replace('▁', " "), "{text:?}");
        }
    }

    #[test]
    fn nouns_are_split_but_most_verbs_are_whole() {
        let tokenizer = tokenizer();
        let pieces = |word: &str| tokenizer.encode(word, false).expect("tokens").len();
        let verbs: Vec<_> = LEXICON.verbs().collect();
        let whole = verbs.iter().filter(|v| pieces(&v.one) == 1 && pieces(&v.many) == 1).count();
        assert!(2 * whole > verbs.len(), "{whole} of {}", verbs.len());
        let nouns: Vec<usize> = LEXICON.nouns().map(|n| pieces(&n.many)).collect();
        let split = nouns.iter().filter(|&&n| n > 1).count();
        println!(
            "verbs {whole}/{}; nouns split {split}/{}; pieces {}",
            verbs.len(),
            nouns.len(),
            nouns.iter().sum::<usize>() as f64 / nouns.len() as f64
        );
        assert!(split > nouns.len() / 3, "{split} of {}", nouns.len());
    }

    #[test]
    fn the_first_merge_is_the_commonest_pair() {
        let words = BTreeMap::from([("abab".to_owned(), 2.0), ("bc".to_owned(), 3.0)]);
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        // ab stands 4 times, bc 3, ba 2; then bc 3 against abab 2.
        assert_eq!(learn(&words, 3), [pair("a", "b"), pair("b", "c"), pair("ab", "ab")]);
    }
}
