//! Every setting of a training run.

use crate::error::{Error, Result};
use crate::sae::{Architecture, L0Loss, TrainPoint, Wiring};

use serde::{Deserialize, Serialize};

pub use crate::sae::Compatibility;
pub use crate::sae::architectures::ThresholdMean;

/// Every setting of a training run; with the data and the seed it determines the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Architecture and its own numbers.
    pub architecture: Architecture,
    /// Number of latents, m.
    pub latents: usize,
    /// Rows (tokens) a step.
    pub batch: usize,
    /// Tokens to train on in all.
    pub tokens: u64,
    /// Peak learning rate.
    pub lr: f64,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// Steps of linear learning-rate warm-up.
    pub warmup_steps: u64,
    /// L1 coefficient (standard architectures).
    pub l1: f64,
    /// The L0 to be reached: the coefficient `l1` then follows the L0 of the batches from a third
    /// of the run (and the end of the sparsity warm-up) on until little of it is left, and stays. `None` for a
    /// coefficient that stays; no matter where the architecture has a k.
    #[serde(default)]
    pub target_l0: Option<f64>,
    /// Steps over which the sparsity penalty grows linearly to its full size.
    pub sparsity_warmup_steps: u64,
    /// A latent that has not fired for so many tokens counts as dead.
    pub dead_after: u64,
    /// Weight of the auxiliary loss on dead latents (TopK); 0 switches it off.
    pub aux_weight: f64,
    /// Gradient-norm clip; `None` for no clipping.
    pub clip: Option<f64>,
    /// Adam's two decay rates.
    pub betas: (f64, f64),
    /// Whether to scale activations so that E‖x‖² = d while training (folded back on save).
    pub normalize: bool,
    /// Seed of weights and data order.
    pub seed: u64,
    /// Tokens between checkpoints.
    pub checkpoint_every: u64,
    /// Tokens between evaluations of loss recovered; 0 for none.
    pub evaluate_every: u64,
    /// What the encoder sees, and what is reconstructed.
    #[serde(default)]
    pub wiring: Wiring,
    /// How the threshold of BatchTopK is averaged.
    #[serde(default)]
    pub threshold: ThresholdMean,
    /// How weights and biases begin, where not as is usual for the architecture.
    #[serde(default)]
    pub start: StartChoice,
    /// Whether k falls from a greater one to its own, for architectures that have one.
    #[serde(default)]
    pub k_anneal: Option<KAnneal>,
    /// Whether dead latents are resampled now and then.
    #[serde(default)]
    pub resample: Option<Resample>,
    /// Steps after which dead latents are resampled besides; a click in the window adds its step.
    #[serde(default)]
    pub resample_at: Vec<u64>,
    /// Decay a step of the average of the weights that is saved in their place; `None` for the
    /// weights themselves.
    #[serde(default)]
    pub ema: Option<f64>,
    /// Peculiarities of other libraries to be reproduced; all off unless asked for.
    #[serde(default)]
    pub compatibility: Compatibility,
}

/// How weights and biases begin, where not as is usual for the architecture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct StartChoice {
    /// Encoder rows point elsewhere than the directions (they are equal by default).
    #[serde(default)]
    pub untied: bool,
    /// Norm of directions and encoder rows; `None` for what is usual.
    #[serde(default)]
    pub norm: Option<f32>,
    /// Where the decoder bias begins; `None` for what is usual.
    #[serde(default)]
    pub bias: Option<BiasStart>,
    /// Share of latents, the first ones, that begin dead: their encoder rows are so short that they
    /// win no place among the greatest, and they count as silent for long. For experiments with
    /// what revives latents.
    #[serde(default)]
    pub dead: f64,
}

/// Where the decoder bias begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BiasStart {
    /// At 0.
    Zero,
    /// At the mean of the first batch.
    Mean,
    /// At the geometric median of the first batch.
    GeometricMedian,
}

/// k falls linearly to that of the architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KAnneal {
    /// k of the first step.
    pub from: usize,
    /// Steps until it has fallen.
    pub steps: u64,
}

