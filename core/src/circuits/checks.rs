//! Whether dictionaries, model and circuit belong together: nothing is used silently that does
//! not fit.

use super::{Bases, Basis, Circuit, Examples, Task};
use crate::activations::site_output;
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{Model, Plan, Site, Tokens};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A dictionary that leaves more of the variance than this unexplained says next to nothing about
/// the site: one of another model does so.
pub const WORST_FVU: f64 = 0.9;
/// Prompts that the fit is measured on at most.
const PROMPTS: usize = 64;

/// What is wrong with a dictionary at a site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfit {
    /// It was trained on another model, named by its content hash.
    OtherModel {
        /// That model's.
        trained_on: String,
    },
    /// It was trained at another site.
    OtherSite {
        /// That site.
        trained_at: Site,
    },
    /// It does not reconstruct what the site gives on the task's own prompts.
    Reconstruction {
        /// Σ‖x − x̂‖² / Σ‖x − mean‖² over all tokens but the first of each prompt.
        fvu: f64,
        /// How many tokens that is.
        tokens: usize,
    },
}

/// A dictionary that should not be used at a site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Doubt {
    /// Where.
    pub site: Site,
    /// What is wrong.
    pub misfit: Misfit,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let site = self.site;
        match &self.misfit {
            Misfit::OtherModel { trained_on } => write!(
                f,
                "the dictionary at {site} was trained on another model (its content hash begins \
                 with {})",
                short(trained_on)
            ),
            Misfit::OtherSite { trained_at } => {
                write!(f, "the dictionary at {site} was trained at {trained_at}")
            }
            Misfit::Reconstruction { fvu, tokens } => write!(
                f,
                "the dictionary at {site} leaves {:.0} % of the variance unexplained on {tokens} \
                 tokens of the task's prompts",
                100.0 * fvu
            ),
        }
    }
}

/// What a person takes on who uses such a dictionary all the same.
pub const RISK: &str = "latents of such a dictionary need not mean what their labels say, the error \
     terms hold most of what the model computes, and effects and faithfulness of its latents say \
     nothing about the model";

/// How much of the variance each dictionary leaves unexplained on the prompts of a task (clean and
/// patch), the first token of each left out: Σ‖x − x̂‖² / Σ‖x − mean‖². On at most 64 prompts.
///
/// # Errors
/// A prompt that the model cannot read; cancelled.
pub fn unexplained<E>(
    ctx: &JobContext<E>,
    model: &Model,
    bases: &Bases,
    examples: &Examples,
) -> Result<BTreeMap<Site, (f64, usize)>> {
    let sites: Vec<Site> =
        bases.sites.keys().copied().filter(|s| bases.sae(*s).is_some()).collect();
    let mut rows: BTreeMap<Site, Vec<f32>> = BTreeMap::new();
    let width = model.config().width;
    let mut left = PROMPTS;
    for places in examples.by_length().into_values() {
        let prompts: Vec<&[u32]> = places
            .iter()
            .map(|i| &examples.kept[*i])
            .flat_map(|e| [Some(&e.clean), e.patch.as_ref()])
            .flatten()
            .map(Vec::as_slice)
            .take(left)
            .collect();
        if prompts.is_empty() || sites.is_empty() {
            break;
        }
        left -= prompts.len();
        ctx.check()?;
        let check = || ctx.check();
        let plan = Plan { read: &sites, check: Some(&check), ..Plan::default() };
        let pass = model.forward(&Tokens::rows(&prompts)?, &plan)?;
        let positions = prompts[0].len();
        for site in &sites {
            let x = site_output(&pass, *site)?;
            // BOS is many times as long as all others and would stand for the whole; a prompt of
            // one token has no other.
            let from = usize::from(positions > 1) * width;
            let kept = x.chunks_exact(positions * width).flat_map(|prompt| &prompt[from..]);
            rows.entry(*site).or_default().extend(kept);
        }
    }
    let mut out = BTreeMap::new();
    for (site, x) in rows {
        ctx.check()?;
        let Some(Basis::Sae(sae)) = bases.sites.get(&site) else { continue };
        let decoded = sae.reconstruct(&x)?;
        let count = x.len() / width;
        let mut mean = vec![0f64; width];
        for row in x.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += f64::from(*x) / count as f64);
        }
        let (mut spread, mut error) = (0.0, 0.0);
        for (row, new) in x.chunks_exact(width).zip(decoded.chunks_exact(width)) {
            for ((x, y), m) in row.iter().zip(new).zip(&mean) {
                spread += (f64::from(*x) - m).powi(2);
                error += f64::from(x - y).powi(2);
            }
        }
        // One and the same row everywhere has no variance to explain.
        if spread > 0.0 {
            out.insert(site, (error / spread, count));
        }
    }
    Ok(out)
}

