//! Each screen driven as a person drives it: drop, click, type, wait for the job.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod headless;

use egui::accesskit::Role;
use egui::{Key, Modifiers, Theme, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use headless::{drop_on, golden, wait, window};
use sparsescope::app::Sparsescope;
use sparsescope::commands::{Command, LatentCommand, PromptCommand};
use sparsescope::state::{NoticeText, Screen};
use sparsescope_core::ErrorKind;
use sparsescope_core::activations::{Source as _, StoreSource};
use sparsescope_core::exchange::Format;
use sparsescope_core::llama::Site;
use sparsescope_core::workspace::RunStatus;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn open(workspace: &Path) -> Harness<'static, Sparsescope> {
    let mut harness = window(workspace, vec2(1280.0, 800.0), 1.0, Theme::Dark);
    wait(&mut harness, "the first jobs", 60, Sparsescope::is_idle);
    harness
}

/// A window of its own, and the folder it works in.
fn fresh() -> (TempDir, Harness<'static, Sparsescope>) {
    let dir = tempfile::tempdir().unwrap();
    let harness = open(dir.path());
    (dir, harness)
}

/// The golden model with a tokenizer of words beside it.
fn small_model(dir: &Path) -> PathBuf {
    let folder = dir.join("small-llama");
    std::fs::create_dir_all(&folder).unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(golden().join("llama_a").join(file), folder.join(file)).unwrap();
    }
    let mut vocab = serde_json::Map::new();
    for (i, word) in ["<unk>", "<s>", "</s>", "."].into_iter().enumerate() {
        vocab.insert(word.to_owned(), i.into());
    }
    for i in 4..101 {
        vocab.insert(format!("w{i}"), i.into());
    }
    let special = |id: usize, text: &str| {
        serde_json::json!({"id": id, "content": text, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true})
    };
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
    });
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    folder
}

/// A text in the words of that tokenizer.
fn small_text(dir: &Path) -> PathBuf {
    let path = dir.join("words.txt");
    let mut text = String::new();
    for i in 0..400_usize {
        for j in 0..9 {
            text += &format!("w{} ", 4 + (i * 31 + j * j * 7) % 97);
        }
        text += ".\n\n";
    }
    std::fs::write(&path, text).unwrap();
    path
}

fn with_model() -> (TempDir, Harness<'static, Sparsescope>) {
    let (dir, mut harness) = fresh();
    let model = small_model(dir.path());
    drop_on(&mut harness, &model);
    wait(&mut harness, "the model", 60, |app| {
        app.state().model.facts.as_ref().is_some_and(|f| f.name == "small-llama")
    });
    (dir, harness)
}

#[test]
fn a_dropped_folder_becomes_the_model_and_a_site_is_chosen_by_a_click() {
    let (_dir, mut harness) = with_model();
    let facts = harness.state().state().model.facts.clone().unwrap();
    assert_eq!((facts.layers, facts.width, facts.vocab), (2, 32, 101));
    assert_eq!(harness.state().state().screen, Screen::Model);
    harness.run_steps(3);
    harness.get_by_label("Site mlp.1").click();
    harness.run_steps(3);
    assert_eq!(harness.state().state().model.site, Some(Site::Mlp(1)));
}

#[test]
fn what_comes_next_is_asked_while_typing() {
    let (_dir, mut harness) = with_model();
    harness.run_steps(3);
    let field = harness.get_by_label("A line of text; the model is asked as you type");
    field.focus();
    field.type_text("w5 w6 w7");
    wait(&mut harness, "the answer", 30, |app| app.state().model.next.answer.is_some());
    let answer = harness.state().state().model.next.answer.clone().unwrap();
    assert_eq!(answer.tokens.iter().map(|t| t.1).collect::<Vec<_>>(), [1, 5, 6, 7]);
    assert_eq!(answer.likely.len(), 10);
    assert!(answer.likely.is_sorted_by(|a, b| a.probability >= b.probability));
    assert!(answer.loss.is_some_and(f64::is_finite));
}

#[test]
fn a_broken_model_says_why_and_leaves_the_one_before_in_use() {
    let (dir, mut harness) = with_model();
    let broken = dir.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    let whole = std::fs::read(golden().join("llama_a/model.safetensors")).unwrap();
    std::fs::copy(golden().join("llama_a/config.json"), broken.join("config.json")).unwrap();
    std::fs::write(broken.join("model.safetensors"), &whole[..whole.len() / 2]).unwrap();
    drop_on(&mut harness, &broken);
    wait(&mut harness, "the failure", 60, |app| app.state().model.failure.is_some());
    let state = harness.state().state();
    let error = state.model.failure.clone().unwrap();
    assert!(!error.why.is_empty() && !error.remedy.is_empty());
    assert_eq!(state.model.facts.as_ref().unwrap().name, "small-llama");
    harness.run_steps(3);
    harness.get_by_label(&error.what);
    harness.get_by_label("Dismiss").click();
    harness.run_steps(3);
    assert!(harness.state().state().model.failure.is_none());
}

