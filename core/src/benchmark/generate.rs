//! How fast text is written, one token after another, and what steering it costs.

use super::collect::dictionary;
use crate::edits::{Dictionaries, Edit, Edits, Op, Positions, Reconstruct};
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{Change, Config, Generation, Model, Site};
use crate::steering::{Prompt, SamplerSpec, SteerSpec, steer};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// What to measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerateShape {
    /// How the text begins.
    pub prompt: String,
    /// Tokens of each text.
    pub tokens: usize,
    /// The site that is steered.
    pub site: Site,
    /// Latents of the random TopK dictionary there, and at every other site where several are
    /// steered.
    pub latents: usize,
    /// Latents active on each token.
    pub k: usize,
    /// Rounds, in each of which every case writes a text.
    pub rounds: usize,
    /// Seed of all drawing.
    pub seed: u64,
}

/// One way of writing, measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerateCase {
    /// What is done to the text.
    pub name: String,
    /// Tokens a second, in the round in the middle.
    pub tokens_per_second: f64,
    /// Time over that of the unsteered text of the same round, in the round in the middle.
    pub cost: f64,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerateFigures {
    /// The cases, the unsteered text first.
    pub cases: Vec<GenerateCase>,
}

/// What a way of writing is called, and what it changes.
type Case<'a> = (String, Vec<(Site, &'a dyn Change)>);

/// Measures texts of `model`, greedy, by its own forward pass; the prompt's tokens are read but not
/// counted. Rounds are interleaved, so that a machine that slows down slows all cases.
///
/// # Errors
/// A shape that makes no sense; cancelled.
pub fn generate<E>(
    ctx: &JobContext<E>,
    model: &Model,
    shape: &GenerateShape,
) -> Result<GenerateFigures> {
    if shape.tokens == 0 || shape.rounds == 0 {
        return Err(Error::setting(
            "There is nothing to measure",
            "there must be at least one token and one round",
            "Give numbers from 1 on",
        ));
    }
    shape.site.within(model.config().layers)?;
    // Every text goes on to the number of tokens that was asked for.
    let config = Config { eos: Vec::new(), ..model.config().clone() };
    let ids = model.need_tokenizer()?.encode(&shape.prompt, true)?;
    if ids.len() + shape.tokens > config.context {
        return Err(Error::setting(
            format!("{} tokens cannot be written", shape.tokens),
            format!("with the prompt they do not fit into {} positions", config.context),
            "Ask for fewer",
        ));
    }
    let tokenizer = model.shared_tokenizer();
    let model = Model::from_weights(config, &model.weights()?, tokenizer)?;
    let sites = Site::all(model.config().layers);
    let mut dictionaries = Dictionaries::new();
    for (i, site) in sites.iter().enumerate() {
        let sae = dictionary(model.config().width, shape.latents, shape.k, shape.seed ^ i as u64)?;
        dictionaries.insert(*site, Arc::new(sae));
    }
    let edit =
        |site: Site, latent: u32, op: Op| Edit { site, latent, positions: Positions::All, op };
    let add = vec![edit(shape.site, 3, Op::Add(1.0))];
    let set = vec![edit(shape.site, 3, Op::Set(1.0))];
    let eight: Vec<Edit> = (0..8).map(|l| edit(shape.site, l, Op::Set(0.5))).collect();
    let everywhere: Vec<Edit> = sites.iter().map(|site| edit(*site, 3, Op::Set(0.5))).collect();
    let compiled = |edits: &[Edit]| Edits::new(edits, &dictionaries);
    let (one, several, all) = (compiled(&set)?, compiled(&eight)?, compiled(&everywhere)?);
    let added = compiled(&add)?;
    let splice = Reconstruct::new(dictionaries[&shape.site].clone());
    let site = shape.site;
    let cases: Vec<Case<'_>> = vec![
        ("unsteered".to_owned(), Vec::new()),
        (format!("one latent of {site}, added to"), added.changes()),
        (format!("one latent of {site}, set"), one.changes()),
        (format!("eight latents of {site}, set"), several.changes()),
        (format!("one latent at each of {} sites, set", sites.len()), all.changes()),
        (format!("{site} replaced by its reconstruction"), vec![(site, &splice as &dyn Change)]),
    ];
    let spec = |edits: &[Edit]| SteerSpec {
        prompt: Prompt::Text(shape.prompt.clone()),
        tokens: shape.tokens,
        sampler: SamplerSpec { seed: shape.seed, ..SamplerSpec::default() },
        edits: edits.to_vec(),
        splice: Vec::new(),
    };
    let twin = spec(&set);
    ctx.progress().stage("Measuring", "rounds", 0, shape.rounds as u64);
    let mut seconds = vec![Vec::new(); cases.len() + 1];
    let check = || ctx.check();
    // One round that does not count.
    for round in 0..=shape.rounds {
        for ((_, change), seconds) in cases.iter().zip(&mut seconds) {
            let how = Generation {
                tokens: shape.tokens,
                change,
                check: Some(&check),
                ..Generation::default()
            };
            let mut since = None;
            model.generate(&ids, &how, &mut |_| {
                // The first token comes of the prompt.
                since.get_or_insert_with(Instant::now);
                Ok(())
            })?;
            let taken = since.map_or(0.0, |since| since.elapsed().as_secs_f64());
            seconds.push(taken / (shape.tokens.max(2) - 1) as f64);
        }
        let found = steer(&ctx.without_events(), &model, &dictionaries, &twin)?;
        if let Some(seconds) = seconds.last_mut() {
            seconds.push(found.seconds / shape.tokens as f64);
        }
        if round == 0 {
            seconds.iter_mut().for_each(Vec::clear);
        } else {
            // Writing side by side has told its own progress.
            ctx.progress().stage("Measuring", "rounds", round as u64, shape.rounds as u64);
        }
    }
    let plain = seconds[0].clone();
    let names = cases
        .into_iter()
        .map(|(name, _)| name)
        .chain(["both texts side by side, each read by both models (pairs of tokens)".to_owned()]);
    let case = |(name, seconds): (String, Vec<f64>)| {
        let cost = seconds.iter().zip(&plain).map(|(s, p)| s / p).collect();
        GenerateCase { name, tokens_per_second: 1.0 / middle(seconds), cost: middle(cost) }
    };
    Ok(GenerateFigures { cases: names.zip(seconds).map(case).collect() })
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activations::testing::tiny_model;

    #[test]
    fn every_case_is_measured() {
        let shape = GenerateShape {
            prompt: "w1 w2".to_owned(),
            tokens: 5,
            site: Site::Resid(0),
            latents: 32,
            k: 4,
            rounds: 2,
            seed: 0,
        };
        let ctx = JobContext::<()>::unwatched();
        let found = generate(&ctx, &tiny_model(), &shape).unwrap();
        assert_eq!(found.cases.len(), 7);
        assert_eq!(found.cases[0].cost, 1.0);
        assert!(found.cases.iter().all(|c| c.tokens_per_second > 0.0 && c.cost > 0.0));
        let long = GenerateShape { tokens: 62, ..shape.clone() };
        assert!(generate(&ctx, &tiny_model(), &long).unwrap_err().why.contains("64 positions"));
        let none = GenerateShape { rounds: 0, ..shape };
        assert!(generate(&ctx, &tiny_model(), &none).is_err());
    }
}
