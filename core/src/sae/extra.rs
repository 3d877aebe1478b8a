//! What some architectures have besides encoder, decoder and their biases.

use super::{Architecture, Matrix, Wiring};
use crate::error::Result;

/// The weights that only some architectures have; what one has not is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extra {
    /// JumpReLU: `[m]`, a latent is active where its pre-activation is above it. BatchTopK and
    /// Matryoshka: one number for all latents; not a weight, and empty in training.
    pub threshold: Vec<f32>,
    /// Gated: `[m]`, logarithm of the ratio of each magnitude row to its gate row.
    pub r_mag: Vec<f32>,
    /// Gated: `[m]`, bias of the magnitudes; that of the gates is `b_enc`.
    pub b_mag: Vec<f32>,
    /// Transcoder with skip: `[d, d]`, row c gives coordinate c of the output.
    pub skip: Matrix,
}

impl Extra {
    /// Every part that is there with its name, in a fixed order.
    pub fn parts(&self) -> Vec<(&'static str, &[f32])> {
        let all = [
            ("threshold", &self.threshold[..]),
            ("r_mag", &self.r_mag),
            ("b_mag", &self.b_mag),
            ("skip", self.skip.data()),
        ];
        all.into_iter().filter(|(_, part)| !part.is_empty()).collect()
    }

    /// The same, to be written.
    pub fn parts_mut(&mut self) -> Vec<(&'static str, &mut [f32])> {
        let all = [
            ("threshold", &mut self.threshold[..]),
            ("r_mag", &mut self.r_mag),
            ("b_mag", &mut self.b_mag),
            ("skip", self.skip.data_mut()),
        ];
        all.into_iter().filter(|(_, part)| !part.is_empty()).collect()
    }

    /// Names and shapes of the weights that an architecture trains, for m latents and width d.
    pub fn shapes(
        architecture: &Architecture,
        wiring: Wiring,
        m: usize,
        d: usize,
    ) -> Vec<(&'static str, Vec<usize>)> {
        let mut shapes = match architecture {
            Architecture::JumpRelu { .. } => vec![("threshold", vec![m])],
            Architecture::Gated => vec![("r_mag", vec![m]), ("b_mag", vec![m])],
            _ => Vec::new(),
        };
        if wiring == (Wiring::Transcoder { skip: true }) {
            shapes.push(("skip", vec![d, d]));
        }
        shapes
    }

    /// Names and shapes of what a finished dictionary needs: the trained weights, and where one
    /// threshold decides for all latents that threshold.
    pub fn shapes_used(
        architecture: &Architecture,
        wiring: Wiring,
        m: usize,
        d: usize,
    ) -> Vec<(&'static str, Vec<usize>)> {
        let mut shapes = Self::shapes(architecture, wiring, m, d);
        if architecture.has_batch_threshold() {
            shapes.insert(0, ("threshold", vec![1]));
        }
        shapes
    }

    /// Made of parts of these shapes, each taken by its name.
    ///
    /// # Errors
    /// A part cannot be had.
    pub fn made_of(
        shapes: &[(&'static str, Vec<usize>)],
        mut take: impl FnMut(&'static str, &[usize]) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        let mut extra = Self::default();
        for (name, shape) in shapes {
            let part = take(name, shape)?;
            match *name {
                "threshold" => extra.threshold = part,
                "r_mag" => extra.r_mag = part,
                "b_mag" => extra.b_mag = part,
                _ => extra.skip = Matrix::new(shape[0], shape[1], part)?,
            }
        }
        Ok(extra)
    }

    /// Puts what belongs to latent `i` back to where it begins: its threshold there, magnitudes
    /// equal to gates.
    pub fn start_afresh(&mut self, i: usize, threshold: f32) {
        for (part, start) in
            [(&mut self.threshold, threshold), (&mut self.r_mag, 0.0), (&mut self.b_mag, 0.0)]
        {
            if let Some(value) = part.get_mut(i) {
                *value = start;
            }
        }
    }

    /// Whether exactly the parts of these shapes are there.
    pub fn has(&self, shapes: &[(&'static str, Vec<usize>)]) -> bool {
        let due = shapes.iter().map(|(name, shape)| (*name, shape.iter().product::<usize>()));
        self.parts().into_iter().map(|(name, part)| (name, part.len())).eq(due)
    }
}
