use super::*;

#[test]
fn judgements_survive_a_file_and_become_a_trim() {
    let text = r#"{"resid.1/37": {"verdict": "trim", "note": "fires on she"},
        "mlp.0/2": {"verdict": "keep"}, "embed/5": {"verdict": "trim"}}"#;
    let judged = Judgements::from_json(text).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/judged.json");
    judged.write(&path).unwrap();
    assert_eq!(Judgements::read(&path).unwrap(), judged);
    let edits: Vec<String> = judged.edits().iter().map(ToString::to_string).collect();
    assert_eq!(edits, ["embed/5 ablate", "resid.1/37 ablate"]);
    assert_eq!(judged.verdict(&"mlp.0/2".parse().unwrap()), Some(Verdict::Keep));
    assert_eq!(judged.verdict(&"mlp.0/3".parse().unwrap()), None);
}

#[test]
fn what_is_no_judgement_is_named() {
    for (text, word) in [
        ("[]", "judgements"),
        ("{\"resid\": {\"verdict\": \"trim\"}}", "node"),
        ("{\"resid.1/3\": {\"verdict\": \"maybe\"}}", "maybe"),
        ("{\"resid.1/error\": {\"verdict\": \"trim\"}}", "resid.1/error"),
    ] {
        let error = Judgements::from_json(text).unwrap_err().to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
    assert!(Judgements::from_json("{\"resid.1/error\": {\"verdict\": \"keep\"}}").is_ok());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j.json");
    std::fs::write(&path, b"\xff").unwrap();
    assert!(Judgements::read(&path).unwrap_err().what.contains("j.json"));
}
