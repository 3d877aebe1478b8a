//! The moving average of the weights.

use crate::sae::Matrix;
use crate::sae::engine::Parameters;
use rayon::prelude::*;

/// `average ← decay · average + (1 − decay) · now`, number by number.
pub(super) fn follow(average: &mut Parameters, now: &Parameters, decay: f64) {
    let rest = (1.0 - decay) as f32;
    for ((_, average), (_, now)) in average.parts_mut().into_iter().zip(now.parts()) {
        average
            .par_iter_mut()
            .with_min_len(1 << 14)
            .zip(now)
            .for_each(|(a, w)| *a += rest * (w - *a));
    }
}

/// Brings every row to unit norm.
pub(super) fn to_unit_rows(matrix: &mut Matrix) {
    let norms = matrix.row_norms();
    for (i, norm) in norms.into_iter().enumerate().filter(|(_, norm)| *norm > 0.0) {
        matrix.row_mut(i).iter_mut().for_each(|w| *w /= norm);
    }
}
