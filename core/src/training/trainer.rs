//! One training run between its steps: weights, moments, counters. Knows nothing of files,
//! sources or events.

use super::average;
use super::config::{BiasStart, TrainConfig};
use super::start;
use crate::error::{Error, ErrorKind, Result};
use crate::sae::architectures::{self, Losses, Rule, Step};
use crate::sae::engine::{self, Engine, OptimizerState, Parameters, Set};
use crate::sae::kernels::{Adam, Stop};
use crate::sae::{About, Sae};
use candle_core::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Added to the root of Adam's second moment.
const EPS: f64 = 1e-8;

/// A training run between its steps.
pub struct Trainer {
    pub(super) config: TrainConfig,
    rule: Box<dyn Rule>,
    pub(super) engine: Box<dyn Engine>,
    pub(super) counters: Counters,
    /// The moving average of the weights, if one is kept.
    pub(super) average: Option<Parameters>,
    scaled: Vec<f32>,
    fired: Vec<bool>,
}

/// Everything of a run that is neither a weight nor a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Counters {
    /// Steps done.
    pub step: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// For each latent, tokens since it last fired.
    pub silent_for: Vec<u64>,
    /// Factor on the activations.
    pub scale: f64,
    /// Random numbers of the run.
    pub rng: ChaCha8Rng,
}

/// What a step says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Report {
    /// Loss and its parts, in the units the run trains in.
    pub losses: Losses,
    /// Σ‖x−x̂‖² / Σ‖x−mean x‖² of the batch; 1 (or 0 for no error) where the rows are all alike.
    pub fvu: f64,
    /// Mean number of active latents a row.
    pub l0: f64,
    /// Share of latents that count as dead.
    pub dead: f64,
    /// Learning rate.
    pub lr: f64,
}

impl Trainer {
    /// A run at its start. `first` are some rows of what it will be trained on (raw, `[n,
    /// width]`): the scale is estimated from them, and from the first `config.batch` of them the
    /// decoder bias where the architecture wants one.
    ///
    /// # Errors
    /// Settings that make no sense; a NaN in the rows.
    pub fn new(config: &TrainConfig, width: usize, first: &[f32]) -> Result<Self> {
        config.validate(width)?;
        check_finite(first, width)?;
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let start = architectures::rule(&config.architecture).start();
        let mut parameters = start::weights(config.latents, width, start, config.start, &mut rng);
        let scale = if config.normalize { start::scale(first, width) } else { 1.0 };
        let usual = if start.bias_at_median { BiasStart::GeometricMedian } else { BiasStart::Zero };
        let bias = config.start.bias.unwrap_or(usual);
        if bias != BiasStart::Zero {
            let batch = &first[..first.len().min(config.batch * width)];
            let scaled: Vec<f32> = batch.iter().map(|x| (f64::from(*x) * scale) as f32).collect();
            parameters.b_dec = start::bias(bias, &scaled, width);
        }
        let counters =
            Counters { step: 0, tokens: 0, silent_for: vec![0; config.latents], scale, rng };
        let optimizer = OptimizerState::new(&parameters);
        Self::with(config, parameters, optimizer, counters)
    }

    /// A run as it stood.
    ///
    /// # Errors
    /// Settings that make no sense, or do not fit the weights.
    pub fn with(
        config: &TrainConfig,
        parameters: Parameters,
        optimizer: OptimizerState,
        counters: Counters,
    ) -> Result<Self> {
        config.validate(parameters.encoder.cols())?;
        let lengths = parameters.parts().map(|(_, p)| p.len());
        let moments = optimizer.moments.iter().map(|m| (m.first.len(), m.second.len()));
        if !moments.eq(lengths.map(|len| (len, len)))
            || parameters.encoder.rows() != config.latents
            || counters.silent_for.len() != config.latents
        {
            return Err(Error::internal(
                "A training run could not be set up",
                "weights, moments and settings are of different sizes",
            ));
        }
        Ok(Self {
            rule: architectures::rule(&config.architecture),
            average: config.ema.map(|_| parameters.clone()),
            engine: engine::engine(&Device::Cpu, parameters, optimizer),
            config: config.clone(),
            fired: vec![false; config.latents],
            counters,
            scaled: Vec::new(),
        })
    }

    /// Loss and gradients of `batch` (raw rows) as they would be in the next step; changes
    /// nothing of the run.
    ///
    /// # Errors
    /// Stopped; a NaN or an infinity in the batch or the loss.
    pub fn gradients(&mut self, batch: &[f32], stop: Stop<'_>) -> Result<Losses> {
        let width = self.width();
        check_finite(batch, width)?;
        let batch = if self.counters.scale == 1.0 {
            batch
        } else {
            let scale = self.counters.scale as f32;
            self.scaled.clear();
            self.scaled.extend(batch.iter().map(|x| x * scale));
            &self.scaled
        };
        let rows = batch.len() / width;
        if self.config.k_anneal.is_some() {
            let now = self.config.architecture_at(self.counters.step + 1);
            self.rule = architectures::rule(&now);
        }
        self.engine.load(batch);
        let step = Step {
            rows,
            l1: self.config.l1_at(self.counters.step + 1),
            aux_weight: self.config.aux_weight,
            silent_for: &self.counters.silent_for,
            dead_after: self.config.dead_after,
            stop,
        };
        let losses = self.rule.gradients(self.engine.as_mut(), &step)?;
        if !losses.total.is_finite() {
            return Err(Error::new(
                ErrorKind::Numeric,
                format!("Training broke down at step {}", self.counters.step + 1),
                format!("the loss became {}", losses.total),
                "Go on from the last checkpoint with a smaller learning rate, \
                 or with activations scaled",
            ));
        }
        Ok(losses)
    }

