//! States to draw: what a screen shows at some moment, without clocks or this machine's names.

use sparsescope::jobs::{JobId, JobView, Kind};
use sparsescope::state::{
    Curves, Edited, Figure, Finding, Findings, ModelFacts, NextAnswer, NextToken, Preview, RunView,
    State, SweepLine, SweepView,
};
use sparsescope_core::evaluation::{Evaluation, LossRecovered};
use sparsescope_core::features::{
    ActivationHistogram, Context, ContextGroup, FeatureTable, GroupKind, LatentDetail,
    LatentSummary,
};
use sparsescope_core::jobs::Snapshot;
use sparsescope_core::llama::Site;
use sparsescope_core::sae::Architecture;
use sparsescope_core::training::{TrainConfig, TrainPoint};
use sparsescope_core::workspace::{RunStatus, SaeRecord};
use std::sync::Arc;
use std::time::Duration;

pub fn model(state: &mut State) {
    state.workspace = "/home/you/.local/share/sparsescope".into();
    state.model.site = Some(Site::Resid(2));
    state.model.facts = Some(ModelFacts {
        name: "Built-in world".into(),
        path: None,
        hash: "3f9ab1c07de2".repeat(5) + "0a1b",
        architecture: "LlamaForCausalLM".into(),
        layers: 4,
        width: 128,
        heads: 4,
        kv_heads: 2,
        head_dim: 32,
        hidden: 344,
        vocab: 1000,
        context: 256,
        rope: "θ 10000".into(),
        parameters: 920_000,
        dtype: "F32".into(),
        tokenizer: Some("BPE, 1000 tokens".into()),
        tied: true,
        weight_bytes: 3_680_000,
        pass_bytes: 2_100_000,
        free_bytes: Some(12_000_000_000),
    });
}

pub fn next(state: &mut State) {
    let tokens = [
        "<s>", "The", " keys", " to", " the", " old", " cab", "inet", " 열쇠", "가", " 钥匙", " 🗝",
    ];
    let likely = [" are", " were", " have", " lie", ",", " near", " is", " that", " seem", " on"];
    let mut p = 0.62;
    state.model.next.answer = Some(NextAnswer {
        tokens: tokens.iter().zip(1..).map(|(t, i)| ((*t).to_owned(), i * 37 % 1000)).collect(),
        likely: likely
            .iter()
            .zip(0_u32..)
            .map(|(t, i)| {
                let token = NextToken {
                    text: (*t).to_owned(),
                    id: 100 + i,
                    probability: p,
                    logit: 12.0 + f64::ln(p),
                };
                p *= 0.45;
                token
            })
            .collect(),
        loss: Some(2.3127),
    });
}

pub fn points(count: u64, total: u64) -> Vec<TrainPoint> {
    (1..=count)
        .map(|i| {
            let t = i as f64 / total as f64;
            // A wobble that is the same on every machine.
            let noise = ((i * 7919) % 101) as f64 / 101.0 - 0.5;
            TrainPoint {
                step: i * 20,
                tokens: i * 1_000_000 / total,
                loss: 96.0 * (0.09 + 0.9 * (-6.0 * t).exp()) + 4.0 * noise,
                fvu: 0.11 + 0.85 * (-7.0 * t).exp() + 0.012 * noise,
                l0: 16.0,
                dead: 0.38 * (-4.0 * t).exp() * (1.0 - (-30.0 * t).exp()),
                lr: 8e-4,
                rate: 41_000.0 + 2_500.0 * noise,
                loss_recovered: (i % 10 == 0).then(|| 0.985 - 0.5 * (-5.0 * t).exp()),
            }
        })
        .collect()
}

pub fn config() -> TrainConfig {
    let mut config = TrainConfig::preset(Architecture::TopK { k: 16 }, 1024);
    config.tokens = 1_000_000;
    config
}