#[test]
fn a_dropped_text_is_shown_as_rows() {
    let (dir, mut harness) = with_model();
    drop_on(&mut harness, &small_text(dir.path()));
    wait(&mut harness, "the rows", 60, |app| {
        app.state().screen == Screen::Data
            && app.state().data.preview.as_ref().is_some_and(|p| p.documents == 400)
    });
    let preview = harness.state().state().data.preview.clone().unwrap();
    assert!(preview.whole);
    assert_eq!(preview.rows[0].len(), 11, "BOS, nine words and a full stop: {:?}", preview.rows[0]);
    let empty = dir.path().join("empty.txt");
    std::fs::write(&empty, "  \n").unwrap();
    drop_on(&mut harness, &empty);
    wait(&mut harness, "the failure", 60, |app| app.state().data.failure.is_some());
    assert_eq!(harness.state().state().data.failure.as_ref().unwrap().kind, ErrorKind::Format);
}

#[test]
fn activations_are_captured_with_a_click_and_can_be_read_again() {
    let (dir, mut harness) = with_model();
    drop_on(&mut harness, &small_text(dir.path()));
    wait(&mut harness, "the rows", 60, |app| app.state().data.preview.is_some());
    let store = dir.path().join("store");
    let form = &mut harness.state_mut().forms_mut().data;
    (form.capture_to, form.capture_thousands) = (store.display().to_string(), 2);
    harness.run_steps(3);
    let site = harness.state().state().model.site.unwrap();
    let button = format!("Capture {site}");
    harness.get_by_label(&button).scroll_to_me();
    harness.run_steps(30);
    harness.get_by_label(&button).click();
    harness.run_steps(3);
    wait(&mut harness, "the capture", 60, Sparsescope::is_idle);
    assert_eq!(harness.state().state().data.failure, None);
    let source = StoreSource::open(&store, 0).unwrap();
    assert_eq!(source.width(), 32);
    // Another capture into the same folder is refused, and nothing overwritten.
    let manifest = std::fs::read(store.join("manifest.json")).unwrap();
    harness.state_mut().forms_mut().data.capture_thousands = 3;
    harness.run_steps(3);
    harness.get_by_label("Dismiss").click();
    harness.run_steps(3);
    harness.get_by_label(&button).click();
    harness.run_steps(3);
    wait(&mut harness, "the refusal", 60, |app| {
        app.state().notices.iter().any(|n| matches!(n.text, NoticeText::Failed(_)))
    });
    assert_eq!(std::fs::read(store.join("manifest.json")).unwrap(), manifest);
}

#[test]
fn a_sweep_is_trained_compared_and_a_point_opens_its_features() {
    let (dir, mut harness) = with_model();
    let text = small_text(dir.path());
    drop_on(&mut harness, &text);
    wait(&mut harness, "the preview", 60, |app| app.state().data.preview.is_some());
    harness.state().ask(Command::SetUpSweep);
    harness.run_steps(2);
    let form = &mut harness.state_mut().forms_mut().train;
    assert!(form.sweep);
    form.sites = [Site::Resid(0), Site::Resid(1)].into();
    form.architectures = ["topk", "standard"].into();
    form.targets = "4, 6".into();
    (form.config.latents, form.config.batch, form.config.tokens) = (48, 64, 12_800);
    harness.run_steps(3);
    harness.get_by_label("Train 8 SAEs").click();
    wait(&mut harness, "the end of the sweep", 180, |app| {
        app.is_idle() && app.state().train.sweep.as_ref().is_some_and(|s| !s.planning)
    });
    let state = harness.state().state();
    assert!(state.train.failure.is_none(), "{:?}", state.train.failure);
    let done = state.train.runs.iter().filter(|r| r.evaluation.is_some());
    assert_eq!(done.count() + state.train.sweep.as_ref().unwrap().refused.len(), 8);
    let near = |r: &&sparsescope_core::workspace::SaeRecord| {
        r.architecture == "topk" && r.evaluation.as_ref().is_some_and(|e| e.l0 <= 6.0)
    };
    assert_eq!(state.train.runs.iter().filter(near).count(), 4);

    harness.state().ask(Command::Go(Screen::Pareto));
    harness.run_steps(3);
    let chosen = state_of_point(&harness);
    harness.get_by_label(&chosen).click();
    wait(&mut harness, "the features screen", 30, |app| {
        app.state().screen == Screen::Features && app.state().features.sae.is_some()
    });
    assert_eq!(harness.state().state().features.sae.as_ref().unwrap().architecture, "topk");
}

