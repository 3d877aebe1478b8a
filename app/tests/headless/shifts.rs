//! What the SHIFT screen looks like at its steps: plausible numbers, the same on every machine.

use super::{fixture, wait, window};
use egui::{Theme, Vec2, vec2};
use egui_kittest::{Harness, SnapshotResults};
use sparsescope::app::Sparsescope;
use sparsescope::forms::{ShiftForm, ShiftStep};
use sparsescope::state::{Judged, Screen, State};
use sparsescope::work::shift::{Card, Firing, Found, Live, Texts, Trained};
use sparsescope_core::circuits::{Circuit, CircuitNode, Estimate, Node, Unit};
use sparsescope_core::features::{LogitEffects, RowReading, TokenEffect};
use sparsescope_core::llama::Site;
use sparsescope_core::shift::{
    Accuracies, CircuitSpec, Data, Item, Judgement, Judgements, Probe, ProbeSpec, PronounGroup,
    PronounMeans, PronounReport, RowKind, Share, Split, SplitFacts, TableRow, Telling, Verdict,
};
use sparsescope_core::workspace::{RunStatus, StudyRecord};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Texts of the built-in world, read.
pub fn texts(state: &mut State, form: &ShiftForm) {
    let spec = form.texts().unwrap();
    state.shift.asked = Some(spec.clone());
    let counts = [[1998_usize, 2004], [1987, 2011]];
    let mut items = Vec::new();
    for (label, row) in counts.iter().enumerate() {
        for (spurious, count) in row.iter().enumerate() {
            let item = Item { text: String::new(), label, spurious };
            items.extend(std::iter::repeat_n(item, *count));
        }
    }
    let data = Data {
        label_name: "profession".into(),
        labels: ["nurse".into(), "professor".into()],
        spurious_name: "gender".into(),
        spurious: ["feminine".into(), "masculine".into()],
        pairing: "the built-in world's own stereotype of the first profession".into(),
        items,
        left_out: BTreeMap::from([("the same text again".into(), 14)]),
    };
    let facts = SplitFacts {
        ambiguous: 2000,
        balanced_train: 1000,
        balanced_test: 1000,
        unused: 4000,
        same_tokens: 0,
        cut_texts: 3,
        cut_tokens: 41,
        context: 256,
        tokens: 214_000,
    };
    let split = Split { facts, ..Split::default() };
    state.shift.texts = Some(Arc::new(Texts { spec, data, split, model: "3f9a".into() }));
}

pub fn share(mean: f64) -> Share {
    let half = 1.96 * (mean * (1.0 - mean) / 1000.0).sqrt();
    Share { mean, low: (mean - half).max(0.0), high: (mean + half).min(1.0) }
}

pub fn accuracies(label: f64, spurious: f64, worst: f64) -> Accuracies {
    let wide = |mean: f64| {
        let half = 1.96 * (mean * (1.0 - mean) / 250.0).sqrt();
        Share { mean, low: (mean - half).max(0.0), high: (mean + half).min(1.0) }
    };
    let high = (2.0 * label - worst).min(0.995);
    Accuracies {
        texts: 1000,
        label: share(label),
        spurious: share(spurious),
        worst_group: wide(worst),
        groups: [[wide(high), wide(worst)], [wide(worst + 0.04), wide(high - 0.01)]],
    }
}

/// A probe that learnt from them.
pub fn trained(state: &mut State, form: &ShiftForm) {
    texts(state, form);
    state.shift.trained = Some(Arc::new(Trained {
        texts: state.shift.texts.clone().unwrap(),
        spec: ProbeSpec::default(),
        probe: Probe {
            site: Site::Resid(2),
            weights: vec![0.1; 128],
            bias: 0.0,
            train_accuracy: 0.9965,
            train_loss: 0.0213,
            texts: 2000,
            steps: 63,
        },
        original: accuracies(0.628, 0.861, 0.244),
    }));
    let facts = state.model.facts.clone().unwrap();
    for (i, site) in Site::all(facts.layers).into_iter().enumerate() {
        let mut record = fixture::record(i as i64 + 10, RunStatus::Done, 1_000_000);
        record.site = site;
        record.latents = 512;
        record.architecture = "topk".into();
        record.model.clone_from(&facts.hash);
        record.evaluation = Some(fixture::evaluation());
        state.train.runs.push(record);
    }
}

const NAMES: [&str; 14] = [
    "pronoun: she",
    "word: her",
    "",
    "profession: nurse",
    "pronoun: he",
    "first name of a woman",
    "topic: on the ward",
    "word: his",
    "",
    "topic: the university",
    "first name of a man",
    "profession: professor",
    "possessive",
    "a town",
];

