//! The labels screen and the search in the list of features: pictures, and driven as a person
//! drives them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod headless;

use egui::{Theme, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use headless::{fixture, labelling, wait, window};
use sparsescope::app::Sparsescope;
use sparsescope::commands::{Command, LabelsCommand};
use sparsescope::state::{Screen, State};
use sparsescope_core::Error;
use sparsescope_core::features::{
    Context, ContextGroup, FeatureFile, FeatureTable, GroupKind, LatentDetail, LatentSummary,
};
use sparsescope_core::labels::{LabelSource, NewLabel, Protocol};
use sparsescope_core::llama::Site;
use sparsescope_core::sae::Architecture;
use sparsescope_core::training::TrainConfig;
use sparsescope_core::workspace::{NewRun, SaeId, Workspace};
use std::path::Path;

fn both(name: &str, set: impl Fn(&mut Sparsescope)) {
    let mut results = egui_kittest::SnapshotResults::new();
    for (theme, suffix) in [(Theme::Dark, "dark"), (Theme::Light, "light")] {
        let dir = tempfile::tempdir().unwrap();
        let mut harness = window(dir.path(), vec2(1280.0, 800.0), 1.0, theme);
        still(&mut harness, &set);
        harness.snapshot(format!("{name}_{suffix}"));
        results.extend(harness.take_snapshot_results());
    }
}

fn still(harness: &mut Harness<'_, Sparsescope>, set: &impl Fn(&mut Sparsescope)) {
    wait(harness, "the first jobs", 30, Sparsescope::is_idle);
    let app = harness.state_mut();
    app.hold_still();
    *app.state_mut() = State::default();
    app.state_mut().screen = Screen::Labels;
    fixture::model(app.state_mut());
    set(app);
    harness.step();
    harness.step();
}

fn form(app: &mut Sparsescope) {
    let form = &mut app.forms_mut().labels;
    form.speak(Protocol::Anthropic);
    form.model = "labeller-large-2".into();
    // Looked for already: nothing of this machine is in the picture.
    form.looked.clone_from(&form.key);
    app.state_mut().labels.key = Some((form_key(), Ok("in the environment")));
}

fn form_key() -> String {
    Protocol::Anthropic.usual_key().to_owned()
}

#[test]
fn labels_with_an_estimate() {
    both("labels", |app| {
        labelling::planned(app.state_mut(), true);
        form(app);
    });
}

#[test]
fn labels_with_runs() {
    both("labels_runs", |app| {
        labelling::runs(app.state_mut());
        form(app);
    });
}

#[test]
fn labels_without_a_dictionary() {
    both("labels_empty", |_| {});
}

#[test]
fn labels_that_cannot_be_asked_for() {
    both("labels_failed", |app| {
        let state = app.state_mut();
        fixture::features(state);
        state.labels.failure = Some(Error::setting(
            "https://api.anthropic.com refused the key",
            "it does not accept the key ANTHROPIC_API_KEY (status 401)",
            "Look whether ANTHROPIC_API_KEY is right and may use labeller-large-2",
        ));
        form(app);
        let error = Error::setting(
            "There is no key ANTHROPIC_API_KEY",
            "the environment variable ANTHROPIC_API_KEY is not set, and the keyring has no such entry",
            "Set ANTHROPIC_API_KEY before you start the program, or keep the key in the keyring",
        );
        app.state_mut().labels.key = Some((form_key(), Err(error)));
    });
}

#[test]
fn labels_on_a_large_screen() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), vec2(1920.0, 1080.0), 2.0, Theme::Dark);
    still(&mut harness, &|app| {
        labelling::runs(app.state_mut());
        form(app);
    });
    let picture = harness.render().unwrap();
    assert_eq!(picture.dimensions(), (3840, 2160));
    egui_kittest::image_snapshot(&image::imageops::thumbnail(&picture, 960, 540), "labels_4k");
}

#[test]
fn features_that_were_searched() {
    both("features_found", |app| {
        app.state_mut().screen = Screen::Features;
        labelling::found(app.state_mut());
        app.forms_mut().features.filter = "gender".into();
    });
}

#[test]
fn features_with_labels() {
    both("features_labelled", |app| {
        app.state_mut().screen = Screen::Features;
        labelling::labels(app.state_mut());
        app.forms_mut().features.filter = String::new();
    });
}

