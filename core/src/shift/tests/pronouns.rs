use super::*;
use crate::llama::{Logits, Tokens};
use crate::shift::testing::{World, world};

fn ctx() -> JobContext<()> {
    JobContext::unwatched()
}

/// The words of the small language that stand for pronouns: those of the spurious value.
fn spec() -> PronounSpec {
    PronounSpec { she: vec!["w3".into()], he: vec!["w4".into()], ..PronounSpec::default() }
}

/// Every place by a pass over what comes before it.
fn oracle(w: &World, edits: &[Edit]) -> (usize, PronounMeans) {
    let ready = Edits::new(edits, &crate::shift::measurer::dictionaries(&w.bases)).unwrap();
    let tokenizer = w.model.need_tokenizer().unwrap();
    let id = |word: &str| tokenizer.encode(word, false).unwrap()[0];
    let (she, he) = (id("w3"), id("w4"));
    let (mut n, mut means) = (0, PronounMeans::default());
    for text in &w.split.balanced_test {
        for at in 1..text.tokens.len() {
            let stands = text.tokens[at];
            if stands != she && stands != he {
                continue;
            }
            let change = ready.changes();
            let plan = Plan { change: &change, logits: Logits::Last, ..Plan::default() };
            let pass = w.model.forward(&Tokens::row(&text.tokens[..at]).unwrap(), &plan).unwrap();
            let logits = numbers(&pass.logits.unwrap()).unwrap();
            let all: f64 = logits.iter().map(|z| f64::from(*z).exp()).sum();
            let p = |id: u32| f64::from(logits[id as usize]).exp() / all;
            means.she += p(she);
            means.he += p(he);
            means.right += f64::from(u8::from((p(she) > p(he)) == (stands == she)));
            n += 1;
        }
    }
    let of = |sum: f64| sum / n as f64;
    (n, PronounMeans { she: of(means.she), he: of(means.he), right: of(means.right) })
}

#[test]
fn probabilities_are_those_of_a_pass_for_each_place() {
    let w = world();
    let edits: Vec<Edit> =
        (0..12).map(|i| format!("resid.0/{i} ablate").parse().unwrap()).collect();
    let found = pronouns(&ctx(), &w.model, &w.bases, &w.data, &w.split, &edits, &spec()).unwrap();
    for (found, edits) in [(found.all.before, &[][..]), (found.all.after, &edits)] {
        let (n, wanted) = oracle(&w, edits);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(close(found.she, wanted.she) && close(found.he, wanted.he), "{found:?} {wanted:?}");
        assert!(close(found.right, wanted.right));
        assert_eq!(n, 3 * w.split.balanced_test.len());
    }
    assert_ne!(found.all.before, found.all.after);
    let places: usize = found.groups.iter().map(|g| g.places).sum();
    assert_eq!((found.groups.len(), places), (4, found.all.places));
    assert_eq!(found.groups[1].name, "one, four");
    assert_eq!((found.she_tokens.as_slice(), found.trimmed), (&["w3".to_owned()][..], 12));
}

#[test]
fn lines_of_a_file_are_grouped_by_what_stands_there() {
    let w = world();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lines.txt");
    std::fs::write(&path, "w9 w3 w8\nw4 w3\nw7 w4 w5 w4\nw9\n").unwrap();
    let text = PronounText::File { path, column: String::new() };
    let spec = PronounSpec { text, ..spec() };
    let found = pronouns(&ctx(), &w.model, &w.bases, &w.data, &w.split, &[], &spec).unwrap();
    let places: Vec<usize> = found.groups.iter().map(|g| g.places).collect();
    assert_eq!((found.texts, places), (4, vec![2, 3]));
    assert_eq!(found.all.before, found.all.after);
}

#[test]
fn words_that_cannot_be_told_apart_or_do_not_stand_there_are_named() {
    let w = world();
    let said = |spec: PronounSpec| {
        pronouns(&ctx(), &w.model, &w.bases, &w.data, &w.split, &[], &spec).unwrap_err().to_string()
    };
    let same = PronounSpec { he: vec!["w3".into()], ..spec() };
    assert!(said(same).contains("other kind"));
    let unknown = PronounSpec { she: vec!["she".into()], he: vec!["w4".into()], ..spec() };
    // `she` is the unknown token, and so is a capital `W4`.
    assert!(said(unknown).contains("other kind"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lines.txt");
    std::fs::write(&path, "w9 w8\n").unwrap();
    let none = PronounSpec { text: PronounText::File { path, column: String::new() }, ..spec() };
    assert!(said(none).contains("1 texts"));
}
