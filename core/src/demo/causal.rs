//! What the number latents do: verbs must flip with them, pronouns must not.

use super::number::{Attribution, Target, each_once};
use super::places::Sheet;
use super::probe::PROBED;
use crate::edits::{Op, RowEdits};
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::{Change, Model, Site};
use crate::sae::Sae;
use crate::world::{Document, Number};
use serde::{Deserialize, Serialize};

/// Numbers of latents on the curve.
const CURVE: [usize; 6] = [1, 2, 5, 10, 20, 50];

/// What the edits of the number latents did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Causal {
    /// The five latents that carry number, the first the most.
    pub latents: Vec<u32>,
    /// The five whose silence pulls verbs most away from a singular and from a plural subject.
    pub latents_by_number: [Vec<u32>; 2],
    /// One entry an edit, that of `latents` to the other number first.
    pub edits: Vec<CausalEdit>,
    /// The first edit with 1, 2, 5, … latents in the place of five.
    pub curve: Vec<CurvePoint>,
    /// How the latents were chosen and what was done, in a few sentences.
    pub definition: String,
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

/// One point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Latents edited.
    pub latents: usize,
    /// Share of verbs flipped.
    pub flipped: f64,
    /// Share of pronouns that kept their gender.
    pub kept: f64,
}

const DEFINITION: &str = "Latents are chosen on the even documents and judged on the odd ones, by \
    what setting them to their mean before verbs of the other number does to logit(right) − \
    logit(wrong), to first order with gradients averaged along the way (integrated gradients), \
    one after another. They are edited at the token before each verb and pronoun, and the model \
    runs on with whatever the dictionary does not explain left as it is. Setting the latents of a \
    number to 0 takes that number away without putting the other in its place: verbs of plural \
    subjects then fall back to the singular, the commoner form, and those of singular ones stay. \
    'All that differs' moves the whole site by the difference of its two means: no dictionary \
    can be expected to do more.";

/// How the edits are called.
const SWAP: &str = "5 number latents to the other number's mean";
const ZERO: &str = "5 number latents to 0";
const ZERO_OWN: &str = "5 latents of the subject's number to 0";
const WHOLE: &str = "all that differs between the numbers";

impl CausalEdit {
    fn new(edit: impl Into<String>) -> Self {
        Self {
            edit: edit.into(),
            verbs: 0,
            flipped: 0,
            by_number: [(0, 0); 2],
            verb_shift: 0.0,
            pronouns: 0,
            kept: 0,
            pronoun_shift: 0.0,
        }
    }

    /// Share of verbs flipped.
    pub fn flip_share(&self) -> f64 {
        self.flipped as f64 / self.verbs.max(1) as f64
    }

    /// Share of pronouns that kept their gender.
    pub fn kept_share(&self) -> f64 {
        self.kept as f64 / self.pronouns.max(1) as f64
    }

    /// Counts the places of a sheet, of which the unedited model must get right what is counted.
    fn count(&mut self, sheet: &Sheet, after: &[f32]) {
        for ((place, &before), &after) in sheet.places.iter().zip(&sheet.margins).zip(after) {
            if before <= 0.0 {
                continue;
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

    fn finish(mut self) -> Self {
        self.verb_shift /= self.verbs.max(1) as f64;
        self.pronoun_shift /= self.pronouns.max(1) as f64;
        self
    }
}

/// The judging half, to be edited many times.
struct Judge<'a, E> {
    ctx: &'a JobContext<E>,
    model: &'a Model,
    sae: &'a Sae,
    site: Site,
    sheets: Vec<Sheet>,
}

impl<E> Judge<'_, E> {
    /// What `ops`, for a singular and for a plural subject, do.
    fn edit(&self, name: impl Into<String>, ops: &[Vec<(u32, Op)>; 2]) -> Result<CausalEdit> {
        self.change(name, |sheet| RowEdits {
            sae: self.sae,
            rows: each_once(sheet)
                .into_iter()
                .map(|(row, i)| (row, &ops[sheet.places[i].number as usize][..]))
                .collect(),
        })
    }

    fn change<C: Change>(
        &self,
        name: impl Into<String>,
        change: impl Fn(&Sheet) -> C,
    ) -> Result<CausalEdit> {
        let mut out = CausalEdit::new(name);
        for sheet in &self.sheets {
            self.ctx.check()?;
            out.count(sheet, &sheet.margins_under(self.model, self.site, &change(sheet))?);
        }
        self.ctx.progress().add(1);
        Ok(out.finish())
    }
}

/// Finds the number latents on the even documents and edits them on the odd ones.
pub(super) fn causal<E>(
    ctx: &JobContext<E>,
    model: &Model,
    sae: &Sae,
    site: Site,
    documents: &[Document],
) -> Result<Causal> {
    ctx.progress().stage("Looking for number latents", "documents", 0, documents.len() as u64);
    let half = |odd: usize| {
        let half: Vec<Document> = documents.iter().skip(odd).step_by(2).cloned().collect();
        Sheet::read(ctx, model, sae, site, &half)
    };
    let found = Attribution::new(ctx, model, sae, site, &half(0)?)?;
    let most = CURVE.iter().copied().max().unwrap_or(PROBED);
    let order = found.choose(Target::OtherMean, None, most);
    let latents: Vec<u32> = order.iter().copied().take(PROBED).collect();
    let latents_by_number = [Number::Singular, Number::Plural]
        .map(|number| found.choose(Target::Zero, Some(number), PROBED));
    let to_zero = |latents: &[u32]| latents.iter().map(|&l| (l, Op::Ablate)).collect::<Vec<_>>();

    let judge = Judge { ctx, model, sae, site, sheets: half(1)? };
    ctx.progress().stage("Editing number", "edits", 0, 4 + CURVE.len() as u64);
    let means = found.means();
    let zero = to_zero(&latents);
    let edits = vec![
        judge.edit(SWAP, &means.swap(&latents))?,
        judge.edit(ZERO, &[zero.clone(), zero])?,
        judge.edit(ZERO_OWN, &latents_by_number.clone().map(|own| to_zero(&own)))?,
        judge.change(WHOLE, |sheet| means.shift(sheet, 1.0))?,
    ];
    let mut curve = Vec::new();
    for count in CURVE {
        let first: Vec<u32> = order.iter().copied().take(count).collect();
        let edit = judge.edit(SWAP, &means.swap(&first))?;
        curve.push(CurvePoint {
            latents: first.len(),
            flipped: edit.flip_share(),
            kept: edit.kept_share(),
        });
    }
    Ok(Causal { latents, latents_by_number, edits, curve, definition: DEFINITION.to_owned() })
}