/// The dictionaries of `bases` that should not be used: trained on another model or at another
/// site, as they themselves say, or failing on the task's own tokens.
///
/// # Errors
/// As [`unexplained`].
pub fn doubts<E>(
    ctx: &JobContext<E>,
    model: &Model,
    bases: &Bases,
    examples: &Examples,
) -> Result<Vec<Doubt>> {
    let unexplained = unexplained(ctx, model, bases, examples)?;
    let mut out = Vec::new();
    for (&site, basis) in &bases.sites {
        let Basis::Sae(sae) = basis else { continue };
        let trained = sae.about.trained_on.as_ref();
        let misfit = match (trained, unexplained.get(&site)) {
            (Some(from), _) if from.model != model.hash() => {
                Some(Misfit::OtherModel { trained_on: from.model.clone() })
            }
            (Some(from), _) if from.site != site => {
                Some(Misfit::OtherSite { trained_at: from.site })
            }
            (_, Some(&(fvu, tokens))) if fvu.is_nan() || fvu > WORST_FVU => {
                Some(Misfit::Reconstruction { fvu, tokens })
            }
            _ => None,
        };
        out.extend(misfit.map(|misfit| Doubt { site, misfit }));
    }
    Ok(out)
}

/// Refuses dictionaries that should not be used, unless `anyway`: then they are handed back, for
/// the person to be told of them and of the [`RISK`].
///
/// # Errors
/// There are such dictionaries; or as [`unexplained`].
pub fn fitting<E>(
    ctx: &JobContext<E>,
    model: &Model,
    bases: &Bases,
    examples: &Examples,
    anyway: bool,
) -> Result<Vec<Doubt>> {
    let doubts = doubts(ctx, model, bases, examples)?;
    if doubts.is_empty() || anyway {
        return Ok(doubts);
    }
    let said: Vec<String> = doubts.iter().map(Doubt::to_string).collect();
    Err(Error::setting(
        "These dictionaries do not belong to this model",
        said.join("; "),
        format!(
            "Choose dictionaries that were trained on this model at these sites. They can be used \
             anyway, at a risk: {RISK}"
        ),
    ))
}

/// How what a saved circuit was found with differs from what is here now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// The model is another one.
    Model,
    /// The dictionary at a site is another one.
    Sae(Site),
    /// A site had a dictionary and has none now; its coordinates would be the nodes.
    SaeGone(Site),
    /// A site's coordinates were the nodes, and now it has a dictionary.
    SaeNew(Site),
    /// A site of the circuit is not looked at any more.
    SiteGone(Site),
    /// The task of that name has other pairs.
    Task,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model => f.write_str("the model is another one than the circuit was found in"),
            Self::Sae(site) => write!(f, "the dictionary at {site} has changed since"),
            Self::SaeGone(site) => write!(f, "{site} had a dictionary, and there is none now"),
            Self::SaeNew(site) => {
                write!(f, "the nodes of {site} were its coordinates, and now it has a dictionary")
            }
            Self::SiteGone(site) => write!(f, "{site} is not looked at any more"),
            Self::Task => f.write_str("the task has other pairs than the circuit was found on"),
        }
    }
}

/// Everything that is not what `circuit` was found with.
pub fn changed(
    circuit: &Circuit,
    model: &Model,
    bases: &Bases,
    task: Option<&Task>,
) -> Vec<Changed> {
    let then = &circuit.conventions;
    let mut out = Vec::new();
    if then.model != model.hash() {
        out.push(Changed::Model);
    }
    let now = bases.hashes();
    for (site, hash) in &then.saes {
        out.extend(match (hash, now.get(site)) {
            (_, None) => Some(Changed::SiteGone(*site)),
            (Some(_), Some(None)) => Some(Changed::SaeGone(*site)),
            (None, Some(Some(_))) => Some(Changed::SaeNew(*site)),
            (then, Some(now)) if then != now => Some(Changed::Sae(*site)),
            _ => None,
        });
    }
    if task.is_some_and(|task| task.hash() != then.task.hash) {
        out.push(Changed::Task);
    }
    out
}