pub fn record(id: i64, status: RunStatus, done: u64) -> SaeRecord {
    SaeRecord {
        id,
        dir: format!("saes/{id:04}").into(),
        architecture: if id == 2 { "standard".into() } else { "topk".into() },
        latents: 1024 * id as usize,
        width: 128,
        site: Site::Resid(id as usize % 4),
        model: "3f9a".into(),
        corpus: "builtin".into(),
        config: Some(config()),
        request: serde_json::Value::Null,
        status,
        failure: (status == RunStatus::Failed).then(|| "The loss became NaN".to_owned()),
        tokens_done: done,
        tokens_total: 1_000_000,
        evaluation: (status == RunStatus::Done).then(evaluation),
        has_features: status == RunStatus::Done,
        created: 0,
        updated: 0,
    }
}

pub fn evaluation() -> Evaluation {
    Evaluation {
        sample: None,
        tokens: 50_000,
        corpus: "builtin".into(),
        seed: 0,
        l0: 16.0,
        mse: 9.61,
        fvu: 0.1123,
        fvu_per_token: 0.1187,
        gamma: 0.9871,
        dead: 0.021,
        loss: Some(LossRecovered::new(2.311, 2.402, 6.874)),
        density: Vec::new(),
    }
}

pub fn training(state: &mut State) {
    state.train.listed = true;
    state.train.runs = vec![
        record(4, RunStatus::Training, 620_000),
        record(3, RunStatus::Interrupted, 410_000),
        record(2, RunStatus::Failed, 90_000),
        record(1, RunStatus::Done, 1_000_000),
    ];
    state.train.run = Some(RunView {
        id: Some(4),
        title: "topk on resid.2".into(),
        config: Some(config()),
        curves: Curves::of(&points(62, 100)),
        saved: Some(500_000),
        resampled: None,
        evaluation: None,
    });
    state.train.job = Some(JobId(9));
    state.jobs = vec![job(Kind::Train, "Train topk on resid.2", "Training", 620_000, 1_000_000)];
}

pub fn job(kind: Kind, name: &str, stage: &'static str, done: u64, total: u64) -> JobView {
    JobView {
        id: JobId(9),
        kind,
        name: name.into(),
        progress: Snapshot {
            stage,
            unit: "tokens",
            done,
            total,
            rate: 41_200.0,
            left: Some(Duration::from_secs(9)),
        },
        paused: false,
        ending: false,
    }
}

const TEXTS: [&str; 5] = [
    "The| doctor| near| the| old| houses| said| that| she| had| seen| the| lamp|s| before|.",
    "Nine| red| stones| were| lying| on| the| table|,| and| no|body| knew| why|.",
    "“|We| are| late|,”| said| the| pilots| who| the| captain| admired|.",
    "서울|의| 열쇠|들은| 오래된| 서랍| 안에| 있|었다|.",
    "旧|书|在|桌|上|，| 🗝| 钥匙|在|门|边|。",
];

pub fn table(latents: usize) -> Arc<FeatureTable> {
    let one = |index: usize| {
        let silent = index % 17 == 3;
        // Spread over four decades, the same on every machine.
        let spread = ((index * 2_654_435_761) % 9973) as f32 / 9973.0;
        let density = if silent { 0.0 } else { 10f32.powf(-4.6 + 3.4 * spread) };
        let max = if silent { 0.0 } else { 1.5 + 9.0 * ((index * 37) % 89) as f32 / 89.0 };
        LatentSummary {
            index: index as u32,
            fired: (f64::from(density) * 500_000.0) as u64,
            density,
            mean: max * 0.41,
            max,
            quantiles: [0.02, 0.09, 0.2, 0.36, 0.57, 0.75, 0.96].map(|q| q * max),
            histogram: ActivationHistogram {
                width: max / 36.0,
                counts: match silent {
                    true => Vec::new(),
                    false => (0..36u32).map(|i| 700 / (i + 2) + 60 * u32::from(i > 24)).collect(),
                },
            },
        }
    };
    Arc::new(FeatureTable {
        corpus: "builtin".into(),
        tokens: 500_000,
        latents: (0..latents).map(one).collect(),
    })
}

/// What was kept of latent `index` of [`table`].
pub fn detail(index: usize) -> Arc<LatentDetail> {
    let max = table(index + 1).latents[index].max;
    let group = ContextGroup { kind: GroupKind::Top, contexts: contexts(index, max) };
    Arc::new(LatentDetail { latent: index as u32, groups: vec![group], ..LatentDetail::default() })
}

