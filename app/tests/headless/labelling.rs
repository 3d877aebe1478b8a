//! Labels, what was found by words, and runs of labelling: drawn by their screens.

use super::fixture;
use sparsescope::state::{Planned, State};
use sparsescope_core::labels::{
    Delivery, Endpoint, Estimate, Found, Hit, Judged, KeySource, Label, LabelBatch, LabelRequest,
    LabelRunStatus, LabelScores, LabelSource, LatentView, Limits, Price, Protocol, RunView,
    Snippet, Spent, Where,
};
use std::time::Duration;

const TEXTS: [&str; 12] = [
    "subject number: plural",
    "gender: female, carried to a later pronoun",
    "words for stones and other things that lie on the ground",
    "the verb right after a relative clause that belongs to the subject of the sentence",
    "gender: male",
    "a closing quotation mark",
    "열쇠: 서랍과 열쇠에 관한 낱말",
    "topic: garden",
    "names of towns",
    "the comma before “but”",
    "kind of word: noun",
    "🗝 and other pictures",
];

fn judged(right: u32, of: u32) -> Judged {
    Judged {
        true_positives: right,
        false_negatives: of - right,
        true_negatives: of - 1,
        false_positives: 1,
        unparsed: 0,
    }
}

fn by_model() -> LabelSource {
    LabelSource::Model { endpoint: endpoint().url, model: "labeller-large-2".into() }
}

fn endpoint() -> Endpoint {
    Endpoint {
        protocol: Protocol::Anthropic,
        url: "https://api.anthropic.com".into(),
        model: "labeller-large-2".into(),
        key: KeySource::Named("ANTHROPIC_API_KEY".into()),
    }
}

/// The features of the fixture with labels of every source.
pub fn labels(state: &mut State) {
    fixture::features(state);
    let label = |(i, text): (usize, &&str)| {
        let source = match i {
            0 | 1 | 4 | 7 => LabelSource::Truth {
                f1: 0.991 - 0.04 * i as f64,
                definition: "F1 of this latent alone on held-out documents.".into(),
            },
            5 => LabelSource::Hand,
            8 => LabelSource::Import { file: "labels.json".into() },
            _ => by_model(),
        };
        let scores = matches!(source, LabelSource::Model { .. }).then(|| LabelScores {
            detection: Some(judged(20 - i as u32, 20)),
            fuzzing: (i != 6).then(|| judged(10 - i as u32 / 2, 10)),
            judge: "labeller-large-2".into(),
        });
        Label {
            id: i as i64,
            sae: 1,
            latent: (i * i * 3 + 2 * i + 1) as u32,
            text: (*text).to_owned(),
            source,
            scores,
            current: true,
            created: 0,
        }
    };
    state.features.labels = TEXTS.iter().enumerate().map(label).collect();
}

/// What the words "gender" bring.
pub fn found(state: &mut State) {
    labels(state);
    let marked = |text: &str, word: &str| {
        let marked = text.match_indices(word).map(|(i, w)| i..i + w.len()).collect();
        Snippet { text: text.to_owned(), marked }
    };
    let all = state.features.labels.clone();
    let mut hits: Vec<Hit> = all
        .iter()
        .filter(|l| l.text.contains("gender"))
        .map(|l| Hit {
            sae: 1,
            latent: l.latent,
            label: Some(l.clone()),
            at: Where::Label,
            snippet: marked(&l.text, "gender"),
        })
        .collect();
    for (i, text) in [
        "…she had seen that the gender of the word was not what she had thought it would be…",
        "the gender and the number agree",
        "…of one gender or another, or of none",
    ]
    .iter()
    .enumerate()
    {
        hits.push(Hit {
            sae: 1,
            latent: 700 + 13 * i as u32,
            label: (i == 1).then(|| all[3].clone()),
            at: if i == 0 { Where::Peak(4) } else { Where::Context(1) },
            snippet: marked(text, "gender"),
        });
    }
    state.features.latent = Some(hits[0].latent);
    state.features.detail = Some(fixture::detail(hits[0].latent as usize));
    state.labels.search.asked = "gender".into();
    state.labels.search.found =
        Some(Found { hits, more: false, unindexed: Vec::new(), took: Duration::ZERO });
}

fn estimate(priced: bool) -> Estimate {
    let price = Price::new(3.0, 15.0).unwrap();
    let value = serde_json::json!({
        "latents": 20, "skipped": [[17, "it fires in no context that was collected"]],
        "requests": 140, "input_tokens": 103_400, "output_tokens": 22_800,
        "price": priced.then_some(price), "cost": priced.then(|| price.of(103_400, 22_800, false)),
        "seconds": 252, "fingerprint": "",
    });
    serde_json::from_value(value).unwrap()
}

/// An estimate that waits to be agreed to.
pub fn planned(state: &mut State, priced: bool) {
    labels(state);
    state.labels.planned = Some(Planned {
        endpoint: endpoint(),
        estimate: estimate(priced),
        sample: "You study one unit of a neural network that reads text.".into(),
        prepared: None,
    });
}

fn run(id: i64, status: LabelRunStatus, delivery: Delivery) -> RunView {
    let latent = |i: usize| LatentView {
        latent: i as u32 * 7,
        label: Some(TEXTS[i % TEXTS.len()].to_owned()),
        scores: LabelScores::default(),
        questions: (7, 7),
        failures: Vec::new(),
    };
    RunView {
        id,
        sae: 1,
        request: LabelRequest {
            sae: 1,
            latents: Vec::new(),
            endpoint: endpoint(),
            delivery,
            limits: Limits::default(),
            counts: Default::default(),
            judge: true,
            seed: 0,
        },
        confirmed: estimate(true),
        status,
        failure: None,
        spent: Spent {
            requests: 140,
            input_tokens: 81_222,
            output_tokens: 2711,
            cost: Some(0.2843),
            unsure: 0,
        },
        latents: (0..20).map(latent).collect(),
        batches: Vec::new(),
        created: 0,
    }
}

/// A run that broke off, one whose batch is with the server, one that is done.
pub fn runs(state: &mut State) {
    labels(state);
    let mut broken = run(3, LabelRunStatus::Stopped, Delivery::Direct);
    broken.failure = Some(
        "Nobody answers at https://api.anthropic.com: the connection failed: connection refused. \
         Look at the address and at the network; then go on with the run."
            .into(),
    );
    broken.spent = Spent {
        requests: 61,
        input_tokens: 33_890,
        output_tokens: 1204,
        cost: Some(0.1197),
        unsure: 2,
    };
    broken.latents[4].failures.push("no list in its answer: “They all look fine to me.”".into());
    let mut waiting = run(2, LabelRunStatus::Waiting, Delivery::Batch);
    waiting.spent = Spent {
        requests: 20,
        input_tokens: 21_004,
        output_tokens: 502,
        cost: Some(0.0353),
        unsure: 0,
    };
    waiting.batches.push(LabelBatch {
        id: 1,
        remote: Some("msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d".into()),
        ended: false,
        counts: Some(serde_json::json!({"processing": 96, "succeeded": 24, "errored": 0, "canceled": 0, "expired": 0})),
        created: 0,
    });
    state.labels.runs = vec![broken, waiting];
}
