//! The published settings of each source, by name.
//!
//! Each is what its source does by default, at the version named, as far as a run here can be told
//! so; what could not be taken over is said with it.

use super::config::{BiasStart, KAnneal, Resample, Schedule, StartChoice, TrainConfig};
use crate::error::{Error, Result};
use crate::sae::Architecture;

/// A named set of settings.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// Its name in a command.
    pub name: &'static str,
    /// Name of the architecture that it is for (see [`Architecture::named`]).
    pub architecture: &'static str,
    /// Where its values are from.
    pub source: &'static str,
    /// What of them could not be taken over.
    pub not_taken: &'static str,
    set: fn(&mut TrainConfig),
}

/// Tokens of one training batch of dictionary_learning's demo.
const DL_BATCH: usize = 2048;

/// What dictionary_learning's trainers share.
fn dictionary_learning(c: &mut TrainConfig) {
    c.batch = DL_BATCH;
    c.schedule = Schedule::LinearDecay { from: 0.8 };
    c.warmup_steps = 1000;
    c.sparsity_warmup_steps = 5000;
    c.dead_after = 10_000_000;
    c.normalize = true;
}

/// 2e-4 at 2^14 latents, falling with the root of their number (Gao et al.).
fn gao(latents: usize) -> f64 {
    let lr = 2e-4 / (latents as f64 / 16384.0).sqrt();
    format!("{lr:.3e}").parse().unwrap_or(lr)
}

fn dl_topk(c: &mut TrainConfig) {
    dictionary_learning(c);
    c.lr = gao(c.latents);
    c.clip = Some(1.0);
    c.aux_weight = 1.0 / 32.0;
    c.start.bias = Some(BiasStart::GeometricMedian);
}

fn saelens(c: &mut TrainConfig) {
    c.batch = 4096;
    c.lr = 3e-4;
    c.betas = (0.9, 0.999);
    c.schedule = Schedule::Constant;
    c.warmup_steps = 0;
    c.sparsity_warmup_steps = 0;
    c.clip = Some(1.0);
    c.dead_after = 1000 * 4096;
    c.normalize = false;
    c.start =
        StartChoice { norm: Some(0.1), bias: Some(BiasStart::Zero), ..StartChoice::default() };
}