/// What the first TopK point of the FVU chart is called.
fn state_of_point(harness: &Harness<'_, Sparsescope>) -> String {
    let mut buttons = harness.get_all_by_role(Role::Button);
    buttons
        .find_map(|n| {
            let label = n.accesskit_node().label()?;
            (label.starts_with("topk") && label.contains(", FVU ")).then_some(label)
        })
        .unwrap()
}

#[test]
fn a_dropped_dictionary_is_brought_in_once_and_opens() {
    use sparsescope_core::sae::{About, Architecture, Matrix, Sae};
    let (dir, mut harness) = with_model();
    let numbers = |n: usize| (0..n).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<_>>();
    let sae = Sae {
        architecture: Architecture::TopK { k: 2 },
        encoder: Matrix::new(8, 32, numbers(256)).unwrap(),
        b_enc: vec![0.0; 8],
        decoder: Matrix::new(8, 32, numbers(256)).unwrap(),
        b_dec: vec![0.0; 32],
        wiring: Default::default(),
        extra: Default::default(),
        about: About::default(),
    };
    let folder = dir.path().join("from-elsewhere");
    std::fs::create_dir_all(&folder).unwrap();
    sae.save(&folder).unwrap();
    for _ in 0..2 {
        harness.state_mut().state_mut().features.sae = None;
        drop_on(&mut harness, &folder);
        wait(&mut harness, "the dictionary", 60, |app| {
            app.is_idle() && app.state().features.sae.is_some()
        });
        assert_eq!(harness.state().state().screen, Screen::Features);
        let runs = &harness.state().state().train.runs;
        assert_eq!(runs.len(), 1, "brought in once");
        assert_eq!((runs[0].latents, runs[0].status), (8, RunStatus::Done));
    }
    let empty = dir.path().join("empty-sweep");
    std::fs::create_dir_all(&empty).unwrap();
    std::fs::write(empty.join("sweep.json"), "{}").unwrap();
    drop_on(&mut harness, &empty);
    wait(&mut harness, "the refusal", 30, |app| !app.state().notices.is_empty());
}

#[test]
fn the_keyboard_reaches_every_screen() {
    let (_dir, mut harness) = fresh();
    let keys = [Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num1];
    let screens = [
        Screen::Model,
        Screen::Data,
        Screen::Train,
        Screen::Pareto,
        Screen::Features,
        Screen::Home,
    ];
    for (key, screen) in keys.into_iter().zip(screens) {
        harness.key_press_modifiers(Modifiers::COMMAND, key);
        harness.run_steps(3);
        assert_eq!(harness.state().state().screen, screen);
    }
    harness.key_press(Key::Tab);
    harness.run_steps(2);
    assert!(harness.get_by_label("Home").is_focused(), "the rail comes first");
    harness.key_press(Key::Tab);
    harness.run_steps(2);
    harness.key_press(Key::Enter);
    harness.run_steps(3);
    assert_eq!(harness.state().state().screen, Screen::Model);
}

#[test]
fn light_and_dark_are_a_click_apart() {
    let (_dir, mut harness) = fresh();
    harness.get_by_label("Light theme").click();
    harness.run_steps(3);
    assert_eq!(harness.ctx.theme(), Theme::Light);
    harness.get_by_label("Dark theme").click();
    harness.run_steps(3);
    assert_eq!(harness.ctx.theme(), Theme::Dark);
}

/// Sets the form for a run of a second or so.
fn short_run(harness: &mut Harness<'_, Sparsescope>, tokens: u64) {
    let config = &mut harness.state_mut().forms_mut().train.config;
    config.latents = 64;
    config.batch = 64;
    config.tokens = tokens;
    config.checkpoint_every = 512;
    config.evaluate_every = 2048;
    harness.state_mut().forms_mut().train.k = 4;
}

/// The button of the inspector; the rail's item of the same name comes before it.
fn press_train(harness: &Harness<'_, Sparsescope>) {
    harness.get_all_by_role_and_label(Role::Button, "Train").last().unwrap().click();
}

