//! The obvious forms of the kernels: what the fast ones are tested against, and the definition
//! of what they compute. Sums are made in f64.

use super::{Select, TopK};
use crate::sae::{Latents, Matrix};

/// Active latents of each row of `centred` (`x - b_dec`): the slow and obvious way.
pub fn encode(centred: &[f32], encoder: &Matrix, b_enc: &[f32], select: Select, out: &mut Latents) {
    out.clear();
    out.width = encoder.rows();
    let mut top = TopK::default();
    for row in centred.chunks(encoder.cols()) {
        let pre: Vec<f32> = (0..encoder.rows())
            .map(|i| (dot(encoder.row(i), row) + f64::from(b_enc[i])) as f32)
            .collect();
        match select {
            Select::TopK(k) => {
                top.begin(k);
                top.see(0, &pre);
                let mut entries = Vec::new();
                top.finish(|i, v| entries.push((i, v)));
                out.push_row(entries);
            }
            Select::Positive => {
                let active = pre.iter().enumerate().filter(|(_, v)| **v > 0.0);
                out.push_row(active.map(|(i, v)| (i as u32, *v)));
            }
        }
    }
}

/// `Σ a_i b_i` in f64.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}
