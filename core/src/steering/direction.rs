//! A direction from contrasted prompts, and what a dictionary makes of it.

use crate::activations::{gather, site_output};
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{Logits, Model, Plan, Site, Tokens};
use crate::sae::{Sae, Wiring};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which positions of a prompt stand for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// The last token.
    #[default]
    Last,
    /// The mean over its tokens, BOS left out.
    Mean,
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Last => "the last token",
            Self::Mean => "the mean over its tokens",
        })
    }
}

/// Activations that stand for one side of a contrast.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Side {
    /// `[rows, width]`, one or several rows a prompt.
    pub rows: Vec<f32>,
    /// What each row weighs in the mean of the side; together 1.
    pub weights: Vec<f32>,
}

/// A direction of a site: mean activation of the prompts that it leads toward, less that of those
/// that it leads away from.
#[derive(Debug, Clone, PartialEq)]
pub struct Direction {
    /// Where.
    pub site: Site,
    /// `[width]`, in units of the site's activations, not normalised.
    pub vector: Vec<f32>,
    /// Its length.
    pub norm: f32,
    /// What it was made of.
    pub toward: Side,
    /// And against what.
    pub away: Side,
    /// How it was computed, in a sentence.
    pub definition: String,
}

/// What a latent has to do with a direction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// The latent.
    pub latent: u32,
    /// Cosine of its decoder direction with the direction; 0 if it has no length.
    pub cosine: f32,
    /// Its mean activation on the prompts toward, less that on those away.
    pub difference: f32,
}

/// The direction at `site` that leads toward the prompts `toward`, away from `away`.
///
/// # Errors
/// A side without a prompt; a prompt without a token or longer than the model's context; both sides
/// have the same activations; cancelled.
pub fn contrast<E>(
    ctx: &JobContext<E>,
    model: &Model,
    site: Site,
    toward: &[String],
    away: &[String],
    pool: Pool,
) -> Result<Direction> {
    site.within(model.config().layers)?;
    ctx.progress().stage("Reading prompts", "prompts", 0, (toward.len() + away.len()) as u64);
    let toward_side = side(ctx, model, site, toward, pool)?;
    let away_side = side(ctx, model, site, away, pool)?;
    let width = model.config().width;
    let mut sums = vec![0f64; width];
    for (side, sign) in [(&toward_side, 1.0), (&away_side, -1.0)] {
        for (row, weight) in side.rows.chunks_exact(width).zip(&side.weights) {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += sign * f64::from(*weight) * f64::from(*x);
            }
        }
    }
    let norm = sums.iter().map(|x| x * x).sum::<f64>().sqrt() as f32;
    let vector: Vec<f32> = sums.into_iter().map(|x| x as f32).collect();
    if vector.iter().all(|x| *x == 0.0) {
        return Err(Error::setting(
            "These prompts make no direction",
            format!("their activations at {site} are the same"),
            match pool {
                Pool::Last => "Let them end in different words, or take the mean over their tokens",
                Pool::Mean => "Write prompts that differ",
            },
        ));
    }
    let definition = format!(
        "mean output of {site} on {} less that on {}, {pool} standing for each",
        prompts(toward.len()),
        prompts(away.len())
    );
    Ok(Direction { site, vector, norm, toward: toward_side, away: away_side, definition })
}

fn prompts(count: usize) -> String {
    if count == 1 { "1 prompt".to_owned() } else { format!("{count} prompts") }
}

fn side<E>(
    ctx: &JobContext<E>,
    model: &Model,
    site: Site,
    texts: &[String],
    pool: Pool,
) -> Result<Side> {
    if texts.is_empty() {
        return Err(Error::setting(
            "There is nothing to contrast",
            "one side has no prompts",
            "Write at least one prompt on each side",
        ));
    }
    let tokenizer = model.need_tokenizer()?;
    let mut out = Side::default();
    for text in texts {
        let ids = tokenizer.encode(text, true)?;
        let front = usize::from(tokenizer.bos().is_some());
        if ids.len() <= front {
            return Err(Error::setting(
                "A prompt to contrast is empty",
                format!("{text:?} has no tokens"),
                "Write something on each side",
            ));
        }
        let check = || ctx.check();
        let plan =
            Plan { read: &[site], logits: Logits::None, check: Some(&check), ..Plan::default() };
        let pass = model.forward(&Tokens::row(&ids)?, &plan)?;
        let width = model.config().width;
        let first = match pool {
            Pool::Last => ids.len() - 1,
            Pool::Mean => front,
        };
        let taken: Vec<usize> = (first..ids.len()).collect();
        let count = taken.len();
        out.rows.extend(gather(&site_output(&pass, site)?, width, &taken, site)?);
        out.weights.extend(std::iter::repeat_n(1.0 / (count * texts.len()) as f32, count));
        ctx.progress().add(1);
    }
    Ok(out)
}

