//! AdamW, for the few tensors of the built-in model.

use crate::error::{Error, Result};
use crate::llama::Weights;
use candle_core::Tensor;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The gradient at every weight, by name.
pub(super) type Gradient = BTreeMap<String, Vec<f32>>;

/// AdamW (Loshchilov & Hutter, 1711.05101, algorithm 2) with bias correction; decay falls on
/// matrices alone.
#[derive(Debug)]
pub(super) struct AdamW {
    pub betas: (f64, f64),
    pub epsilon: f64,
    pub decay: f64,
    step: i32,
    moments: BTreeMap<String, [Vec<f32>; 2]>,
}

impl AdamW {
    pub(super) fn new(betas: (f64, f64), decay: f64) -> Self {
        Self { betas, epsilon: 1e-8, decay, step: 0, moments: BTreeMap::new() }
    }

    /// One step on the weights that `takes` names; gradients are scaled down to a global norm of
    /// `clip` first. Returns that norm, which is over all of them.
    ///
    /// # Errors
    /// A gradient is missing, or is not finite.
    pub(super) fn step(
        &mut self,
        weights: &mut Weights,
        gradients: &Gradient,
        lr: f64,
        clip: f64,
        takes: impl Fn(&str, &Tensor) -> bool,
    ) -> Result<f64> {
        self.step += 1;
        let squares: f64 = gradients.values().flatten().map(|&g| f64::from(g) * f64::from(g)).sum();
        let norm = squares.sqrt();
        if !norm.is_finite() {
            return Err(Error::new(
                crate::ErrorKind::Numeric,
                "The training broke off",
                "a gradient is no longer a finite number",
                "Start again with a lower learning rate",
            ));
        }
        let scale = (clip / norm).min(1.0) as f32;
        let (b1, b2) = self.betas;
        // Both corrections as one factor on the step and one on ε.
        let correct1 = 1.0 - b1.powi(self.step);
        let correct2 = (1.0 - b2.powi(self.step)).sqrt();
        let rate = (lr * correct2 / correct1) as f32;
        let epsilon = (self.epsilon * correct2) as f32;
        let (b1, b2) = (b1 as f32, b2 as f32);
        for (name, weight) in weights.iter_mut() {
            if !takes(name, weight) {
                continue;
            }
            let grad = gradients.get(name).ok_or_else(|| {
                Error::internal("The model cannot be trained", format!("{name} has no gradient"))
            })?;
            let decay = if weight.rank() > 1 { (lr * self.decay) as f32 } else { 0.0 };
            let [m, v] = self
                .moments
                .entry(name.clone())
                .or_insert_with(|| [vec![0.0; grad.len()], vec![0.0; grad.len()]]);
            let mut w = weight.flatten_all()?.to_vec1::<f32>()?;
            w.par_iter_mut().zip(m.par_iter_mut().zip(v)).zip(grad).with_min_len(1 << 14).for_each(
                |((w, (m, v)), &g)| {
                    let g = g * scale;
                    *m = b1 * *m + (1.0 - b1) * g;
                    *v = b2 * *v + (1.0 - b2) * g * g;
                    *w -= decay * *w + rate * *m / (v.sqrt() + epsilon);
                },
            );
            *weight = Tensor::from_vec(w, weight.dims(), weight.device())?;
        }
        Ok(norm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn two_steps_by_hand() {
        let tensor = |x: f32| Tensor::from_vec(vec![x], (1, 1), &Device::Cpu).expect("a tensor");
        let gradient = |g: f32| Gradient::from([("w".to_owned(), vec![g])]);
        let mut weights = Weights::from([("w".to_owned(), tensor(1.0))]);
        let mut adam = AdamW::new((0.9, 0.99), 0.1);
        let value =
            |w: &Weights| w["w"].flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("f32")[0];
        // m = 0.2, v = 0.04; corrected 2 and 4: a step of lr · (2/2 + 0.1 · 1).
        let norm = adam.step(&mut weights, &gradient(2.0), 0.01, 10.0, |_, _| true);
        assert_eq!(norm, Ok(2.0));
        assert!((value(&weights) - (1.0 - 0.01 * 1.1)).abs() < 1e-6);
        // A gradient of −4 clipped to −1: m = 0.18 − 0.1 = 0.08, v = 0.0396 + 0.01 = 0.0496;
        // corrected by 0.19 and 0.0199.
        let before = f64::from(value(&weights));
        adam.step(&mut weights, &gradient(-4.0), 0.01, 1.0, |_, _| true).expect("ok");
        let step = (0.08 / 0.19) / (0.0496f64 / 0.0199).sqrt() + 0.1 * before;
        assert!((f64::from(value(&weights)) - (before - 0.01 * step)).abs() < 1e-6);
        let nan = gradient(f32::NAN);
        assert!(adam.step(&mut weights, &nan, 0.01, 1.0, |_, _| true).is_err());
    }
}