#[test]
fn an_sae_is_trained_and_read_with_clicks_alone() {
    let (dir, mut harness) = with_model();
    drop_on(&mut harness, &small_text(dir.path()));
    wait(&mut harness, "the rows", 60, |app| app.state().data.preview.is_some());
    short_run(&mut harness, 8192);
    harness.get_all_by_role_and_label(Role::Button, "Train").next().unwrap().click();
    harness.run_steps(3);
    assert_eq!(harness.state().state().screen, Screen::Train);
    press_train(&harness);
    harness.run_steps(3);
    wait(&mut harness, "the run", 120, |app| {
        let train = &app.state().train;
        train.failure.is_some()
            || train.job.is_none() && train.runs.first().is_some_and(|r| r.has_features)
    });
    let state = harness.state().state();
    assert_eq!(state.train.failure, None);
    assert_eq!(state.train.runs[0].status, RunStatus::Done);
    let run = state.train.run.as_ref().unwrap();
    assert_eq!(run.curves.last.unwrap().tokens, 8192);
    assert!(!run.curves.recovered.is_empty());
    harness.get_by_label("Show features").click();
    wait(&mut harness, "the features", 60, |app| app.state().features.table.is_some());
    assert_eq!(harness.state().state().features.table.as_ref().unwrap().latents.len(), 64);
    harness.run_steps(3);
    harness.get_by_label("Sort by Density").click();
    harness.run_steps(3);
    let form = &harness.state_mut().forms_mut().features;
    assert!(form.descending);
    let (first, table) = (form.rows[0], harness.state().state().features.table.clone().unwrap());
    let most = table.latents.iter().map(|l| l.density).fold(0.0, f32::max);
    assert_eq!(table.latents[first as usize].density, most);
    let name = format!("Latent {}", table.latents[first as usize].index);
    harness.get_all_by_label(&name).next().unwrap().click();
    harness.run_steps(3);
    let chosen = harness.state().state().features.latent;
    assert_eq!(chosen, Some(table.latents[first as usize].index));
    it_is_studied_named_and_handed_out(&mut harness, dir.path());
    a_prompt_is_read(&mut harness);
}

fn it_is_studied_named_and_handed_out(harness: &mut Harness<'_, Sparsescope>, dir: &Path) {
    wait(harness, "what the latent does", 60, |app| {
        let study = &app.state().latent;
        study.of.map(|of| of.1) == app.state().features.latent && !study.pending
    });
    let state = harness.state().state();
    let (study, detail) = (&state.latent, state.features.detail.clone().unwrap());
    assert_eq!(study.failure, None);
    assert_eq!((study.near.len(), study.neurons.len()), (10, 10));
    let logits = study.logits.as_ref().unwrap();
    assert_eq!((logits.promoted.len(), logits.suppressed.len()), (10, 10));
    assert!(logits.scale > 0.0 && logits.counts.iter().sum::<u64>() == 101);
    for (g, group) in detail.groups.iter().enumerate() {
        for (c, context) in group.contexts.iter().enumerate() {
            let next = &study.next[&(g, c)];
            assert!(next.len() == context.tokens.len() || next.len() + 1 == context.tokens.len());
        }
    }
    // On a text of one's own.
    let field = harness.get_by_label("Try it on a text of your own");
    field.focus();
    field.type_text("w5 w6 w7");
    wait(harness, "the text", 30, |app| app.state().latent.on_text.is_some());
    let found = harness.state().state().latent.on_text.clone().unwrap();
    assert_eq!(found.tokens, ["w5", "w6", "w7"]);
    assert_eq!((found.reading.activations.len(), found.reading.next.len()), (3, 2));
    // It gets a name.
    harness.get_by_label("Name it").click();
    harness.run_steps(3);
    harness.get_by_label("Label").type_text("a word of many");
    harness.run_steps(2);
    harness.get_by_label("Save").click();
    let latent = harness.state().state().features.latent.unwrap();
    wait(harness, "the label", 30, |app| app.state().features.label(latent).is_some());
    assert_eq!(harness.state().state().features.label(latent), Some("a word of many"));
    // And goes to a colleague.
    let page = dir.join("page.html");
    harness.state().ask(Command::OfLatent(LatentCommand::HandOutTo(
        Some(latent),
        Format::Html,
        page.clone(),
    )));
    wait(harness, "the page", 30, |app| !app.state().notices.is_empty() && app.is_idle());
    assert!(std::fs::read_to_string(&page).unwrap().contains("a word of many"));
}

