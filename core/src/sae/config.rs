//! Which architecture a dictionary has, and what defines it.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The architecture of an SAE with the numbers that belong to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Architecture {
    /// `f = TopK_k(ReLU(W_enc (x - b_dec) + b_enc))` (Gao et al., 2406.04093).
    TopK {
        /// Latents kept for each row.
        k: usize,
    },
    /// `f = ReLU(W_enc (x - b_dec) + b_enc)`; which penalty shaped it is told by `penalty`.
    Standard {
        /// The sparsity penalty it was trained with.
        penalty: L1Penalty,
    },
    /// One product, two readings: which latents fire, and how much (Rajamanoharan et al.,
    /// 2404.16014).
    Gated,
    /// A threshold for each latent, learnt (Rajamanoharan et al., 2407.14435).
    #[serde(rename = "jumprelu")]
    JumpRelu {
        /// What the number of active latents costs.
        loss: L0Loss,
        /// Width of the window around the threshold in which it feels a gradient, in units of
        /// the (scaled) activations.
        bandwidth: f64,
    },
    /// The `k` times rows greatest activations of a whole batch; afterwards those above one
    /// threshold (Bussmann et al., 2412.06410).
    #[serde(rename = "batchtopk")]
    BatchTopK {
        /// Latents kept for each row, on average.
        k: usize,
    },
    /// BatchTopK whose first latents must reconstruct alone, at several sizes (Bussmann et al.,
    /// 2503.17547).
    Matryoshka {
        /// Latents kept for each row, on average.
        k: usize,
        /// Share of the latents in each group, from the first latents on; together 1.
        groups: Vec<f64>,
        /// Weight of the error of each nested reconstruction; if empty, all weigh alike and
        /// together 1.
        weights: Vec<f64>,
    },
    /// ReLU with a penalty on the p-norm of the activations, p falling from 1 (Karvonen et al.,
    /// 2408.00113).
    #[serde(rename = "panneal")]
    PAnneal {
        /// Which power of the norm.
        norm: PNorm,
        /// p at the end of the run, at least 0 and at most 1.
        p_end: f64,
        /// Share of the run after which p falls.
        from: f64,
        /// Number of values that p takes, the first one included.
        updates: u32,
    },
    /// TopK whose loss also looks at the 4 k greatest (Gao et al., 2406.04093, section 5.4).
    #[serde(rename = "multi_topk")]
    MultiTopK {
        /// Latents kept for each row.
        k: usize,
    },
    /// The greatest of each of k groups of neighbouring latents (EleutherAI's sparsify).
    #[serde(rename = "groupmax")]
    GroupMax {
        /// Number of groups; it divides the number of latents.
        k: usize,
    },
}

/// The two forms of the L1 penalty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum L1Penalty {
    /// `Σ f_i`, decoder rows held at unit norm, their gradient projected (Bricken et al. 2023).
    #[default]
    UnitNorm,
    /// `Σ f_i ‖d_i‖`, decoder free (Conerly et al., April 2024 update).
    DecoderNorm,
}

/// What the number of active latents costs a JumpReLU dictionary, times its coefficient λ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum L0Loss {
    /// `E L0` (2407.14435).
    #[default]
    Step,
    /// `E Σ tanh(scale f ‖d‖)` (Conerly et al., January 2025 update).
    Tanh {
        /// How soon an activation counts in full; 4 is usual.
        scale: f64,
    },
    /// `(E L0 / target - 1)²` (dictionary_learning).
    Quadratic {
        /// The L0 to be reached.
        target: f64,
    },
}

/// What a p-annealed penalty is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PNorm {
    /// `(Σ f^p)^(1/p)`.
    Lp,
    /// `Σ f^p`.
    #[default]
    LpToThePower,
}

/// What the encoder sees and what the decoder's output is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Wiring {
    /// The encoder sees `x - b_dec`, the decoder gives back x.
    #[default]
    Centred,
    /// The encoder sees x, the decoder gives back x.
    Plain,
    /// The encoder sees x, the decoder gives what the model makes of x at another site.
    Transcoder {
        /// Whether x also reaches the output by a matrix of its own.
        skip: bool,
    },
}

/// Shares of the groups of a Matryoshka dictionary that is not told otherwise (2503.17547).
const GROUPS: [f64; 5] = [1.0 / 16.0, 1.0 / 16.0, 1.0 / 8.0, 1.0 / 4.0, 1.0 / 2.0];

