//! What was read of a prompt and of a latent: drawn by their screens.

use sparsescope::forms::PromptForm;
use sparsescope::state::{LatentState, State};
use sparsescope::work::latent::Elsewhere;
use sparsescope_core::directions::Neuron;
use sparsescope_core::features::{
    ActivationHistogram, CoActive, Context, ContextGroup, Fired, GroupKind, LogitEffects,
    PromptReading, PromptSpec, TokenEffect,
};
use sparsescope_core::llama::{NextToken, Site};
use std::sync::Arc;

const TOKENS: [&str; 13] = [
    "<s>", "The", " pilots", " near", " the", " old", " house", " who", " the", " doctor", " saw",
    " 열쇠", " 🗝",
];

/// A reading of a sentence with 16 latents on each token.
pub fn prompt(state: &mut State, form: &mut PromptForm) {
    super::fixture::features(state);
    let text = TOKENS[1..].concat();
    state.prompt.asked = Some((1, PromptSpec { text: text.clone(), ..PromptSpec::default() }));
    state.prompt.version = 1;
    let last = TOKENS.len() - 1;
    let mut fired = Vec::new();
    for position in 1..TOKENS.len() {
        for i in 0..16 {
            // Numbers that look like some, the same everywhere.
            let latent = ((position * 131 + i * 67) % 1024) as u32;
            let wobble = ((position * 7919 + i * 104_729) % 997) as f32 / 997.0;
            let activation = 6.0 * (1.0 - i as f32 / 17.0) * (0.3 + 0.7 * wobble);
            fired.push(Fired {
                position: position as u32,
                latent,
                activation,
                direct: if position == last { 1.4 * (wobble - 0.4) } else { 0.0 },
                attribution: 0.9 * (wobble - 0.45) * activation / 6.0,
            });
        }
    }
    fired.sort_by_key(|f| (f.position, f.latent));
    let next: Vec<NextToken> = [" are", " were", " is", ",", " have", " and", " lie", " was"]
        .iter()
        .enumerate()
        .map(|(i, text)| NextToken {
            id: 100 + i as u32,
            text: (*text).to_owned(),
            logit: 12.0 - 0.9 * i as f32,
            probability: 0.61 * 0.4_f64.powi(i as i32),
        })
        .collect();
    state.prompt.reading = Some(Arc::new(PromptReading {
        tokens: TOKENS.iter().zip(0..).map(|(t, i)| (i, (*t).to_owned())).collect(),
        first: 1,
        cut: 0,
        site: Site::Resid(1),
        position: last,
        target: next[0].clone(),
        against: Some(next[2].clone()),
        next,
        metric: 1.8,
        fired,
        unexplained: vec![0.0413; TOKENS.len()],
    }));
    form.begun = true;
    form.text = text;
    form.pins = [(1, 131), (1, 262)].into();
}

/// What was found out of latent 5 of the fixture's dictionary.
pub fn latent(state: &mut State) {
    super::fixture::features(state);
    collected(state);
    let effect = |text: &str, id: u32, effect: f32| TokenEffect { id, text: text.into(), effect };
    let promoted =
        [" are", " were", " have", " lie", " stand", " keep", " seem", " go", " 열쇠", "ⁿ"];
    let suppressed =
        [" is", " was", " has", " lies", " stands", " keeps", " seems", " goes", "s", ","];
    let list = |texts: [&str; 10], sign: f32| {
        let one = |(i, text): (usize, &&str)| {
            effect(text, 100 + i as u32, sign * (4.2 - 0.37 * i as f32))
        };
        texts.iter().enumerate().map(one).collect()
    };
    let bell = |i: i32| (900.0 * (-f64::from(i - 24).powi(2) / 60.0).exp()) as u64;
    state.latent = LatentState {
        of: Some((1, 5)),
        logits: Some(LogitEffects {
            promoted: list(promoted, 1.0),
            suppressed: list(suppressed, -1.0),
            counts: (0..50).map(bell).collect(),
            range: (-4.2, 4.2),
            activation: 2.21,
            scale: 0.143,
        }),
        near: (0..10).map(|i| (17 * i + 9, 0.81 - 0.07 * i as f32)).collect(),
        elsewhere: vec![Elsewhere {
            sae: 4,
            title: "SAE 4, gated, 4096".into(),
            near: vec![(611, 0.93), (2077, 0.41), (88, 0.32)],
        }],
        neurons: (0..5)
            .map(|i| Neuron { layer: i % 4, index: 31 * i + 7, cosine: 0.52 - 0.11 * i as f32 })
            .collect(),
        ..LatentState::default()
    };
}

/// Groups of contexts and a histogram for that latent.
fn collected(state: &mut State) {
    let features = &mut state.features;
    let mut detail = features.detail.as_deref().cloned().unwrap_or_default();
    let top = detail.top().to_vec();
    let group = |from: f32, low: f32, high: f32, contexts: &[Context]| ContextGroup {
        kind: GroupKind::Quantile { from, to: from + 0.2, low, high },
        contexts: contexts.to_vec(),
    };
    detail.groups = vec![
        ContextGroup { kind: GroupKind::Top, contexts: top[..2.min(top.len())].to_vec() },
        group(0.8, 1.4, 2.21, &top[2.min(top.len())..4.min(top.len())]),
        group(0.6, 0.9, 1.4, &top[4.min(top.len())..]),
    ];
    detail.coactive_tokens = 50_000;
    detail.coactive_fired = 31;
    detail.coactive = (0..4)
        .map(|i| CoActive {
            latent: 40 * i + 3,
            both: 20 - 4 * i,
            jaccard: 0.31 - 0.06 * i as f32,
            correlation: 0.4,
        })
        .collect();
    features.detail = Some(Arc::new(detail));
    let mut table = features.table.as_deref().cloned().unwrap_or_default();
    let latent = &mut table.latents[5];
    latent.histogram = ActivationHistogram {
        width: 0.0625,
        counts: (0..36u32).map(|i| (400 / (i + 2)).saturating_sub(9)).collect(),
    };
    latent.quantiles = [0.08, 0.21, 0.44, 0.83, 1.31, 1.72, 2.14];
    features.table = Some(Arc::new(table));
}
