//! The seam between what an architecture asks for and the device that does it.
//!
//! An architecture (see [`super::architectures`]) is written in the few verbs of [`Engine`]. The
//! weights, their moments, their gradients and the batch live with the engine, so that one on a
//! graphics card moves a batch in and a few sums out at each step, and nothing else.

use super::cpu::Cpu;
use super::kernels::{Adam, Moments, Stop, Sums};
use super::{Extra, Latents, Matrix, Wiring};
use crate::error::Result;
use candle_core::Device;
use serde::{Deserialize, Serialize};

/// The weights of a dictionary in training.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters {
    /// `[m, d]`.
    pub encoder: Matrix,
    /// `[m]`.
    pub b_enc: Vec<f32>,
    /// `[m, d]`.
    pub decoder: Matrix,
    /// `[d]`.
    pub b_dec: Vec<f32>,
    /// What only some architectures have.
    pub extra: Extra,
}

impl Parameters {
    /// Number of weights.
    pub fn len(&self) -> usize {
        self.parts().iter().map(|(_, p)| p.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every part with its name, in a fixed order: that of [`OptimizerState`].
    pub fn parts(&self) -> Vec<(&'static str, &[f32])> {
        let mut parts = vec![
            ("encoder", self.encoder.data()),
            ("b_enc", &self.b_enc[..]),
            ("decoder", self.decoder.data()),
            ("b_dec", &self.b_dec),
        ];
        parts.extend(self.extra.parts());
        parts
    }

    /// Every part, to be written, in the order of [`Parameters::parts`].
    pub fn parts_mut(&mut self) -> Vec<(&'static str, &mut [f32])> {
        let mut parts = vec![
            ("encoder", self.encoder.data_mut()),
            ("b_enc", &mut self.b_enc[..]),
            ("decoder", self.decoder.data_mut()),
            ("b_dec", &mut self.b_dec),
        ];
        parts.extend(self.extra.parts_mut());
        parts
    }
}

/// Moments of every part of [`Parameters`], in the order of [`Parameters::parts`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OptimizerState {
    /// One pair of moments a part.
    pub moments: Vec<Moments>,
}

impl OptimizerState {
    /// Zeros, for these weights.
    pub fn new(parameters: &Parameters) -> Self {
        Self { moments: parameters.parts().iter().map(|(_, p)| Moments::new(p.len())).collect() }
    }
}

/// Which set of active latents, with its error, is meant. An architecture that looks at a row
/// twice keeps both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// The latents of the reconstruction.
    Main,
    /// Those of an auxiliary loss.
    Auxiliary,
}

/// Which latents of a row are active.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choose {
    /// The k greatest of the positive ones; of equal ones those with the smaller index.
    TopK(usize),
    /// All positive ones.
    Positive,
    /// All positive ones, never held as a dense array.
    PositiveListed,
    /// Over the whole batch, k times rows of the positive ones.
    Batch(usize),
    /// The greatest of each of k groups of neighbours, where it is positive.
    GroupMax(usize),
    /// The k greatest, positive or not.
    AnySign(usize),
}

/// What a set's reconstruction is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The batch; the decoder bias takes part.
    Input,
    /// What the main reconstruction left over, `x - x̂`, as a constant; no bias takes part.
    Residual,
}

/// A penalty on activations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Penalty {
    /// None.
    None,
    /// So much for each unit of activation.
    Activation(f32),
    /// So much for each unit of activation times the norm of its direction, which is pulled at
    /// too.
    Contribution(f32),
    /// So much for each `tanh(scale f ‖d‖)`.
    Tanh {
        /// How much.
        each: f32,
        /// How soon an activation counts in full.
        scale: f32,
    },
    /// So much for each row's `Σ f^p`, or with `root` for its `(Σ f^p)^(1/p)`.
    Power {
        /// How much.
        each: f32,
        /// The power.
        p: f32,
        /// Whether the root is taken.
        root: bool,
    },
}

/// Which weights a set's gradients go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Into {
    /// All.
    All,
    /// The encoder, and by way of it the decoder bias: the decoder is held constant.
    Encoder,
    /// The decoder: the activations are held constant.
    Decoder,
}

/// Seconds spent in the parts of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Taking the batch, packing the encoder.
    pub prepare: f64,
    /// Encoder product and selection of active latents.
    pub encode: f64,
    /// Decoding, errors, gradients of activations.
    pub reconstruct: f64,
    /// Gradients of weights.
    pub scatter: f64,
    /// Norm of the gradients.
    pub norm: f64,
    /// Adam.
    pub update: f64,
}

impl Spent {
    fn each(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            prepare: f(self.prepare, other.prepare),
            encode: f(self.encode, other.encode),
            reconstruct: f(self.reconstruct, other.reconstruct),
            scatter: f(self.scatter, other.scatter),
            norm: f(self.norm, other.norm),
            update: f(self.update, other.update),
        }
    }

    /// Part by part.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.each(other, |a, b| a + b)
    }

    /// Part by part.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.each(other, |a, b| a - b)
    }

    /// Every part times `factor`.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        self.each(self, |a, _| a * factor)
    }
}

/// The verbs that architectures are written in.
pub trait Engine: Send {
    /// Takes a batch of rows (`[n, d]`) and forgets the gradients of the last one. `target` is
    /// what the decoder is to give, where that is not the batch itself.
    fn load(&mut self, batch: &[f32], target: Option<&[f32]>);

