//! A picture of every screen, dark and light. `UPDATE_SNAPSHOTS=1 cargo test` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod headless;

use egui::{Theme, vec2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use headless::{fixture, reading, window};
use sparsescope::app::Sparsescope;
use sparsescope::state::{Notice, NoticeText, Screen, State};
use sparsescope_core::Error;
use sparsescope_core::llama::Site;

const THEMES: [(Theme, &str); 2] = [(Theme::Dark, "dark"), (Theme::Light, "light")];

/// Pictures of one state in both themes.
fn both(name: &str, set: impl Fn(&mut Sparsescope)) {
    let mut results = egui_kittest::SnapshotResults::new();
    for (theme, suffix) in THEMES {
        let dir = tempfile::tempdir().unwrap();
        let mut harness = window(dir.path(), vec2(1280.0, 800.0), 1.0, theme);
        still(&mut harness, &set);
        harness.snapshot(format!("{name}_{suffix}"));
        results.extend(harness.take_snapshot_results());
    }
}

/// Lets the window's own first jobs end, then puts the fixture in their place.
fn still(harness: &mut egui_kittest::Harness<'_, Sparsescope>, set: &impl Fn(&mut Sparsescope)) {
    headless::wait(harness, "the first jobs", 30, Sparsescope::is_idle);
    let app = harness.state_mut();
    app.hold_still();
    *app.state_mut() = State::default();
    set(app);
    harness.step();
    harness.step();
}

fn show(screen: Screen, fill: impl Fn(&mut State)) -> impl Fn(&mut Sparsescope) {
    move |app| {
        let state = app.state_mut();
        state.screen = screen;
        fixture::model(state);
        fill(state);
    }
}

#[test]
fn home() {
    both("home", show(Screen::Home, |_| {}));
}

#[test]
fn home_while_the_tour_runs() {
    both("home_tour", show(Screen::Home, fixture::tour));
}

#[test]
fn home_after_the_tour() {
    both("home_found", show(Screen::Home, fixture::findings));
}

#[test]
fn model() {
    let fill = show(Screen::Model, fixture::next);
    both("model", |app| {
        fill(app);
        app.forms_mut().model.text = "The keys to the old cabinet 열쇠가 钥匙 🗝".into();
    });
}

#[test]
fn model_failed() {
    both(
        "model_failed",
        show(Screen::Model, |state| {
            state.model.facts = None;
            state.model.failure = Some(Error::format(
                "Could not open the model in /home/you/llama-broken",
                "the tensor model.norm.weight is missing from model.safetensors",
                "Download the checkpoint again, all of its files",
            ));
        }),
    );
}

#[test]
fn data() {
    both("data", show(Screen::Data, fixture::preview));
}

#[test]
fn train() {
    both("train", show(Screen::Train, fixture::training));
}

#[test]
fn train_sweep() {
    let fill = show(Screen::Train, fixture::sweep);
    both("train_sweep", |app| {
        fill(app);
        let form = &mut app.forms_mut().train;
        form.sweep = true;
        form.sites.extend([Site::Resid(1), Site::Resid(2)]);
        form.architectures.insert("gated");
    });
}

#[test]
fn train_empty() {
    both(
        "train_empty",
        show(Screen::Train, |state| {
            let error = Error::new(
                sparsescope_core::ErrorKind::Io,
                "Could not write the checkpoint",
                "no space left on device",
                "Free some disk space, or choose a folder on another disk, and start again",
            );
            for (id, text) in [NoticeText::Good("Run 1 is done".into()), NoticeText::Failed(error)]
                .into_iter()
                .enumerate()
            {
                state.notices.push(Notice { id: id as u64, text, until: None });
            }
        }),
    );
}

#[test]
fn pareto() {
    both("pareto", show(Screen::Pareto, fixture::pareto));
}

#[test]
fn pareto_under_the_pointer() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), vec2(1280.0, 800.0), 1.0, Theme::Dark);
    still(&mut harness, &show(Screen::Pareto, fixture::pareto));
    {
        let mut points = harness.get_all_by_role(egui::accesskit::Role::Button);
        let point = |label: &str| label.starts_with("gated") && label.contains("FVU");
        let wanted = points.find(|n| n.accesskit_node().label().is_some_and(|l| point(&l)));
        wanted.unwrap().hover();
    }
    harness.run_steps(6);
    harness.snapshot("pareto_hover_dark");
}