/// When dead latents are resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resample {
    /// Steps from one time to the next.
    pub every: u64,
    /// No more after this step.
    pub until: u64,
}

/// How the learning rate moves after the warm-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Schedule {
    /// Stays at its peak.
    #[default]
    Constant,
    /// Falls linearly to 0 from this share of the run on (0 to 1).
    LinearDecay {
        /// Share of the run after which it falls.
        from: f64,
    },
    /// Half a cosine from the peak to 0.
    Cosine,
    /// So many half cosines, each starting again at the peak (Loshchilov & Hutter, 1608.03983).
    CosineRestarts {
        /// Number of half cosines.
        cycles: u32,
    },
}

/// What a training job sends while it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainEvent {
    /// A point of the curves.
    Point(TrainPoint),
    /// A checkpoint is safely on disk; the run can go on from here after a kill.
    Saved {
        /// Tokens trained on at the checkpoint.
        tokens: u64,
    },
    /// Dead latents were resampled.
    Resampled {
        /// Tokens trained on before.
        tokens: u64,
        /// How many were.
        latents: usize,
    },
}

impl TrainConfig {
    /// Settings that work for an architecture: those of its source, scaled to `latents`.
    pub fn preset(architecture: Architecture, latents: usize) -> Self {
        // Gao et al. scale the rate by 1/√m from 2e-4 at 2^14 latents.
        // Four digits: a short number is read back from a file to the last bit.
        let topk_lr = 2e-4 / (latents as f64 / 16384.0).sqrt();
        let topk_lr = format!("{topk_lr:.3e}").parse().unwrap_or(topk_lr);
        // Gated and JumpReLU do without momentum: their gradients are sparse and jump.
        let (lr, l1, beta1) = match architecture {
            Architecture::Standard { .. } => (1e-3, 0.1, 0.9),
            Architecture::PAnneal { .. } => (1e-3, 0.05, 0.9),
            Architecture::Gated => (1e-3, 0.1, 0.0),
            Architecture::JumpRelu { loss: L0Loss::Quadratic { .. }, .. } => (1e-3, 1.0, 0.0),
            Architecture::JumpRelu { .. } => (1e-3, 0.05, 0.0),
            _ => (topk_lr, 0.0, 0.9),
        };
        Self {
            architecture,
            latents,
            batch: 2048,
            tokens: 2_000_000,
            lr,
            schedule: Schedule::LinearDecay { from: 0.8 },
            warmup_steps: 50,
            l1,
            target_l0: None,
            sparsity_warmup_steps: 100,
            dead_after: 500_000,
            aux_weight: 1.0 / 32.0,
            clip: Some(1.0),
            betas: (beta1, 0.999),
            normalize: true,
            seed: 0,
            checkpoint_every: 500_000,
            evaluate_every: 250_000,
            wiring: Wiring::default(),
            threshold: ThresholdMean::default(),
            start: StartChoice::default(),
            k_anneal: None,
            resample: None,
            resample_at: Vec::new(),
            ema: None,
            compatibility: Compatibility::default(),
        }
    }

    /// Steps in all.
    pub fn steps(&self) -> u64 {
        self.tokens.div_ceil(self.batch.max(1) as u64)
    }

