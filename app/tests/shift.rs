//! The SHIFT screen as a person uses it: from texts to a table that is kept.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod headless;

use egui::{Key, Modifiers, Theme, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use headless::{drop_on, wait, window};
use sparsescope::app::Sparsescope;
use sparsescope::commands::{Command, ShiftCommand, ShiftFile};
use sparsescope::forms::ShiftStep;
use sparsescope::state::{Screen, State};
use sparsescope_core::circuits::Method;
use sparsescope_core::llama::Site;
use sparsescope_core::shift::{RowKind, Source, Verdict};
use sparsescope_core::steering::EditSet;
use sparsescope_core::workspace::Workspace;
use std::fmt::Write as _;
use std::path::Path;

fn open(workspace: &Path) -> Harness<'static, Sparsescope> {
    let mut harness = window(workspace, vec2(1280.0, 800.0), 1.0, Theme::Dark);
    wait(&mut harness, "the first jobs", 60, Sparsescope::is_idle);
    // Small, so that everything is done in seconds.
    let forms = harness.state_mut().forms_mut();
    let form = &mut forms.shift;
    form.texts = 480;
    (form.split.ambiguous, form.split.balanced_train, form.split.balanced_test) = (60, 20, 25);
    form.probe.site = Site::Resid(0);
    form.probe.epochs = 20;
    form.anyway = true;
    form.circuit.method = Method::Attribution;
    (form.circuit.texts, form.circuit.most, form.circuit.threshold) = (24, 12, 0.0);
    let task = &mut forms.circuit.task;
    (task.latents, task.k, task.tokens) = (128, 8, 20_000);
    harness
}

fn until(harness: &mut Harness<'_, Sparsescope>, what: &str, is: impl Fn(&State) -> bool) {
    wait(harness, what, 120, |app| {
        assert_eq!(app.state().shift.failure, None);
        is(app.state())
    });
}

fn ask(harness: &Harness<'_, Sparsescope>, command: ShiftCommand) {
    harness.state().ask(Command::Shift(command));
}

/// Until the probe is measured without what is trimmed now, the study is on disk, and nothing runs.
fn settled(harness: &mut Harness<'_, Sparsescope>) {
    harness.run_steps(3);
    wait(harness, "the last judgement's numbers", 120, |app| {
        let shift = &app.state().shift;
        assert_eq!((&shift.failure, &shift.live.failure), (&None, &None));
        let now = (shift.version, shift.judged.now.trimmed());
        let measured = shift.live.last.as_ref().is_some_and(|live| live.asked == now);
        measured && shift.saved && app.is_idle()
    });
}

