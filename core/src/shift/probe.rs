//! A linear probe on the mean of a site's output over positions.

use super::Text;
use super::measurer::dictionaries;
use super::pooled::{Pooled, most_latents, pooled_at};
use crate::circuits::{Bases, Metric, Pool};
use crate::edits::{Edit, Edits};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::JobContext;
use crate::llama::{Model, Site};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How a probe is trained: logistic regression by AdamW from zero weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProbeSpec {
    /// Whose output it reads.
    pub site: Site,
    /// Learning rate.
    pub learning_rate: f64,
    /// Times that it sees each text.
    pub epochs: usize,
    /// Texts a step.
    pub batch: usize,
    /// Decoupled weight decay, of the bias too.
    pub weight_decay: f64,
    /// Seed of the order of the texts.
    pub seed: u64,
}

impl Default for ProbeSpec {
    fn default() -> Self {
        Self {
            site: Site::Mlp(1),
            learning_rate: 1e-2,
            epochs: 5,
            batch: 32,
            weight_decay: 1e-2,
            seed: 0,
        }
    }
}

/// A linear probe: log-odds of the first label against the second,
/// `⟨weights, mean over positions of the site's output⟩ + bias`. It answers the first label where
/// that is greater than 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Whose output it reads.
    pub site: Site,
    /// As many as the site is wide.
    pub weights: Vec<f32>,
    /// Added to the sum.
    pub bias: f32,
    /// Share of the texts it was trained on whose label it names.
    pub train_accuracy: f64,
    /// Mean cross-entropy on them, in nats.
    pub train_loss: f64,
    /// Texts it was trained on.
    pub texts: usize,
    /// Steps taken.
    pub steps: usize,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            site: Site::Embed,
            weights: Vec::new(),
            bias: 0.0,
            train_accuracy: 0.0,
            train_loss: 0.0,
            texts: 0,
            steps: 0,
        }
    }
}

impl Probe {
    /// Trains a probe at `spec.site` on the labels of `texts`, whose pooled outputs there are `x`.
    ///
    /// # Errors
    /// A class is missing; settings that make no sense; a NaN; the job was stopped.
    pub fn train<E>(
        ctx: &JobContext<E>,
        x: &Pooled,
        texts: &[Text],
        spec: &ProbeSpec,
    ) -> Result<Self> {
        let labels: Vec<usize> = texts.iter().map(|text| text.label).collect();
        let fit = fit(x, &labels, spec, &|| ctx.check())?;
        let logits = fit.logits(x);
        let right = logits.iter().zip(&labels).filter(|(z, l)| answer(**z) == **l).count();
        let loss: f64 = logits.iter().zip(&labels).map(|(z, l)| loss(*z, *l)).sum();
        Ok(Self {
            site: spec.site,
            weights: fit.weights.iter().map(|w| *w as f32).collect(),
            bias: fit.bias as f32,
            train_accuracy: right as f64 / labels.len().max(1) as f64,
            train_loss: loss / labels.len().max(1) as f64,
            texts: labels.len(),
            steps: fit.steps,
        })
    }

    /// Log-odds of the first label, for each row of `x`.
    pub fn logits(&self, x: &Pooled) -> Vec<f64> {
        x.rows()
            .map(|row| {
                let dot: f64 = row.iter().zip(&self.weights).map(|(x, w)| x * f64::from(*w)).sum();
                dot + f64::from(self.bias)
            })
            .collect()
    }

    /// 1 for each text whose label it names, else 0.
    pub fn right(&self, x: &Pooled, texts: &[Text]) -> Vec<f64> {
        let logits = self.logits(x);
        let right = logits.iter().zip(texts).map(|(z, text)| answer(*z) == text.label);
        right.map(|right| f64::from(u8::from(right))).collect()
    }

    /// The same as a metric for circuits: log-odds of the pair's own label.
    pub fn metric(&self) -> Metric {
        Metric::Probe {
            site: self.site,
            weights: self.weights.clone(),
            bias: self.bias,
            pool: Pool::Mean,
        }
    }
}