    /// One step on `batch` (raw rows).
    ///
    /// # Errors
    /// As [`Trainer::gradients`]; the run then stands where it stood before the step.
    pub fn step(&mut self, batch: &[f32], stop: Stop<'_>) -> Result<Report> {
        let losses = self.gradients(batch, stop)?;
        let unit = self.rule.unit_directions();
        let number = self.counters.step + 1;
        let scale = match self.config.clip {
            None => 1.0,
            Some(clip) => {
                let norm = self.engine.gradient_norm(unit);
                if !norm.is_finite() {
                    return Err(Error::new(
                        ErrorKind::Numeric,
                        format!("Training broke down at step {number}"),
                        format!("the gradient's norm became {norm}"),
                        "Go on from the last checkpoint with a smaller learning rate, \
                         or with activations scaled",
                    ));
                }
                (clip / (norm + 1e-6)).min(1.0)
            }
        };
        let lr = self.config.lr_at(number);
        let (beta1, beta2) = self.config.betas;
        self.engine.update(&Adam { lr, beta1, beta2, eps: EPS, step: number, scale }, unit);
        if let (Some(average), Some(decay)) = (&mut self.average, self.config.ema) {
            average::follow(average, self.engine.parameters(), decay);
        }
        let rows = (batch.len() / self.width()) as u64;
        self.counters.step = number;
        self.counters.tokens += rows;
        self.fired.fill(false);
        self.engine.mark_fired(Set::Main, &mut self.fired);
        for (silent, fired) in self.counters.silent_for.iter_mut().zip(&self.fired) {
            *silent = if *fired { 0 } else { silent.saturating_add(rows) };
        }
        Ok(self.report(losses, rows, lr))
    }

    fn report(&self, losses: Losses, rows: u64, lr: f64) -> Report {
        let error = losses.mse * rows as f64;
        let variance = self.engine.input_variance();
        let fvu = if variance > 0.0 { error / variance } else { f64::from(error > 0.0) };
        Report {
            losses,
            fvu,
            l0: self.engine.active(Set::Main) as f64 / rows.max(1) as f64,
            dead: self.dead_share(),
            lr,
        }
    }

    /// Share of latents that have not fired for `dead_after` tokens.
    pub fn dead_share(&self) -> f64 {
        let silent = &self.counters.silent_for;
        let dead = silent.iter().filter(|s| **s >= self.config.dead_after).count();
        dead as f64 / silent.len().max(1) as f64
    }

    /// Counts the first `count` latents as long dead, whatever they do: for benchmarks.
    pub(super) fn declare_dead(&mut self, count: usize) {
        self.counters.silent_for[..count].fill(u64::MAX / 2);
    }

    /// Width of the activations.
    pub fn width(&self) -> usize {
        self.engine.parameters().b_dec.len()
    }

    /// Its settings.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Steps, tokens, silent latents, scale, random numbers.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The weights, in the units the run trains in.
    pub fn parameters(&self) -> &Parameters {
        self.engine.parameters()
    }

    /// Adam's moments.
    pub fn optimizer(&self) -> &OptimizerState {
        self.engine.optimizer()
    }

    /// What the last step left in its engine: gradients, active latents.
    pub fn engine(&self) -> &dyn Engine {
        self.engine.as_ref()
    }

    /// The dictionary as it is now, for raw activations: the scale is folded into the biases, so
    /// that directions keep their norms and activations come out in raw units. Where an average
    /// of the weights is kept, the dictionary is made of that (directions brought back to unit
    /// norm, if the architecture holds them there).
    pub fn dictionary(&self, about: About) -> Sae {
        match &self.average {
            None => self.dictionary_of(self.engine.parameters(), about),
            Some(average) => {
                let mut sae = self.dictionary_of(average, about);
                if self.rule.unit_directions() {
                    average::to_unit_rows(&mut sae.decoder);
                }
                sae
            }
        }
    }

    /// The moving average of the weights, if one is kept.
    pub fn average(&self) -> Option<&Parameters> {
        self.average.as_ref()
    }

    /// Goes on with this moving average; for a run that is read from a checkpoint.
    pub(super) fn set_average(&mut self, average: Option<Parameters>) {
        self.average = average;
    }

    pub(super) fn dictionary_of(&self, parameters: &Parameters, about: About) -> Sae {
        let Parameters { encoder, b_enc, decoder, b_dec } = parameters;
        // ReLU and TopK commute with a factor: f(s x) / s is what the biases / s give for x.
        let scale = self.counters.scale;
        let raw = |v: &[f32]| v.iter().map(|b| (f64::from(*b) / scale) as f32).collect();
        Sae {
            architecture: self.config.architecture.clone(),
            encoder: encoder.clone(),
            b_enc: raw(b_enc),
            decoder: decoder.clone(),
            b_dec: raw(b_dec),
            about: About { tokens: self.counters.tokens, scale_folded: scale, ..about },
        }
    }
}

fn check_finite(rows: &[f32], width: usize) -> Result<()> {
    let Some(at) = rows.iter().position(|x| !x.is_finite()) else { return Ok(()) };
    Err(Error::new(
        ErrorKind::Numeric,
        "The activations cannot be trained on",
        format!("row {} of the batch holds {} at place {}", at / width, rows[at], at % width),
        "Check the model's weights, or capture the activations again",
    ))
}