#[test]
fn a_probe_is_trimmed_by_keys_and_the_study_outlives_the_window() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = open(dir.path());
    harness.get_by_label("SHIFT").click();
    harness.run_steps(3);
    until(&mut harness, "the texts", |s| s.shift.texts.is_some());
    let texts = harness.state().state().shift.texts.clone().unwrap();
    assert!(matches!(texts.spec.source, Source::World { .. }));
    assert_eq!(texts.split.balanced_test.len(), 100);
    harness.get_by_label("Train the probe").click();
    harness.run_steps(2);
    until(&mut harness, "the probe", |s| s.shift.trained.is_some());
    let trained = harness.state().state().shift.trained.clone().unwrap();
    assert_eq!(trained.original.texts, 100);
    assert!(trained.probe.train_accuracy > 0.9, "{}", trained.probe.train_accuracy);

    harness.get_by_label("Step 2: Circuit").click();
    harness.run_steps(3);
    assert!(harness.query_by_label_contains("4 dictionaries are missing").is_some());
    harness.get_by_label("Train the 4 missing").click();
    harness.run_steps(2);
    let hash = harness.state().state().model.facts.clone().unwrap().hash;
    until(&mut harness, "the dictionaries", |s| {
        assert_eq!(s.train.failure, None);
        let done = sparsescope::work::circuit::usable;
        let sites = [Site::Embed, Site::Attn(0), Site::Mlp(0), Site::Resid(0)];
        s.train.job.is_none()
            && sites.iter().all(|site| done(&s.train.runs, &hash, *site).next().is_some())
    });
    harness.run_steps(3);
    harness.get_by_label("Find its circuit").click();
    harness.run_steps(2);
    until(&mut harness, "the circuit", |s| s.shift.found.is_some());
    settled(&mut harness);
    let nodes: Vec<_> =
        harness.state().state().shift.to_judge(100).iter().map(|n| n.node).collect();
    assert!(nodes.len() >= 4, "{nodes:?}");
    let live = harness.state().state().shift.live.last.clone().unwrap();
    assert_eq!(live.trimmed, trained.original, "nothing is trimmed yet");

    harness.get_by_label("Step 3: Judge").click();
    harness.run_steps(3);
    for (key, at) in [(Key::T, 0), (Key::K, 1), (Key::T, 2)] {
        assert_eq!(harness.state_mut().forms_mut().shift.chosen, Some(nodes[at]));
        harness.key_press(key);
        harness.run_steps(2);
    }
    settled(&mut harness);
    let shift = &harness.state().state().shift;
    assert_eq!(shift.judged.now.verdict(&nodes[1]), Some(Verdict::Keep));
    let mut both = vec![nodes[0], nodes[2]];
    both.sort();
    assert_eq!(shift.judged.now.trimmed(), both);
    let live = shift.live.last.clone().unwrap();
    assert!(live.retrained.is_some());
    // What is on disk is what was said, at once.
    let db = Workspace::open(dir.path()).unwrap();
    let id = shift.study.unwrap();
    let kept = db.study(id).unwrap();
    assert_eq!(kept.judgements, shift.judged.now);
    assert_eq!(kept.judged_by, "by hand");
    assert_eq!(kept.row(RowKind::Shift).unwrap().accuracies, Some(live.trimmed));
    assert_eq!(kept.row(RowKind::ShiftRetrained).unwrap().accuracies, live.retrained);

    harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    harness.run_steps(2);
    assert_eq!(harness.state().state().shift.judged.now.trimmed(), [nodes[0]]);
    settled(&mut harness);
    assert_eq!(db.study(id).unwrap().judgements.trimmed(), [nodes[0]]);
    harness.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    harness.run_steps(2);
    settled(&mut harness);
    assert_eq!(harness.state().state().shift.live.last.clone().unwrap().trimmed, live.trimmed);

    // Judged by the truth, in one step that can be taken back.
    harness.get_by_label("Judge by the world's truth").click();
    harness.run_steps(2);
    until(&mut harness, "the truth", |s| s.shift.judged.now.all.len() == nodes.len());
    settled(&mut harness);
    assert!(db.study(id).unwrap().judged_by.contains("truth"));
    harness.get_by_label("Undo").click();
    harness.run_steps(2);
    settled(&mut harness);
    assert_eq!(harness.state().state().shift.judged.now.trimmed(), both);

    harness.get_by_label("Step 4: Trim and retrain").click();
    harness.run_steps(3);
    harness.get_by_label("Fill the table").click();
    harness.run_steps(2);
    until(&mut harness, "the table", |s| {
        assert_eq!(s.shift.results.failure, None);
        !s.shift.results.filling && s.shift.results.rows.len() == RowKind::ALL.len()
    });
    settled(&mut harness);
    let shift = &harness.state().state().shift;
    // The numbers that moved with each key are those of the table, to the bit.
    let row = |kind| shift.results.rows.iter().find(|r| r.kind == kind).unwrap().accuracies;
    assert_eq!(row(RowKind::Original), Some(trained.original));
    assert_eq!(row(RowKind::Shift), Some(live.trimmed));
    assert_eq!(row(RowKind::ShiftRetrained), live.retrained);
    assert!(shift.results.pronouns.as_ref().unwrap().all.places > 20);

    // As files.
    let at = |name: &str| dir.path().join(name);
    ask(&harness, ShiftCommand::To(ShiftFile::Csv, at("table.csv")));
    ask(&harness, ShiftCommand::To(ShiftFile::Page, at("study.html")));
    ask(&harness, ShiftCommand::To(ShiftFile::SaveEdits, at("trim.json")));
    ask(&harness, ShiftCommand::KeepEdits("my trim".into()));
    harness.run_steps(3);
    settled(&mut harness);
    let csv = std::fs::read_to_string(at("table.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + RowKind::ALL.len());
    assert!(std::fs::read_to_string(at("study.html")).unwrap().contains("SHIFT + retrain"));
    let edits = EditSet::read(&at("trim.json")).unwrap();
    assert_eq!(edits.edits, db.study(id).unwrap().judgements.edits());
    assert_eq!(harness.state().state().steer.sets[0].name, "my trim");

    // A window that is opened later has all of it again.
    let (judged, rows) = (shift_of(&harness).judged.now.clone(), shift_of(&harness).table());
    drop(harness);
    let mut harness = window(dir.path(), vec2(1280.0, 800.0), 1.0, Theme::Dark);
    wait(&mut harness, "the first jobs", 60, Sparsescope::is_idle);
    harness.get_by_label("SHIFT").click();
    harness.run_steps(3);
    until(&mut harness, "the studies", |s| s.shift.studies.len() == 1);
    ask(&harness, ShiftCommand::Open(id));
    harness.run_steps(2);
    until(&mut harness, "the study", |s| s.shift.found.is_some());
    settled(&mut harness);
    let shift = shift_of(&harness);
    assert_eq!(shift.judged.now, judged);
    assert_eq!(shift.trained.as_ref().unwrap().original, trained.original);
    assert_eq!(shift.live.last.as_ref().unwrap().trimmed, live.trimmed);
    assert_eq!(shift.table(), rows);
    assert_eq!(harness.state_mut().forms_mut().shift.step, ShiftStep::Judge);
}

fn shift_of<'a>(harness: &'a Harness<'_, Sparsescope>) -> &'a sparsescope::state::ShiftState {
    &harness.state().state().shift
}

/// Labels and genders of rows, as CSV.
fn csv(rows: &[(&str, &str)]) -> String {
    let mut out = "text,profession,gender\n".to_owned();
    for i in 0..40 {
        for (label, gender) in rows {
            writeln!(out, "Number {i} of a {gender} {label} in town.,{label},{gender}").unwrap();
        }
    }
    out
}

#[test]
fn files_that_cannot_be_used_say_why_and_one_that_can_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = open(dir.path());
    harness.get_by_label("SHIFT").click();
    harness.run_steps(3);
    until(&mut harness, "the texts", |s| s.shift.texts.is_some());
    for (name, rows, said) in [
        ("one.csv", &[("nurse", "f"), ("nurse", "m")][..], "nothing to tell apart"),
        ("three.csv", &[("nurse", "f"), ("model", "f"), ("poet", "m")][..], "\"model\" (40)"),
        ("lonely.csv", &[("nurse", "f"), ("poet", "m")][..], "no text is"),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, csv(rows)).unwrap();
        drop_on(&mut harness, &path);
        wait(&mut harness, name, 60, |app| app.state().shift.failure.is_some() && app.is_idle());
        let shift = shift_of(&harness);
        let error = shift.failure.clone().unwrap();
        assert!(error.why.contains(said), "{name}: {error}");
        assert_eq!((shift.texts.is_none(), shift.reading), (true, false));
        assert_eq!(harness.state().state().screen, Screen::Shift);
        let columns = harness.state_mut().forms_mut().shift.columns.clone();
        assert_eq!((columns.label.as_str(), columns.spurious.as_str()), ("profession", "gender"));
        assert!(harness.query_by_label_contains(&error.what).is_some());
    }
    let path = dir.path().join("good.csv");
    std::fs::write(&path, csv(&[("nurse", "f"), ("nurse", "m"), ("poet", "f"), ("poet", "m")]))
        .unwrap();
    drop_on(&mut harness, &path);
    wait(&mut harness, "the good file", 60, |app| app.state().shift.texts.is_some());
    let texts = shift_of(&harness).texts.clone().unwrap();
    assert_eq!(texts.data.groups(), [[40; 2]; 2]);
    assert_eq!(shift_of(&harness).failure, None);
}
