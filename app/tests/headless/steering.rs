//! What the steering screen looks like when something was written.

use super::{fixture, tasks, wait, window};
use egui::{Theme, Vec2, vec2};
use egui_kittest::{Harness, SnapshotResults};
use sparsescope::app::Sparsescope;
use sparsescope::forms::{Mode, Place, SteerForm, SteerRow};
use sparsescope::state::{
    Contrasted, ContrastedFeature, KnownFeature, Screen, State, SteerRun, StreamView, Suggestion,
    Suggestions,
};
use sparsescope_core::edits::Edit;
use sparsescope_core::llama::Site;
use sparsescope_core::steering::{
    Bounded, End, Prompt, PromptRead, SteerOutcome, SteerSpec, Stream, StreamOutcome, Written,
};
use sparsescope_core::workspace::EditSetRecord;

/// Lets the window's own first jobs end, then puts a state of the screen in their place.
pub fn still(harness: &mut Harness<'_, Sparsescope>, set: &dyn Fn(&mut Sparsescope)) {
    wait(harness, "the first jobs", 60, Sparsescope::is_idle);
    let app = harness.state_mut();
    app.hold_still();
    *app.state_mut() = State { screen: Screen::Steer, ..State::default() };
    set(app);
    harness.run_steps(4);
}

/// A picture of one state.
pub fn picture(
    name: &str,
    (size, density): (Vec2, f32),
    theme: Theme,
    set: &dyn Fn(&mut Sparsescope),
) -> SnapshotResults {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), size, density, theme);
    still(&mut harness, set);
    harness.snapshot(name);
    harness.take_snapshot_results()
}

/// Pictures of one state in both themes.
pub fn both(name: &str, set: &dyn Fn(&mut Sparsescope)) {
    let size = (vec2(1280.0, 800.0), 1.0);
    let mut results = picture(&format!("{name}_dark"), size, Theme::Dark, set);
    results.extend(picture(&format!("{name}_light"), size, Theme::Light, set));
}

/// A model, dictionaries at its sites, nothing chosen yet.
pub fn begun(state: &mut State) {
    fixture::model(state);
    let mut form = Default::default();
    tasks::chosen(state, &mut form);
    let model = state.model.facts.as_ref().map(|f| f.hash.clone()).unwrap_or_default();
    let set = |id: i64, name: &str, model: &str, sites: &[Site], edits| EditSetRecord {
        id,
        name: name.to_owned(),
        model: model.to_owned(),
        edits,
        sites: sites.to_vec(),
        created: 1_770_000_000,
    };
    state.steer.sets = vec![
        set(1, "For another model", "other", &[Site::Mlp(3)], 2),
        set(2, "No gender", &model, &[Site::Embed, Site::Resid(1)], 14),
    ];
    state.steer.listed = true;
    state.steer.chat = Some((model, false));
}

fn sae_at(state: &State, site: Site) -> i64 {
    state.train.runs.iter().find(|r| r.site == site).map_or(1, |r| r.id)
}

/// Two features that are changed, and a third stream.
pub fn chosen(state: &mut State, form: &mut SteerForm) {
    begun(state);
    let site = Site::Resid(2);
    let sae = sae_at(state, site);
    let mut plural = SteerRow::new(site, sae, 470);
    plural.strength = -1.5;
    let mut woman = SteerRow::new(site, sae, 41);
    (woman.mode, woman.place) = (Mode::Ablate, Place::Generated);
    form.rows = vec![plural, woman];
    form.splice = Some(site);
    let known = |label: &str, max| KnownFeature {
        label: Some(label.to_owned()),
        max,
        definition: "The greatest activation on 200,000 tokens of the built-in world.".to_owned(),
    };
    state.steer.known.insert((sae, 470), known("subject number: plural", 9.42));
    state.steer.known.insert((sae, 41), known("gender: feminine", 6.18));
}

const PLAIN: &[(&str, f64, f64)] = &[
    (" were", 0.91, -0.74),
    (" old", 0.11, -0.01),
    (".", 0.93, 0.0),
    (" They", 0.52, -0.31),
    (" watch", 0.08, -0.05),
    (" the", 0.61, 0.01),
    (" runway", 0.3, 0.03),
    (" and", 0.12, 0.0),
    (" wait", 0.21, -0.17),
    (".", 0.88, 0.02),
];
const STEERED: &[(&str, f64, f64)] = &[
    (" was", 0.06, 0.77),
    (" old", 0.1, 0.01),
    (".", 0.93, 0.0),
    (" He", 0.2, 0.24),
    (" watches", 0.05, 0.3),
    (" the", 0.62, -0.01),
    (" runway", 0.29, 0.02),
    (".", 0.7, 0.04),
];