fn contexts(index: usize, max: f32) -> Vec<Context> {
    let one = |i: usize| {
        let tokens: Vec<String> = TEXTS[i % 5].split('|').map(str::to_owned).collect();
        let peak = (index * 3 + i * 5 + 2) % tokens.len();
        let activation = |j: usize| {
            let far = j.abs_diff(peak) as f32;
            if far > 2.0 || (j + i).is_multiple_of(4) && j != peak {
                0.0
            } else {
                max * (1.0 - 0.3 * far) * (1.0 - 0.06 * i as f32)
            }
        };
        let activations = (0..tokens.len()).map(activation).collect();
        Context {
            row: 70 * i as u64,
            document: 1200 + 31 * i as u64,
            start: 14 * i as u32,
            ids: (0..tokens.len() as u32).collect(),
            tokens,
            activations,
            peak,
            ..Context::default()
        }
    };
    (0..8).map(one).collect()
}

pub fn features(state: &mut State) {
    state.features.sae = Some(record(1, RunStatus::Done, 1_000_000));
    state.features.table = Some(table(1024));
    state.features.version = 1;
    state.features.latent = Some(5);
    state.features.detail = Some(detail(5));
}

pub fn findings(state: &mut State) {
    let figure = |name: &str, value: &str, good| Figure {
        name: name.into(),
        value: value.into(),
        definition: "Measured on sentences the training never saw.".into(),
        good,
    };
    let meanings = [
        "Subject is plural",
        "Subject is singular",
        "Gender: she",
        "Profession: doctor",
        "Inside a relative clause",
        "Topic: the sea",
        "Inside quotation marks",
        "A colour comes next",
    ];
    let example = |i: usize| contexts(i, 6.0).into_iter().nth(i % 3);
    state.tour.findings = Some(Findings {
        features: meanings
            .iter()
            .enumerate()
            .map(|(i, meaning)| Finding {
                latent: (i * 131 % 1024) as u32,
                meaning: (*meaning).into(),
                f1: 0.98 - 0.03 * i as f64,
                example: example(i),
            })
            .collect(),
        figures: vec![
            figure("FVU", "0.112", None),
            figure("Loss recovered", "98.0 %", None),
            figure("Number, 5 latents", "F1 0.98", Some(true)),
            figure("Gender, 5 latents", "F1 0.97", Some(true)),
            figure("Dead latents", "2.1 %", None),
            figure("Topic, 5 latents", "F1 0.88", None),
        ],
        edits: [
            ("5 number latents to the other number's mean", 0.83),
            ("5 number latents to 0", 0.21),
            ("5 latents of the subject's number to 0", 0.34),
            ("all that differs between the numbers", 0.95),
        ]
        .into_iter()
        .map(|(name, flipped)| Edited {
            name: name.into(),
            flipped,
            kept: 0.99,
            definition: "Counted on sentences the training never saw.".into(),
        })
        .collect(),
        edits_definition: "Latents are chosen on one half and judged on the other.".into(),
    });
}

pub fn tour(state: &mut State) {
    state.tour.running = true;
    state.tour.stages = ["Capturing", "Training a dictionary"].map(str::to_owned).to_vec();
    state.tour.curves = Curves::of(&points(48, 100));
    state.tour.tokens = 1_000_000;
    state.jobs = vec![job(Kind::Tour, "The tour", "Training a dictionary", 480_000, 1_000_000)];
}

pub fn preview(state: &mut State) {
    let rows = TEXTS.iter().map(|t| t.split('|').map(str::to_owned).collect()).collect();
    state.data.preview = Some(Preview {
        rows,
        tokens: 50_013,
        documents: 412,
        row_count: 3_120,
        whole: false,
        characters_a_token: 3.71,
        note: None,
    });
}