/// Every preset.
pub const PRESETS: [Preset; 15] = [
    Preset {
        name: "dictionary_learning-standard",
        architecture: "standard",
        source: "dictionary_learning 60ec6bf, StandardTrainer; batch and schedule of its demo",
        not_taken: "directions start at norm 1, where its first step brings them",
        set: |c| {
            dictionary_learning(c);
            (c.lr, c.l1, c.betas, c.clip) = (1e-3, 0.1, (0.9, 0.999), None);
        },
    },
    Preset {
        name: "dictionary_learning-april",
        architecture: "standard-april",
        source: "dictionary_learning 60ec6bf, the April update trainer; batch and schedule of its demo",
        not_taken: "nothing",
        set: |c| {
            dictionary_learning(c);
            (c.lr, c.l1, c.betas, c.clip) = (1e-3, 0.1, (0.9, 0.999), Some(1.0));
            c.start.norm = Some(0.1);
        },
    },
    Preset {
        name: "dictionary_learning-gated",
        architecture: "gated",
        source: "dictionary_learning 60ec6bf, GatedSAETrainer; batch and schedule of its demo",
        not_taken: "its coefficient (0.1 by default) is the lower end of what its demo sweeps",
        set: |c| {
            dictionary_learning(c);
            (c.lr, c.l1, c.betas, c.clip) = (5e-5, 0.1, (0.0, 0.999), None);
        },
    },
    Preset {
        name: "dictionary_learning-jumprelu",
        architecture: "jumprelu-target",
        source: "dictionary_learning 60ec6bf, JumpReluTrainer; batch and schedule of its demo",
        not_taken: "its threshold's gradient, which sees half the window (its issue 55)",
        set: |c| {
            dictionary_learning(c);
            (c.lr, c.l1, c.betas, c.clip) = (7e-5, 1.0, (0.0, 0.999), Some(1.0));
        },
    },
    Preset {
        name: "dictionary_learning-panneal",
        architecture: "panneal",
        source: "dictionary_learning 60ec6bf, PAnnealTrainer; batch and schedule of its demo",
        not_taken: "p begins to fall at a share of the run, not at step 15,000",
        set: |c| {
            dictionary_learning(c);
            (c.lr, c.l1, c.betas, c.clip) = (1e-3, 0.025, (0.9, 0.999), None);
        },
    },
    Preset {
        name: "dictionary_learning-topk",
        architecture: "topk",
        source: "dictionary_learning 60ec6bf, TopKTrainer; batch and schedule of its demo",
        not_taken: "nothing",
        set: dl_topk,
    },
    Preset {
        name: "dictionary_learning-batchtopk",
        architecture: "batchtopk",
        source: "dictionary_learning 60ec6bf, BatchTopKTrainer; batch and schedule of its demo",
        not_taken: "nothing",
        set: |c| {
            dl_topk(c);
            (c.threshold.keep, c.threshold.after) = (0.999, 1000);
        },
    },
    Preset {
        name: "dictionary_learning-matryoshka",
        architecture: "matryoshka",
        source: "dictionary_learning 60ec6bf, MatryoshkaBatchTopKTrainer; schedule of its demo",
        not_taken: "the second division by the number of groups, a slip",
        set: |c| {
            dl_topk(c);
            (c.threshold.keep, c.threshold.after) = (0.999, 1000);
        },
    },
    Preset {
        name: "saelens-standard",
        architecture: "standard-april",
        source: "SAELens 6.54.12, defaults of the standard trainer",
        not_taken: "its buffer keeps half of the rows; ours gives each row once a pass",
        set: |c| {
            saelens(c);
            c.l1 = 1.0;
        },
    },
    Preset {
        name: "saelens-topk",
        architecture: "topk",
        source: "SAELens 6.54.12, defaults of the TopK trainer (k 100)",
        not_taken: "the auxiliary loss: its own is not divided by the variance; 1/32 of ours stands in",
        set: |c| {
            saelens(c);
            c.architecture = c.architecture.clone().with_k(100.min(c.latents));
        },
    },
    Preset {
        name: "saelens-jumprelu",
        architecture: "jumprelu",
        source: "SAELens 6.54.12, defaults of the JumpReLU trainer (step loss, bandwidth 0.05)",
        not_taken: "its pre-activation loss, off by default",
        set: |c| {
            saelens(c);
            c.l1 = 1.0;
        },
    },
    Preset {
        name: "sparsify",
        architecture: "topk",
        source: "EleutherAI sparsify 1.3.0 with its adam (k 32, batch 32 x 2048)",
        not_taken: "signum, its default optimiser, and the loss divided by the total variance",
        set: |c| {
            c.architecture = c.architecture.clone().with_k(32.min(c.latents));
            (c.batch, c.lr, c.betas, c.clip) = (65_536, gao(c.latents), (0.9, 0.999), None);
            (c.schedule, c.warmup_steps) = (Schedule::LinearDecay { from: 0.0 }, 1000);
            (c.aux_weight, c.dead_after, c.normalize) = (0.0, 10_000_000, false);
            c.start.bias = Some(BiasStart::Mean);
        },
    },
    Preset {
        name: "openai",
        architecture: "topk",
        source: "OpenAI sparse_autoencoder 4965b94, train.py (k 32, averaged weights)",
        not_taken: "each token's standardisation, k_aux 256 (ours is half the width), and Adam's \
                    eps 6.25e-10",
        set: |c| {
            c.architecture = c.architecture.clone().with_k(32.min(c.latents));
            (c.batch, c.lr, c.betas, c.clip) = (131_072, 1e-4, (0.9, 0.999), None);
            (c.schedule, c.warmup_steps) = (Schedule::Constant, 0);
            (c.aux_weight, c.dead_after) = (1.0 / 32.0, 10_000_000);
            c.ema = Some(0.999);
            c.start.bias = Some(BiasStart::GeometricMedian);
        },
    },
    Preset {
        name: "llama3_interpretability_sae",
        architecture: "topk",
        source: "PaulPauls/llama3_interpretability_sae 6ee4596 (k 64)",
        not_taken: "each token's standardisation, AdamW's weight decay 0.01 and eps 6.25e-10, \
                    k_aux 2048, a cosine that ends at a fifth of its peak and moves once an epoch, \
                    and its norms over the wrong axis",
        set: |c| {
            c.architecture = c.architecture.clone().with_k(64.min(c.latents));
            (c.batch, c.lr, c.betas, c.clip) = (1024, 5e-5, (0.85, 0.9999), None);
            (c.schedule, c.warmup_steps) = (Schedule::Cosine, 0);
            (c.aux_weight, c.dead_after) = (1.0 / 32.0, 80_000 * 1024);
            c.start.bias = Some(BiasStart::Mean);
        },
    },
    Preset {
        name: "gated-paper",
        architecture: "gated",
        source: "Rajamanoharan et al. 2404.16014: learning rate 3e-4, Adam's first decay 0, dead \
                 latents resampled as Bricken et al. do",
        not_taken: "its coefficients are a sweep: sweep over L0, or set yours; its batch is not \
                    known to us",
        set: |c| {
            (c.batch, c.lr, c.betas, c.clip) = (4096, 3e-4, (0.0, 0.999), None);
            (c.schedule, c.warmup_steps) = (Schedule::Constant, 1000);
            c.dead_after = 25_000 * 4096 / 2;
            c.resample = Some(Resample { every: 25_000, until: 100_000 });
        },
    },
];

