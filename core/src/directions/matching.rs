//! What two dictionaries of the same site have in common.

use super::pairs::{Nearest, nearest_of_all};
use super::unit::Directions;
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::sae::{About, Sae};
use serde::Serialize;

/// How many of each latent's nearest are candidates for its partner.
pub const CANDIDATES: usize = 32;

/// A best match: the other latent and the cosine with it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Match {
    /// The latent of the other dictionary.
    pub latent: u32,
    /// Cosine of the two decoder directions.
    pub cosine: f32,
}

/// A latent of each dictionary, paired one to one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pair {
    /// The latent of the first.
    pub a: u32,
    /// The latent of the second.
    pub b: u32,
    /// Cosine of the two decoder directions.
    pub cosine: f32,
    /// Whether each is the other's best match.
    pub mutual: bool,
}

/// One dictionary as seen from the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// Its latents' best matches in the other, in order of index; `None` for a latent without a
    /// direction.
    pub best: Vec<Option<Match>>,
    /// Mean over its latents (those with a direction) of the cosine with the best match: the mean
    /// max cosine similarity.
    pub mean_max_cosine: f64,
    /// Share of its latents whose best match has a cosine of at least 0.7.
    pub above_07: f64,
    /// Share of its latents whose best match has a cosine of at least 0.9.
    pub above_09: f64,
}

/// What two dictionaries have in common.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The first, as seen from the second.
    pub a: Side,
    /// The second, as seen from the first.
    pub b: Side,
    /// How many pairs are each other's best match.
    pub mutual: usize,
    /// One-to-one pairs, nearest first: always the nearest two that are still free, among each
    /// latent's [`CANDIDATES`] nearest; none with a cosine of zero or less.
    pub pairs: Vec<Pair>,
    /// Mean cosine of these pairs.
    pub mean_pair_cosine: f64,
}

impl Side {
    /// The latents that the other dictionary lacks: those whose best match has a cosine under
    /// `least`, the loneliest first.
    pub fn alone(&self, least: f32) -> Vec<(u32, f32)> {
        let one = |(i, m): (usize, &Option<Match>)| m.map(|m| (i as u32, m.cosine));
        let mut all: Vec<(u32, f32)> =
            self.best.iter().enumerate().filter_map(one).filter(|(_, c)| *c < least).collect();
        all.sort_by(|x, y| x.1.total_cmp(&y.1).then(x.0.cmp(&y.0)));
        all
    }
}

/// Whether the two stand at the same place of the same model, as far as they say where.
///
/// # Errors
/// Names what differs: width, site, target of a transcoder, model.
pub fn check_same_place(a: &Sae, b: &Sae) -> Result<()> {
    let refuse = |what: &str, a: String, b: String| {
        Err(Error::setting(
            "These two dictionaries cannot be compared",
            format!("they differ in {what}: {a} and {b}"),
            "Choose two dictionaries of the same site of the same model",
        ))
    };
    if a.width() != b.width() {
        return refuse("width", a.width().to_string(), b.width().to_string());
    }
    let (Some(x), Some(y)) = (trained_on(&a.about), trained_on(&b.about)) else { return Ok(()) };
    if x.model != y.model {
        let short = |hash: &str| hash.chars().take(12).collect::<String>();
        return refuse("model", short(&x.model), short(&y.model));
    }
    if x.site != y.site {
        return refuse("site", x.site.to_string(), y.site.to_string());
    }
    let target = |p: &crate::activations::Provenance| p.target.unwrap_or(p.site).to_string();
    if target(x) != target(y) {
        return refuse("the site they write to", target(x), target(y));
    }
    Ok(())
}

fn trained_on(about: &About) -> Option<&crate::activations::Provenance> {
    about.trained_on.as_ref()
}

/// Compares the decoder directions of two dictionaries of the same site: every pair is looked at,
/// with its sign, since a latent that writes the opposite is another latent.
///
/// # Errors
/// They stand at different places, or the job was stopped.
pub fn compare<E>(ctx: &JobContext<E>, a: &Sae, b: &Sae) -> Result<Comparison> {
    check_same_place(a, b)?;
    let (from, to) = (Directions::of(a), Directions::of(b));
    let forth = nearest_of_all(ctx, &from, &to, CANDIDATES, false)?;
    let back = nearest_of_all(ctx, &to, &from, CANDIDATES, false)?;
    Ok(compared(&from, &to, &forth, &back))
}

fn compared(from: &Directions, to: &Directions, forth: &Nearest, back: &Nearest) -> Comparison {
    let a = side(from, to, forth);
    let b = side(to, from, back);
    let is_mutual = |x: u32, y: u32| {
        let best = |side: &Side, i: u32| side.best[i as usize].map(|m| m.latent);
        best(&a, x) == Some(y) && best(&b, y) == Some(x)
    };
    let mutual = (0..a.best.len() as u32)
        .filter(|x| a.best[*x as usize].is_some_and(|m| is_mutual(*x, m.latent)))
        .count();
    let pairs: Vec<Pair> = assign(from, to, forth, back)
        .into_iter()
        .map(|(i, j, cosine)| (from.latents()[i], to.latents()[j], cosine))
        .map(|(a, b, cosine)| Pair { a, b, cosine, mutual: is_mutual(a, b) })
        .collect();
    let sum: f64 = pairs.iter().map(|p| f64::from(p.cosine)).sum();
    let mean_pair_cosine = if pairs.is_empty() { 0.0 } else { sum / pairs.len() as f64 };
    Comparison { a, b, mutual, pairs, mean_pair_cosine }
}

fn side(of: &Directions, other: &Directions, nearest: &Nearest) -> Side {
    let mut best = vec![None; of.total()];
    let mut cosines = Vec::with_capacity(of.len());
    for (i, latent) in of.latents().iter().enumerate() {
        if let Some((place, cosine)) = nearest.of(i).next() {
            best[*latent as usize] = Some(Match { latent: other.latents()[place], cosine });
            cosines.push(cosine);
        }
    }
    let n = cosines.len().max(1) as f64;
    let share = |least: f32| cosines.iter().filter(|c| **c >= least).count() as f64 / n;
    Side {
        best,
        mean_max_cosine: cosines.iter().map(|c| f64::from(*c)).sum::<f64>() / n,
        above_07: share(0.7),
        above_09: share(0.9),
    }
}

/// Pairs one to one, greedily on the cosine; places in `from` and `to`.
fn assign(
    from: &Directions,
    to: &Directions,
    forth: &Nearest,
    back: &Nearest,
) -> Vec<(usize, usize, f32)> {
    let mut candidates: Vec<(usize, usize, f32)> = Vec::new();
    for i in 0..from.len() {
        candidates.extend(forth.of(i).map(|(j, cosine)| (i, j, cosine)));
    }
    for j in 0..to.len() {
        candidates.extend(back.of(j).map(|(i, cosine)| (i, j, cosine)));
    }
    candidates.retain(|c| c.2 > 0.0);
    candidates.sort_unstable_by(|x, y| y.2.total_cmp(&x.2).then((x.0, x.1).cmp(&(y.0, y.1))));
    let (mut taken, mut given) = (vec![false; from.len()], vec![false; to.len()]);
    candidates.retain(|(i, j, _)| {
        let free = !taken[*i] && !given[*j];
        if free {
            (taken[*i], given[*j]) = (true, true);
        }
        free
    });
    candidates
}
