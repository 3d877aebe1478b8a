//! One training run between its steps: weights, moments, counters. Knows nothing of files,
//! sources or events.

use super::average;
use super::config::{BiasStart, TrainConfig};
use super::fold;
use super::start;
use crate::error::{Error, ErrorKind, Result};
use crate::sae::architectures::{self, Losses, Rule, Running, Step};
use crate::sae::engine::{self, Engine, OptimizerState, Parameters, Set};
use crate::sae::kernels::{Adam, Stop};
use crate::sae::{About, Architecture, Extra, L0Loss, Sae, Wiring};
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
    targets: Vec<f32>,
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
    /// Factor on what a transcoder is to give; equal to `scale` where there is no second site.
    pub target_scale: f64,
    /// What the architecture carries from step to step.
    pub running: Running,
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
    /// row_width]`; those of a transcoder hold what it sees, then what it is to give): the scale
    /// is estimated from them, and from the first `config.batch` of them the decoder bias where
    /// the architecture wants one.
    ///
    /// # Errors
    /// Settings that make no sense; a NaN in the rows.
    pub fn new(config: &TrainConfig, row_width: usize, first: &[f32]) -> Result<Self> {
        config.validate(row_width)?;
        check_rows(first, row_width)?;
        let width = width_of(config, row_width);
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let mut start = architectures::rule(&config.architecture, config.latents).start();
        let mut parameters = start::weights(config.latents, width, start, config.start, &mut rng);
        let shapes = Extra::shapes(&config.architecture, config.wiring, config.latents, width);
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        let (inputs, targets) = match config.wiring {
            Wiring::Transcoder { .. } => {
                split(first, width, &mut inputs, &mut targets);
                (&inputs[..], &targets[..])
            }
            _ => (first, first),
        };
        let scale_of = |rows| if config.normalize { start::scale(rows, width) } else { 1.0 };
        let (scale, target_scale) = (scale_of(inputs), scale_of(targets));
        if let Architecture::JumpRelu { loss: L0Loss::Quadratic { target }, .. } =
            config.architecture
        {
            let rows = inputs.iter().map(|x| (f64::from(*x) * scale) as f32);
            let rows: Vec<f32> = rows.take(start::THRESHOLD_ROWS * width).collect();
            start.threshold = start::threshold(&parameters, &rows, target).max(start.threshold);
        }
        parameters.extra = start::extra(&shapes, start)?;
        let usual = if start.bias_at_median { BiasStart::GeometricMedian } else { BiasStart::Zero };
        let bias = config.start.bias.unwrap_or(usual);
        if bias != BiasStart::Zero {
            let batch = &targets[..targets.len().min(config.batch * width)];
            let scaled: Vec<f32> =
                batch.iter().map(|x| (f64::from(*x) * target_scale) as f32).collect();
            parameters.b_dec = start::bias(bias, &scaled, width);
        }
        let dead = (config.start.dead * config.latents as f64) as usize;
        start::deaden(&mut parameters, dead);
        let mut silent_for = vec![0; config.latents];
        silent_for[..dead].fill(config.dead_after);
        let counters = Counters {
            step: 0,
            tokens: 0,
            silent_for,
            scale,
            target_scale,
            running: Running::default(),
            rng,
        };
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
        let lengths = parameters.parts().into_iter().map(|(_, p)| p.len());
        let moments = optimizer.moments.iter().map(|m| (m.first.len(), m.second.len()));
        let (latents, width) = (config.latents, parameters.encoder.cols());
        let shapes = Extra::shapes(&config.architecture, config.wiring, latents, width);
        if !moments.eq(lengths.map(|len| (len, len)))
            || !parameters.extra.has(&shapes)
            || parameters.encoder.rows() != config.latents
            || counters.silent_for.len() != config.latents
        {
            return Err(Error::internal(
                "A training run could not be set up",
                "weights, moments and settings are of different sizes",
            ));
        }
        Ok(Self {
            rule: architectures::rule(&config.architecture, config.latents),
            average: config.ema.map(|_| parameters.clone()),
            engine: engine::engine(&Device::Cpu, parameters, optimizer, config.wiring),
            config: config.clone(),
            fired: vec![false; config.latents],
            counters,
            scaled: Vec::new(),
            targets: Vec::new(),
        })
    }

    /// Loss and gradients of `batch` (raw rows) as they would be in the next step; changes
    /// nothing of the run.
    ///
    /// # Errors
    /// Stopped; a NaN or an infinity in the batch or the loss.
    pub fn gradients(&mut self, batch: &[f32], stop: Stop<'_>) -> Result<Losses> {
        check_rows(batch, self.row_width())?;
        let transcodes = matches!(self.config.wiring, Wiring::Transcoder { .. });
        let (mut inputs, mut targets) = (batch, None);
        if transcodes {
            split(batch, self.width(), &mut self.scaled, &mut self.targets);
            scale_all(&mut self.scaled, self.counters.scale);
            scale_all(&mut self.targets, self.counters.target_scale);
            (inputs, targets) = (&self.scaled, Some(&self.targets[..]));
        } else if self.counters.scale != 1.0 {
            self.scaled.clear();
            self.scaled.extend_from_slice(batch);
            scale_all(&mut self.scaled, self.counters.scale);
            inputs = &self.scaled;
        }
        if self.config.k_anneal.is_some() {
            let now = self.config.architecture_at(self.counters.step + 1);
            self.rule = architectures::rule(&now, self.config.latents);
        }
        self.engine.load(inputs, targets);
        let step = step_of(&self.config, &self.counters, batch.len() / self.row_width(), stop);
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
        let unit = self.holds_unit_directions();
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
        let rows = (batch.len() / self.row_width()) as u64;
        let mut running = self.counters.running.clone();
        let step = step_of(&self.config, &self.counters, rows as usize, stop);
        self.rule.after(self.engine.as_ref(), &step, &mut running);
        self.counters.running = running;
        self.counters.step = number;
        self.counters.tokens += rows;
        self.fired.fill(false);
        self.engine.mark_fired(Set::Main, &mut self.fired);
        for (silent, fired) in self.counters.silent_for.iter_mut().zip(&self.fired) {
            *silent = if *fired { 0 } else { silent.saturating_add(rows) };
        }
        let report = self.report(losses, rows, lr);
        self.counters.running.pull += self.config.pull_after(number, report.l0);
        Ok(report)
    }

    fn report(&self, losses: Losses, rows: u64, lr: f64) -> Report {
        let error = losses.mse * rows as f64;
        let variance = self.engine.target_variance();
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

    /// Numbers of a row that it takes: the width, of a transcoder twice the width (input, then
    /// what is to be given).
    pub fn row_width(&self) -> usize {
        row_width(&self.config, self.width())
    }

    /// Whether directions are brought back to unit norm at each step.
    pub fn holds_unit_directions(&self) -> bool {
        self.rule.unit_directions() && !self.config.compatibility.free_directions
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
                if self.holds_unit_directions() {
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
        fold::dictionary(&self.config, &self.counters, parameters, about)
    }
}

/// What the next step's loss needs to know.
fn step_of<'a>(
    config: &TrainConfig,
    counters: &'a Counters,
    rows: usize,
    stop: Stop<'a>,
) -> Step<'a> {
    let number = counters.step + 1;
    Step {
        rows,
        number,
        total: config.steps(),
        l1: config.l1_at(number) * counters.running.pull.exp(),
        aux_weight: config.aux_weight,
        silent_for: &counters.silent_for,
        dead_after: config.dead_after,
        running: &counters.running,
        threshold: config.threshold,
        compatibility: config.compatibility,
        stop,
    }
}

