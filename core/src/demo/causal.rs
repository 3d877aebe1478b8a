//! What the number latents do: verbs must flip with them, pronouns must not.

use super::check::{BATCH, VerbChoice};
use super::probe::{PROBED, by_latent, choose};
use super::stream::ends;
use super::truth_report::{Halves, logits_of, rows_of};
use crate::activations::{gather, site_output};
use crate::edits::Replace;
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::{Model, Site, TokenizerHandle, Tokens};
use crate::sae::Sae;
use crate::world::{AgreementKind, Document, Number, Pronoun};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// What the edits of the number latents did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Causal {
    /// The five latents that tell number best.
    pub latents: Vec<u32>,
    /// The five that rise with a plural subject, and the five that rise with a singular one.
    pub latents_by_number: [Vec<u32>; 2],
    /// One entry an edit.
    pub edits: Vec<CausalEdit>,
}

/// What one way of editing did, on documents that no latent was chosen on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CausalEdit {
    /// What was done.
    pub edit: String,
    /// Verbs whose form the unedited model gets right.
    pub verbs: usize,
    /// Those of which it then prefers the wrong one.
    pub flipped: usize,
    /// The same for singular and for plural subjects: verbs, flipped.
    pub by_number: [(usize, usize); 2],
    /// Mean change of logit(right) − logit(wrong) at these verbs.
    pub verb_shift: f64,
    /// Pronouns whose gender the unedited model gets right.
    pub pronouns: usize,
    /// Those of which it still prefers the right one.
    pub kept: usize,
    /// Mean change of logit(right) − logit(wrong) at these pronouns.
    pub pronoun_shift: f64,
}

impl CausalEdit {
    /// Share of verbs flipped.
    pub fn flip_share(&self) -> f64 {
        self.flipped as f64 / self.verbs as f64
    }

    /// Share of pronouns that kept their gender.
    pub fn kept_share(&self) -> f64 {
        self.kept as f64 / self.pronouns as f64
    }
}

/// A way of editing, at the token before each verb and pronoun unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The five best set to 0.
    Ablate,
    /// The five best set to 0 at every token.
    AblateEverywhere,
    /// The five that rise with the subject's number set to 0.
    AblateOwn,
    /// The five best set to their mean before verbs of the other number.
    Swap,
}

impl Way {
    const ALL: [Self; 4] = [Self::Ablate, Self::AblateEverywhere, Self::AblateOwn, Self::Swap];

    fn words(self) -> &'static str {
        match self {
            Self::Ablate => "ablate the 5 number latents at the token before",
            Self::AblateEverywhere => "ablate the 5 number latents at every token",
            Self::AblateOwn => {
                "ablate the 5 latents of the subject's own number at the token before"
            }
            Self::Swap => "set the 5 number latents to the other number's mean at the token before",
        }
    }
}

/// Where the model chooses, and which edit its place gets.
struct Place {
    row: usize,
    choice: VerbChoice,
    number: Number,
    verb: bool,
}

struct Tools<'a> {
    sae: &'a Sae,
    both: Vec<u32>,
    own: [Vec<u32>; 2],
    /// Mean of each of `both` before singular and before plural verbs.
    means: [Vec<f32>; 2],
}

pub(super) fn causal<E>(
    ctx: &JobContext<E>,
    model: &Model,
    sae: &Sae,
    site: Site,
    documents: &[Document],
    number: &Halves<'_>,
) -> Result<Causal> {
    let tools = Tools::new(sae, number);
    let mut edits: Vec<CausalEdit> = Way::ALL
        .iter()
        .map(|way| CausalEdit {
            edit: way.words().to_owned(),
            verbs: 0,
            flipped: 0,
            by_number: [(0, 0); 2],
            verb_shift: 0.0,
            pronouns: 0,
            kept: 0,
            pronoun_shift: 0.0,
        })
        .collect();
    let judging: Vec<Document> = documents.iter().skip(1).step_by(2).cloned().collect();
    ctx.progress().stage("Editing number", "documents", 0, judging.len() as u64);
    for chunk in judging.chunks(BATCH) {
        ctx.check()?;
        let rows = rows_of(model, chunk)?;
        let tokens = Tokens::padded(&rows, super::bpe::EOS)?;
        let (before, pass) = logits_of(model, &tokens, &[site], &[])?;
        let x = site_output(&pass, site)?;
        let places = places(model.need_tokenizer()?, chunk, &rows)?;
        for (way, edit) in Way::ALL.into_iter().zip(&mut edits) {
            ctx.check()?;
            let edited = tools.edited(site, &x, &tokens, &places, way)?;
            let shape = (tokens.batch(), tokens.positions(), sae.width());
            let change = Replace(Tensor::from_vec(edited, shape, model.device())?);
            let (after, _) = logits_of(model, &tokens, &[], &[(site, &change)])?;
            for place in &places {
                let at =
                    (place.row * tokens.positions() + place.choice.position) * model.config().vocab;
                let margin = |logits: &[f32]| {
                    logits[at + place.choice.right as usize]
                        - logits[at + place.choice.wrong as usize]
                };
                edit.count(place, margin(&before), margin(&after));
            }
        }
        ctx.progress().add(chunk.len() as u64);
    }
    for edit in &mut edits {
        edit.verb_shift /= edit.verbs.max(1) as f64;
        edit.pronoun_shift /= edit.pronouns.max(1) as f64;
    }
    Ok(Causal { latents: tools.both, latents_by_number: tools.own, edits })
}

