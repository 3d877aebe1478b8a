//! A prompt as it was read: drawn by the prompt screen.

use sparsescope::forms::PromptForm;
use sparsescope::state::State;
use sparsescope_core::features::{Fired, PromptReading, PromptSpec};
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
