//! What each latent of a dictionary tells of the built-in world, where it tells anything.

use super::probe::{best_threshold, by_latent, f1};
use super::truth_report::{DEFINITION, Read, TruthRequest};
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::{Model, Site};
use crate::sae::Sae;
use crate::world::{Document, Split, Variable, Writer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a latent tells best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meaning {
    /// The latent.
    pub latent: u32,
    /// The variable.
    pub variable: Variable,
    /// Its value.
    pub value: String,
    /// F1 of this latent alone, with its best threshold on the choosing half, on the judging half.
    pub f1: f64,
}

impl Meaning {
    /// In words: "subject number: plural"; a kind of word speaks for itself: "plural noun".
    pub fn text(&self) -> String {
        match self.variable {
            Variable::Word => self.value.clone(),
            variable => format!("{}: {}", variable.name(), self.value),
        }
    }
}

/// The meanings of a dictionary's latents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meanings {
    /// The site that was read.
    pub site: Site,
    /// Documents looked at.
    pub documents: usize,
    /// Their seed.
    pub seed: u64,
    /// Latents whose best F1 is at least that asked for, in ascending order.
    pub latents: Vec<Meaning>,
    /// How the figures were computed.
    pub definition: String,
}

/// For each latent of `sae` the value of the true variables of the world that it tells best, if its
/// F1 is at least `least`. A value that the sample has too seldom is passed over.
///
/// # Errors
/// A dictionary that does not fit the model, a model without a tokenizer, the job was stopped.
pub fn meanings<E>(
    ctx: &JobContext<E>,
    model: &Model,
    sae: &Sae,
    request: &TruthRequest,
    least: f64,
) -> Result<Meanings> {
    let site = crate::evaluation::site_of(model, sae, request.site, request.allow_foreign)?;
    ctx.progress().stage("Comparing with the truth", "documents", 0, request.documents as u64);
    let documents: Vec<Document> =
        Writer::new(request.seed, Split::Heldout).take(request.documents).collect();
    let read = Read::new(ctx, model, sae, site, &documents)?;
    let mut best = BTreeMap::<u32, Meaning>::new();
    for variable in Variable::ALL {
        let columns = read.halves_of(variable).map(|half| by_latent(&half.latents));
        for value in read.values(variable) {
            ctx.check()?;
            let h = read.halves(variable, &value);
            let positives = h.chosen_truth.iter().filter(|&&t| t).count();
            for (latent, column) in columns[0].iter().enumerate() {
                let scored =
                    column.iter().map(|&(row, v)| (f64::from(v), h.chosen_truth[row as usize]));
                let Some((threshold, chosen)) = best_threshold(scored.collect(), positives, 0.0)
                else {
                    continue;
                };
                // What does not do well where it was chosen is not worth judging.
                if chosen < least {
                    continue;
                }
                let mut said = vec![false; h.judged_truth.len()];
                for &(row, v) in &columns[1][latent] {
                    said[row as usize] = f64::from(v) > threshold;
                }
                let f1 = f1(said.into_iter(), &h.judged_truth);
                let latent = latent as u32;
                if f1 >= least && best.get(&latent).is_none_or(|known| f1 > known.f1) {
                    best.insert(latent, Meaning { latent, variable, value: value.clone(), f1 });
                }
            }
        }
    }
    Ok(Meanings {
        site,
        documents: documents.len(),
        seed: request.seed,
        latents: best.into_values().collect(),
        definition: DEFINITION.to_owned(),
    })
}