/// Trains a probe at `spec.site` on `texts` (the ambiguous part: the probe of SHIFT; the balanced
/// training part: the oracle), the model running under `edits`.
///
/// # Errors
/// As [`Probe::train`]; an edit that does not fit; those of the forward pass.
pub fn train_probe<E>(
    ctx: &JobContext<E>,
    model: &Model,
    bases: &Bases,
    texts: &[Text],
    edits: &[Edit],
    spec: &ProbeSpec,
) -> Result<Probe> {
    spec.validate()?;
    let site = spec.site.within(model.config().layers)?;
    ctx.progress().stage("Training the probe", "", 0, 0);
    let edits = Edits::new(edits, &dictionaries(bases))?;
    let check = || ctx.check();
    let latents = most_latents(bases);
    let x = pooled_at(model, texts, site, &edits.changes(), latents, &check)?;
    Probe::train(ctx, &x, texts, spec)
}

/// The label that log-odds of the first one say.
pub(super) fn answer(logit: f64) -> usize {
    usize::from(logit <= 0.0)
}

/// −log of the probability of `label`.
fn loss(logit: f64, label: usize) -> f64 {
    let z = if label == 0 { -logit } else { logit };
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

/// Weights and a bias.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    pub weights: Vec<f64>,
    pub bias: f64,
    pub steps: usize,
}

impl Fit {
    pub(super) fn logits(&self, x: &Pooled) -> Vec<f64> {
        x.rows()
            .map(|row| row.iter().zip(&self.weights).map(|(x, w)| x * w).sum::<f64>() + self.bias)
            .collect()
    }
}

/// Logistic regression by AdamW (β 0.9 and 0.999, ε 1e-8) from zero weights, in f64.
pub(super) fn fit(
    x: &Pooled,
    labels: &[usize],
    spec: &ProbeSpec,
    check: &dyn Fn() -> Result<()>,
) -> Result<Fit> {
    spec.validate()?;
    if x.len() != labels.len() {
        return Err(Error::internal(
            "The probe cannot be trained",
            format!("{} rows for {} labels", x.len(), labels.len()),
        ));
    }
    for label in 0..2 {
        if !labels.contains(&label) {
            return Err(Error::setting(
                "The probe cannot be trained",
                "one of the two classes has no texts",
                "Give texts of both",
            ));
        }
    }
    let width = x.width();
    // The bias comes last.
    let (mut w, mut m, mut v) = (vec![0.0; width + 1], vec![0.0; width + 1], vec![0.0; width + 1]);
    let mut rng = ChaCha8Rng::seed_from_u64(spec.seed);
    let mut order: Vec<usize> = (0..labels.len()).collect();
    let mut steps = 0;
    for _ in 0..spec.epochs {
        order.shuffle(&mut rng);
        for batch in order.chunks(spec.batch) {
            check()?;
            let mut gradient = vec![0.0; width + 1];
            for i in batch {
                let row = x.row(*i);
                let z: f64 = row.iter().zip(&w).map(|(x, w)| x * w).sum::<f64>() + w[width];
                let target = if labels[*i] == 0 { 1.0 } else { 0.0 };
                let error = (1.0 / (1.0 + (-z).exp()) - target) / batch.len() as f64;
                gradient.iter_mut().zip(row).for_each(|(g, x)| *g += error * x);
                gradient[width] += error;
            }
            steps += 1;
            let (c1, c2) = (1.0 - 0.9f64.powi(steps), 1.0 - 0.999f64.powi(steps));
            for (i, g) in gradient.into_iter().enumerate() {
                w[i] -= spec.learning_rate * spec.weight_decay * w[i];
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                w[i] -= spec.learning_rate * (m[i] / c1) / ((v[i] / c2).sqrt() + 1e-8);
            }
        }
    }
    let bias = w.pop().unwrap_or(0.0);
    if !bias.is_finite() || w.iter().any(|w| !w.is_finite()) {
        return Err(Error::new(
            ErrorKind::Numeric,
            "The probe could not be trained",
            "a weight became NaN or infinite",
            "Choose a smaller learning rate",
        ));
    }
    Ok(Fit { weights: w, bias, steps: steps as usize })
}

impl ProbeSpec {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// Says which does not.
    pub fn validate(&self) -> Result<()> {
        let bad = |why: &str, remedy: &str| {
            Err(Error::setting("The probe cannot be trained so", why, remedy))
        };
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return bad("the learning rate is no positive number", "Give for example 0.01");
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return bad("the weight decay is negative or no number", "Give 0 or a little more");
        }
        if self.epochs == 0 || self.batch == 0 {
            return bad("it would see no text", "Give at least one epoch and one text a step");
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests/probe.rs"]
mod tests;
