//! How well a dictionary holds what is true of the world, and whether that is what the model uses.

use super::causal::{Causal, causal};
use super::check::BATCH;
use super::probe::{PROBED, Probe, best_single, by_latent, f1};
use super::stream::{document_row, ends};
use crate::activations::{gather, site_output};
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{Model, Plan, Site, Tokens};
use crate::sae::{Latents, Sae};
use crate::world::{Document, Split, Variable, Writer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Least rows of a class in each half; a class with fewer is left out.
const LEAST: usize = 20;

/// What to look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TruthRequest {
    /// The site; `None` for the one that the dictionary was trained on.
    pub site: Option<Site>,
    /// Documents of split `heldout` to look at; the even ones choose, the odd ones judge.
    pub documents: usize,
    /// Seed of these documents.
    pub seed: u64,
    /// Whether to go on with a dictionary of another model or site.
    pub allow_foreign: bool,
}

impl Default for TruthRequest {
    fn default() -> Self {
        Self { site: None, documents: 2000, seed: 1 << 34, allow_foreign: false }
    }
}

/// How well a dictionary holds the true variables of the built-in world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TruthReport {
    /// The site that was read.
    pub site: Site,
    /// Documents looked at.
    pub documents: usize,
    /// Their seed.
    pub seed: u64,
    /// One entry a variable.
    pub variables: Vec<VariableReport>,
    /// Whether the number latents are what the model uses for number, and not for gender.
    pub causal: Causal,
    /// How the figures were computed.
    pub definition: String,
}

/// How well a variable is held, at the tokens where the model must carry it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariableReport {
    /// The variable.
    pub variable: Variable,
    /// Tokens that were judged on.
    pub tokens: usize,
    /// Mean over the classes of the F1 of the best single latent.
    pub best_latent_f1: f64,
    /// Mean over the classes of the F1 of the sparse probe on five latents.
    pub sparse_probe_f1: f64,
    /// One entry a class.
    pub classes: Vec<ClassReport>,
}

/// How well one value of a variable is told from all others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// The value.
    pub value: String,
    /// Tokens with this value among those judged on.
    pub tokens: usize,
    /// The latent whose threshold tells it best on the choosing half.
    pub best_latent: u32,
    /// F1 of that latent and threshold on the judging half.
    pub best_latent_f1: f64,
    /// The five latents of the sparse probe.
    pub probe_latents: Vec<u32>,
    /// F1 of the probe on the judging half.
    pub sparse_probe_f1: f64,
}

pub(super) const DEFINITION: &str = "Documents of the split 'heldout'; the even ones choose latents, \
    thresholds and coefficients, the odd ones judge. A variable is read at the last token before \
    the word that needs it: number and clause depth before a verb, gender before a pronoun, topic \
    and profession before a word that follows from them, the first sentence left out; the kind \
    of a word at the word itself. F1 is one \
    value against all others, averaged over the values. The sparse probe is a logistic regression \
    on 5 latents found by orthogonal matching pursuit.";

/// Looks how well `sae` holds number, gender, profession, topic and clause depth, and what its
/// number latents do.
///
/// # Errors
/// A dictionary that does not fit the model, a model that is not one of the built-in world
/// (no tokenizer), the job was stopped.
pub fn truth_report<E>(
    ctx: &JobContext<E>,
    model: &Model,
    sae: &Sae,
    request: &TruthRequest,
) -> Result<TruthReport> {
    let site = crate::evaluation::site_of(model, sae, request.site, request.allow_foreign)?;
    ctx.progress().stage("Comparing with the truth", "documents", 0, request.documents as u64);
    let documents: Vec<Document> =
        Writer::new(request.seed, Split::Heldout).take(request.documents).collect();
    let read = Read::new(ctx, model, sae, site, &documents)?;
    let mut variables = Vec::new();
    for variable in Variable::ALL {
        ctx.check()?;
        variables.push(read.report(variable)?);
    }
    let causal = causal(ctx, model, sae, site, &documents)?;
    Ok(TruthReport {
        site,
        documents: documents.len(),
        seed: request.seed,
        variables,
        causal,
        definition: DEFINITION.to_owned(),
    })
}

/// The latents at every mark, in two halves.
pub(super) struct Read {
    marks: BTreeMap<Variable, [Marked; 2]>,
}

/// Latents and values of one variable at its marks.
pub(super) struct Marked {
    pub(super) latents: Latents,
    values: Vec<String>,
}

/// The latents of a variable's choosing and judging half, and which rows are of a class.
pub(super) struct Halves<'a> {
    pub(super) chosen_truth: Vec<bool>,
    judged_on: &'a Latents,
    pub(super) judged_truth: Vec<bool>,
}