/// What each latent of `sae`, the dictionary of the direction's site, has to do with it: sorted by
/// the size of the difference of its activation, greatest first, those that differ alike by the
/// size of the cosine.
///
/// # Errors
/// A dictionary of another width; a transcoder, whose directions belong to another site.
pub fn project(sae: &Sae, direction: &Direction) -> Result<Vec<Projection>> {
    let width = direction.vector.len();
    if sae.width() != width || matches!(sae.wiring, Wiring::Transcoder { .. }) {
        return Err(Error::setting(
            "The dictionary says nothing of this direction",
            format!(
                "it is {} wide, and the directions of the dictionary lie elsewhere or are {} wide",
                width,
                sae.width()
            ),
            format!("Choose a dictionary of {}", direction.site),
        ));
    }
    let mut difference = vec![0f64; sae.latents()];
    for (side, sign) in [(&direction.toward, 1.0), (&direction.away, -1.0)] {
        let latents = sae.encode(&side.rows)?;
        for (row, weight) in side.weights.iter().enumerate() {
            let (index, value) = latents.row(row);
            for (latent, f) in index.iter().zip(value) {
                difference[*latent as usize] += sign * f64::from(*weight) * f64::from(*f);
            }
        }
    }
    let length = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let whole = length(&direction.vector);
    let mut out: Vec<Projection> = (0..sae.latents())
        .map(|latent| {
            let d = sae.direction(latent);
            let along: f64 =
                d.iter().zip(&direction.vector).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let size = length(d) * whole;
            Projection {
                latent: latent as u32,
                cosine: if size > 0.0 { (along / size) as f32 } else { 0.0 },
                difference: difference[latent] as f32,
            }
        })
        .collect();
    out.sort_by(|a, b| {
        let sizes = b.difference.abs().total_cmp(&a.difference.abs());
        sizes.then(b.cosine.abs().total_cmp(&a.cosine.abs())).then(a.latent.cmp(&b.latent))
    });
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activations::testing::{tiny_model, tiny_sae};

    const SITE: Site = Site::Resid(0);

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|t| (*t).to_owned()).collect()
    }

    /// The site's output on a text, a row a token.
    fn rows(model: &Model, text: &str) -> Vec<Vec<f32>> {
        let ids = model.tokenizer().unwrap().encode(text, true).unwrap();
        let plan = Plan { read: &[SITE], ..Plan::default() };
        let pass = model.forward(&Tokens::row(&ids).unwrap(), &plan).unwrap();
        pass.sites[&SITE].get(0).unwrap().to_vec2().unwrap()
    }

    #[test]
    fn a_direction_is_the_difference_of_means() {
        let model = tiny_model();
        let ctx = JobContext::<()>::unwatched();
        let (toward, away) = (texts(&["w1 w2 w3", "w4"]), texts(&["w5 w6"]));
        let sae = tiny_sae(&[16, 24]);
        for pool in [Pool::Last, Pool::Mean] {
            let found = contrast(&ctx, &model, SITE, &toward, &away, pool).unwrap();
            let mean = |texts: &[String], of: &dyn Fn(&[f32]) -> Vec<f32>| -> Vec<f32> {
                let mut sum = vec![0f32; of(&[0.0; 16]).len()];
                for text in texts {
                    let rows = rows(&model, text);
                    let taken = match pool {
                        Pool::Last => &rows[rows.len() - 1..],
                        Pool::Mean => &rows[1..],
                    };
                    for row in taken {
                        for (sum, x) in sum.iter_mut().zip(of(row)) {
                            *sum += x / (taken.len() * texts.len()) as f32;
                        }
                    }
                }
                sum
            };
            let same = |row: &[f32]| row.to_vec();
            let (a, b) = (mean(&toward, &same), mean(&away, &same));
            for ((found, a), b) in found.vector.iter().zip(&a).zip(&b) {
                assert!((found - (a - b)).abs() < 1e-5);
            }
            let size = found.vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            assert!((found.norm - size).abs() < 1e-5);
            let projected = project(&sae, &found).unwrap();
            assert_eq!(projected.len(), 24);
            assert!(projected.is_sorted_by(|a, b| a.difference.abs() >= b.difference.abs()));
            assert!(projected[0].difference != 0.0);
            let active = |row: &[f32]| sae.encode(row).unwrap().to_dense();
            let (a, b) = (mean(&toward, &active), mean(&away, &active));
            for p in projected {
                let l = p.latent as usize;
                assert!((p.difference - (a[l] - b[l])).abs() < 1e-5, "{p:?}");
                let d = sae.direction(l);
                let along: f32 = d.iter().zip(&found.vector).map(|(a, b)| a * b).sum();
                let length = d.iter().map(|x| x * x).sum::<f32>().sqrt();
                assert!((p.cosine - along / (length * size)).abs() < 1e-5, "{p:?}");
            }
        }
    }

    #[test]
    fn sides_that_make_no_direction_are_named() {
        let model = tiny_model();
        let why = |toward: &[&str], away: &[&str], pool| {
            let ctx = JobContext::<()>::unwatched();
            let found = contrast(&ctx, &model, SITE, &texts(toward), &texts(away), pool);
            found.unwrap_err().to_string()
        };
        assert!(why(&[], &["w1"], Pool::Last).contains("no prompts"));
        assert!(why(&["w1"], &[""], Pool::Last).contains("no tokens"));
        assert!(why(&["w1"], &["w1"], Pool::Mean).contains("are the same"));
        assert!(why(&["w1"], &[&"w2 ".repeat(70)], Pool::Mean).contains("64 positions"));
        let ctx = JobContext::<()>::unwatched();
        let (a, b) = (texts(&["w1"]), texts(&["w2"]));
        assert!(contrast(&ctx, &model, Site::Resid(2), &a, &b, Pool::Last).is_err());
        let found = contrast(&ctx, &model, SITE, &a, &b, Pool::Last).unwrap();
        assert!(project(&tiny_sae(&[8, 24]), &found).unwrap_err().why.contains("16 wide"));
    }
}
