//! Pictures of the direction map, dark and light.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod headless;

use egui::{Theme, vec2};
use egui_kittest::kittest::Queryable as _;
use headless::{directions as fixture, window};
use sparsescope::app::Sparsescope;
use sparsescope::commands::{Command, DirectionsCommand};
use sparsescope::forms::{Coloring, DirectionsPart, Layout};
use sparsescope::state::{Screen, State};
use sparsescope_core::Error;
use sparsescope_core::llama::Site;
use sparsescope_core::sae::{About, Architecture, Extra, Matrix, Sae, Wiring};
use sparsescope_core::training::TrainConfig;
use sparsescope_core::workspace::{NewRun, Workspace};

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
            "The map could not be made",
            "a decoder direction holds a number that is no number",
            "Train the dictionary again, or go back to its last checkpoint",
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
    let map = harness.get_by_label("Map of 65\u{2009}470 directions").rect();
    harness.hover_at(map.center() + vec2(60.0, -60.0));
    harness.run_steps(4);
    let picture = harness.render().unwrap();
    let small = image::imageops::thumbnail(&picture, 960, 540);
    egui_kittest::image_snapshot(&small, "directions_4k");
}

/// A workspace with two dictionaries of one site and one of another.
fn three_dictionaries(dir: &std::path::Path) -> [i64; 3] {
    let mut db = Workspace::open(dir).unwrap();
    let one = |db: &mut Workspace, site: Site, turn: usize| {
        let (m, d) = (60, 16);
        let number = |i: usize| ((i * 7919 + 13) % 997) as f32 / 498.5 - 1.0;
        let row = |i: usize| (0..d).map(move |c| number((i + turn) % m * d + c));
        let decoder = (0..m).flat_map(row).collect();
        let sae = Sae {
            architecture: Architecture::TopK { k: 4 },
            encoder: Matrix::zeros(m, d),
            b_enc: vec![0.0; m],
            decoder: Matrix::new(m, d, decoder).unwrap(),
            b_dec: vec![0.0; d],
            extra: Extra::default(),
            wiring: Wiring::Centred,
            about: About::default(),
        };
        let config = TrainConfig::preset(sae.architecture.clone(), m);
        let run = db
            .begin_run(&NewRun {
                model: "one".into(),
                site,
                width: d,
                corpus: "builtin".into(),
                config,
                request: serde_json::Value::Null,
            })
            .unwrap();
        let id = run.id;
        let saved = sae.save(&run.dir);
        db.finish_run(run, &saved).unwrap();
        id
    };
    let a = one(&mut db, Site::Resid(1), 0);
    let b = one(&mut db, Site::Resid(1), 7);
    let c = one(&mut db, Site::Mlp(1), 3);
    [a, b, c]
}