impl Read {
    pub(super) fn new<E>(
        ctx: &JobContext<E>,
        model: &Model,
        sae: &Sae,
        site: Site,
        documents: &[Document],
    ) -> Result<Self> {
        let tokenizer = model.need_tokenizer()?;
        let empty = || Marked { latents: Latents::new(sae.latents()), values: Vec::new() };
        let mut marks: BTreeMap<Variable, [Marked; 2]> =
            Variable::ALL.into_iter().map(|v| (v, [empty(), empty()])).collect();
        for (c, chunk) in documents.chunks(BATCH).enumerate() {
            ctx.check()?;
            let rows = rows_of(model, chunk)?;
            let tokens = Tokens::padded(&rows, super::bpe::EOS)?;
            let pass = model.forward(&tokens, &Plan { read: &[site], ..Plan::default() })?;
            let x = site_output(&pass, site)?;
            let mut wanted = Vec::new();
            let mut owners = Vec::new();
            for (i, (row, document)) in rows.iter().zip(chunk).enumerate() {
                let ends = ends(tokenizer, row);
                for mark in document.truth.marks(&document.text) {
                    if let Some(position) = ends.iter().position(|&end| end == mark.at) {
                        wanted.push(i * tokens.positions() + position);
                        owners.push(((c * BATCH + i) % 2, mark));
                    }
                }
            }
            let latents = sae.encode(&gather(&x, sae.width(), &wanted, site)?)?;
            for (row, (half, mark)) in owners.into_iter().enumerate() {
                let (index, value) = latents.row(row);
                if let Some(halves) = marks.get_mut(&mark.variable) {
                    let entries = index.iter().copied().zip(value.iter().copied());
                    halves[half].latents.push_row(entries);
                    halves[half].values.push(mark.value);
                }
            }
            ctx.progress().add(chunk.len() as u64);
        }
        Ok(Self { marks })
    }

    pub(super) fn halves(&self, variable: Variable, value: &str) -> Halves<'_> {
        let [a, b] = &self.marks[&variable];
        let is = |marked: &Marked| marked.values.iter().map(|v| v == value).collect();
        Halves { chosen_truth: is(a), judged_on: &b.latents, judged_truth: is(b) }
    }

    /// The choosing and the judging half of a variable.
    pub(super) fn halves_of(&self, variable: Variable) -> [&Marked; 2] {
        let [a, b] = &self.marks[&variable];
        [a, b]
    }

    /// The values of a variable that are often enough in both halves.
    pub(super) fn values(&self, variable: Variable) -> Vec<String> {
        let [a, b] = self.halves_of(variable);
        let count =
            |marked: &Marked, value: &str| marked.values.iter().filter(|v| *v == value).count();
        let mut values = a.values.clone();
        values.sort_unstable();
        values.dedup();
        values.retain(|v| count(a, v) >= LEAST && count(b, v) >= LEAST);
        values
    }

    fn report(&self, variable: Variable) -> Result<VariableReport> {
        let [a, b] = self.halves_of(variable);
        let values = self.values(variable);
        if values.len() < 2 {
            return Err(Error::setting(
                format!("{} cannot be judged", variable.name()),
                "the sample has too few places where it matters",
                "Look at more documents",
            ));
        }
        let columns = [by_latent(&a.latents), by_latent(&b.latents)];
        let classes: Vec<ClassReport> =
            values.iter().map(|value| self.class(variable, value, &columns)).collect();
        let mean = |of: fn(&ClassReport) -> f64| {
            classes.iter().map(of).sum::<f64>() / classes.len() as f64
        };
        Ok(VariableReport {
            variable,
            tokens: b.values.len(),
            best_latent_f1: mean(|c| c.best_latent_f1),
            sparse_probe_f1: mean(|c| c.sparse_probe_f1),
            classes,
        })
    }

    fn class(
        &self,
        variable: Variable,
        value: &str,
        columns: &[Vec<Vec<(u32, f32)>>; 2],
    ) -> ClassReport {
        let h = self.halves(variable, value);
        let (best_latent, best_latent_f1) = match best_single(&columns[0], &h.chosen_truth) {
            None => (0, 0.0),
            Some(best) => {
                let rows = 0..h.judged_on.rows();
                let said = rows.map(|row| h.judged_on.get(row, best.latent) > best.threshold);
                (best.latent, f1(said, &h.judged_truth))
            }
        };
        let probe = Probe::fit(&columns[0], &h.chosen_truth, PROBED);
        let said = probe.says(&columns[1], h.judged_truth.len());
        ClassReport {
            value: value.to_owned(),
            tokens: h.judged_truth.iter().filter(|&&t| t).count(),
            best_latent,
            best_latent_f1,
            sparse_probe_f1: f1(said.into_iter(), &h.judged_truth),
            probe_latents: probe.latents,
        }
    }
}

/// Documents as rows, cut to what the model can see.
pub(super) fn rows_of(model: &Model, documents: &[Document]) -> Result<Vec<Vec<u32>>> {
    let tokenizer = model.need_tokenizer()?;
    documents
        .iter()
        .map(|document| {
            let mut row = document_row(tokenizer, &document.text)?;
            row.truncate(model.config().context);
            Ok(row)
        })
        .collect()
}
