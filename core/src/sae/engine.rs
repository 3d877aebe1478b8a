//! The seam between what an architecture asks for and the device that does it.
//!
//! An architecture (see [`super::architectures`]) is written in the few verbs of [`Engine`]. The
//! weights, their moments, their gradients and the batch live with the engine, so that one on a
//! graphics card moves a batch in and a few sums out at each step, and nothing else.

use super::Matrix;
use super::cpu::Cpu;
use super::kernels::{Adam, Moments, Select, Stop, Sums};
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
    pub fn parts(&self) -> [(&'static str, &[f32]); 4] {
        [
            ("encoder", self.encoder.data()),
            ("b_enc", &self.b_enc),
            ("decoder", self.decoder.data()),
            ("b_dec", &self.b_dec),
        ]
    }

    /// Every part, to be written, in the order of [`Parameters::parts`].
    pub fn parts_mut(&mut self) -> [(&'static str, &mut [f32]); 4] {
        [
            ("encoder", self.encoder.data_mut()),
            ("b_enc", &mut self.b_enc),
            ("decoder", self.decoder.data_mut()),
            ("b_dec", &mut self.b_dec),
        ]
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
    /// Takes a batch of rows (`[n, d]`) and forgets the gradients of the last one.
    fn load(&mut self, batch: &[f32]);

    /// Finds the active latents of every row: of all latents, or of `among` (ascending).
    ///
    /// # Errors
    /// `stop` said so; so for all verbs that take it.
    fn encode(
        &mut self,
        set: Set,
        among: Option<&[u32]>,
        select: Select,
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

    /// Σ‖e - mean e‖² over the rows of a reconstructed set.
    fn error_variance(&self, set: Set) -> f64;

    /// Σ‖x - mean x‖² over the batch.
    fn input_variance(&self) -> f64;

    /// Adds the gradients of a reconstructed set to those of the weights.
    fn scatter(&mut self, set: Set, stop: Stop<'_>) -> Result<()>;

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
) -> Box<dyn Engine> {
    Box::new(Cpu::new(parameters, optimizer))
}