    /// Learning rate of step `step`, from 1: linear warm-up, then the schedule over what is left.
    pub fn lr_at(&self, step: u64) -> f64 {
        let done = step.saturating_sub(1);
        let warm = if self.compatibility.warmup_from_zero { done } else { step };
        let warmup = if self.warmup_steps == 0 {
            1.0
        } else {
            (warm as f64 / self.warmup_steps as f64).min(1.0)
        };
        let total = self.steps().max(1);
        let share = done as f64 / total as f64;
        // The cosines begin where the warm-up ends.
        let after = done.saturating_sub(self.warmup_steps) as f64
            / total.saturating_sub(self.warmup_steps).max(1) as f64;
        let half_cosine = |t: f64| 0.5 * (1.0 + (std::f64::consts::PI * t.clamp(0.0, 1.0)).cos());
        let factor = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::LinearDecay { from } if share <= from => 1.0,
            Schedule::LinearDecay { from } => ((1.0 - share) / (1.0 - from)).max(0.0),
            Schedule::Cosine => half_cosine(after),
            Schedule::CosineRestarts { cycles } => {
                half_cosine((after.min(1.0) * f64::from(cycles)).fract())
            }
        };
        self.lr * warmup * factor
    }

    /// L1 coefficient of step `step`, from 1.
    pub fn l1_at(&self, step: u64) -> f64 {
        if self.sparsity_warmup_steps == 0 {
            return self.l1;
        }
        let from_zero = u64::from(self.compatibility.sparsity_warmup_from_zero);
        let warm = step.saturating_sub(from_zero);
        self.l1 * (warm as f64 / self.sparsity_warmup_steps as f64).min(1.0)
    }

    /// By how much the logarithm of the coefficient moves after step `step`, which had this L0,
    /// where an L0 is to be reached: so slowly that the L0 can follow, so fast that nine tenths
    /// of the way are gone in a quarter of the run.
    pub fn pull_after(&self, step: u64, l0: f64) -> f64 {
        let Some(target) = self.target_l0.filter(|_| self.architecture.k().is_none()) else {
            return 0.0;
        };
        let steps = self.steps() as f64;
        // Before, L0 falls by itself from where random weights have it.
        let window = 0.35 * steps..0.85 * steps;
        if step < self.sparsity_warmup_steps || !window.contains(&(step as f64)) {
            return 0.0;
        }
        let off = if l0 > 0.0 { (l0 / target).ln().clamp(-1.0, 1.0) } else { -1.0 };
        (10.0 / steps.max(1.0)).min(0.04) * off
    }

    /// The architecture with the k of step `step`, from 1.
    pub fn architecture_at(&self, step: u64) -> Architecture {
        let (Some(anneal), Some(k)) = (self.k_anneal, self.architecture.k()) else {
            return self.architecture.clone();
        };
        let share = (step.saturating_sub(1) as f64 / anneal.steps.max(1) as f64).min(1.0);
        let now = anneal.from as f64 + (k as f64 - anneal.from as f64) * share;
        self.architecture.clone().with_k(now.round() as usize)
    }

    /// Whether dead latents are resampled after step `step`.
    pub fn resamples_at(&self, step: u64) -> bool {
        let now_and_then = self.resample.is_some_and(|r| {
            r.every > 0 && step > 0 && step.is_multiple_of(r.every) && step <= r.until
        });
        now_and_then || self.resample_at.contains(&step)
    }

    fn validate_transcoder(&self, row_width: usize) -> Result<()> {
        if !row_width.is_multiple_of(2) {
            return Err(Error::setting(
                "A transcoder cannot be trained on these activations",
                format!("a row of {row_width} numbers is not two sites of equal width"),
                "Read two sites of one model: what it sees, then what it is to give",
            ));
        }
        if self.resample.is_some() || !self.resample_at.is_empty() {
            return Err(Error::setting(
                "Latents of a transcoder cannot be resampled",
                "the published recipe gives a latent the direction of a row that it also sees",
                "Leave resampling off; TopK and BatchTopK revive latents by their AuxK loss",
            ));
        }
        Ok(())
    }

    /// Whether the settings make sense for rows of `width` numbers (a transcoder's hold two
    /// sites).
    ///
    /// # Errors
    /// The first setting that does not, and what it should be.
    pub fn validate(&self, width: usize) -> Result<()> {
        if width == 0 {
            return Err(Error::setting(
                "A dictionary cannot be trained on activations of width 0",
                "the site gives rows without numbers",
                "Choose another site or store",
            ));
        }
        self.architecture.validate(self.latents)?;
        if matches!(self.wiring, Wiring::Transcoder { .. }) {
            self.validate_transcoder(width)?;
        }
        let positive = |name: &str, ok: bool, value: String| {
            if ok { Ok(()) } else { Err(senseless(name, &value, "a number above 0")) }
        };
        positive("batch", self.batch > 0, self.batch.to_string())?;
        positive("tokens", self.tokens > 0, self.tokens.to_string())?;
        positive("lr", self.lr > 0.0 && self.lr.is_finite(), self.lr.to_string())?;
        positive("dead_after", self.dead_after > 0, self.dead_after.to_string())?;
        positive("checkpoint_every", self.checkpoint_every > 0, self.checkpoint_every.to_string())?;
        if let Some(clip) = self.clip {
            positive("clip", clip > 0.0 && clip.is_finite(), clip.to_string())?;
        }
        for (name, value) in [("l1", self.l1), ("aux_weight", self.aux_weight)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(senseless(name, &value.to_string(), "0 or a number above it"));
            }
        }
        if !(0.0..1.0).contains(&self.threshold.keep) {
            let keep = self.threshold.keep.to_string();
            return Err(senseless("threshold.keep", &keep, "at least 0 and under 1"));
        }
        for beta in [self.betas.0, self.betas.1] {
            if !(0.0..1.0).contains(&beta) {
                return Err(senseless("betas", &beta.to_string(), "at least 0 and under 1"));
            }
        }
        if let Some(ema) = self.ema
            && !(0.0..1.0).contains(&ema)
        {
            return Err(senseless("ema", &ema.to_string(), "at least 0 and under 1"));
        }
        if let Some(target) = self.target_l0
            && !(target > 0.0 && target <= self.latents as f64)
        {
            let should = format!("above 0 and at most the number of latents, {}", self.latents);
            return Err(senseless("target_l0", &target.to_string(), &should));
        }
        if let Some(norm) = self.start.norm {
            positive("start.norm", norm > 0.0 && norm.is_finite(), norm.to_string())?;
        }
        if let Some(resample) = self.resample {
            positive("resample.every", resample.every > 0, resample.every.to_string())?;
        }
        if let Some(anneal) = self.k_anneal {
            let Some(k) = self.architecture.k() else {
                return Err(Error::setting(
                    "The training run cannot start with k_anneal",
                    format!("{} keeps no fixed number of latents", self.architecture.name()),
                    "Leave it out, or choose an architecture with a k",
                ));
            };
            if anneal.from < k || anneal.from > self.latents {
                let should = format!("between k = {k} and the number of latents, {}", self.latents);
                return Err(senseless("k_anneal.from", &anneal.from.to_string(), &should));
            }
        }
        if !(0.0..1.0).contains(&self.start.dead) {
            let dead = self.start.dead.to_string();
            return Err(senseless("start.dead", &dead, "at least 0 and under 1"));
        }
        match self.schedule {
            Schedule::LinearDecay { from } if !(0.0..1.0).contains(&from) => {
                Err(senseless("schedule.from", &from.to_string(), "at least 0 and under 1"))
            }
            Schedule::CosineRestarts { cycles: 0 } => {
                Err(senseless("schedule.cycles", "0", "at least 1"))
            }
            _ => Ok(()),
        }
    }
}

