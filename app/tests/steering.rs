//! The steering screen: pictures, and what a person does there.
//! `UPDATE_SNAPSHOTS=1 cargo test` writes the pictures anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod headless;

use egui::{Theme, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use headless::{steering as fixture, window};
use sparsescope::app::Sparsescope;
use sparsescope::commands::{CircuitCommand, Command, GraphCommand, SteerCommand};
use sparsescope::forms::{Place, SteerForm};
use sparsescope::state::{NoticeText, State};
use sparsescope_core::Error;
use sparsescope_core::circuits::Aggregation;
use sparsescope_core::edits::{Edit, Op};
use sparsescope_core::llama::Site;
use sparsescope_core::steering::{EditSet, SteerOutcome, Stream};
use sparsescope_core::workspace::{RunStatus, Workspace};

fn set(app: &mut Sparsescope, fill: fn(&mut State, &mut SteerForm)) {
    let mut form = std::mem::take(&mut app.forms_mut().steer);
    fill(app.state_mut(), &mut form);
    app.forms_mut().steer = form;
}

#[test]
fn nothing_is_written_yet() {
    fixture::both("steer_empty", &|app| set(app, |state, _| fixture::begun(state)));
}

#[test]
fn three_streams() {
    fixture::both("steer", &|app| set(app, fixture::written));
}

#[test]
fn three_streams_on_a_large_screen() {
    let size = (vec2(2194.0, 1234.0), 1.75);
    fixture::picture("steer_4k", size, Theme::Light, &|app| set(app, fixture::written));
}

#[test]
fn features_are_looked_for() {
    fixture::both("steer_search", &|app| set(app, fixture::looked_for));
}

#[test]
fn a_strength_was_bounded_and_something_failed() {
    fixture::both("steer_failed", &|app| {
        set(app, fixture::bounded);
        app.state_mut().steer.failure = Some(Error::setting(
            "The edits \"No gender\" at resid.1 cannot be made",
            "the dictionary they were made for is not in this workspace",
            "Bring that dictionary in (drop its folder on the window), or train one there",
        ));
    });
}

fn until(harness: &mut Harness<'_, Sparsescope>, what: &str, is: impl Fn(&State) -> bool) {
    headless::wait(harness, what, 90, |app| is(app.state()));
}

/// A window in whose workspace a small dictionary at `resid.2` was trained.
fn trained(workspace: &std::path::Path) -> Harness<'static, Sparsescope> {
    let mut harness = window(workspace, vec2(1280.0, 1800.0), 1.0, Theme::Dark);
    headless::wait(&mut harness, "the first jobs", 60, Sparsescope::is_idle);
    let form = &mut harness.state_mut().forms_mut().train;
    (form.k, form.config.latents, form.config.batch) = (4, 64, 512);
    harness.state_mut().ask(Command::Choose(Site::Resid(2)));
    harness.state_mut().ask(Command::TrainShort(8192));
    harness.step();
    until(&mut harness, "the dictionary", |s| {
        s.train.job.is_none() && s.train.runs.iter().any(|r| r.status == RunStatus::Done)
    });
    headless::wait(&mut harness, "the list", 60, Sparsescope::is_idle);
    harness
}

/// The latent that fires most often, and its greatest activation.
fn busiest(app: &Sparsescope) -> (i64, u32, f32) {
    let record = app.state().train.runs.iter().find(|r| r.status == RunStatus::Done).unwrap();
    let db = Workspace::open(&app.state().workspace).unwrap();
    let table = db.load_features(record.id).unwrap().unwrap();
    let latent = table.latents.iter().max_by_key(|l| l.fired).unwrap();
    (record.id, latent.index, latent.max)
}

fn written(harness: &mut Harness<'_, Sparsescope>) -> SteerOutcome {
    harness.state_mut().state_mut().steer.run = None;
    harness.get_by_label("Write").click();
    harness.run_steps(2);
    until(harness, "the text", |s| s.steer.run.as_ref().is_some_and(|run| run.outcome.is_some()));
    let run = harness.state().state().steer.run.clone().unwrap();
    let outcome = run.outcome.clone().unwrap();
    for (view, stream) in run.streams.iter().zip(&outcome.streams) {
        assert_eq!((view.stream, &view.written), (stream.stream, &stream.written));
        let (shown, _) = view.perplexity().unwrap();
        assert!((shown - stream.perplexity.unwrap()).abs() < 1e-9 * shown);
    }
    outcome
}