    /// Finds the active latents of every row: of all latents, or of `among` (ascending). With
    /// `by_norm`, those are chosen by activation times the norm of the direction.
    ///
    /// # Errors
    /// `stop` said so; so for all verbs that take it.
    fn encode(
        &mut self,
        set: Set,
        among: Option<&[u32]>,
        choose: Choose,
        by_norm: bool,
        stop: Stop<'_>,
    ) -> Result<()>;

    /// Decodes a set; loss `weight Σ‖e‖² + penalty`. Finds the error of every row and the
    /// gradient of the loss by every activation.
    fn reconstruct(
        &mut self,
        set: Set,
        target: Target,
        weight: f32,
        penalty: Penalty,
        stop: Stop<'_>,
    ) -> Result<Sums>;

    /// Adds the gradients of a reconstructed set to those of the weights.
    fn scatter(&mut self, set: Set, into: Into, stop: Stop<'_>) -> Result<()>;

    /// Gated: takes the auxiliary set as gates, and makes of every open one the magnitude
    /// `ReLU(e^r_mag (gate - b_enc) + b_mag)` of the main set.
    fn magnitudes(&mut self);

    /// Gated: as [`Engine::scatter`] of the main set, by way of the magnitudes.
    fn scatter_magnitudes(&mut self, stop: Stop<'_>) -> Result<()>;

    /// JumpReLU: the main set becomes the latents above their thresholds, the auxiliary one
    /// those less than half a `bandwidth` away from them on either side. Either may be held
    /// as a dense array, if `may_be_dense` (which penalties on activations do not allow).
    fn encode_jump(&mut self, bandwidth: f32, may_be_dense: bool, stop: Stop<'_>) -> Result<()>;

    /// JumpReLU: adds all gradients of the reconstructed main set, the pseudo-gradients of the
    /// thresholds among them. `each` is the gradient of the loss by the number of active latents. With
    /// `on_f` that part looks at activations, not pre-activations (see
    /// [`Compatibility`](super::Compatibility)).
    fn scatter_jump(&mut self, bandwidth: f32, each: f32, on_f: bool, stop: Stop<'_>)
    -> Result<()>;

    /// JumpReLU: the loss `each Σ ReLU(threshold - pre) ‖d‖` over the latents `among` with its
    /// gradients; returns the sum.
    fn pull_up(&mut self, among: &[u32], each: f32, stop: Stop<'_>) -> Result<f64>;

    /// Matryoshka: reconstructs with the latents before each of `ends`, loss
    /// `Σ_g weights_g Σ‖e_g‖²`, and adds all gradients. The main set's error is that of the last
    /// one. Returns each Σ‖e_g‖².
    fn nested(&mut self, ends: &[usize], weights: &[f32], stop: Stop<'_>) -> Result<Vec<f64>>;

    /// What [`Engine::nested`] returned last; empty if never.
    fn nested_squares(&self) -> &[f64];

    /// Σ‖e - mean e‖² over the rows of a reconstructed set.
    fn error_variance(&self, set: Set) -> f64;

    /// Σ‖y - mean y‖² over what is to be reconstructed.
    fn target_variance(&self) -> f64;

    /// The least activation of the main set; `None` if it has none.
    fn least(&self) -> Option<f64>;

    /// The mean over rows of each row's least activation; rows without one do not count.
    fn mean_least(&self) -> Option<f64>;

    /// Σ over rows of `Σ f^p`, or with `root` of `(Σ f^p)^(1/p)`, of the main set.
    fn power(&self, p: f64, root: bool) -> f64;

    /// The active latents of a set, for tests; empty where they are held as a dense array.
    fn latents(&self, set: Set) -> Latents;

    /// The error `x̂ - x` of each row of a reconstructed set, for tests.
    fn errors(&self, set: Set) -> &[f32];

    /// Number of active latents over all rows.
    fn active(&self, set: Set) -> usize;

    /// Sets `fired[i]` for every latent that is active in some row.
    fn mark_fired(&self, set: Set, fired: &mut [bool]);

    /// L2 norm of all gradients; with `unit`, that of the decoder after projection.
    fn gradient_norm(&mut self, unit: bool) -> f64;

    /// Makes one step of Adam; with `unit`, decoder rows stay at unit norm.
    fn update(&mut self, adam: &Adam, unit: bool);

    /// Changes weights and moments from outside (resampling); sizes stay as they are.
    fn rewrite(&mut self, change: &mut dyn FnMut(&mut Parameters, &mut OptimizerState));

    /// The weights as they are.
    fn parameters(&self) -> &Parameters;

    /// The moments as they are.
    fn optimizer(&self) -> &OptimizerState;

    /// The gradients of the last batch, for tests and plots.
    fn gradients(&self) -> Parameters;

    /// Seconds spent so far, part by part.
    fn spent(&self) -> Spent;
}

/// The engine for `device`. Dictionaries are trained on the processor whatever the device, until
/// there are kernels for another.
pub fn engine(
    _device: &Device,
    parameters: Parameters,
    optimizer: OptimizerState,
    wiring: Wiring,
) -> Box<dyn Engine> {
    Box::new(Cpu::new(parameters, optimizer, wiring))
}