fn a_prompt_is_read(harness: &mut Harness<'_, Sparsescope>) {
    harness.state().ask(Command::Prompt(PromptCommand::Type("w5 w6 w7 w8".to_owned())));
    harness.state().ask(Command::Go(Screen::Prompt));
    wait(harness, "the prompt", 30, |app| app.state().prompt.reading.is_some());
    harness.run_steps(3);
    let reading = harness.state().state().prompt.reading.clone().unwrap();
    assert_eq!((reading.tokens.len(), reading.first, reading.position), (5, 1, 4));
    assert!(!reading.fired.is_empty());
    // Another next token, and what fires on one token alone.
    let second = reading.next[1].clone();
    let rows = harness.get_all_by_role(Role::Button);
    let named = format!("Look at {:?}", second.text);
    rows.into_iter()
        .find(|n| n.accesskit_node().label().is_some_and(|l| l.starts_with(&named)))
        .unwrap()
        .click();
    let target = |app: &Sparsescope| app.state().prompt.reading.as_ref().map(|r| r.target.id);
    wait(harness, "the other token", 30, |app| target(app) == Some(second.id));
    harness.get_by_label("Token 2: w6").click();
    harness.run_steps(3);
    let form = &harness.state_mut().forms_mut().prompt;
    assert_eq!(form.token, Some(2));
    let on_it = reading.fired.iter().filter(|f| f.position == 2).count();
    assert_eq!(form.rows.len(), on_it);
    // A click on a latent leads to it.
    let latent = form.rows[0].latent;
    harness.get_by_label(&format!("Open latent {latent}")).click();
    harness.run_steps(3);
    let state = harness.state().state();
    assert_eq!((state.screen, state.features.latent), (Screen::Features, Some(latent)));
}

#[test]
fn a_run_is_paused_stopped_and_gone_on_with_by_another_window() {
    let (dir, mut harness) = with_model();
    drop_on(&mut harness, &small_text(dir.path()));
    wait(&mut harness, "the rows", 60, |app| app.state().data.preview.is_some());
    short_run(&mut harness, 61_440);
    harness.state().ask(Command::Go(Screen::Train));
    harness.run_steps(2);
    press_train(&harness);
    let tokens = |app: &Sparsescope| {
        app.state().train.run.as_ref().and_then(|r| r.curves.last).map_or(0, |p| p.tokens)
    };
    wait(&mut harness, "some training", 120, |app| {
        tokens(app) > 1000 && app.state().train.run.as_ref().is_some_and(|r| r.saved.is_some())
    });
    harness.key_press(Key::Space);
    wait(&mut harness, "the pause", 10, |app| app.state().jobs.iter().any(|j| j.paused));
    harness.get_by_label("Stop").click();
    wait(&mut harness, "the stop", 30, |app| {
        app.state().train.job.is_none()
            && app.state().train.runs.first().is_some_and(|r| r.status == RunStatus::Interrupted)
    });
    drop(harness);

    let mut harness = open(dir.path());
    assert_eq!(harness.state().state().train.runs.len(), 1);
    harness.state().ask(Command::Go(Screen::Train));
    harness.run_steps(3);
    harness.get_by_label("Go on").click();
    wait(&mut harness, "the end", 240, |app| {
        let train = &app.state().train;
        train.failure.is_some()
            || train.listed && train.runs.first().is_some_and(|r| r.status == RunStatus::Done)
    });
    assert_eq!(harness.state().state().train.failure, None);
    assert_eq!(tokens(harness.state()), 61_440);
    let x: Vec<f64> = harness
        .state()
        .state()
        .train
        .run
        .as_ref()
        .unwrap()
        .curves
        .loss
        .iter()
        .map(|p| p.x)
        .collect();
    assert!(x.is_sorted_by(|a, b| a < b), "the curve goes on where it stopped");
    assert!(x[0] < 1000.0, "and still holds its beginning");
}

#[test]
fn sixty_five_thousand_latents_scroll_without_a_hitch() {
    let (_dir, mut harness) = fresh();
    let state = harness.state_mut().state_mut();
    headless::fixture::features(state);
    state.features.table = Some(headless::fixture::table(65_536));
    state.features.version = 7;
    state.screen = Screen::Features;
    harness.run_steps(3);
    let since = std::time::Instant::now();
    for i in 0..20 {
        harness.state().ask(Command::Latent(Some(i * 3000)));
        harness.step();
    }
    let frame = since.elapsed() / 20;
    assert!(frame.as_millis() < 250, "a frame takes {frame:?} even in a test build");
    assert_eq!(harness.state_mut().forms_mut().features.rows.len(), 65_536);
}
