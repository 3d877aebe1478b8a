//! The verdict on a circuit: pictures, and that it follows what is cut.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod headless;

use egui::{Theme, vec2};
use egui_kittest::Harness;
use headless::{circuit_pictures, circuits as fixture, verdicts, wait, window};
use sparsescope::app::Sparsescope;
use sparsescope::forms::CircuitPart;
use sparsescope::state::Screen;
use sparsescope_core::Error;
use sparsescope_core::circuits::{
    Aggregation, Bases, Change, Circuit, CutOp, Examples, FindSpec, Method, Metric, Task, find,
};
use sparsescope_core::jobs::JobContext;
use std::sync::Arc;

fn both(name: &str, set: impl Fn(&mut Sparsescope)) {
    circuit_pictures::both(name, CircuitPart::Graph, &set);
}

fn small(app: &mut Sparsescope) {
    fixture::open(app.state_mut(), fixture::circuit(40, 90, Aggregation::PerPosition));
}

#[test]
fn a_verdict_after_a_cut() {
    both("verdict_cut", |app| {
        small(app);
        verdicts::cut(app.state_mut(), vec!["resid.1/12 zero".parse().unwrap()]);
    });
}

#[test]
fn a_verdict_that_is_made_anew() {
    both("verdict_pending", |app| {
        small(app);
        app.state_mut().circuit.verdict.pending = true;
    });
}

#[test]
fn a_verdict_that_failed() {
    both("verdict_failed", |app| {
        small(app);
        let error = Error::setting(
            "The circuit's dictionary at mlp.2 is not here",
            "it was deleted or trained further since",
            "Bring that dictionary in, or find the circuit again with those that are here",
        );
        app.state_mut().circuit.verdict.failure = Some(error);
    });
}

#[test]
fn circuits_of_every_size() {
    both("verdict_curves", |app| {
        small(app);
        verdicts::curves(app.state_mut());
        app.forms_mut().circuit.part = CircuitPart::Faithfulness;
    });
}

/// A circuit of the built-in model's coordinates, found for real.
fn found(task: &Task) -> Circuit {
    let model =
        sparsescope_core::demo::model(&sparsescope_core::device::choose("cpu").unwrap()).unwrap();
    let examples =
        Examples::prepare(&model, task, &Metric::LogitDifference, Change::Patch).unwrap();
    let spec = FindSpec {
        method: Method::Attribution,
        node_threshold: 0.0,
        most_nodes: 150,
        audit: 0,
        resamples: 0,
        ..FindSpec::default()
    };
    let (found_on, _) = examples.split(spec.seed);
    let ctx = JobContext::<()>::unwatched();
    let mut circuit = find(&ctx, &model, &Bases::neurons(&model), &found_on, &spec).unwrap();
    circuit.of_task(task);
    circuit
}

#[test]
fn a_verdict_follows_what_is_cut_and_comes_back_when_it_is_undone() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), vec2(1280.0, 800.0), 1.0, Theme::Dark);
    wait(&mut harness, "the first jobs", 60, Sparsescope::is_idle);
    let task = Task::world("simple", 24, 3).unwrap();
    let circuit = found(&task);
    let strongest = circuit
        .nodes
        .iter()
        .max_by(|a, b| a.effect.mean.total_cmp(&b.effect.mean))
        .map(|node| node.node)
        .unwrap();
    let app = harness.state_mut();
    app.state_mut().screen = Screen::Circuit;
    app.forms_mut().circuit.part = CircuitPart::Graph;
    let state = &mut app.state_mut().circuit;
    state.version += 1;
    state.circuit = Some(Arc::new(circuit));
    state.origin = Some(Arc::new(task));
    let answered = |app: &Sparsescope| {
        let verdict = &app.state().circuit.verdict;
        assert_eq!(verdict.failure, None);
        !verdict.pending && verdict.judged.as_ref().map(|j| &j.asked) == verdict.asked.as_ref()
    };
    let judged = |harness: &Harness<'_, Sparsescope>| {
        harness.state().state().circuit.verdict.judged.clone().unwrap().verdict.clone()
    };
    harness.run_steps(3);
    wait(&mut harness, "the verdict", 60, |app| app.state().circuit.verdict.asked.is_some());
    wait(&mut harness, "the verdict", 60, answered);
    let before = judged(&harness);
    assert!(before.model.mean > 1.0 && before.accuracy.model > 0.9, "{:?}", before.model);
    assert!(before.faithfulness.is_some(), "{:?} {:?}", before.model, before.empty);
    assert_eq!((before.cut_model, before.circuit), (before.model, before.uncut_circuit));
    let form = &mut harness.state_mut().forms_mut().circuit.graph;
    form.history.change("cut", |view| view.cut(&[strongest], CutOp::Zero));
    harness.run_steps(3);
    wait(&mut harness, "the verdict after the cut", 60, answered);
    let after = judged(&harness);
    assert_eq!(after.cuts.len(), 1);
    assert!(after.cut_model != before.model && after.circuit != before.circuit);
    assert_eq!((after.model, after.empty), (before.model, before.empty));
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Z);
    harness.run_steps(3);
    wait(&mut harness, "the verdict after undoing", 60, answered);
    assert_eq!(judged(&harness), before);
}