#[test]
fn pareto_empty() {
    both("pareto_empty", show(Screen::Pareto, |state| state.train.listed = true));
}

#[test]
fn pareto_that_cannot_be_read_or_is_no_number() {
    both(
        "pareto_failed",
        show(Screen::Pareto, |state| {
            fixture::pareto(state);
            state.train.unlisted = Some(Error::new(
                sparsescope_core::ErrorKind::Io,
                "Could not list the SAEs",
                "database disk image is malformed",
                "Move workspace.sqlite away and open the folder again",
            ));
            for (i, run) in state.train.runs.iter_mut().enumerate() {
                let Some(evaluation) = &mut run.evaluation else { continue };
                match i {
                    3 => evaluation.loss = None,
                    7 => evaluation.fvu = f64::NAN,
                    8 => evaluation.l0 = 0.0,
                    9 => evaluation.corpus = "stories.txt".into(),
                    12 => run.model = "another".into(),
                    _ => {}
                }
            }
        }),
    );
}

#[test]
fn pareto_on_a_large_screen() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), vec2(1920.0, 1080.0), 2.0, Theme::Light);
    still(&mut harness, &show(Screen::Pareto, fixture::pareto));
    let picture = harness.render().unwrap();
    assert_eq!(picture.dimensions(), (3840, 2160));
    let small = image::imageops::thumbnail(&picture, 960, 540);
    egui_kittest::image_snapshot(&small, "pareto_4k");
    if let Some(path) = std::env::var_os("SPARSESCOPE_PICTURE") {
        picture.save(path).unwrap();
    }
}

#[test]
fn features() {
    both("features", show(Screen::Features, reading::latent));
}

#[test]
fn features_empty() {
    both("features_empty", show(Screen::Features, |_| {}));
}

#[test]
fn a_screen_of_3840_by_2160_is_filled() {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), vec2(1920.0, 1080.0), 2.0, Theme::Dark);
    still(&mut harness, &show(Screen::Train, fixture::training));
    let picture = harness.render().unwrap();
    assert_eq!(picture.dimensions(), (3840, 2160));
    // Kept small: what is looked at is where things stand.
    let small = image::imageops::thumbnail(&picture, 960, 540);
    egui_kittest::image_snapshot(&small, "train_4k");
}

#[test]
fn prompt() {
    both("prompt", |app| {
        show(Screen::Prompt, |_| {})(app);
        let mut form = std::mem::take(&mut app.forms_mut().prompt);
        reading::prompt(app.state_mut(), &mut form);
        form.rank = sparsescope::forms::Rank::Attribution;
        app.forms_mut().prompt = form;
    });
}

#[test]
fn prompt_empty() {
    both("prompt_empty", show(Screen::Prompt, |_| {}));
}

#[test]
fn prompt_failed() {
    both("prompt_failed", |app| {
        show(Screen::Prompt, |_| {})(app);
        let mut form = std::mem::take(&mut app.forms_mut().prompt);
        reading::prompt(app.state_mut(), &mut form);
        app.state_mut().prompt.reading = None;
        app.state_mut().prompt.failure = Some(Error::setting(
            "The dictionary was trained elsewhere",
            "it was trained on model 3f9ab1c07de2, and this is model 90b1aa04c2d1: its latents \
             would mean nothing here, and every number would look like a result",
            "Choose what it was trained on",
        ));
        app.forms_mut().prompt = form;
    });
}

#[test]
fn a_token_under_the_pointer_says_what_it_does() {
    for study in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut harness = window(dir.path(), vec2(1280.0, 800.0), 1.0, Theme::Dark);
        still(&mut harness, &show(Screen::Features, reading::latent));
        if study {
            let next = vec![0.125; 40];
            harness.state_mut().state_mut().latent.next.insert((0, 0), next);
        }
        // On " doctor", the second token of the first context.
        let strip = harness.get_all_by_label_contains("The doctor near the old houses").next();
        let at = strip.unwrap().rect().left_top() + vec2(50.0, 10.0);
        harness.hover_at(at);
        harness.run_steps(8);
        let said = harness.query_by_label_contains("activation 2.2");
        assert!(said.is_some(), "the token's activation is shown");
        assert_eq!(harness.query_by_label_contains("next token +0.1250").is_some(), study);
    }
}