/// The circuit of its output.
pub fn found(state: &mut State, form: &ShiftForm) {
    trained(state, form);
    let sites = Site::all(4);
    let mut found = Found { spec: CircuitSpec::default(), ..Found::default() };
    let mut nodes = Vec::new();
    for i in 0..42_usize {
        let site = sites[(i * 7 + 3) % 10];
        let error = i % 9 == 6;
        let latent = (i * 131 % 512) as u32;
        let unit = if error { Unit::Error } else { Unit::Latent(latent) };
        let mean = 1.9 * (-0.11 * i as f64).exp() + 0.02;
        nodes.push(CircuitNode {
            node: Node { site, position: None, unit },
            effect: Estimate { mean, error: 0.03 + 0.04 * mean },
            clean: 2.0 + (i % 7) as f32,
            patch: 0.0,
            exact: None,
            stability: None,
        });
        found.saes.insert(site, 10);
        let name = NAMES[i % NAMES.len()];
        if !name.is_empty() && !error {
            found.labels.insert((site, latent), name.to_owned());
        }
    }
    let mut circuit = Circuit {
        clean: Estimate { mean: 4.82, error: 0.21 },
        candidates: 1893,
        nodes,
        ..Circuit::default()
    };
    circuit.conventions.task.used = (0..100).collect();
    found.circuit = circuit;
    state.shift.found = Some(Arc::new(found));
    state.shift.version = 1;
    measured(state);
}

fn measured(state: &mut State) {
    let trimmed = state.shift.judged.now.trimmed();
    let asked = (1, trimmed.clone());
    let (trimmed, retrained) = match trimmed.len() {
        0 => (accuracies(0.628, 0.861, 0.244), None),
        _ => (accuracies(0.884, 0.541, 0.761), Some(accuracies(0.931, 0.521, 0.889))),
    };
    state.shift.live.asked = Some(asked.clone());
    let took = Duration::from_micros(84_300);
    state.shift.live.last = Some(Live { asked, trimmed, retrained, took });
}

/// Half of its features judged; the card of one that is not.
pub fn judged(state: &mut State, form: &mut ShiftForm) {
    found(state, form);
    let nodes: Vec<Node> = state.shift.to_judge(100).iter().map(|n| n.node).collect();
    let mut judgements = Judgements::default();
    for (i, node) in nodes.iter().enumerate().take(17).filter(|(i, _)| *i != 4) {
        let verdict = if i % 3 == 0 { Verdict::Keep } else { Verdict::Trim };
        judgements.all.insert(*node, Judgement { verdict, note: String::new() });
    }
    state.shift.judged = Judged::begin(Judgements::default());
    state.shift.judged.change(judgements);
    measured(state);
    let chosen = nodes[4];
    form.chosen = Some(chosen);
    state.shift.card.cards.insert(chosen, Arc::new(card()));
    let telling = Telling {
        node: chosen,
        label_auc: 0.512,
        spurious_auc: 0.984,
        means: [[0.8, 0.01], [0.79, 0.02]],
        fires: 0.487,
    };
    state.shift.tellings = Some(Arc::new(BTreeMap::from([(chosen, telling)])));
}

fn card() -> Card {
    let lines = [
        "Anna| Kell|er| is| a| nurse| from| Bren|ford|.| She| treats| the| pale| patients|.| Her| \
         sisters| are| tall|.",
        "Meet| Ruth| Hale|,| a| nurse|.| The| visitors| near| the| door| trust| her|.| She| still| \
         lives| in| Ashby|.",
        "Clara| Moss| works| on| the| ward|.| In| 1974|,| she| moved| to| Win|ton|.",
        "Edith| Cole| is| a| nurse|.| “|The| wounds| are| deep|,”| she| says|.",
    ];
    let firings = lines.iter().enumerate().map(|(i, line)| {
        let tokens: Vec<String> = line.split('|').map(str::to_owned).collect();
        let fires = |t: &String| ["she", "her"].contains(&t.trim().to_lowercase().as_str());
        let value = |(j, t): (usize, &String)| match fires(t) {
            true => 6.1 - 0.4 * i as f32 - 0.1 * j as f32,
            false => 0.0,
        };
        let activations: Vec<f32> = tokens.iter().enumerate().map(value).collect();
        let peak = tokens.iter().position(fires).unwrap();
        let reading = RowReading { activations: activations.clone(), ..RowReading::default() };
        Firing { reading, label: 0, peak, max: activations[peak], tokens }
    });
    let effects = |list: &[(&str, f32)]| -> Vec<TokenEffect> {
        list.iter()
            .zip(0..)
            .map(|((text, effect), id)| TokenEffect { id, text: (*text).into(), effect: *effect })
            .collect()
    };
    Card {
        detail: Some(fixture::detail(7)),
        logits: Some(LogitEffects {
            promoted: effects(&[
                (" herself", 3.1),
                (" her", 2.4),
                (" she", 1.9),
                (" She", 1.6),
                (" Her", 1.2),
                (" sister", 0.7),
            ]),
            suppressed: effects(&[
                (" his", -2.9),
                (" him", -2.2),
                (" he", -2.1),
                (" He", -1.5),
                (" His", -1.1),
                (" brother", -0.6),
            ]),
            counts: Vec::new(),
            range: (-2.9, 3.1),
            activation: 6.1,
            scale: 0.4,
        }),
        firings: firings.collect(),
        looked_at: 48,
        fires_in: 23,
        max: 6.1,
    }
}