impl Preset {
    /// The preset called `name`.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<&'static Self> {
        PRESETS.iter().find(|p| p.name == name).ok_or_else(|| {
            let names: Vec<&str> = PRESETS.iter().map(|p| p.name).collect();
            Error::setting(
                format!("No preset is called {name:?}"),
                format!("the known ones are {}", names.join(", ")),
                "Choose one of these",
            )
        })
    }

    /// Its settings for `latents`, over the usual ones; `k` where its source names none.
    /// Warm-ups that would fill more than a fifth of a short run are cut to that.
    ///
    /// # Errors
    /// There are none, unless the architecture's name is not known.
    pub fn config(&self, latents: usize, k: usize, tokens: u64) -> Result<TrainConfig> {
        let architecture = Architecture::named(self.architecture, k)?;
        let mut config = TrainConfig::preset(architecture, latents);
        config.tokens = tokens;
        (self.set)(&mut config);
        let most = config.steps() / 5;
        config.warmup_steps = config.warmup_steps.min(most);
        config.sparsity_warmup_steps = config.sparsity_warmup_steps.min(most);
        Ok(config)
    }
}

/// What k falls from where it is annealed and nothing else is said: ten times the width, as
/// sparsify has it, or all latents.
pub fn usual_anneal(config: &TrainConfig, width: usize) -> Option<KAnneal> {
    let k = config.architecture.k()?;
    let from = config.latents.min(10 * width).max(k);
    Some(KAnneal { from, steps: config.steps() / 10 })
}

/// The usual resampling: four times over the first half of the run.
pub fn usual_resample(config: &TrainConfig) -> Resample {
    let steps = config.steps();
    Resample { every: (steps / 8).max(1), until: steps / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_run_that_makes_sense_and_says_where_it_is_from() {
        for preset in PRESETS {
            for (latents, tokens) in [(512, 1_000_000), (16_384, 500_000_000)] {
                let config = preset.config(latents, 16, tokens).unwrap();
                config.validate(128).unwrap_or_else(|e| panic!("{}: {e}", preset.name));
                assert_eq!(config.architecture.name(), preset.architecture);
                assert!(config.warmup_steps <= config.steps() / 5 + 1);
                assert_eq!((config.tokens, config.latents), (tokens, latents));
            }
            assert!(!preset.source.is_empty() && !preset.not_taken.is_empty());
            assert_eq!(Preset::named(preset.name).unwrap().name, preset.name);
        }
        assert!(Preset::named("nothing").unwrap_err().why.contains("openai"));
    }

    #[test]
    fn published_values_are_what_was_published() {
        let long = |name| Preset::named(name).unwrap().config(16_384, 16, 1 << 40).unwrap();
        let dl = long("dictionary_learning-topk");
        assert_eq!((dl.lr, dl.warmup_steps, dl.dead_after), (2e-4, 1000, 10_000_000));
        assert_eq!((dl.clip, dl.aux_weight), (Some(1.0), 1.0 / 32.0));
        let gated = long("dictionary_learning-gated");
        assert_eq!((gated.lr, gated.betas, gated.clip), (5e-5, (0.0, 0.999), None));
        let sl = long("saelens-standard");
        assert_eq!((sl.lr, sl.l1, sl.batch, sl.clip), (3e-4, 1.0, 4096, Some(1.0)));
        assert_eq!(sl.start.norm, Some(0.1));
        let openai = long("openai");
        assert_eq!((openai.ema, openai.batch, openai.lr), (Some(0.999), 131_072, 1e-4));
        assert_eq!(openai.architecture, Architecture::TopK { k: 32 });
        let pp = long("llama3_interpretability_sae");
        assert_eq!((pp.betas, pp.architecture.k()), ((0.85, 0.9999), Some(64)));
        let sparsify = long("sparsify");
        assert_eq!((sparsify.lr, sparsify.aux_weight, sparsify.batch), (2e-4, 0.0, 65_536));
    }
}
