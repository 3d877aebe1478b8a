//! Pictures of a circuit's graph, dark and light, and what can be done on it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod headless;

use egui::{Modifiers, Pos2, Theme, Vec2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use headless::{circuit_pictures, circuits as fixture, window};
use sparsescope::app::Sparsescope;
use sparsescope::forms::{CircuitPart, GraphForm, Item};
use sparsescope_core::Error;
use sparsescope_core::circuits::{Aggregation, CutOp, Node, Unit};

fn still(harness: &mut Harness<'_, Sparsescope>, set: &dyn Fn(&mut Sparsescope)) {
    circuit_pictures::still(harness, CircuitPart::Graph, set);
}

fn both(name: &str, set: impl Fn(&mut Sparsescope)) {
    circuit_pictures::both(name, CircuitPart::Graph, &set);
}

fn medium(app: &mut Sparsescope) {
    fixture::open(app.state_mut(), fixture::circuit(90, 320, Aggregation::PerPosition));
}

/// Lets the view of the open circuit begin, so that it can be set.
fn begin(app: &mut Sparsescope) {
    let circuit = app.state().circuit.circuit.clone().unwrap();
    let version = app.state().circuit.version;
    app.forms_mut().circuit.graph.begin(&circuit, version, None);
}

fn strongest(app: &mut Sparsescope) -> Node {
    let circuit = app.state().circuit.circuit.clone().unwrap();
    let latents = circuit.nodes.iter().filter(|n| n.node.unit != Unit::Error);
    latents.max_by(|a, b| a.effect.mean.abs().total_cmp(&b.effect.mean.abs())).unwrap().node
}

fn form<'a>(harness: &'a mut Harness<'_, Sparsescope>) -> &'a mut GraphForm {
    &mut harness.state_mut().forms_mut().circuit.graph
}

#[test]
fn a_circuit_by_position() {
    both("graph", medium);
}

#[test]
fn a_small_circuit() {
    both("graph_small", |app| {
        fixture::open(app.state_mut(), fixture::circuit(20, 40, Aggregation::PerPosition));
    });
}

#[test]
fn a_circuit_summed_over_positions() {
    both("graph_summed", |app| {
        fixture::open(app.state_mut(), fixture::circuit(160, 600, Aggregation::Summed));
    });
}

#[test]
fn a_large_circuit() {
    both("graph_large", |app| {
        let circuit = fixture::circuit(1200, 5000, Aggregation::PerPosition);
        fixture::open(app.state_mut(), circuit);
        let circuit = app.state().circuit.circuit.clone().unwrap();
        let version = app.state().circuit.version;
        let form = &mut app.forms_mut().circuit.graph;
        form.begin(&circuit, version, Some(Default::default()));
    });
}

#[test]
fn a_card_groups_pins_and_cuts() {
    both("graph_card", |app| {
        medium(app);
        let node = strongest(app);
        let circuit = app.state().circuit.circuit.clone().unwrap();
        let version = app.state().circuit.version;
        let form = &mut app.forms_mut().circuit.graph;
        form.begin(&circuit, version, None);
        let mut others: Vec<_> = circuit.nodes.iter().filter(|n| n.node != node).collect();
        others.sort_by(|a, b| b.effect.mean.abs().total_cmp(&a.effect.mean.abs()));
        let of = |i: usize| others[i].node;
        form.history.change("group", |v| v.group("the subject's number", &[of(0), of(3), of(5)]));
        form.history.change("pin", |v| v.pin(&[of(1), of(6)]));
        form.history.change("cut", |v| v.cut(&[of(2), node], CutOp::Mean));
        form.history.change("note", |v| v.note(node, "also fires on pronouns"));
        form.chosen = Some(Item::Node(node));
    });
}

#[test]
fn a_search() {
    both("graph_search", |app| {
        medium(app);
        begin(app);
        app.forms_mut().circuit.graph.search = "singular".into();
    });
}

#[test]
fn no_circuit() {
    both("graph_empty", |_| {});
}

#[test]
fn a_circuit_that_failed() {
    both("graph_failed", |app| {
        medium(app);
        app.state_mut().circuit.failure = Some(Error::setting(
            "The circuit's dictionary at mlp.2 is not here",
            "it was deleted or trained further since",
            "Bring that dictionary in, or find the circuit again with those that are here",
        ));
    });
}

#[test]
fn two_circuits() {
    both("graph_compare", |app| {
        medium(app);
        fixture::other(app.state_mut());
        app.forms_mut().circuit.part = CircuitPart::Compare;
    });
}

#[test]
fn a_large_screen_under_the_pointer() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), vec2(1920.0, 1080.0), 2.0, Theme::Dark);
    still(&mut harness, &|app: &mut Sparsescope| {
        let circuit = fixture::circuit(1200, 5000, Aggregation::PerPosition);
        fixture::open(app.state_mut(), circuit);
    });
    let node = strongest(harness.state_mut());
    let at = place(&mut harness, Item::Node(node));
    harness.hover_at(at);
    harness.run_steps(5);
    let picture = harness.render().unwrap();
    if let Some(to) = std::env::var_os("SPARSESCOPE_PICTURE") {
        picture.save(std::path::Path::new(&to).join("graph_4k_full.png")).unwrap();
    }
    let small = image::imageops::thumbnail(&picture, 960, 540);
    egui_kittest::image_snapshot(&small, "graph_4k");
}