/// The table full, the study kept beside others.
pub fn filled(state: &mut State, form: &mut ShiftForm) {
    judged(state, form);
    let figures = [
        (0.628, 0.861, 0.244),
        (0.630, 0.858, 0.252),
        (0.884, 0.541, 0.761),
        (0.931, 0.521, 0.889),
        (0.755, 0.732, 0.415),
        (0.885, 0.543, 0.629),
        (0.833, 0.601, 0.677),
        (0.938, 0.494, 0.919),
        (0.912, 0.532, 0.812),
        (0.929, 0.524, 0.873),
        (0.707, 0.781, 0.384),
        (0.731, 0.756, 0.402),
        (0.908, 0.539, 0.824),
    ];
    let row = |(kind, (label, spurious, worst)): (RowKind, (f64, f64, f64))| TableRow {
        kind,
        made: "As it is made.".into(),
        trimmed: 11,
        accuracies: Some(accuracies(label, spurious, worst)),
        missing: None,
        train_accuracy: None,
        words: Vec::new(),
    };
    let results = &mut state.shift.results;
    results.of = state.shift.judged.now.trimmed();
    results.rows = RowKind::ALL.into_iter().zip(figures).map(row).collect();
    results.rows[6].accuracies = None;
    results.rows[6].missing = Some("No keywords were given for this file.".into());
    results.pronouns = Some(pronouns());
    state.shift.study = Some(2);
    state.shift.saved = true;
    state.shift.name = "built-in world, nurse and professor, probe at resid.2".into();
    form.name.clone_from(&state.shift.name);
    let hash = state.model.facts.clone().unwrap().hash;
    let study = |id: i64, name: &str, model: &str| StudyRecord {
        id,
        name: name.into(),
        model: model.into(),
        judged: 42,
        trimmed: 11,
        original: Some(0.244),
        retrained: Some(0.889),
        updated: 1_770_000_000,
    };
    state.shift.studies =
        vec![study(2, &state.shift.name, &hash), study(1, "bios.csv, probe at resid.1", "other")];
    state.shift.listed = true;
}

fn pronouns() -> PronounReport {
    let means = |she: f64, he: f64| PronounMeans { she, he, right: 0.93 };
    let group = |name: &str, places, she: f64, he: f64| PronounGroup {
        name: name.into(),
        places,
        before: means(she, he),
        after: means(she * 0.96, he * 1.03),
    };
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    PronounReport {
        text: "the balanced test part".into(),
        texts: 400,
        left_out: BTreeMap::new(),
        she: words(&["she", "her", "hers", "herself"]),
        she_tokens: words(&[" she", " her"]),
        he: words(&["he", "him", "his", "himself"]),
        he_tokens: words(&[" he", " his"]),
        shared_tokens: Vec::new(),
        trimmed: 11,
        all: group("all", 1412, 0.301, 0.297),
        groups: vec![
            group("nurse, feminine", 361, 0.561, 0.021),
            group("nurse, masculine", 350, 0.048, 0.539),
            group("professor, feminine", 344, 0.548, 0.033),
            group("professor, masculine", 357, 0.031, 0.572),
        ],
        definition: "At every place before a she-word or he-word.".into(),
        caveat: String::new(),
    }
}

/// Lets the window's own first jobs end, then puts a state of the screen in their place.
pub fn still(
    harness: &mut Harness<'_, Sparsescope>,
    step: ShiftStep,
    set: &dyn Fn(&mut State, &mut ShiftForm),
) {
    wait(harness, "the first jobs", 60, Sparsescope::is_idle);
    let app = harness.state_mut();
    app.hold_still();
    let mut state = State { screen: Screen::Shift, ..State::default() };
    fixture::model(&mut state);
    let mut form = ShiftForm { step, ..ShiftForm::default() };
    state.shift.listed = true;
    set(&mut state, &mut form);
    *app.state_mut() = state;
    app.forms_mut().shift = form;
    harness.run_steps(4);
}

/// A picture of one state.
pub fn picture(
    name: &str,
    (size, density): (Vec2, f32),
    theme: Theme,
    step: ShiftStep,
    set: &dyn Fn(&mut State, &mut ShiftForm),
) -> SnapshotResults {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), size, density, theme);
    still(&mut harness, step, set);
    harness.snapshot(name);
    harness.take_snapshot_results()
}

/// Pictures of one state in both themes.
pub fn both(name: &str, step: ShiftStep, set: &dyn Fn(&mut State, &mut ShiftForm)) {
    let size = (vec2(1280.0, 800.0), 1.0);
    let mut results = picture(&format!("{name}_dark"), size, Theme::Dark, step, set);
    results.extend(picture(&format!("{name}_light"), size, Theme::Light, step, set));
}
