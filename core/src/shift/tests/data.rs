use super::*;
use crate::shift::Columns;
use proptest::prelude::*;
use std::path::PathBuf;

fn ctx() -> JobContext<()> {
    JobContext::unwatched()
}

fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> Source {
    let path: PathBuf = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    Source::File { path, columns: Columns::default(), labels: None, spurious: None }
}

#[test]
fn the_world_writes_both_professions_in_both_genders() {
    let source =
        Source::World { labels: ["nurse".into(), "professor".into()], texts: 400, seed: 5 };
    let data = read(&ctx(), &source, &Pairing::Usual).unwrap();
    assert_eq!(data.items.len(), 400);
    assert_eq!(data.spurious, ["feminine", "masculine"]);
    for item in &data.items {
        let word = |gender: usize, words: [&str; 2]| {
            let padded = format!(" {} ", item.text.replace(['.', ',', '"'], " ").to_lowercase());
            words.iter().any(|w| padded.contains(&format!(" {w} "))) && gender == item.spurious
        };
        let any = |words: [&str; 2]| {
            let padded = format!(" {} ", item.text.replace(['.', ',', '"'], " ").to_lowercase());
            words.iter().any(|w| padded.contains(&format!(" {w} ")))
        };
        assert!(!any(["she", "her"]) || word(0, ["she", "her"]), "{}", item.text);
        assert!(!any(["he", "his"]) || word(1, ["he", "his"]), "{}", item.text);
    }
    // Neither group is rare, as the two are independent.
    assert!(data.groups().iter().flatten().all(|n| *n > 50), "{:?}", data.groups());
    // A man's profession first turns the genders round.
    let source = Source::World { labels: ["professor".into(), "nurse".into()], texts: 20, seed: 5 };
    assert_eq!(read(&ctx(), &source, &Pairing::Usual).unwrap().spurious[0], "masculine");
    let turned = read(&ctx(), &source, &Pairing::FirstWith("feminine".into())).unwrap();
    assert_eq!(turned.spurious[0], "feminine");
}

#[test]
fn a_table_is_read_with_its_commoner_pairing_and_says_what_it_leaves_out() {
    let dir = tempfile::tempdir().unwrap();
    let text = "label,text,spurious\nb,\"one, two\",x\na,three,y\na,four,y\na,five,x\nb,six,x\n\
                a,three,y\nb,three,y\na,,y\n";
    let data = read(&ctx(), &file(&dir, "t.csv", text), &Pairing::Usual).unwrap();
    assert_eq!(data.labels, ["a", "b"]);
    // a goes with y more often than with x.
    assert_eq!(data.spurious, ["y", "x"]);
    assert_eq!(data.groups(), [[2, 1], [0, 2]]);
    assert_eq!(data.items[0].text, "one, two");
    let left: Vec<(&str, usize)> = data.left_out.iter().map(|(w, n)| (w.as_str(), *n)).collect();
    assert_eq!(
        left,
        [("no text", 1), ("the same text again", 1), ("the same text again, with other labels", 1)]
    );
    assert!(data.pairing.contains("4 of 5"), "{}", data.pairing);
}

#[test]
fn more_values_than_two_are_named_and_two_can_be_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "text\tlabel\tspurious\none\ta\tx\ntwo\tb\ty\nthree\tc\tx\nfour\ta\ty\n";
    let source = file(&dir, "t.tsv", rows);
    let error = read(&ctx(), &source, &Pairing::Usual).unwrap_err();
    assert!(error.why.contains("\"a\" (2)") && error.remedy.contains("--labels"), "{error}");
    let Source::File { path, columns, .. } = source else { unreachable!() };
    let labels = Some(["b".to_owned(), "a".to_owned()]);
    let chosen =
        Source::File { path: path.clone(), columns: columns.clone(), labels, spurious: None };
    let data = read(&ctx(), &chosen, &Pairing::Usual).unwrap();
    assert_eq!((data.items.len(), data.left_out["another label"]), (3, 1));
    let labels = Some(["b".to_owned(), "z".to_owned()]);
    let error =
        read(&ctx(), &Source::File { path, columns, labels, spurious: None }, &Pairing::Usual);
    assert!(error.unwrap_err().what.contains("\"z\""));
}

#[test]
fn what_makes_no_sense_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let said = |source: &Source| read(&ctx(), source, &Pairing::Usual).unwrap_err().to_string();
    let one = file(&dir, "one.csv", "text,label,spurious\nx,a,m\ny,a,f\n");
    assert!(said(&one).contains("nothing to tell apart"), "{}", said(&one));
    let profession = Source::World { labels: ["nurse".into(), "wizard".into()], texts: 5, seed: 0 };
    assert!(said(&profession).contains("wizard") && said(&profession).contains("poet"));
    let same = Source::World { labels: ["nurse".into(), "nurse".into()], texts: 5, seed: 0 };
    assert!(said(&same).contains("nurse"));
    let two = file(&dir, "two.csv", "text,label,spurious\nx,a,m\ny,b,f\n");
    let error = read(&ctx(), &two, &Pairing::FirstWith("q".into())).unwrap_err();
    assert!(error.why.contains("\"f\""), "{error}");
}

#[test]
fn reading_stops_when_told() {
    let stopped = ctx();
    stopped.cancel("enough");
    let error = read(&stopped, &Source::default(), &Pairing::Usual).unwrap_err();
    assert!(error.is_cancelled());
}

proptest! {
    /// Whatever the rows are, nothing is lost without a reason, and no text stands twice.
    #[test]
    fn rows_are_used_or_counted(rows in prop::collection::vec(("[a-c ]{0,3}", 0..3usize, 0..3usize), 0..40)) {
        let rows: Vec<Row> = rows
            .into_iter()
            .map(|(text, l, s)| [text, format!("l{l}"), format!("s{s}")])
            .collect();
        let labels = ["l0".to_owned(), "l1".to_owned()];
        let spurious = ["s0".to_owned(), "s1".to_owned()];
        let columns = Columns::default();
        if let Ok(data) = from_rows(rows.clone(), &columns, Some(&labels), Some(&spurious)) {
            prop_assert_eq!(data.items.len() + data.left_out.values().sum::<usize>(), rows.len());
            let texts: BTreeSet<&str> = data.items.iter().map(|i| i.text.as_str()).collect();
            prop_assert_eq!(texts.len(), data.items.len());
            for item in &data.items {
                let same = |row: &&Row| row[0] == item.text
                    && row[1] == labels[item.label] && row[2] == spurious[item.spurious];
                prop_assert!(rows.iter().any(|row| same(&row)));
            }
        }
    }
}