fn place(harness: &mut Harness<'_, Sparsescope>, item: Item) -> Pos2 {
    let form = form(harness);
    let i = form.place_of(item).unwrap();
    form.canvas.place_of(i).unwrap()
}

fn click(harness: &mut Harness<'_, Sparsescope>, at: Pos2, modifiers: Modifiers) {
    harness.hover_at(at);
    harness.run_steps(1);
    for pressed in [true, false] {
        harness.event_modifiers(
            egui::Event::PointerButton {
                pos: at,
                button: egui::PointerButton::Primary,
                pressed,
                modifiers,
            },
            modifiers,
        );
        harness.run_steps(1);
    }
    harness.run_steps(2);
}

#[test]
fn nodes_are_clicked_pinned_cut_and_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), vec2(1280.0, 800.0), 1.0, Theme::Dark);
    still(&mut harness, &medium);
    let node = strongest(harness.state_mut());
    let judged = form(&mut harness).judged;
    let at = place(&mut harness, Item::Node(node));
    click(&mut harness, at, Modifiers::NONE);
    assert_eq!(form(&mut harness).chosen, Some(Item::Node(node)));
    harness.run_steps(4);
    // Out of its place: the second of two quick clicks is another thing.
    click(&mut harness, at + vec2(1.0, 0.0), Modifiers::COMMAND);
    assert!(form(&mut harness).history.view().pinned.contains(&node));
    harness.get_by_label("Mean").click();
    harness.run_steps(3);
    assert_eq!(form(&mut harness).history.view().cut_of(node), Some(CutOp::Mean));
    assert_eq!(form(&mut harness).cuts.len(), 1);
    assert!(form(&mut harness).judged > judged, "the verdict hears of it");
    harness.key_press_modifiers(Modifiers::COMMAND, egui::Key::Z);
    harness.run_steps(3);
    assert!(form(&mut harness).cuts.is_empty());
    harness.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, egui::Key::Z);
    harness.run_steps(3);
    assert_eq!(form(&mut harness).cuts.len(), 1);
    harness.key_press(egui::Key::M);
    harness.run_steps(3);
    assert!(form(&mut harness).cuts.is_empty(), "the key that cut it takes it back");
    harness.key_press(egui::Key::X);
    harness.run_steps(3);
    assert_eq!(form(&mut harness).history.view().cut_of(node), Some(CutOp::Zero));
    for _ in 0..4 {
        harness.get_by_label("Undo").click();
        harness.run_steps(3);
    }
    assert!(form(&mut harness).history.view().pinned.is_empty());
}