fn stream(stream: Stream, tokens: &[(&str, f64, f64)], first: usize) -> StreamView {
    let written = |(i, (text, unsteered, change)): (usize, &(&str, f64, f64))| Written {
        stream,
        position: first + i,
        id: 300 + text.bytes().map(u32::from).sum::<u32>(),
        text: (*text).to_owned(),
        own: match stream {
            Stream::Unsteered => *unsteered,
            _ => unsteered + change,
        },
        unsteered: *unsteered,
        steered: (stream != Stream::Spliced).then_some(unsteered + change),
    };
    let end = match stream {
        Stream::Steered => End::EndOfText,
        _ => End::Length,
    };
    StreamView { stream, written: tokens.iter().enumerate().map(written).collect(), end: Some(end) }
}

/// What was written with these features changed.
pub fn written(state: &mut State, form: &mut SteerForm) {
    chosen(state, form);
    let edits: Vec<Edit> = ["resid.2/470 add -14.13", "resid.2/41 ablate @ generated"]
        .map(|e| e.parse().unwrap())
        .to_vec();
    let spec = SteerSpec {
        prompt: Prompt::Text(form.text.clone()),
        tokens: form.tokens,
        sampler: form.sampler.clone(),
        edits: edits.clone(),
        splice: vec![Site::Resid(2)],
    };
    let mut run = SteerRun::new(spec);
    run.running = false;
    run.prompt = PromptRead { text: form.text.clone(), tokens: Vec::new() };
    run.streams = vec![
        stream(Stream::Unsteered, PLAIN, 8),
        stream(Stream::Steered, STEERED, 8),
        stream(Stream::Spliced, &PLAIN[..7], 8),
    ];
    let outcome = |view: &StreamView| StreamOutcome {
        stream: view.stream,
        text: String::new(),
        written: view.written.clone(),
        perplexity: view.perplexity().map(|p| p.0),
        own_perplexity: view.perplexity().map(|p| p.1),
        parts_at: run.parts_at(view.stream),
        end: view.end.clone().unwrap_or(End::Length),
    };
    run.outcome = Some(SteerOutcome {
        prompt: run.prompt.clone(),
        streams: run.streams.iter().map(outcome).collect(),
        bounded: Vec::new(),
        seconds: 0.021,
        tokens_per_second: 1190.0,
    });
    state.steer.run = Some(run);
}

/// A strength that was bounded, and a stream that ended in an overflow.
pub fn bounded(state: &mut State, form: &mut SteerForm) {
    written(state, form);
    let Some(run) = &mut state.steer.run else { return };
    run.streams[1].end = Some(End::Overflow(
        "a logit of the steered model became infinite: weaken the edits".to_owned(),
    ));
    let asked: Edit = "resid.2/470 add 1e30".parse().unwrap();
    let made: Edit = "resid.2/470 add 1e17".parse().unwrap();
    if let Some(outcome) = &mut run.outcome {
        outcome.bounded = vec![Bounded { asked, made }];
    }
}

/// Features looked for, and two prompts compared.
pub fn looked_for(state: &mut State, form: &mut SteerForm) {
    begun(state);
    let site = Site::Resid(2);
    let sae = sae_at(state, site);
    form.search = "plural".to_owned();
    let suggestion =
        |latent, label: &str| Suggestion { site, sae, latent, label: Some(label.to_owned()) };
    state.steer.suggestions = Some(Suggestions {
        text: form.search.clone(),
        found: vec![
            suggestion(12, "plural noun"),
            suggestion(470, "subject number: plural"),
            suggestion(88, "a plural noun of the topic, after a preposition and an adjective"),
        ],
    });
    form.contrast.open = true;
    form.contrast.toward = "The pilots are tall\nThe bakers are tall".to_owned();
    form.contrast.away = "The pilot is tall\nThe baker is tall".to_owned();
    form.contrast.site = Some(site);
    let one = |latent, label: Option<&str>, cosine, difference| ContrastedFeature {
        latent,
        label: label.map(str::to_owned),
        cosine,
        difference,
    };
    state.steer.contrast = Some(Contrasted {
        site,
        sae,
        norm: 3.218,
        found: vec![
            one(470, Some("subject number: plural"), 0.71, 4.02),
            one(12, Some("plural noun"), 0.32, 1.88),
            one(291, None, -0.28, -1.2),
        ],
        definition: "Mean over 2 texts less the mean over 2 texts.".to_owned(),
    });
}