/// A feature is added, the text it makes the model write stands beside the other, the edits are
/// kept and are there again when the program is started again.
#[test]
fn a_feature_is_changed_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = trained(dir.path());
    let (sae, latent, max) = busiest(harness.state());
    for text in [latent.to_string(), format!("resid.2/{latent}")] {
        harness.state_mut().ask(Command::Steer(SteerCommand::Look(text.clone())));
        harness.run_steps(2);
        let found = |s: &State| s.steer.suggestions.clone().filter(|found| found.text == text);
        until(&mut harness, "a suggestion", |s| found(s).is_some());
        let found = found(harness.state().state()).unwrap().found;
        let places: Vec<_> = found.iter().map(|f| (f.site, f.sae, f.latent)).collect();
        assert_eq!(places, [(Site::Resid(2), sae, latent)]);
    }
    harness.state_mut().ask(Command::Steer(SteerCommand::Add(sae, latent)));
    harness.run_steps(2);
    until(&mut harness, "its maximum", |s| s.steer.known.contains_key(&(sae, latent)));
    let form = &mut harness.state_mut().forms_mut().steer;
    form.rows[0].strength = 4.0;
    form.splice = Some(Site::Resid(2));
    form.tokens = 12;
    harness.run_steps(2);
    let outcome = written(&mut harness);
    let run = harness.state().state().steer.run.clone().unwrap();
    assert_eq!(run.spec.edits[0].op, Op::Add(4.0 * max));
    assert_eq!(outcome.streams.len(), 3);
    let [plain, steered] = [Stream::Unsteered, Stream::Steered].map(|s| outcome.stream(s).unwrap());
    assert!(steered.written.iter().any(|w| w.change().unwrap().abs() > 0.01));
    assert_eq!(plain.parts_at, None);

    // With no strength nothing differs: whatever does is the edit's doing.
    let form = &mut harness.state_mut().forms_mut().steer;
    form.rows[0].strength = 0.0;
    form.splice = None;
    harness.run_steps(2);
    let same = written(&mut harness);
    let [plain, steered] = [Stream::Unsteered, Stream::Steered].map(|s| same.stream(s).unwrap());
    assert_eq!((&plain.text, steered.parts_at), (&steered.text, None));
    assert!(steered.written.iter().all(|w| w.change() == Some(0.0)));

    let form = &mut harness.state_mut().forms_mut().steer;
    form.rows[0].strength = 2.0137;
    form.rows[0].place = Place::Generated;
    form.name = "mine".to_owned();
    harness.run_steps(2);
    harness.get_by_label("Keep").scroll_to_me();
    harness.run_steps(6);
    harness.get_by_label("Keep").click();
    harness.run_steps(2);
    until(&mut harness, "the set", |s| !s.steer.sets.is_empty());
    drop(harness);

    let mut harness = window(dir.path(), vec2(1280.0, 1800.0), 1.0, Theme::Dark);
    headless::wait(&mut harness, "the first jobs", 60, Sparsescope::is_idle);
    harness.get_by_label("Steer").click();
    harness.run_steps(2);
    until(&mut harness, "the sets", |s| !s.steer.sets.is_empty());
    let id = harness.state().state().steer.sets[0].id;
    harness.state_mut().ask(Command::Steer(SteerCommand::Load(id)));
    harness.run_steps(2);
    until(&mut harness, "its maximum", |s| !s.steer.known.is_empty());
    // Nor do the widgets that show it change it.
    harness.run_steps(6);
    let rows = &harness.state_mut().forms_mut().steer.rows;
    assert_eq!((rows.len(), rows[0].latent, &rows[0].place), (1, latent, &Place::Generated));
    assert!((rows[0].strength - 2.0137).abs() < 1e-5, "{}", rows[0].strength);
}