/// A sweep that has ended: four architectures at five sparsities on one site, two on another, one
/// that is not evaluated, one that failed.
pub fn pareto(state: &mut State) {
    let hash = state.model.facts.as_ref().map_or_else(String::new, |f| f.hash.clone());
    // Name, how far its FVU lies over the best, γ at L0 8, and dead share.
    let kinds = [
        ("topk", 1.0, 0.991, 0.012),
        ("batchtopk", 0.94, 0.994, 0.008),
        ("gated", 1.13, 0.987, 0.064),
        ("standard", 1.62, 0.842, 0.215),
        ("jumprelu", 1.04, 0.996, 0.041),
    ];
    let mut runs = Vec::new();
    for (i, (name, over, gamma, dead)) in kinds.into_iter().enumerate() {
        for (j, k) in [4_usize, 8, 16, 32, 64].into_iter().enumerate() {
            // The same wobble on every machine.
            let wobble = 1.0 + 0.05 * (((i * 31 + j * 17) % 13) as f64 / 13.0 - 0.5);
            let l0 = if i < 2 { k as f64 } else { k as f64 * (1.0 + 0.25 * (wobble - 1.0) * 8.0) };
            let fvu = over * wobble * 0.62 * l0.powf(-0.52);
            let recovered = 1.0 - 0.34 * fvu.powf(1.25);
            let mut config = TrainConfig::preset(Architecture::named(name, k).unwrap(), 1024);
            config.tokens = 2_000_000;
            config.l1 = 0.4 / l0;
            let loss = LossRecovered::new(2.311, 6.874 - recovered * 4.563, 6.874);
            runs.push(SaeRecord {
                id: 40 - runs.len() as i64,
                architecture: name.into(),
                latents: 1024,
                site: Site::Resid(2),
                model: hash.clone(),
                config: Some(config),
                tokens_done: 2_000_000,
                tokens_total: 2_000_000,
                evaluation: Some(Evaluation {
                    sample: None,
                    l0,
                    fvu,
                    fvu_per_token: fvu * 1.06,
                    gamma: 1.0 - (1.0 - gamma) * (8.0 / l0).powf(0.6),
                    dead: dead * wobble,
                    loss: Some(loss),
                    ..evaluation()
                }),
                ..record(1, RunStatus::Done, 2_000_000)
            });
        }
    }
    runs.push(SaeRecord {
        model: hash.clone(),
        site: Site::Resid(2),
        ..record(3, RunStatus::Failed, 90_000)
    });
    runs.push(SaeRecord {
        model: hash,
        site: Site::Resid(2),
        evaluation: None,
        ..record(1, RunStatus::Done, 1_000_000)
    });
    state.train.listed = true;
    state.train.runs = runs;
}

/// A sweep on its way: some near their L0, one refused.
pub fn sweep(state: &mut State) {
    training(state);
    let hash = state.model.facts.as_ref().map_or_else(String::new, |f| f.hash.clone());
    let mut lines = Vec::new();
    for (i, (name, target)) in
        [("topk", 8.0), ("topk", 16.0), ("gated", 8.0), ("gated", 16.0), ("standard", 16.0)]
            .into_iter()
            .enumerate()
    {
        let mut all = points(62, 100);
        for point in &mut all {
            let k = name == "topk";
            let over = if k { 1.0 } else { 1.0 + 6.0 * (-(point.tokens as f64) / 2e5).exp() };
            point.l0 = target * over;
            point.fvu *= 1.0 + 0.1 * i as f64;
            point.dead *= if name == "standard" { 1.4 } else { 0.6 };
        }
        lines.push(SweepLine {
            record: SaeRecord {
                architecture: name.into(),
                site: Site::Resid(2),
                model: hash.clone(),
                evaluation: None,
                ..record(20 + i as i64, RunStatus::Training, 620_000)
            },
            target,
            curves: Curves::of(&all),
        });
    }
    let refused = sparsescope_core::Error::setting(
        "standard did not come to an L0 of 900 in short probes",
        "its penalty led to L0s from 0.4 to 512.0",
        "Probe for longer, choose an L0 in that range, or an architecture with a k",
    );
    state.train.runs.clear();
    state.train.run = Some(RunView {
        id: Some(20),
        title: "topk on resid.2".into(),
        config: Some(config()),
        curves: lines[0].curves.clone(),
        ..RunView::default()
    });
    state.train.sweep = Some(SweepView { planning: false, lines, refused: vec![refused] });
}