impl Architecture {
    /// Every name that [`Architecture::named`] knows.
    pub const NAMES: [&'static str; 12] = [
        "topk",
        "standard",
        "standard-april",
        "gated",
        "jumprelu",
        "jumprelu-tanh",
        "jumprelu-target",
        "batchtopk",
        "matryoshka",
        "panneal",
        "multi-topk",
        "groupmax",
    ];

    /// Its name in a command and on disk, one of [`Architecture::NAMES`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::TopK { .. } => "topk",
            Self::Standard { penalty: L1Penalty::UnitNorm } => "standard",
            Self::Standard { penalty: L1Penalty::DecoderNorm } => "standard-april",
            Self::Gated => "gated",
            Self::JumpRelu { loss: L0Loss::Step, .. } => "jumprelu",
            Self::JumpRelu { loss: L0Loss::Tanh { .. }, .. } => "jumprelu-tanh",
            Self::JumpRelu { loss: L0Loss::Quadratic { .. }, .. } => "jumprelu-target",
            Self::BatchTopK { .. } => "batchtopk",
            Self::Matryoshka { .. } => "matryoshka",
            Self::PAnneal { .. } => "panneal",
            Self::MultiTopK { .. } => "multi-topk",
            Self::GroupMax { .. } => "groupmax",
        }
    }

    /// The architecture called `name`; `k` is for those that have one, and the L0 that
    /// `jumprelu-target` aims at.
    ///
    /// # Errors
    /// No architecture has this name.
    pub fn named(name: &str, k: usize) -> Result<Self> {
        let jump = |loss| Self::JumpRelu { loss, bandwidth: 0.05 };
        Ok(match name {
            "topk" => Self::TopK { k },
            "standard" => Self::Standard { penalty: L1Penalty::UnitNorm },
            "standard-april" => Self::Standard { penalty: L1Penalty::DecoderNorm },
            "gated" => Self::Gated,
            "jumprelu" => jump(L0Loss::Step),
            "jumprelu-tanh" => jump(L0Loss::Tanh { scale: 4.0 }),
            "jumprelu-target" => jump(L0Loss::Quadratic { target: k as f64 }),
            "batchtopk" => Self::BatchTopK { k },
            "matryoshka" => Self::Matryoshka { k, groups: GROUPS.to_vec(), weights: Vec::new() },
            "panneal" => {
                Self::PAnneal { norm: PNorm::default(), p_end: 0.2, from: 0.2, updates: 10 }
            }
            "multi-topk" => Self::MultiTopK { k },
            "groupmax" => Self::GroupMax { k },
            _ => {
                return Err(Error::setting(
                    format!("No architecture is called {name:?}"),
                    format!("the known ones are {}", Self::NAMES.join(", ")),
                    "Choose one of these",
                ));
            }
        })
    }

    /// Latents kept for each row, where that is fixed (on average, for a batch).
    pub fn k(&self) -> Option<usize> {
        match *self {
            Self::TopK { k }
            | Self::BatchTopK { k }
            | Self::Matryoshka { k, .. }
            | Self::MultiTopK { k }
            | Self::GroupMax { k } => Some(k),
            _ => None,
        }
    }

    /// The same with another k, where it has one.
    #[must_use]
    pub fn with_k(mut self, new: usize) -> Self {
        match &mut self {
            Self::TopK { k }
            | Self::BatchTopK { k }
            | Self::Matryoshka { k, .. }
            | Self::MultiTopK { k }
            | Self::GroupMax { k } => *k = new,
            _ => {}
        }
        self
    }

    /// Whether an L1 (or L0) coefficient has a say in its loss.
    pub fn has_sparsity_coefficient(&self) -> bool {
        self.k().is_none()
    }

    /// Whether one threshold for all latents, a running mean, decides at inference.
    pub fn has_batch_threshold(&self) -> bool {
        matches!(self, Self::BatchTopK { .. } | Self::Matryoshka { .. })
    }

    /// Of a Matryoshka dictionary of `latents`: where each nested reconstruction ends, the last
    /// one at `latents`. Each group has its share rounded down, the last one what is left.
    pub fn nested_ends(&self, latents: usize) -> Vec<usize> {
        let Self::Matryoshka { groups, .. } = self else { return vec![latents] };
        let mut end = 0;
        let mut ends: Vec<usize> = groups
            .iter()
            .map(|share| {
                end += (share * latents as f64) as usize;
                end
            })
            .collect();
        if let Some(last) = ends.last_mut() {
            *last = latents;
        }
        ends
    }

    /// Whether it makes sense for a dictionary of `latents`.
    ///
    /// # Errors
    /// No latents, k = 0 or greater than the number of latents, an L0 that cannot be reached,
    /// numbers out of their range.
    pub fn validate(&self, latents: usize) -> Result<()> {
        if latents == 0 {
            return Err(Error::setting(
                "A dictionary of no latents cannot be trained or used",
                "the number of latents is 0",
                "Give it at least one; 8 to 32 times the width of the activations is usual",
            ));
        }
        if latents > u32::MAX as usize {
            return Err(Error::setting(
                format!("A dictionary of {latents} latents cannot be made"),
                "more than 4,294,967,295 latents cannot be numbered",
                "Choose fewer latents",
            ));
        }
        if let Some(k) = self.k() {
            self.validate_k(k, latents)?;
        }
        match self {
            Self::JumpRelu { loss, bandwidth } => validate_jump(*loss, *bandwidth, latents),
            Self::Matryoshka { groups, weights, .. } => {
                self.validate_groups(groups, weights, latents)
            }
            Self::PAnneal { p_end, from, updates, .. } => {
                within("p_end", *p_end, (0.0..=1.0).contains(p_end), "at least 0 and at most 1")?;
                within("from", *from, (0.0..1.0).contains(from), "at least 0 and under 1")?;
                within("updates", f64::from(*updates), *updates > 0, "at least 1")
            }
            Self::GroupMax { k } if !latents.is_multiple_of(*k) => Err(Error::setting(
                format!("{latents} latents cannot be cut into {k} equal groups"),
                format!("{latents} is no multiple of k = {k}"),
                format!("Choose {} latents, or another k", latents.next_multiple_of(*k)),
            )),
            _ => Ok(()),
        }
    }

    fn validate_k(&self, k: usize, latents: usize) -> Result<()> {
        let name = self.name();
        if k == 0 {
            return Err(Error::setting(
                format!("{name} with k = 0 keeps no latent"),
                "every reconstruction would be the bias alone",
                "Choose k of at least 1; 16 to 64 is usual",
            ));
        }
        if k > latents {
            return Err(Error::setting(
                format!("{name} cannot keep {k} of {latents} latents"),
                format!("k = {k} is greater than the number of latents, {latents}"),
                format!("Choose k of at most {latents}, or more latents"),
            ));
        }
        Ok(())
    }

    fn validate_groups(&self, groups: &[f64], weights: &[f64], latents: usize) -> Result<()> {
        let bad = |why: String| {
            Err(Error::setting(
                "The groups of the Matryoshka dictionary make no sense",
                why,
                "Give shares above 0 that add up to 1, such as 0.25, 0.25, 0.5, and as many \
                 weights as groups, or none",
            ))
        };
        let sum: f64 = groups.iter().sum();
        if groups.is_empty() || !groups.iter().all(|share| *share > 0.0) {
            return bad(format!("groups are {groups:?}"));
        }
        if (sum - 1.0).abs() > 1e-6 {
            return bad(format!("the shares add up to {sum}"));
        }
        let mut before = 0;
        for end in self.nested_ends(latents) {
            if end <= before {
                return bad(format!("a group of {latents} latents would have none"));
            }
            before = end;
        }
        if !weights.is_empty() && weights.len() != groups.len() {
            return bad(format!("there are {} weights for {} groups", weights.len(), groups.len()));
        }
        if !weights.iter().all(|w| *w >= 0.0 && w.is_finite())
            || (!weights.is_empty() && weights.iter().all(|w| *w == 0.0))
        {
            return bad(format!("weights are {weights:?}"));
        }
        Ok(())
    }
}

fn validate_jump(loss: L0Loss, bandwidth: f64, latents: usize) -> Result<()> {
    let above = |name, value: f64| {
        within(name, value, value > 0.0 && value.is_finite(), "a number above 0")
    };
    above("bandwidth", bandwidth)?;
    match loss {
        L0Loss::Step => Ok(()),
        L0Loss::Tanh { scale } => above("tanh scale", scale),
        L0Loss::Quadratic { target } => {
            above("target L0", target)?;
            if target > latents as f64 {
                return Err(Error::setting(
                    format!("An L0 of {target} cannot be reached"),
                    format!("target L0 = {target} is more than the {latents} latents there are"),
                    format!("Choose a target of at most {latents}; 16 to 64 is usual"),
                ));
            }
            Ok(())
        }
    }
}

fn within(name: &str, value: f64, ok: bool, should: &str) -> Result<()> {
    if ok {
        return Ok(());
    }
    Err(Error::setting(
        format!("A dictionary cannot have {name} = {value}"),
        format!("{name} must be {should}"),
        format!("Set {name} to {should}"),
    ))
}