#[test]
fn maps_selections_and_comparisons_come_by_clicks() {
    let dir = tempfile::tempdir().unwrap();
    let ids = three_dictionaries(dir.path());
    let mut harness = window(dir.path(), vec2(1280.0, 800.0), 1.0, Theme::Dark);
    headless::wait(&mut harness, "the first jobs", 60, Sparsescope::is_idle);
    harness.state().ask(Command::OpenSae(ids[0]));
    headless::wait(&mut harness, "the SAE", 60, |app| app.state().features.sae.is_some());
    harness.state().ask(Command::Go(Screen::Directions));
    headless::wait(&mut harness, "the map", 60, |app| app.state().directions.pca.is_some());
    harness.run_steps(3);
    harness.get_by_label("t-SNE").click();
    headless::wait(&mut harness, "t-SNE", 60, |app| app.state().directions.tsne.is_some());
    harness.run_steps(3);
    // A lasso around everything.
    harness.get_by_label("Lasso").click();
    harness.run_steps(3);
    let map = harness.get_by_label("Map of 60 directions").rect();
    let corners = [map.left_top(), map.right_top(), map.right_bottom(), map.left_bottom()];
    let corners = corners.map(|c| c + (map.center() - c) * 0.01);
    harness.drag_at(corners[0]);
    harness.run_steps(2);
    for corner in corners {
        harness.hover_at(corner);
        harness.run_steps(2);
    }
    harness.drop_at(corners[3]);
    headless::wait(&mut harness, "the heat map", 60, |app| app.state().directions.block.is_some());
    assert_eq!(harness.state().state().directions.selection.len(), 60);
    assert_eq!(harness.state().state().directions.block.as_ref().unwrap().latents.len(), 60);
    harness.run_steps(3);
    harness.get_by_label("Clear the selection").click();
    harness.run_steps(3);
    assert!(harness.state().state().directions.selection.is_empty());
    // A number is found.
    let field = harness.get_by_label("Find on the map");
    field.focus();
    field.type_text("17");
    harness.run_steps(3);
    assert_eq!(harness.state_mut().forms_mut().directions.found, [17]);
    // The other site.
    harness.state().ask(Command::Directions(DirectionsCommand::Relate));
    headless::wait(&mut harness, "relatives", 60, |app| app.state().directions.relatives.is_some());
    let relatives = harness.state().state().directions.relatives.clone().unwrap();
    assert_eq!(relatives.among, [(ids[2], Site::Mlp(1))]);
    assert_eq!(relatives.best[3].unwrap().latent, 0);
    // Two dictionaries that are one, shuffled.
    harness.get_by_label("Compare").click();
    harness.run_steps(3);
    harness.get_all_by_label("Compare").last().unwrap().click();
    headless::wait(&mut harness, "the comparison", 60, |app| {
        app.state().directions.compare.done.is_some()
    });
    let found = harness.state().state().directions.compare.done.clone().unwrap();
    assert_eq!((found.a, found.b), (ids[0], ids[1]));
    assert_eq!(found.found.mutual, 60);
    assert!(found.found.a.above_09 > 0.999);
    harness.run_steps(3);
    let pair =
        format!("Latent {} of A and {} of B", found.found.pairs[0].a, found.found.pairs[0].b);
    harness.get_by_label(&pair).click();
    harness.run_steps(3);
    assert_eq!(harness.state().state().screen, Screen::Features);
}

#[test]
fn a_saved_picture_looks_like_the_window() {
    for theme in [Theme::Dark, Theme::Light] {
        let dir = tempfile::tempdir().unwrap();
        let mut harness = window(dir.path(), vec2(1280.0, 800.0), 2.0, theme);
        still(&mut harness, &|app: &mut Sparsescope| {
            mapped(app);
            fixture::relatives(app.state_mut(), LATENTS);
            fixture::selected(app.state_mut());
        });
        let window = harness.render().unwrap();
        for name in ["a.png", "a.svg"] {
            let path = dir.path().join(name);
            harness.state().ask(Command::TakePicture(None, path.clone()));
            headless::wait(&mut harness, "the picture", 120, |_| path.exists());
        }
        let saved = image::open(dir.path().join("a.png")).unwrap().to_rgba8();
        assert_eq!(saved.dimensions(), window.dimensions());
        let sum: u64 = saved
            .as_raw()
            .iter()
            .zip(window.as_raw())
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum();
        let mean = sum as f64 / saved.as_raw().len() as f64;
        if let Some(to) = std::env::var_os("SPARSESCOPE_PICTURE") {
            let to = std::path::Path::new(&to);
            saved.save(to.join(format!("saved_{theme:?}.png"))).unwrap();
            window.save(to.join(format!("window_{theme:?}.png"))).unwrap();
            std::fs::copy(dir.path().join("a.svg"), to.join(format!("{theme:?}.svg"))).unwrap();
        }
        assert!(mean < 1.5, "{mean} of 255 a channel");
        let svg = std::fs::read_to_string(dir.path().join("a.svg")).unwrap();
        assert!(svg.contains("<circle") && svg.contains("font-family=\"Inter"));
    }
}
