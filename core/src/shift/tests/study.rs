use super::*;
use crate::shift::testing::world;
use std::fmt::Write as _;

/// A file of the small language, and what to do with it.
fn spec(dir: &tempfile::TempDir) -> StudySpec {
    let mut text = "text,label,spurious\n".to_owned();
    for item in crate::shift::testing::data(160).items {
        let (l, s) = (["<one>", "two"][item.label], ["three", "four"][item.spurious]);
        let _ = writeln!(text, "{},{l},{s}", item.text);
    }
    let path = dir.path().join("texts.csv");
    std::fs::write(&path, text).unwrap();
    StudySpec {
        source: Source::File { path, columns: Default::default(), labels: None, spurious: None },
        split: SplitSpec { ambiguous: 20, balanced_train: 8, balanced_test: 10, seed: 1 },
        probe: ProbeSpec { site: Site::Resid(1), epochs: 3, ..ProbeSpec::default() },
        circuit: CircuitSpec { threshold: 0.0, most: 10, ..CircuitSpec::default() },
        table: TableSpec { random_draws: 1, ..TableSpec::default() },
        pronouns: Some(PronounSpec {
            she: vec!["w3".into()],
            he: vec!["w4".into()],
            ..PronounSpec::default()
        }),
        ..StudySpec::default()
    }
}

#[test]
fn a_study_is_one_record_that_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let w = world();
    let spec = spec(&dir);
    let ctx = JobContext::<StudyEvent>::unwatched();
    let made = study(&ctx, &w.model, &w.bases, &spec, &Judge::Truth).unwrap();
    assert_eq!(Study::from_json(&made.to_json().unwrap()).unwrap(), made);
    assert_eq!(made.data.labels, ["<one>", "two"]);
    assert_eq!(made.tellings.len(), made.judgements.all.len());
    assert!(!made.judgements.trimmed().is_empty());
    assert_eq!(made.dictionaries.len(), 3);
    // The same judgements given are the same study, but for who judged.
    let given = Judge::Given(made.judgements.clone());
    let again = study(&ctx, &w.model, &w.bases, &spec, &given).unwrap();
    assert_eq!(again.table, made.table);
    assert_eq!(again.pronouns, made.pronouns);
    // Judgements of another circuit are refused.
    let foreign = Judgements::from_json(r#"{"attn.1/3": {"verdict": "keep"}}"#).unwrap();
    let error = study(&ctx, &w.model, &w.bases, &spec, &Judge::Given(foreign)).unwrap_err();
    assert!(error.why.contains("attn.1/3"), "{error}");

    let csv = made.to_csv().unwrap();
    let first = format!("<one> {}", made.data.spurious[0]);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(reader.headers().unwrap().len(), 27);
    assert_eq!(reader.headers().unwrap().get(12), Some(first.as_str()));
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), RowKind::ALL.len());
    let original = made.row(RowKind::Original).unwrap().accuracies.unwrap();
    assert_eq!(rows[0].get(3), Some(format!("{:.4}", original.label.mean).as_str()));

    let page = made.to_page();
    assert!(page.contains("&lt;one&gt;") && !page.contains("<one>"));
    for word in ["http:", "https:", "<script", "src=\"http"] {
        assert!(!page.contains(word), "{word}");
    }
    for kind in RowKind::ALL {
        assert!(page.contains(kind.name()));
    }
    assert!(page.contains("It does not take a bias out of what the model itself writes"));
    // Every element that is opened is closed.
    for tag in ["table", "section", "svg", "dl", "tr", "td", "div", "details", "p"] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn without_a_judge_nothing_is_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let w = world();
    let ctx = JobContext::<StudyEvent>::unwatched();
    let made = study(&ctx, &w.model, &w.bases, &spec(&dir), &Judge::Nobody).unwrap();
    assert!(made.judgements.all.is_empty());
    let before = made.pronouns.as_ref().unwrap();
    assert_eq!(before.all.before, before.all.after);
    assert!(made.row(RowKind::Shift).unwrap().accuracies.is_none());
}
