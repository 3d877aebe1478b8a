use super::*;
use crate::error::ErrorKind;
use crate::llama::Site;
use crate::sae::Architecture;
use crate::training::TrainConfig;
use tempfile::{TempDir, tempdir};

fn open(latents: usize) -> (TempDir, Workspace, SaeId) {
    let folder = tempdir().unwrap();
    let mut w = Workspace::open(folder.path()).unwrap();
    let id = begin(&mut w, latents);
    (folder, w, id)
}

fn begin(w: &mut Workspace, latents: usize) -> SaeId {
    let run = w
        .begin_run(&NewRun {
            model: "abc".into(),
            site: Site::Resid(2),
            width: 8,
            corpus: "builtin".into(),
            config: TrainConfig::preset(Architecture::TopK { k: 4 }, latents),
            request: serde_json::Value::Null,
        })
        .unwrap();
    run.id
}

fn by_model(latent: u32, text: &str) -> NewLabel {
    let source = LabelSource::Model { endpoint: "http://x".into(), model: "m".into() };
    NewLabel { latent, text: text.into(), source, scores: None }
}

fn shown(w: &Workspace, sae: SaeId) -> Vec<(u32, String)> {
    w.labels(sae).unwrap().into_iter().map(|l| (l.latent, l.text)).collect()
}

fn found(w: &Workspace, word: &str) -> Vec<u32> {
    let found = w.find_labels(word, None, 10, ['<', '>']).unwrap();
    found.into_iter().map(|(label, _)| label.latent).collect()
}

#[test]
fn a_label_can_be_taken_back_and_the_one_before_returns() {
    let (folder, mut w, sae) = open(8);
    w.add_label(sae, by_model(3, "cats")).unwrap();
    w.add_label(sae, NewLabel::by_hand(3, "  small\tcats\n ")).unwrap();
    assert_eq!(shown(&w, sae), [(3, "small cats".into())]);
    assert_eq!((found(&w, "small"), found(&w, "cats")), (vec![3], vec![3]));
    drop(w);
    let mut w = Workspace::open(folder.path()).unwrap();
    assert_eq!(w.label_history(sae, 3).unwrap().len(), 2);
    let back = w.undo_label(sae, 3).unwrap().unwrap();
    assert_eq!((back.text.as_str(), back.current), ("cats", true));
    assert_eq!(found(&w, "small"), [0u32; 0]);
    assert_eq!(w.undo_label(sae, 3).unwrap(), None);
    assert_eq!(found(&w, "cats"), [0u32; 0]);
    assert_eq!(w.undo_label(sae, 3).unwrap_err().kind, ErrorKind::Setting);
}

#[test]
fn what_a_person_wrote_is_not_displaced_by_a_machine() {
    let (_folder, mut w, sae) = open(8);
    w.add_label(sae, NewLabel::by_hand(1, "mine")).unwrap();
    let id = w.add_label(sae, by_model(1, "theirs")).unwrap();
    assert_eq!(shown(&w, sae), [(1, "mine".into())]);
    assert_eq!(w.label_history(sae, 1).unwrap().len(), 2);
    assert_eq!((found(&w, "mine"), found(&w, "theirs")), (vec![1], vec![]));
    w.choose_label(id).unwrap();
    assert_eq!(shown(&w, sae), [(1, "theirs".into())]);
    assert_eq!((found(&w, "mine"), found(&w, "theirs")), (vec![], vec![1]));
    w.add_label(sae, by_model(1, "newer")).unwrap();
    assert_eq!(shown(&w, sae), [(1, "newer".into())]);
    w.add_label(sae, NewLabel::by_hand(1, "mine again")).unwrap();
    assert_eq!(shown(&w, sae), [(1, "mine again".into())]);
}

#[test]
fn all_labels_are_saved_or_none() {
    let (_folder, mut w, sae) = open(8);
    let error = w.add_labels(sae, &[by_model(1, "a"), by_model(8, "b")]).unwrap_err();
    assert!(error.why.contains("8 latents"), "{error}");
    assert_eq!(
        w.add_labels(sae, &[by_model(1, "a"), by_model(2, " \n")]).unwrap_err().kind,
        ErrorKind::Setting
    );
    assert_eq!(w.add_labels(99, &[by_model(1, "a")]).unwrap_err().kind, ErrorKind::Setting);
    assert_eq!(shown(&w, sae), []);
    // Said twice is saved once.
    let ids = w.add_labels(sae, &[by_model(1, "a"), by_model(1, "a")]).unwrap();
    assert_eq!(ids[0], ids[1]);
    assert_eq!(w.label_history(sae, 1).unwrap().len(), 1);
    let long = "x".repeat(LONGEST_LABEL + 50);
    w.add_label(sae, by_model(2, &long)).unwrap();
    assert_eq!(w.label(sae, 2).unwrap().unwrap().text.len(), LONGEST_LABEL);
}

#[test]
fn scores_are_kept_with_the_label() {
    let (_folder, mut w, sae) = open(8);
    let id = w.add_label(sae, by_model(1, "a")).unwrap();
    let judged = Judged {
        true_positives: 9,
        false_negatives: 1,
        true_negatives: 6,
        false_positives: 4,
        unparsed: 2,
    };
    let scores = LabelScores { detection: Some(judged), fuzzing: None, judge: "m".into() };
    w.score_label(id, &scores).unwrap();
    assert_eq!(w.label(sae, 1).unwrap().unwrap().scores, Some(scores));
    assert!(w.score_label(id + 1, &LabelScores::default()).is_err());
    assert_eq!(judged.balanced_accuracy(), Some(0.75));
    assert_eq!(judged.precision(), Some(9.0 / 13.0));
    assert_eq!(judged.f1(), Some(18.0 / 23.0));
    assert_eq!(Judged::default().balanced_accuracy(), None);
    assert_eq!(Judged::default().interval(), None);
    // Wilson's intervals of 9 in 10 and 6 in 10 are [0.5958, 0.9821] and [0.3127, 0.8318].
    let (low, high) = judged.interval().unwrap();
    assert!((low - (0.75 - 0.3042f64.hypot(0.2873) / 2.0)).abs() < 1e-4, "{low}");
    assert!((high - (0.75 + 0.0821f64.hypot(0.2318) / 2.0)).abs() < 1e-4, "{high}");
}

#[test]
fn labels_go_with_their_dictionary_and_with_no_other() {
    let (_folder, mut w, sae) = open(8);
    let other = begin(&mut w, 8);
    w.add_label(sae, by_model(1, "cats")).unwrap();
    w.add_label(other, by_model(2, "cats")).unwrap();
    w.delete_sae(sae).unwrap();
    assert_eq!((shown(&w, sae), shown(&w, other)), (vec![], vec![(2, "cats".into())]));
    assert_eq!(found(&w, "cats"), [2]);
}

#[test]
fn a_workspace_without_labels_is_brought_forward() {
    let folder = tempdir().unwrap();
    let mut old = Connection::open(folder.path().join(DATABASE)).unwrap();
    schema::migrate_to(&mut old, 1, "test").unwrap();
    old.execute_batch("INSERT INTO settings VALUES ('theme', '\"dark\"')").unwrap();
    drop(old);
    let mut w = Workspace::open(folder.path()).unwrap();
    assert_eq!(w.setting::<String>("theme").unwrap().as_deref(), Some("dark"));
    let sae = begin(&mut w, 4);
    w.add_label(sae, by_model(1, "a")).unwrap();
}