fn row_width(config: &TrainConfig, width: usize) -> usize {
    if matches!(config.wiring, Wiring::Transcoder { .. }) { 2 * width } else { width }
}

/// The width of a dictionary that is trained on rows of `row_width` numbers.
pub(super) fn width_of(config: &TrainConfig, row_width: usize) -> usize {
    if matches!(config.wiring, Wiring::Transcoder { .. }) { row_width / 2 } else { row_width }
}

/// Rows of two sites side by side, taken apart.
fn split(rows: &[f32], width: usize, inputs: &mut Vec<f32>, targets: &mut Vec<f32>) {
    inputs.clear();
    targets.clear();
    for row in rows.chunks_exact(2 * width) {
        inputs.extend_from_slice(&row[..width]);
        targets.extend_from_slice(&row[width..]);
    }
}

fn scale_all(rows: &mut [f32], scale: f64) {
    let scale = scale as f32;
    rows.iter_mut().for_each(|x| *x *= scale);
}

fn check_rows(rows: &[f32], width: usize) -> Result<()> {
    if rows.is_empty() || !rows.len().is_multiple_of(width) {
        return Err(Error::setting(
            "The activations cannot be trained on",
            format!("{} numbers are no whole rows of width {width}", rows.len()),
            "Use activations of the sites that the run was set up for",
        ));
    }
    let Some(at) = rows.iter().position(|x| !x.is_finite()) else { return Ok(()) };
    Err(Error::new(
        ErrorKind::Numeric,
        "The activations cannot be trained on",
        format!("row {} of the batch holds {} at place {}", at / width, rows[at], at % width),
        "Check the model's weights, or capture the activations again",
    ))
}
