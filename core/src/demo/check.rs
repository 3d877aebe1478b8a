//! How well a model knows the world: agreement on sentences it never saw, loss against entropy.

use super::stream::{document_row, ends};
use super::truth_report::rows_of;
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::{Logits, Model, Plan, TokenizerHandle, Tokens, next_token_nll};
use crate::world::{Agreement, AgreementKind, Split, Writer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Documents run at once.
pub(super) const BATCH: usize = 32;

/// How often the model prefers the right form of a verb.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Verbs looked at.
    pub verbs: usize,
    /// Verbs of which the right form is likelier than the other.
    pub right: usize,
    /// Of these verbs, those with a noun of the other number in the way.
    pub verbs_with_attractor: usize,
    /// Of those, the ones whose right form is likelier.
    pub right_with_attractor: usize,
}

impl Score {
    /// Share of right ones, 0 to 1.
    pub fn share(&self) -> f64 {
        self.right as f64 / self.verbs as f64
    }

    /// The same where a noun of the other number is in the way.
    pub fn share_with_attractor(&self) -> f64 {
        self.right_with_attractor as f64 / self.verbs_with_attractor as f64
    }
}

/// How well a model knows the world, and from which sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Knowledge {
    /// Agreement by what stands between subject and verb, on split `heldout` (pairs of nouns that
    /// the training never saw): logits of the two forms at the verb, where both are one token.
    pub agreement: BTreeMap<AgreementKind, Score>,
    /// Documents of split `heldout` looked at for it.
    pub agreement_documents: usize,
    /// Loss on fresh documents of split `train`, nats a token, the end of the document included.
    pub loss: f64,
    /// Entropy rate of the grammar on the same documents: −ln p(document), nats a token.
    pub entropy: f64,
    /// loss / entropy − 1.
    pub excess: f64,
    /// Documents looked at for loss and entropy: those that fit into the model's context.
    pub loss_documents: usize,
    /// Tokens predicted in them.
    pub loss_tokens: usize,
    /// Seed of both samples.
    pub seed: u64,
}

/// Measures agreement and loss on `documents` documents each.
///
/// # Errors
/// The model has no tokenizer of this world, or the job was stopped.
pub fn check_model<E>(
    ctx: &JobContext<E>,
    model: &Model,
    documents: usize,
    seed: u64,
) -> Result<Knowledge> {
    let agreement = agreement(ctx, model, documents, seed)?;
    let tokenizer = model.need_tokenizer()?;
    let (mut nll, mut nats, mut tokens) = (0.0, 0.0, 0);
    let mut sample = Vec::new();
    for document in Writer::new(seed, Split::Train).take(documents) {
        let row = document_row(tokenizer, &document.text)?;
        if row.len() <= model.config().context {
            sample.push((row, document.truth.nats));
        }
    }
    for chunk in sample.chunks(BATCH) {
        ctx.check()?;
        ctx.progress().add(chunk.len() as u64);
        let rows: Vec<_> = chunk.iter().map(|(row, _)| row.clone()).collect();
        let (batch, logits) = run(model, &rows)?;
        let all = next_token_nll(&logits, &batch)?;
        let wide = batch.positions() - 1;
        for (i, (row, probability)) in chunk.iter().enumerate() {
            nll += all[i * wide..][..row.len() - 1].iter().sum::<f64>();
            nats += probability;
            tokens += row.len() - 1;
        }
    }
    let (loss, entropy) = (nll / tokens as f64, nats / tokens as f64);
    Ok(Knowledge {
        agreement,
        agreement_documents: documents,
        loss,
        entropy,
        excess: loss / entropy - 1.0,
        loss_documents: sample.len(),
        loss_tokens: tokens,
        seed,
    })
}

/// Agreement on `documents` documents of split `heldout`.
///
/// # Errors
/// As [`check_model`].
pub fn agreement<E>(
    ctx: &JobContext<E>,
    model: &Model,
    documents: usize,
    seed: u64,
) -> Result<BTreeMap<AgreementKind, Score>> {
    let tokenizer = model.need_tokenizer()?;
    let mut scores = BTreeMap::<AgreementKind, Score>::new();
    let sample: Vec<_> = Writer::new(seed, Split::Heldout).take(documents).collect();
    for chunk in sample.chunks(BATCH) {
        ctx.check()?;
        ctx.progress().add(chunk.len() as u64);
        let rows = rows_of(model, chunk)?;
        let (batch, logits) = run(model, &rows)?;
        let vocab = model.config().vocab;
        let logits = logits.flatten_all()?.to_vec1::<f32>()?;
        for (i, (row, document)) in rows.iter().zip(chunk).enumerate() {
            let ends = ends(tokenizer, row);
            for a in &document.truth.agreements {
                let Some(choice) = VerbChoice::of(tokenizer, &document.text, a, &ends)? else {
                    continue;
                };
                let at = &logits[(i * batch.positions() + choice.position) * vocab..][..vocab];
                let right = at[choice.right as usize] > at[choice.wrong as usize];
                let score = scores.entry(a.kind).or_default();
                score.verbs += 1;
                score.right += usize::from(right);
                score.verbs_with_attractor += usize::from(a.attractor);
                score.right_with_attractor += usize::from(a.attractor && right);
            }
        }
    }
    Ok(scores)
}

/// Where a model chooses between the two forms of a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VerbChoice {
    /// The token before the verb.
    pub position: usize,
    /// The right form's token.
    pub right: u32,
    /// The other form's token.
    pub wrong: u32,
}

impl VerbChoice {
    /// `None` where one of the forms is more than one token.
    pub(super) fn of(
        tokenizer: &TokenizerHandle,
        text: &str,
        agreement: &Agreement,
        ends: &[usize],
    ) -> Result<Option<Self>> {
        let right = tokenizer.encode(agreement.verb.of(text), false)?;
        let wrong = tokenizer.encode(&agreement.wrong, false)?;
        let before = text[..agreement.verb.start].trim_end().len();
        let position = ends.iter().position(|&end| end == before);
        Ok(match (&right[..], &wrong[..], position) {
            (&[right], &[wrong], Some(position)) => Some(Self { position, right, wrong }),
            _ => None,
        })
    }
}

fn run(model: &Model, rows: &[Vec<u32>]) -> Result<(Tokens, candle_core::Tensor)> {
    let tokens = Tokens::padded(rows, super::bpe::EOS)?;
    let plan = Plan { logits: Logits::All, ..Plan::default() };
    let pass = model.forward(&tokens, &plan)?;
    let logits = pass.logits.ok_or_else(|| {
        crate::Error::internal("The model was not checked", "the pass gave no logits")
    })?;
    Ok((tokens, logits))
}