#[test]
fn a_threshold_changes_what_is_shown_and_judged() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), vec2(1280.0, 800.0), 1.0, Theme::Dark);
    still(&mut harness, &medium);
    let before = form(&mut harness).drawn.shown.nodes.len();
    let slider = harness.get_by_label("Node threshold").rect();
    click(&mut harness, slider.left_center() + vec2(slider.width() * 0.55, 0.0), Modifiers::NONE);
    let after = form(&mut harness).drawn.shown.nodes.len();
    assert!(0 < after && after < before, "{after} of {before}");
    assert_eq!(form(&mut harness).kept.len(), after);
    let all = harness.state().state().circuit.circuit.as_ref().unwrap().nodes.len();
    harness.get_by_label(&format!("{after} of {all}"));
    harness.get_by_label("Undo").click();
    harness.run_steps(3);
    assert_eq!(form(&mut harness).drawn.shown.nodes.len(), before);
}

#[test]
fn nodes_in_a_frame_become_a_group_that_is_kept_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), vec2(1280.0, 800.0), 1.0, Theme::Dark);
    still(&mut harness, &medium);
    harness.get_by_label("Select").click();
    harness.run_steps(2);
    let rect = form(&mut harness).canvas.rect().unwrap();
    let (from, to) = (rect.left_top() + vec2(90.0, 60.0), rect.center() + Vec2::splat(40.0));
    harness.drag_at(from);
    harness.run_steps(2);
    for k in 1..=4 {
        harness.hover_at(from + (to - from) * (k as f32 / 4.0));
        harness.run_steps(2);
    }
    harness.drop_at(to);
    harness.run_steps(3);
    let selected = form(&mut harness).selected.len();
    assert!(selected > 3, "{selected} nodes");
    let field = harness.get_by_label("Name of the group");
    field.focus();
    field.type_text("early nodes");
    harness.run_steps(3);
    harness.get_by_label("Group").click();
    harness.run_steps(3);
    let view = form(&mut harness).history.view().clone();
    assert_eq!((view.groups.len(), view.groups[0].nodes.len()), (1, selected));
    assert_eq!(view.groups[0].name, "early nodes");
    harness.get_by_label("Keep only this").click();
    harness.run_steps(3);
    assert_eq!(form(&mut harness).kept.len(), selected);
    harness.get_by_label("Undo").click();
    harness.run_steps(3);
    assert!(form(&mut harness).keep.is_none());
}

#[test]
fn a_right_click_cuts_and_scales() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), vec2(1280.0, 800.0), 1.0, Theme::Dark);
    still(&mut harness, &medium);
    let node = strongest(harness.state_mut());
    let at = place(&mut harness, Item::Node(node));
    harness.hover_at(at);
    harness.run_steps(2);
    for pressed in [true, false] {
        let button = egui::PointerButton::Secondary;
        let modifiers = Modifiers::NONE;
        harness.event(egui::Event::PointerButton { pos: at, button, pressed, modifiers });
        harness.run_steps(2);
    }
    harness.get_by_label("Scale by 2…").click();
    harness.run_steps(3);
    assert_eq!(form(&mut harness).history.view().cut_of(node), Some(CutOp::Scale(2.0)));
    assert_eq!(form(&mut harness).chosen, Some(Item::Node(node)), "its number can be changed");
    harness.get_by_label("Zero").click();
    harness.run_steps(3);
    assert_eq!(form(&mut harness).history.view().cut_of(node), Some(CutOp::Zero));
}

/// Letters are drawn anew for another theme; names must not go with the old ones.
#[test]
fn names_outlive_a_change_of_theme() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), vec2(1280.0, 800.0), 1.0, Theme::Light);
    still(&mut harness, &medium);
    harness.ctx.set_theme(Theme::Dark);
    harness.run_steps(4);
    harness.snapshot("graph_dark");
}