impl CausalEdit {
    fn count(&mut self, place: &Place, before: f32, after: f32) {
        if before <= 0.0 {
            return;
        }
        let (shift, holds) = (f64::from(after - before), after > 0.0);
        if place.verb {
            self.verbs += 1;
            self.flipped += usize::from(!holds);
            let number = &mut self.by_number[place.number as usize];
            number.0 += 1;
            number.1 += usize::from(!holds);
            self.verb_shift += shift;
        } else {
            self.pronouns += 1;
            self.kept += usize::from(holds);
            self.pronoun_shift += shift;
        }
    }
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
        for a in &document.truth.agreements {
            if a.kind == AgreementKind::Pronoun {
                continue;
            }
            if let Some(choice) = VerbChoice::of(tokenizer, &document.text, a, &ends)? {
                out.push(Place { row, choice, number: a.number, verb: true });
            }
        }
        for (i, p) in document.truth.pronouns.iter().enumerate() {
            // A person is neither: the edit for singular and that for plural take turns.
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

impl<'a> Tools<'a> {
    fn new(sae: &'a Sae, number: &Halves<'_>) -> Self {
        let columns = by_latent(number.chosen_on);
        let plural = &number.chosen_truth;
        let both = choose(&columns, plural, PROBED, None);
        let own = [
            choose(&columns, plural, PROBED, Some(-1.0)),
            choose(&columns, plural, PROBED, Some(1.0)),
        ];
        let mean = |which: bool| {
            let rows = plural.iter().filter(|&&p| p == which).count().max(1) as f32;
            let of = |latent: &u32| {
                let column = columns[*latent as usize].iter();
                column
                    .filter(|(row, _)| plural[*row as usize] == which)
                    .map(|(_, v)| v)
                    .sum::<f32>()
                    / rows
            };
            both.iter().map(of).collect()
        };
        let means = [mean(false), mean(true)];
        Self { sae, both, own, means }
    }

    /// The site's output after an edit: x + Σ (f' − f) d.
    fn edited(
        &self,
        site: Site,
        x: &[f32],
        tokens: &Tokens,
        places: &[Place],
        way: Way,
    ) -> Result<Vec<f32>> {
        let everywhere: Vec<(usize, Number)> =
            (0..tokens.batch() * tokens.positions()).map(|at| (at, Number::Singular)).collect();
        let mut at: Vec<(usize, Number)> = match way {
            Way::AblateEverywhere => everywhere,
            _ => {
                let at = |p: &Place| p.row * tokens.positions() + p.choice.position;
                places.iter().map(|p| (at(p), p.number)).collect()
            }
        };
        at.sort_by_key(|(at, _)| *at);
        at.dedup_by_key(|(at, _)| *at);
        let width = self.sae.width();
        let rows: Vec<usize> = at.iter().map(|(at, _)| *at).collect();
        let latents = self.sae.encode(&gather(x, width, &rows, site)?)?;
        let mut out = x.to_vec();
        for (row, (at, number)) in at.into_iter().enumerate() {
            let target: Vec<(u32, f32)> = match way {
                Way::Ablate | Way::AblateEverywhere => {
                    self.both.iter().map(|&l| (l, 0.0)).collect()
                }
                Way::AblateOwn => self.own[number as usize].iter().map(|&l| (l, 0.0)).collect(),
                Way::Swap => {
                    let other = &self.means[1 - number as usize];
                    self.both.iter().copied().zip(other.iter().copied()).collect()
                }
            };
            let x = &mut out[at * width..][..width];
            for (latent, value) in target {
                let change = value - latents.get(row, latent);
                for (x, d) in x.iter_mut().zip(self.sae.direction(latent as usize)) {
                    *x += change * d;
                }
            }
        }
        Ok(out)
    }
}