/// Refuses to go on with a circuit that was found with something else; a task that has changed is
/// no reason.
///
/// # Errors
/// Names all that has changed.
pub fn unchanged(circuit: &Circuit, model: &Model, bases: &Bases) -> Result<()> {
    let changes = changed(circuit, model, bases, None);
    if changes.is_empty() {
        return Ok(());
    }
    let said: Vec<String> = changes.iter().map(Changed::to_string).collect();
    Err(Error::setting(
        "The circuit does not belong to what is open",
        said.join("; "),
        "Open the model and the dictionaries that it was found with, or find it again with these",
    ))
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activations::Provenance;
    use crate::activations::testing::{tiny_model, tiny_sae};
    use crate::circuits::Example;
    use crate::sae::{Architecture, Matrix, Sae};
    use std::sync::Arc;

    const SITE: Site = Site::Resid(0);

    fn examples() -> Examples {
        let example = |pair: usize| Example {
            pair,
            clean: (0..8).map(|i| (i * (pair as u32 + 3)) % 43).collect(),
            patch: None,
            right: vec![1],
            wrong: vec![2],
            negate: false,
            case: String::new(),
        };
        Examples { kept: (0..12).map(example).collect(), left_out: Vec::new() }
    }

    /// One that reconstructs every row: x = Σ relu(x_i) e_i − Σ relu(−x_i) e_i.
    fn perfect() -> Sae {
        let mut both = vec![0.0; 32 * 16];
        for i in 0..16 {
            both[i * 16 + i] = 1.0;
            both[(16 + i) * 16 + i] = -1.0;
        }
        Sae {
            architecture: Architecture::TopK { k: 16 },
            encoder: Matrix::new(32, 16, both.clone()).unwrap(),
            b_enc: vec![0.0; 32],
            decoder: Matrix::new(32, 16, both).unwrap(),
            b_dec: vec![0.0; 16],
            ..tiny_sae(&[16, 32])
        }
    }

    fn bases(sae: Sae) -> Bases {
        Bases { sites: [(SITE, Basis::Sae(Arc::new(sae))), (Site::Embed, Basis::Neurons)].into() }
    }

    fn from(model: &str, site: Site) -> Sae {
        let mut sae = perfect();
        sae.about.trained_on = Some(Provenance {
            model: model.to_owned(),
            site,
            target: None,
            corpus: String::new(),
            rows: String::new(),
            seed: 0,
        });
        sae
    }

    #[test]
    fn dictionaries_of_another_model_or_site_are_refused_by_what_they_say_and_by_what_they_do() {
        let (ctx, model, examples) = (JobContext::<()>::unwatched(), tiny_model(), examples());
        let found = |sae: Sae| doubts(&ctx, &model, &bases(sae), &examples).unwrap();
        assert_eq!(found(perfect()), []);
        assert_eq!(found(from(model.hash(), SITE)), []);
        let (fvu, tokens) = unexplained(&ctx, &model, &bases(perfect()), &examples).unwrap()[&SITE];
        assert!(fvu < 1e-9 && tokens == 12 * 7, "{fvu} on {tokens}");
        let other = found(from("0123456789abcdef", SITE));
        assert!(other[0].to_string().contains("0123456789ab"), "{}", other[0]);
        let elsewhere = found(from(model.hash(), Site::Mlp(1)));
        assert_eq!(elsewhere[0].misfit, Misfit::OtherSite { trained_at: Site::Mlp(1) });
        let mut wrong = perfect();
        wrong.b_dec = vec![5.0; 16];
        wrong.encoder = Matrix::new(32, 16, vec![0.0; 32 * 16]).unwrap();
        let wrong = bases(wrong);
        let error = fitting(&ctx, &model, &wrong, &examples, false).unwrap_err().to_string();
        assert!(error.contains("resid.0") && error.contains("unexplained"), "{error}");
        assert!(error.contains("at a risk"), "{error}");
        let anyway = fitting(&ctx, &model, &wrong, &examples, true).unwrap();
        assert!(matches!(anyway[0].misfit, Misfit::Reconstruction { fvu, .. } if fvu > 1.0));
    }

    #[test]
    fn what_has_changed_since_a_circuit_was_saved_is_named() {
        let model = tiny_model();
        let with = bases(perfect());
        let mut circuit = Circuit::default();
        let task = Task { name: "t".into(), pairs: Vec::new() };
        circuit.conventions.model = model.hash().to_owned();
        circuit.conventions.saes = with.hashes();
        circuit.conventions.task.hash = task.hash();
        assert_eq!(changed(&circuit, &model, &with, Some(&task)), []);
        unchanged(&circuit, &model, &with).unwrap();
        let mut other = perfect();
        other.b_dec[0] = 0.5;
        assert_eq!(changed(&circuit, &model, &bases(other), None), [Changed::Sae(SITE)]);
        let none = Bases { sites: [(SITE, Basis::Neurons)].into() };
        let both = [Changed::SiteGone(Site::Embed), Changed::SaeGone(SITE)];
        assert_eq!(changed(&circuit, &model, &none, None), both);
        circuit.conventions.saes.insert(SITE, None);
        assert_eq!(changed(&circuit, &model, &with, None), [Changed::SaeNew(SITE)]);
        circuit.conventions.model = "x".into();
        circuit.conventions.task.hash = "y".into();
        let all = changed(&circuit, &model, &with, Some(&task));
        assert_eq!(all, [Changed::Model, Changed::SaeNew(SITE), Changed::Task]);
        let error = unchanged(&circuit, &model, &with).unwrap_err().to_string();
        assert!(error.contains("another one") && error.contains("resid.0"), "{error}");
    }
}
