use super::*;

fn read_as(name: &str, bytes: &[u8]) -> Result<Vec<Row>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read_table(&path, &Columns::default(), &|| Ok(()))
}

fn row(text: &str, label: &str, spurious: &str) -> Row {
    [text.into(), label.into(), spurious.into()]
}

#[test]
fn the_same_rows_in_three_forms() {
    let csv = "\u{feff}spurious,text,label\r\nf,\"a, \"\"b\"\"\nc\",1\r\nm,d,2\r\n";
    let rows = read_as("t.csv", csv.as_bytes()).unwrap();
    assert_eq!(rows, [row("a, \"b\"\nc", "1", "f"), row("d", "2", "m")]);
    // A quote is a letter like any other there.
    let tsv = "spurious\ttext\tlabel\nf\ta \"b\t1\nm\td\t2\n";
    assert_eq!(read_as("t.tsv", tsv.as_bytes()).unwrap()[0], row("a \"b", "1", "f"));
    let json = "{\"text\": \"a\\nb\", \"label\": 1, \"spurious\": true}\n\n{\"text\": \"d\"}\n";
    let rows = read_as("t.jsonl", json.as_bytes()).unwrap();
    assert_eq!(rows, [row("a\nb", "1", "true"), Row::default()]);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let said = |name: &str, bytes: &[u8]| read_as(name, bytes).unwrap_err().to_string();
    let ragged = said("t.csv", b"text,label,spurious\na,b,c\nd,e\n");
    assert!(ragged.contains("line 3") && ragged.contains("2 fields"), "{ragged}");
    let missing = said("t.csv", b"text,label,gender\na,b,c\n");
    assert!(missing.contains("\"spurious\"") && missing.contains("\"gender\""), "{missing}");
    let latin = said("t.csv", b"text,label,spurious\ncaf\xe9,b,c\n");
    assert!(latin.contains("UTF-8") && latin.contains("line 2"), "{latin}");
    let broken = said("t.jsonl", b"{\"text\": \"a\"}\n{\"text\": \n");
    assert!(broken.contains("line 2"), "{broken}");
    let keys = said("t.jsonl", b"{\"text\": \"a\", \"sex\": \"f\"}\n");
    assert!(keys.contains("\"spurious\"") && keys.contains("\"sex\""), "{keys}");
    assert!(said("t.jsonl", b"[1]\n").contains("line 1"));
    for empty in [&b"text,label,spurious\n"[..], b""] {
        assert!(!said("t.csv", empty).is_empty());
    }
    let nothing = read_table(Path::new("/nowhere/t.csv"), &Columns::default(), &|| Ok(()));
    assert!(nothing.unwrap_err().what.contains("/nowhere/t.csv"));
}

#[test]
fn a_column_or_lines_alone() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let check = || Ok(());
    let tsv = write("s.tsv", "id\tsentence\n1\tShe is here.\n2\tHe is.\n");
    assert_eq!(read_column(&tsv, "sentence", &check).unwrap(), ["She is here.", "He is."]);
    assert!(read_column(&tsv, "text", &check).unwrap_err().why.contains("\"sentence\""));
    let lines = write("s.txt", "one\n\ntwo\n");
    assert_eq!(read_column(&lines, "any", &check).unwrap(), ["one", "two"]);
    let json = write("s.jsonl", "{\"s\": \"one\"}\n");
    assert_eq!(read_column(&json, "s", &check).unwrap(), ["one"]);
}
