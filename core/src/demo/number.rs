//! Which latents the model uses for number, found by attribution on the choosing half.

use super::places::{Place, Sheet};
use crate::edits::{Op, Shift};
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::{Model, Site};
use crate::sae::Sae;
use crate::world::Number;

/// Points of the path from the site's output to that with the other number, at which the gradient
/// is taken.
const PATH: [f32; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];
/// Latents that the greedy choice looks at: those with the greatest mean effect.
const POOL: usize = 64;

/// What is known of the two numbers before verbs.
#[derive(Debug, Clone)]
pub(super) struct Means {
    /// Mean of the site's output before singular and before plural verbs.
    pub x: [Vec<f32>; 2],
    /// Mean of each latent there.
    pub latents: [Vec<f32>; 2],
}

impl Means {
    /// Over the places before verbs that the model gets right.
    pub(super) fn of(sheets: &[Sheet], sae: &Sae) -> Self {
        let (d, m) = (sae.width(), sae.latents());
        let mut x = [vec![0f64; d], vec![0f64; d]];
        let mut latents = [vec![0f64; m], vec![0f64; m]];
        let mut counts = [0usize; 2];
        for sheet in sheets {
            for i in sheet.right_verbs() {
                let number = sheet.places[i].number as usize;
                counts[number] += 1;
                let row = &sheet.x[i * d..][..d];
                x[number].iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
                let (index, value) = sheet.latents.row(i);
                for (&latent, &f) in index.iter().zip(value) {
                    latents[number][latent as usize] += f64::from(f);
                }
            }
        }
        let mean = |sums: [Vec<f64>; 2]| {
            let mut counts = counts.iter();
            sums.map(|sum| {
                let n = (*counts.next().unwrap_or(&1)).max(1) as f64;
                sum.into_iter().map(|s| (s / n) as f32).collect()
            })
        };
        Self { x: mean(x), latents: mean(latents) }
    }

    /// `by` times the way from the mean of a place's number to that of the other, at each place.
    pub(super) fn shift(&self, sheet: &Sheet, by: f32) -> Shift {
        let toward = |place: &Place| {
            let (own, other) = (place.number as usize, 1 - place.number as usize);
            let pair = self.x[own].iter().zip(&self.x[other]);
            pair.map(|(own, other)| by * (other - own)).collect()
        };
        let rows = each_once(sheet);
        Shift { rows: rows.into_iter().map(|(row, i)| (row, toward(&sheet.places[i]))).collect() }
    }

    /// Each of `latents` set to its mean before verbs of the other number, for a singular and for
    /// a plural subject.
    pub(super) fn swap(&self, latents: &[u32]) -> [Vec<(u32, Op)>; 2] {
        [Number::Plural, Number::Singular].map(|other| {
            let means = &self.latents[other as usize];
            latents.iter().map(|&l| (l, Op::Set(means[l as usize]))).collect()
        })
    }
}

/// Rows of a sheet with the first place that stands there: the same token can stand before two.
pub(super) fn each_once(sheet: &Sheet) -> Vec<(usize, usize)> {
    let mut rows: Vec<(usize, usize)> = sheet.rows().into_iter().zip(0..).collect();
    rows.sort_unstable();
    rows.dedup_by_key(|(row, _)| *row);
    rows
}

/// What is done to a latent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// It gets its mean before verbs of the other number.
    OtherMean,
    /// It gets 0.
    Zero,
}

/// The verbs of the choosing half that the model gets right, and how much each latent matters
/// there.
pub(super) struct Attribution {
    /// logit(right) − logit(wrong) of each.
    margins: Vec<f32>,
    numbers: Vec<Number>,
    /// Latents at each: index and activation.
    active: Vec<Vec<(u32, f32)>>,
    /// ⟨gradient, d⟩ of each latent at each verb, `[verbs, m]`.
    slopes: Vec<f32>,
    means: Means,
    latents: usize,
}

impl Attribution {
    /// The gradient of the margin by the site's output is averaged along the way to the mean of
    /// the other number (integrated gradients, Sundararajan et al., 1703.01365), since at a model
    /// that is sure of itself the gradient alone says little of what a large edit does.
    pub(super) fn new<E>(
        ctx: &JobContext<E>,
        model: &Model,
        sae: &Sae,
        site: Site,
        sheets: &[Sheet],
    ) -> Result<Self> {
        let means = Means::of(sheets, sae);
        let (d, m) = (sae.width(), sae.latents());
        let mut out = Self {
            margins: Vec::new(),
            numbers: Vec::new(),
            active: Vec::new(),
            slopes: Vec::new(),
            means: means.clone(),
            latents: m,
        };
        for sheet in sheets {
            let mut gradient = vec![0f32; sheet.places.len() * d];
            for by in PATH {
                ctx.check()?;
                let there = sheet.gradient_under(model, site, &means.shift(sheet, by))?;
                gradient.iter_mut().zip(there).for_each(|(g, t)| *g += t / PATH.len() as f32);
            }
            for i in sheet.right_verbs() {
                let g = &gradient[i * d..][..d];
                out.margins.push(sheet.margins[i]);
                out.numbers.push(sheet.places[i].number);
                let (index, value) = sheet.latents.row(i);
                out.active.push(index.iter().copied().zip(value.iter().copied()).collect());
                out.slopes.extend((0..m).map(|latent| {
                    sae.direction(latent).iter().zip(g).map(|(d, g)| d * g).sum::<f32>()
                }));
            }
        }
        Ok(out)
    }

    /// What the latents' means are.
    pub(super) fn means(&self) -> &Means {
        &self.means
    }