/// A workspace with a dictionary of which much is known.
fn seeded(folder: &Path) -> SaeId {
    let mut db = Workspace::open(folder).unwrap();
    let run = db
        .begin_run(&NewRun {
            model: "abc".into(),
            site: Site::Resid(2),
            width: 8,
            corpus: "builtin".into(),
            config: TrainConfig::preset(Architecture::TopK { k: 4 }, 64),
            request: serde_json::Value::Null,
        })
        .unwrap();
    let id = run.id;
    db.finish_run(run, &Ok(())).unwrap();
    let summary = |index| LatentSummary {
        index,
        fired: 10,
        density: 0.01,
        mean: 1.0,
        max: 2.0,
        ..LatentSummary::default()
    };
    let table = FeatureTable {
        corpus: "builtin".into(),
        tokens: 1000,
        latents: (0..64).map(summary).collect(),
    };
    let detail = |latent: u32| {
        let word = if latent == 9 { " gendered" } else { " stone" };
        let context = Context {
            tokens: ["The".into(), word.into(), " lies".into()].to_vec(),
            activations: vec![0.0, 2.0, 0.0],
            peak: 1,
            ..Context::default()
        };
        LatentDetail {
            latent,
            groups: vec![ContextGroup { kind: GroupKind::Top, contexts: vec![context] }],
            ..LatentDetail::default()
        }
    };
    let details: Vec<LatentDetail> = (0..64).map(detail).collect();
    FeatureFile::save(&db.sae(id).unwrap().features_path(), &table, &details).unwrap();
    db.keep_features(id).unwrap();
    let truth = |latent, text: &str, f1| NewLabel {
        latent,
        text: text.into(),
        source: LabelSource::Truth { f1, definition: "F1 of the latent alone.".into() },
        scores: None,
    };
    db.add_labels(
        id,
        &[truth(21, "gender: female", 0.93), truth(40, "subject number: plural", 0.88)],
    )
    .unwrap();
    id
}

/// The SAE is open, its labels are read and its contexts indexed.
fn opened(dir: &Path) -> (SaeId, Harness<'static, Sparsescope>) {
    let id = seeded(dir);
    let mut harness = window(dir, vec2(1280.0, 800.0), 1.0, Theme::Dark);
    wait(&mut harness, "the first jobs", 60, Sparsescope::is_idle);
    harness.state().ask(Command::OpenSae(id));
    wait(&mut harness, "the labels", 60, |app| {
        app.is_idle() && app.state().features.labels.len() == 2
    });
    (id, harness)
}

#[test]
fn a_feature_is_found_by_its_meaning() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut harness) = opened(dir.path());
    harness.run_steps(2);
    let field = harness.get_by_label("Search latents");
    field.focus();
    field.type_text("gend");
    wait(&mut harness, "the hits", 30, |app| {
        app.state().labels.search.found.as_ref().is_some_and(|f| f.hits.len() == 2)
    });
    harness.run_steps(2);
    harness.get_by_label("Found 9 ");
    harness.get_by_label("Found 21 gender: female").click();
    wait(&mut harness, "the latent", 30, |app| {
        app.is_idle() && app.state().features.detail.as_ref().is_some_and(|d| d.latent == 21)
    });
    assert_eq!(harness.state().state().features.label(21), Some("gender: female"));
}

#[test]
fn a_number_that_is_typed_is_jumped_to() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut harness) = opened(dir.path());
    harness.run_steps(2);
    let field = harness.get_by_label("Search latents");
    field.focus();
    field.type_text("63");
    wait(&mut harness, "the latent", 30, |app| app.state().features.latent == Some(63));
    harness.run_steps(2);
    let rows = harness.get_all_by_role_and_label(egui::accesskit::Role::Button, "Latent 63");
    assert_eq!(rows.count(), 1, "the list is scrolled to it");
}

#[test]
fn a_label_is_written_by_hand_found_and_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let (sae, mut harness) = opened(dir.path());
    let set =
        |text: &str| Command::Labels(LabelsCommand::Set { sae, latent: 21, text: text.to_owned() });
    harness.state().ask(set("women and girls"));
    wait(&mut harness, "the label", 30, |app| {
        app.state().features.label(21) == Some("women and girls")
    });
    harness.state().ask(Command::Labels(LabelsCommand::Search("girl".into())));
    wait(&mut harness, "the hit", 30, |app| {
        app.state().labels.search.found.as_ref().is_some_and(|f| f.hits.len() == 1)
    });
    harness.state().ask(Command::Labels(LabelsCommand::Undo { sae, latent: 21 }));
    wait(&mut harness, "the label before", 30, |app| {
        app.state().features.label(21) == Some("gender: female")
    });
    harness.state().ask(Command::Labels(LabelsCommand::Set { sae, latent: 900, text: "x".into() }));
    wait(&mut harness, "the refusal", 30, |app| !app.state().notices.is_empty());
}

#[test]
fn what_is_asked_of_the_labels_screen_is_heeded() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut harness) = opened(dir.path());
    harness.state().ask(Command::Go(Screen::Labels));
    harness.run_steps(4);
    harness.get_by_label("Read latent 21: gender: female").click();
    wait(&mut harness, "the latent", 30, |app| {
        app.state().screen == Screen::Features && app.state().features.latent == Some(21)
    });
    // Nothing can be asked before a model is named.
    harness.state().ask(Command::Go(Screen::Labels));
    harness.run_steps(4);
    let node = harness.get_by_label("What would 20 labels cost?");
    assert!(node.accesskit_node().is_disabled());
}