/// Two prompts are compared, and one of the features that set them apart is taken.
#[test]
fn two_prompts_are_compared_and_a_feature_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = trained(dir.path());
    harness.get_by_label("Steer").click();
    harness.run_steps(2);
    let form = &mut harness.state_mut().forms_mut().steer.contrast;
    form.open = true;
    form.toward = "The pilots are tall\nThe bakers are tall".to_owned();
    form.away = "The pilot is tall\nThe baker is tall".to_owned();
    harness.run_steps(4);
    harness.get_by_label("Compare").scroll_to_me();
    harness.run_steps(6);
    harness.get_by_label("Compare").click();
    harness.run_steps(2);
    until(&mut harness, "the direction", |s| s.steer.contrast.is_some());
    let found = harness.state().state().steer.contrast.clone().unwrap();
    assert!(found.norm > 0.0 && !found.found.is_empty());
    harness.run_steps(4);
    let first = format!("Change resid.2/{}", found.found[0].latent);
    harness.get_by_label(&first).scroll_to_me();
    harness.run_steps(6);
    harness.get_by_label(&first).click();
    harness.run_steps(4);
    assert_eq!(harness.state_mut().forms_mut().steer.rows[0].latent, found.found[0].latent);
}

/// A circuit is cut by a set of edits, and its cuts are kept as one; a set that was made for other
/// dictionaries is refused.
#[test]
fn a_circuit_is_cut_by_a_set_of_edits() {
    let dir = tempfile::tempdir().unwrap();
    let circuit = headless::circuits::circuit(60, 150, Aggregation::PerPosition);
    let c = circuit.conventions.clone();
    let (site, hash) = c.saes.iter().find_map(|(site, hash)| Some((*site, hash.clone()?))).unwrap();
    let edits: Vec<Edit> = vec![
        format!("{site}/1 ablate").parse().unwrap(),
        format!("{site}/2 add 1.5 @ 1..3").parse().unwrap(),
    ];
    let set = |name: &str, hash: &str| EditSet {
        name: name.to_owned(),
        model: c.model.clone(),
        dictionaries: [(site, hash.to_owned())].into(),
        edits: edits.clone(),
        note: String::new(),
    };
    let mut harness = window(dir.path(), vec2(1280.0, 800.0), 1.0, Theme::Dark);
    headless::wait(&mut harness, "the first jobs", 60, Sparsescope::is_idle);
    let db = Workspace::open(dir.path()).unwrap();
    let id = db.save_edit_set(&set("mine", &hash)).unwrap();
    let other = db.save_edit_set(&set("another", "of something else")).unwrap();
    headless::circuits::open(harness.state_mut().state_mut(), circuit.clone());
    harness.state_mut().state_mut().workspace = dir.path().to_owned();
    let version = harness.state().state().circuit.version;
    let graph = &mut harness.state_mut().forms_mut().circuit.graph;
    graph.begin(&circuit, version, None);
    let ask = |harness: &mut Harness<'_, Sparsescope>, command| {
        harness.state_mut().ask(Command::Circuit(CircuitCommand::Graph(command)));
        harness.run_steps(2);
        headless::wait(harness, "the set", 60, Sparsescope::is_idle);
    };
    ask(&mut harness, GraphCommand::CutBy(id));
    let cuts = harness.state_mut().forms_mut().circuit.graph.cuts.clone();
    let said: Vec<String> = cuts.iter().map(ToString::to_string).collect();
    assert_eq!(said, [format!("{site}/1 zero"), format!("{site}/2@1,{site}/2@2 add 1.5")]);
    ask(&mut harness, GraphCommand::KeepCuts("back".to_owned(), cuts.clone()));
    let kept = db.list_edit_sets().unwrap().into_iter().find(|s| s.name == "back").unwrap();
    let kept = db.edit_set(kept.id).unwrap();
    assert_eq!((kept.edits.len(), &kept.dictionaries[&site]), (3, &hash));
    ask(&mut harness, GraphCommand::CutBy(other));
    assert!(harness.state().state().notices.iter().any(|n| match &n.text {
        NoticeText::Failed(error) => error.why.contains("another dictionary"),
        NoticeText::Good(_) => false,
    }));
    assert_eq!(harness.state_mut().forms_mut().circuit.graph.cuts, cuts);
}