    /// The `count` latents that together make the wrong form likeliest once each has its target,
    /// to first order: chosen one by one, each time the one that raises the mean probability of
    /// the wrong form most. `only` looks at the verbs of one number.
    pub(super) fn choose(&self, target: Target, only: Option<Number>, count: usize) -> Vec<u32> {
        let verbs: Vec<usize> = (0..self.margins.len())
            .filter(|&v| only.is_none_or(|number| self.numbers[v] == number))
            .collect();
        let effects: Vec<Vec<f32>> = verbs.iter().map(|&v| self.effects(v, target)).collect();
        let mut sums = vec![0f64; self.latents];
        for effect in &effects {
            sums.iter_mut().zip(effect).for_each(|(sum, e)| *sum += f64::from(*e));
        }
        let mut pool: Vec<usize> = (0..self.latents).collect();
        pool.sort_by(|&a, &b| sums[a].total_cmp(&sums[b]));
        pool.truncate(POOL.max(count));
        let mut margins: Vec<f32> = verbs.iter().map(|&v| self.margins[v]).collect();
        let mut chosen = Vec::new();
        while chosen.len() < count && !pool.is_empty() {
            let gain = |latent: usize| -> f64 {
                let pairs = margins.iter().zip(&effects);
                pairs.map(|(m, e)| 1.0 / (1.0 + f64::from(m + e[latent]).exp())).sum()
            };
            let gains: Vec<f64> = pool.iter().map(|&latent| gain(latent)).collect();
            let best = (0..pool.len()).max_by(|&a, &b| gains[a].total_cmp(&gains[b])).unwrap_or(0);
            let latent = pool.remove(best);
            margins.iter_mut().zip(&effects).for_each(|(m, e)| *m += e[latent]);
            chosen.push(latent as u32);
        }
        chosen
    }

    /// Change of a verb's margin by each latent's edit, to first order: (f' − f) · ⟨gradient, d⟩.
    fn effects(&self, verb: usize, target: Target) -> Vec<f32> {
        let other = match self.numbers[verb] {
            Number::Singular => Number::Plural,
            Number::Plural => Number::Singular,
        };
        let mut change = match target {
            Target::OtherMean => self.means.latents[other as usize].clone(),
            Target::Zero => vec![0.0; self.latents],
        };
        for &(latent, f) in &self.active[verb] {
            change[latent as usize] -= f;
        }
        let slopes = &self.slopes[verb * self.latents..][..self.latents];
        change.iter().zip(slopes).map(|(c, s)| c * s).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two verbs, one of each number, three latents.
    fn attribution() -> Attribution {
        Attribution {
            margins: vec![2.0, 3.0],
            numbers: vec![Number::Singular, Number::Plural],
            active: vec![vec![(0, 1.0), (2, 4.0)], vec![(1, 2.0)]],
            slopes: vec![2.0, -1.0, 0.0, -1.0, 2.0, 0.5],
            means: Means {
                x: [vec![], vec![]],
                latents: [vec![1.0, 0.0, 2.0], vec![0.0, 2.0, 2.0]],
            },
            latents: 3,
        }
    }

    #[test]
    fn gradients_along_the_way_add_up_to_the_whole_change() {
        use crate::world::{Split, Writer};
        let model = crate::demo::model(&candle_core::Device::Cpu).unwrap();
        let (site, sae) = (Site::Resid(2), crate::activations::testing::tiny_sae(&[128, 8]));
        let documents: Vec<_> = Writer::new(5, Split::Heldout).take(32).collect();
        let ctx = JobContext::<()>::unwatched();
        let sheets = Sheet::read(&ctx, &model, &sae, site, &documents).unwrap();
        let means = Means::of(&sheets, &sae);
        let sheet = &sheets[0];
        let mut along = 0.0;
        for by in PATH {
            let gradient = sheet.gradient_under(&model, site, &means.shift(sheet, by)).unwrap();
            let whole = means.shift(sheet, 1.0).rows;
            for ((_, step), (_, i)) in whole.iter().zip(each_once(sheet)) {
                let pairs = step.iter().zip(&gradient[i * 128..][..128]);
                along += pairs.map(|(s, g)| f64::from(s * g)).sum::<f64>() / PATH.len() as f64;
            }
        }
        let after = sheet.margins_under(&model, site, &means.shift(sheet, 1.0)).unwrap();
        let verbs = (0..after.len()).filter(|&i| sheet.places[i].verb);
        let change: f64 = verbs.map(|i| f64::from(after[i] - sheet.margins[i])).sum();
        assert!(change < -100.0, "the shift must matter: {change}");
        assert!((along / change - 1.0).abs() < 0.02, "{along} is not {change}");
    }

    #[test]
    fn effects_by_hand() {
        let a = attribution();
        // The singular verb: latents go to the plural's means 0, 2, 2.
        assert_eq!(a.effects(0, Target::OtherMean), [-2.0, -2.0, 0.0]);
        // The plural verb: to 1, 0, 2.
        assert_eq!(a.effects(1, Target::OtherMean), [-1.0, -4.0, 1.0]);
        assert_eq!(a.effects(0, Target::Zero), [-2.0, 0.0, 0.0]);
        assert_eq!(a.effects(1, Target::Zero), [0.0, -4.0, 0.0]);
    }

    #[test]
    fn latents_are_chosen_for_what_they_add() {
        let a = attribution();
        // Latent 1 brings the margins to 0 and -1; then 0 to -2 and -2; latent 2 only mends.
        assert_eq!(a.choose(Target::OtherMean, None, 3), [1, 0, 2]);
        assert_eq!(a.choose(Target::Zero, Some(Number::Singular), 1), [0]);
        assert_eq!(a.choose(Target::Zero, Some(Number::Plural), 1), [1]);
    }
}
