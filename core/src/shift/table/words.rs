//! The control without a trim: the words that give the spurious value away are deleted.

use super::super::{Data, Source, Text};
use super::rows::{Maker, Measured, Outcome, plain};
use crate::error::Result;
use crate::world::{MEN, WOMEN};
use std::collections::{BTreeMap, BTreeSet};

/// The world's pronouns for persons.
const PRONOUNS: [&str; 5] = ["she", "her", "he", "him", "his"];
/// Standard errors by which a word's log-odds must differ from 0.
const CLEAR: f64 = 3.0;
/// Added to every count.
const SMOOTHING: f64 = 0.5;

pub(super) fn row<E>(maker: &Maker<'_, E>) -> Result<Outcome> {
    let (words, how) = words(maker);
    let made = format!(
        "Nothing is trimmed. {how} are deleted from the texts of the ambiguous part, a probe is \
         trained on these, and tested on the balanced test part with the same words deleted."
    );
    if words.is_empty() {
        return Ok(Err((made, "There are no such words.".to_owned())));
    }
    let set: BTreeSet<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let (train, kept) = without(maker, &maker.input.split.ambiguous, &set)?;
    let (test, kept_too) = without(maker, &maker.input.split.balanced_test, &set)?;
    let probe = maker.train(&train, &[])?;
    let x = maker.pooled(&test, &[])?;
    let whole = match kept + kept_too {
        0 => String::new(),
        n => format!(" {n} texts of which nothing would be left stay whole."),
    };
    Ok(Ok(Measured {
        train_accuracy: Some(probe.train_accuracy),
        words,
        ..plain(probe.right(&x, &test), 0, made + &whole)
    }))
}

/// The words, and what they are.
fn words<E>(maker: &Maker<'_, E>) -> (Vec<String>, String) {
    if let Some(given) = &maker.spec.words {
        let given = given.iter().map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect();
        return (given, "The words that were given".to_owned());
    }
    match maker.input.source {
        Source::World { .. } => {
            let all = PRONOUNS.iter().chain(WOMEN).chain(MEN);
            let how = "The words that tell the gender by the world's truth (pronouns, first names)";
            (all.map(|word| (*word).to_owned()).collect(), how.to_owned())
        }
        Source::File { .. } => {
            let found =
                telling(maker.input.data, &maker.input.split.balanced_train, maker.spec.most_words);
            let how = format!(
                "The {} words whose counts differ most between the spurious values of the balanced \
                 training part (log-odds with {SMOOTHING} added to every count, by their standard \
                 error, at least {CLEAR} of it)",
                found.len()
            );
            (found, how)
        }
    }
}

/// The texts without the words, as tokens; and how many stay whole since nothing would be left.
fn without<E>(
    maker: &Maker<'_, E>,
    texts: &[Text],
    words: &BTreeSet<String>,
) -> Result<(Vec<Text>, usize)> {
    let tokenizer = maker.input.model.need_tokenizer()?;
    let context = maker.input.model.config().context;
    let (mut out, mut whole) = (Vec::with_capacity(texts.len()), 0);
    for (i, text) in texts.iter().enumerate() {
        if i % 256 == 0 {
            maker.ctx.check()?;
        }
        let rest = deleted(&maker.input.data.items[text.item].text, words);
        let mut text = text.clone();
        if rest.trim().is_empty() {
            whole += 1;
        } else {
            text.tokens = tokenizer.encode(&rest, true)?;
            text.tokens.truncate(context);
        }
        out.push(text);
    }
    Ok((out, whole))
}

/// `text` without `words` (in lower case), each with the space before it.
pub(super) fn deleted(text: &str, words: &BTreeSet<String>) -> String {
    let mut out = String::with_capacity(text.len());
    for (word, is_word) in pieces(text) {
        if is_word && words.contains(&word.to_lowercase()) {
            if out.ends_with(' ') {
                out.pop();
            }
        } else {
            out.push_str(word);
        }
    }
    out.trim_start().to_owned()
}

/// Words (letters, digits, apostrophes) and what stands between them.
pub(in crate::shift) fn pieces(text: &str) -> Vec<(&str, bool)> {
    let letter = |c: char| c.is_alphanumeric() || c == '\'' || c == '’';
    let mut out = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (i, c) in text.char_indices() {
        let is = letter(c);
        if last.is_some_and(|last| last != is) {
            out.push((&text[start..i], !is));
            start = i;
        }
        last = Some(is);
    }
    if let Some(is) = last {
        out.push((&text[start..], is));
    }
    out
}

/// The words whose counts differ most between the spurious values.
fn telling(data: &Data, texts: &[Text], most: usize) -> Vec<String> {
    let mut counts: BTreeMap<String, [f64; 2]> = BTreeMap::new();
    let mut totals = [0.0; 2];
    for text in texts {
        for (word, is_word) in pieces(&data.items[text.item].text) {
            if is_word {
                counts.entry(word.to_lowercase()).or_default()[text.spurious] += 1.0;
                totals[text.spurious] += 1.0;
            }
        }
    }
    let all = counts.len() as f64;
    let mut scored: Vec<(f64, String)> = counts
        .into_iter()
        .map(|(word, n)| {
            let odds = |i: usize| {
                let n = n[i] + SMOOTHING;
                (n / (totals[i] + SMOOTHING * all - n)).ln()
            };
            let error = (1.0 / (n[0] + SMOOTHING) + 1.0 / (n[1] + SMOOTHING)).sqrt();
            (((odds(0) - odds(1)) / error).abs(), word)
        })
        .filter(|(score, _)| *score >= CLEAR)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored.into_iter().take(most).map(|(_, word)| word).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::Item;
    use super::*;

    #[test]
    fn words_go_with_the_space_before_them() {
        let words: BTreeSet<String> = ["she", "anna", "her"].map(str::to_owned).into();
        let said = |text: &str| deleted(text, &words);
        assert_eq!(said("Anna Keller is a nurse. She rests."), "Keller is a nurse. rests.");
        assert_eq!(said("The patients trust her."), "The patients trust.");
        assert_eq!(said("She, \"Annas\" hers"), ", \"Annas\" hers");
        assert_eq!(said("her"), "");
        assert_eq!(said(""), "");
    }

    #[test]
    fn telling_words_are_those_that_differ() {
        let texts = ["she reads a book", "he reads a book", "a book"];
        let mut items = Vec::new();
        let mut split = Vec::new();
        for i in 0..600 {
            let spurious = i % 2;
            let text = if i % 6 < 2 { texts[2] } else { texts[spurious] };
            items.push(Item { text: text.to_owned(), label: 0, spurious });
            split.push(Text { item: i, tokens: vec![0], label: 0, spurious });
        }
        let data = Data {
            label_name: String::new(),
            labels: Default::default(),
            spurious_name: String::new(),
            spurious: Default::default(),
            pairing: String::new(),
            items,
            left_out: BTreeMap::new(),
        };
        let mut found = telling(&data, &split, 10);
        found.sort();
        assert_eq!(found, ["he", "she"]);
        assert_eq!(telling(&data, &split, 1).len(), 1);
    }
}
