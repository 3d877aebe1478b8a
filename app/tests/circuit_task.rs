//! The task part of the circuit screen: pictures, and what a person does there.
//! `UPDATE_SNAPSHOTS=1 cargo test` writes the pictures anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod headless;

use egui::{Theme, Vec2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use headless::{circuit_pictures, fixture, tasks, window};
use sparsescope::app::Sparsescope;
use sparsescope::forms::CircuitPart;
use sparsescope::state::State;
use sparsescope_core::Error;

const HD: Vec2 = vec2(1280.0, 800.0);

fn both(name: &str, set: impl Fn(&mut Sparsescope)) {
    circuit_pictures::both(name, CircuitPart::Task, &|app| {
        fixture::model(app.state_mut());
        set(app);
    });
}

fn chosen(app: &mut Sparsescope) {
    let mut form = std::mem::take(&mut app.forms_mut().circuit.task);
    tasks::chosen(app.state_mut(), &mut form);
    app.forms_mut().circuit.task = form;
}

#[test]
fn nothing_chosen() {
    both("circuit_task_empty", |app| app.state_mut().circuit.task.listed = true);
}

#[test]
fn a_task_is_chosen() {
    both("circuit_task", chosen);
}

#[test]
fn a_task_on_a_large_screen() {
    let size = (vec2(2194.0, 1234.0), 1.75);
    circuit_pictures::picture("circuit_task_4k", size, Theme::Light, CircuitPart::Task, &|app| {
        fixture::model(app.state_mut());
        chosen(app);
    });
}

#[test]
fn a_circuit_could_not_be_found() {
    both("circuit_task_failed", |app| {
        chosen(app);
        app.forms_mut().circuit.task.more = true;
        app.state_mut().circuit.failure = Some(Error::setting(
            "The circuit was not found",
            "the gradient at resid.1 is no number: 3 of 640 values are NaN",
            "Look whether the model's weights are whole",
        ));
    });
}

fn run_until(harness: &mut Harness<'_, Sparsescope>, what: &str, is: impl Fn(&State) -> bool) {
    headless::wait(harness, what, 60, |app| is(app.state()));
}

/// From an empty window to a circuit on screen that is kept: choose a built-in behaviour, look for
/// it among the neurons.
#[test]
fn a_circuit_is_found_by_clicks_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), HD, 1.0, Theme::Dark);
    headless::wait(&mut harness, "the first jobs", 30, Sparsescope::is_idle);
    harness.get_by_label("Circuit").click();
    harness.run_steps(4);
    harness.get_by_label("Simple").click();
    harness.step();
    run_until(&mut harness, "the pairs", |s| s.circuit.task.prepared.is_some());
    let prepared = harness.state().state().circuit.task.prepared.clone().unwrap();
    assert_eq!(prepared.usable, prepared.why.len(), "{prepared:?}");
    assert!(prepared.right as f64 > 0.95 * prepared.measured as f64, "{prepared:?}");
    harness.get_by_label("Neurons").click();
    harness.step();
    let spec = &mut harness.state_mut().forms_mut().circuit.task.spec;
    (spec.pairs, spec.audit, spec.resamples) = (8, 0, 0);
    spec.method = sparsescope_core::circuits::Method::Attribution;
    harness.get_by_label("Find the circuit").click();
    harness.step();
    run_until(&mut harness, "the circuit", |s| s.circuit.circuit.is_some());
    run_until(&mut harness, "the list", |s| !s.circuit.task.circuits.is_empty());
    let state = harness.state().state();
    let circuit = state.circuit.circuit.clone().unwrap();
    assert!(circuit.nodes.len() > 10, "{}", circuit.nodes.len());
    assert_eq!(circuit.conventions.task.name, "world:simple");
    assert_eq!(circuit.conventions.task.used.len(), 8);
    let kept = &state.circuit.task.circuits[0];
    assert_eq!((kept.nodes, Some(kept.id)), (circuit.nodes.len(), state.circuit.id));
    // What is kept is what is shown.
    let db = sparsescope_core::workspace::Workspace::open(dir.path()).unwrap();
    assert_eq!(db.circuit(kept.id).unwrap(), *circuit);
    assert!(db.task_of(&circuit.conventions.task.hash).unwrap().is_some());
}