fn senseless(name: &str, value: &str, should: &str) -> Error {
    Error::setting(
        format!("The training run cannot start with {name} = {value}"),
        format!("{name} must be {should}"),
        format!("Set {name} to {should}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> TrainConfig {
        let mut config = TrainConfig::preset(Architecture::TopK { k: 4 }, 64);
        (config.batch, config.tokens, config.warmup_steps, config.lr) = (10, 1000, 10, 2.0);
        config
    }

    #[test]
    fn schedules_pass_through_their_known_points() {
        let mut c = config();
        c.schedule = Schedule::Constant;
        assert_eq!([c.lr_at(1), c.lr_at(5), c.lr_at(10), c.lr_at(100)], [0.2, 1.0, 2.0, 2.0]);
        c.schedule = Schedule::LinearDecay { from: 0.8 };
        assert_eq!(c.lr_at(81), 2.0);
        assert!((c.lr_at(91) - 1.0).abs() < 1e-12);
        assert!((c.lr_at(100) - 0.1).abs() < 1e-12);
        c.schedule = Schedule::Cosine;
        assert_eq!(c.lr_at(11), 2.0);
        assert!((c.lr_at(56) - 1.0).abs() < 1e-12);
        c.schedule = Schedule::CosineRestarts { cycles: 3 };
        assert!(c.lr_at(40) < 0.01 && c.lr_at(41) > 1.99);
        c.compatibility.warmup_from_zero = true;
        assert_eq!(c.lr_at(1), 0.0);
    }

    #[test]
    fn sparsity_grows_linearly() {
        let mut c = config();
        (c.l1, c.sparsity_warmup_steps) = (0.5, 10);
        assert_eq!([c.l1_at(1), c.l1_at(5), c.l1_at(10), c.l1_at(11)], [0.05, 0.25, 0.5, 0.5]);
        c.sparsity_warmup_steps = 0;
        assert_eq!(c.l1_at(1), 0.5);
    }

    #[test]
    fn k_falls_linearly_and_stays() {
        let mut c = config();
        c.k_anneal = Some(KAnneal { from: 24, steps: 10 });
        c.validate(16).unwrap();
        let k = |step| c.architecture_at(step).k();
        assert_eq!([k(1), k(2), k(6), k(11), k(500)], [24, 22, 14, 4, 4].map(Some));
    }

    #[test]
    fn resampling_is_due_at_multiples_until_the_last_and_where_it_was_asked_for() {
        let mut c = config();
        c.resample = Some(Resample { every: 10, until: 25 });
        c.resample_at = vec![33];
        let due: Vec<u64> = (0..100).filter(|step| c.resamples_at(*step)).collect();
        assert_eq!(due, [10, 20, 33]);
    }

    #[test]
    fn senseless_settings_are_named() {
        type Spoil = fn(&mut TrainConfig);
        let cases: [(&str, Spoil); 21] = [
            ("target_l0", |c| c.target_l0 = Some(0.0)),
            ("target_l0", |c| c.target_l0 = Some(65.0)),
            ("ema", |c| c.ema = Some(1.0)),
            ("start.norm", |c| c.start.norm = Some(0.0)),
            ("resample.every", |c| c.resample = Some(Resample { every: 0, until: 9 })),
            ("k_anneal.from", |c| c.k_anneal = Some(KAnneal { from: 3, steps: 5 })),
            ("k_anneal.from", |c| c.k_anneal = Some(KAnneal { from: 65, steps: 5 })),
            ("k_anneal", |c| {
                let penalty = crate::sae::L1Penalty::UnitNorm;
                c.architecture = Architecture::Standard { penalty };
                c.k_anneal = Some(KAnneal { from: 8, steps: 5 });
            }),
            ("k = 65", |c| c.architecture = Architecture::TopK { k: 65 }),
            ("k = 0", |c| c.architecture = Architecture::TopK { k: 0 }),
            ("latents", |c| c.latents = 0),
            ("l1", |c| c.l1 = -0.1),
            ("l1", |c| c.l1 = f64::NAN),
            ("batch", |c| c.batch = 0),
            ("tokens", |c| c.tokens = 0),
            ("lr", |c| c.lr = f64::INFINITY),
            ("clip", |c| c.clip = Some(0.0)),
            ("betas", |c| c.betas.1 = 1.0),
            ("start.dead", |c| c.start.dead = 1.0),
            ("schedule.from", |c| c.schedule = Schedule::LinearDecay { from: 1.0 }),
            ("schedule.cycles", |c| c.schedule = Schedule::CosineRestarts { cycles: 0 }),
        ];
        for (name, spoil) in cases {
            let mut c = config();
            c.validate(16).unwrap();
            spoil(&mut c);
            let error = c.validate(16).unwrap_err();
            assert_eq!(error.kind, crate::ErrorKind::Setting);
            assert!(error.to_string().contains(name), "{error} does not name {name}");
        }
        assert!(config().validate(0).is_err());
    }
}
