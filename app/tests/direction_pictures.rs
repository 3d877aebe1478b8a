//! Pictures of the direction map, dark and light.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod headless;

use egui::{Theme, vec2};
use egui_kittest::kittest::Queryable as _;
use headless::{directions as fixture, window};
use sparsescope::app::Sparsescope;
use sparsescope::forms::{Coloring, DirectionsPart, Layout};
use sparsescope::state::{Screen, State};
use sparsescope_core::Error;

const LATENTS: usize = 3000;

fn still(harness: &mut egui_kittest::Harness<'_, Sparsescope>, set: &impl Fn(&mut Sparsescope)) {
    headless::wait(harness, "the first jobs", 30, Sparsescope::is_idle);
    let app = harness.state_mut();
    app.hold_still();
    *app.state_mut() = State::default();
    set(app);
    harness.run_steps(3);
}

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

fn begin(app: &mut Sparsescope) {
    let state = app.state_mut();
    state.screen = Screen::Directions;
    headless::fixture::model(state);
}

fn mapped(app: &mut Sparsescope) {
    begin(app);
    fixture::maps(app.state_mut(), LATENTS);
    app.forms_mut().directions.method = Layout::Tsne;
}

#[test]
fn a_map_by_density() {
    both("directions", mapped);
}

#[test]
fn a_map_with_a_selection_coloured_by_site() {
    both("directions_selected", |app| {
        mapped(app);
        fixture::relatives(app.state_mut(), LATENTS);
        fixture::selected(app.state_mut());
        app.forms_mut().directions.coloring = Coloring::Site;
    });
}

#[test]
fn two_dictionaries() {
    both("directions_compare", |app| {
        mapped(app);
        fixture::compared(app.state_mut(), LATENTS);
        app.forms_mut().directions.part = DirectionsPart::Compare;
    });
}

#[test]
fn nothing_open() {
    both("directions_empty", begin);
}

#[test]
fn nothing_to_compare_with() {
    both("directions_alone", |app| {
        mapped(app);
        app.forms_mut().directions.part = DirectionsPart::Compare;
    });
}

#[test]
fn a_map_that_failed() {
    both("directions_failed", |app| {
        mapped(app);
        let state = app.state_mut();
        state.directions.tsne = None;
        state.directions.failure = Some(Error::setting(
            "There is no t-SNE map of so few directions",
            "5 of the latents have a direction, and it needs 8",
            "Look at the principal components instead",
        ));
    });
}

#[test]
fn a_map_on_a_large_screen_under_the_pointer() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), vec2(1920.0, 1080.0), 2.0, Theme::Dark);
    still(&mut harness, &|app: &mut Sparsescope| {
        begin(app);
        fixture::maps(app.state_mut(), 65_536);
        app.forms_mut().directions.method = Layout::Tsne;
    });
    harness.get_by_label("Map of 65\u{2009}470 directions").hover();
    harness.run_steps(4);
    let picture = harness.render().unwrap();
    let small = image::imageops::thumbnail(&picture, 960, 540);
    egui_kittest::image_snapshot(&small, "directions_4k");
    if let Some(path) = std::env::var_os("SPARSESCOPE_PICTURE") {
        picture.save(path).unwrap();
    }
}
