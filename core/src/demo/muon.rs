//! Muon, for the matrices between embedding and output: momentum made orthogonal.
//!
//! Keller Jordan's optimizer (2024): the momentum of a matrix is replaced by the nearest
//! semi-orthogonal matrix, by five Newton-Schulz iterations of an odd polynomial. A small model
//! learns the world in about half the tokens that AdamW alone needs.

use super::optimizer::Gradient;
use crate::error::Result;
use crate::llama::Weights;
use candle_core::Tensor;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The polynomial `a x + b x³ + c x⁵`, steep at 0 and near 1 where it is applied.
const QUINTIC: (f64, f64, f64) = (3.4445, -4.7750, 2.0315);
const ITERATIONS: usize = 5;

/// Muon with Nesterov momentum and decoupled weight decay.
#[derive(Debug)]
pub(super) struct Muon {
    momentum: f64,
    decay: f64,
    moments: BTreeMap<String, Tensor>,
}

impl Muon {
    pub(super) fn new(momentum: f64, decay: f64) -> Self {
        Self { momentum, decay, moments: BTreeMap::new() }
    }

    /// Whether a weight is one of those that Muon moves.
    pub(super) fn takes(name: &str, weight: &Tensor) -> bool {
        weight.rank() == 2 && name.contains("layers")
    }

    /// One step on the weights that Muon takes; `gradients` has been checked to be finite.
    ///
    /// # Errors
    /// None but a defect of the tensor library.
    pub(super) fn step(
        &mut self,
        weights: &mut Weights,
        gradients: &Gradient,
        lr: f64,
    ) -> Result<()> {
        let taken: Vec<(String, Tensor)> = weights
            .iter()
            .filter(|(name, weight)| Self::takes(name, weight))
            .map(|(name, weight)| (name.clone(), weight.clone()))
            .collect();
        let moved: Vec<(Tensor, Tensor)> = taken
            .par_iter()
            .map(|(name, weight)| self.moved(name, weight, &gradients[name], lr))
            .collect::<Result<_>>()?;
        for ((name, _), (weight, moment)) in taken.into_iter().zip(moved) {
            self.moments.insert(name.clone(), moment);
            weights.insert(name, weight);
        }
        Ok(())
    }

    /// The weight and its momentum after a step.
    fn moved(
        &self,
        name: &str,
        weight: &Tensor,
        gradient: &[f32],
        lr: f64,
    ) -> Result<(Tensor, Tensor)> {
        let gradient = Tensor::from_slice(gradient, weight.dims(), weight.device())?;
        let moment = match self.moments.get(name) {
            Some(old) => ((old * self.momentum)? + &gradient)?,
            None => gradient.clone(),
        };
        let ahead = (gradient + (&moment * self.momentum)?)?;
        let (rows, columns) = weight.dims2()?;
        // A tall matrix's update has smaller entries; this makes up for it.
        let scale = (rows as f64 / columns as f64).max(1.0).sqrt();
        let update = (orthogonal(&ahead)? * (lr * scale))?;
        Ok((((weight * (1.0 - lr * self.decay))? - update)?, moment))
    }
}

/// A matrix with the singular vectors of `matrix` and singular values between about 0.7 and 1.2.
fn orthogonal(matrix: &Tensor) -> Result<Tensor> {
    let (rows, columns) = matrix.dims2()?;
    let tall = rows > columns;
    let mut x = if tall { matrix.t()?.contiguous()? } else { matrix.clone() };
    let norm = f64::from(x.sqr()?.sum_all()?.to_scalar::<f32>()?).sqrt();
    x = (x * (norm + 1e-12).recip())?;
    let (a, b, c) = QUINTIC;
    for _ in 0..ITERATIONS {
        let gram = x.matmul(&x.t()?)?;
        let inner = ((&gram * b)? + (gram.matmul(&gram)? * c)?)?;
        x = ((&x * a)? + inner.matmul(&x)?)?;
    }
    Ok(if tall { x.t()?.contiguous()? } else { x })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_diagonal_matrix_becomes_nearly_the_identity() {
        // Singular values go through the polynomial one by one.
        let tensor = Tensor::from_vec(vec![3.0f32, 0.0, 0.0, 0.0, 4.0, 0.0], (2, 3), &Device::Cpu);
        let out = orthogonal(&tensor.expect("a matrix")).expect("orthogonal");
        let out = out.to_vec2::<f32>().expect("f32");
        for (i, start) in [(0, 0.6f64), (1, 0.8)] {
            let (a, b, c) = QUINTIC;
            let by_hand = (0..ITERATIONS).fold(start, |x, _| a * x + b * x.powi(3) + c * x.powi(5));
            assert!((f64::from(out[i][i]) - by_hand).abs() < 1e-4);
            assert!((0.6..1.3).contains(&out[i][i]));
            assert!(out[i][1 - i].abs() < 1e-6 && out[i][2].abs() < 1e-6);
        }
    }

    #[test]
    fn the_first_step_goes_against_the_gradient() {
        let eye =
            |x: f32| Tensor::from_vec(vec![x, 0.0, 0.0, x], (2, 2), &Device::Cpu).expect("ok");
        let name = "model.layers.0.mlp.up_proj.weight".to_owned();
        let mut weights = Weights::from([(name.clone(), eye(1.0))]);
        let mut muon = Muon::new(0.95, 0.0);
        muon.step(&mut weights, &Gradient::from([(name.clone(), vec![5.0, 0.0, 0.0, 5.0])]), 0.1)
            .expect("a step");
        let left = weights[&name].to_vec2::<f32>().expect("f32")[0][0];
        assert!((0.85..0.95).contains(&left), "{left}");
    }
}
