//! Where the model chooses between two forms: verbs by number, pronouns by gender.

use super::check::{BATCH, VerbChoice};
use super::stream::ends;
use super::truth_report::rows_of;
use crate::activations::{gather, numbers, site_output};
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{
    Change, Logits, Model, Pass, Plan, Site, TokenizerHandle, Tokens, WhatGradients,
};
use crate::sae::{Latents, Sae};
use crate::world::{AgreementKind, Document, Number, Pronoun};
use candle_core::Tensor;

/// Where the model chooses, at the token before a verb or a pronoun.
#[derive(Debug, Clone)]
pub(super) struct Place {
    row: usize,
    choice: VerbChoice,
    /// Of the subject; a pronoun stands for a person, so there the edits for singular and for
    /// plural take turns.
    pub number: Number,
    /// Whether it is a verb and not a pronoun.
    pub verb: bool,
}

/// Documents run as one batch, with what was read at their places.
pub(super) struct Sheet {
    tokens: Tokens,
    pub places: Vec<Place>,
    /// logit(right) − logit(wrong) at each place, unedited.
    pub margins: Vec<f32>,
    /// The site's output at each place.
    pub x: Vec<f32>,
    /// The latents active at each place.
    pub latents: Latents,
}

impl Sheet {
    /// Reads `documents`, so many at once.
    pub(super) fn read<E>(
        ctx: &JobContext<E>,
        model: &Model,
        sae: &Sae,
        site: Site,
        documents: &[Document],
    ) -> Result<Vec<Self>> {
        let one = |chunk: &[Document]| {
            ctx.check()?;
            let rows = rows_of(model, chunk)?;
            let tokens = Tokens::padded(&rows, super::bpe::EOS)?;
            let places = places(model.need_tokenizer()?, chunk, &rows)?;
            let mut sheet = Self {
                tokens,
                places,
                margins: Vec::new(),
                x: Vec::new(),
                latents: Latents::new(sae.latents()),
            };
            let pass = sheet.pass(model, &[site], &[], false)?;
            sheet.margins = sheet.margins_in(&pass)?;
            sheet.x = gather(&site_output(&pass, site)?, sae.width(), &sheet.rows(), site)?;
            sheet.latents = sae.encode(&sheet.x)?;
            ctx.progress().add(chunk.len() as u64);
            Ok(sheet)
        };
        documents.chunks(BATCH).map(one).collect()
    }

    /// The row of each place among all positions of the batch; two places may share one.
    pub(super) fn rows(&self) -> Vec<usize> {
        let of = |p: &Place| p.row * self.tokens.positions() + p.choice.position;
        self.places.iter().map(of).collect()
    }

    /// Places at verbs whose right form the unedited model prefers.
    pub(super) fn right_verbs(&self) -> impl Iterator<Item = usize> {
        (0..self.places.len()).filter(|&i| self.places[i].verb && self.margins[i] > 0.0)
    }

    fn pass(
        &self,
        model: &Model,
        read: &[Site],
        change: &[(Site, &dyn Change)],
        trace: bool,
    ) -> Result<Pass> {
        model.forward(
            &self.tokens,
            &Plan { read, change, logits: Logits::All, trace, ..Plan::default() },
        )
    }

    fn margins_in(&self, pass: &Pass) -> Result<Vec<f32>> {
        let logits = pass.logits.as_ref().ok_or_else(no_logits)?;
        let vocab = logits.dim(candle_core::D::Minus1)?;
        let logits = numbers(logits)?;
        let margin = |(place, row): (&Place, usize)| {
            let at = row * vocab;
            logits[at + place.choice.right as usize] - logits[at + place.choice.wrong as usize]
        };
        Ok(self.places.iter().zip(self.rows()).map(margin).collect())
    }

    /// logit(right) − logit(wrong) at each place under a change of the site.
    pub(super) fn margins_under(
        &self,
        model: &Model,
        site: Site,
        change: &dyn Change,
    ) -> Result<Vec<f32>> {
        self.margins_in(&self.pass(model, &[], &[(site, change)], false)?)
    }

    /// Under a change of the site, the gradient by the site's output at each place (`[places, d]`)
    /// of Σ logit(right) − logit(wrong) over the verbs.
    pub(super) fn gradient_under(
        &self,
        model: &Model,
        site: Site,
        change: &dyn Change,
    ) -> Result<Vec<f32>> {
        let pass = self.pass(model, &[], &[(site, change)], true)?;
        let shape = pass.logits.as_ref().ok_or_else(no_logits)?.dims3()?;
        let mut seed = vec![0f32; shape.0 * shape.1 * shape.2];
        for (place, row) in self.places.iter().zip(self.rows()).filter(|(p, _)| p.verb) {
            seed[row * shape.2 + place.choice.right as usize] += 1.0;
            seed[row * shape.2 + place.choice.wrong as usize] -= 1.0;
        }
        let seed = Tensor::from_vec(seed, shape, model.device())?;
        let what = WhatGradients { sites: &[site], ..WhatGradients::default() };
        let gradients = model.backward(&pass, &seed, what)?;
        let gradient = gradients.sites.get(&site).ok_or_else(|| {
            Error::internal("Nothing was attributed", format!("{site} has no gradient"))
        })?;
        gather(&numbers(gradient)?, model.config().width, &self.rows(), site)
    }
}

fn no_logits() -> Error {
    Error::internal("The model was not read", "the pass gave no logits")
}

/// Verbs (not those of pronouns) and pronouns where both forms are one token.
fn places(
    tokenizer: &TokenizerHandle,
    documents: &[Document],
    rows: &[Vec<u32>],
) -> Result<Vec<Place>> {
    let mut out = Vec::new();
    for (row, (document, tokens)) in documents.iter().zip(rows).enumerate() {
        let ends = ends(tokenizer, tokens);
        for a in document.truth.agreements.iter().filter(|a| a.kind != AgreementKind::Pronoun) {
            if let Some(choice) = VerbChoice::of(tokenizer, &document.text, a, &ends)? {
                out.push(Place { row, choice, number: a.number, verb: true });
            }
        }
        for (i, p) in document.truth.pronouns.iter().enumerate() {
            let number = if i % 2 == 0 { Number::Singular } else { Number::Plural };
            if let Some(choice) = pronoun_choice(tokenizer, &document.text, p, &ends)? {
                out.push(Place { row, choice, number, verb: false });
            }
        }
    }
    Ok(out)
}

fn pronoun_choice(
    tokenizer: &TokenizerHandle,
    text: &str,
    pronoun: &Pronoun,
    ends: &[usize],
) -> Result<Option<VerbChoice>> {
    let right = tokenizer.encode(pronoun.span.of(text), false)?;
    let wrong = tokenizer.encode(&pronoun.wrong, false)?;
    let before = text[..pronoun.span.start].trim_end().len();
    let position = ends.iter().position(|&end| end == before);
    Ok(match (&right[..], &wrong[..], position) {
        (&[right], &[wrong], Some(position)) => Some(VerbChoice { position, right, wrong }),
        _ => None,
    })
}
