//! How a run begins: weights, bias, the scale of the activations.

use super::config::{BiasStart, StartChoice};
use crate::error::Result;
use crate::sae::architectures::Start;
use crate::sae::engine::Parameters;
use crate::sae::{Extra, Matrix};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

/// Random directions of the norms that the architecture, or else `choice`, asks for; encoder rows
/// point the same ways (tied at the start) unless `choice` has it otherwise. Biases are 0.
pub(super) fn weights(
    latents: usize,
    width: usize,
    start: Start,
    choice: StartChoice,
    rng: &mut ChaCha8Rng,
) -> Parameters {
    let decoder_norm = choice.norm.unwrap_or(start.decoder_norm);
    let encoder_norm = choice.norm.unwrap_or(start.encoder_norm);
    let start = Start { decoder_norm, encoder_norm, ..start };
    let mut directions = unit_rows(latents, width, rng);
    let mut encoder =
        if choice.untied { unit_rows(latents, width, rng) } else { directions.clone() };
    encoder.data_mut().iter_mut().for_each(|w| *w *= start.encoder_norm);
    directions.data_mut().iter_mut().for_each(|w| *w *= start.decoder_norm);
    Parameters {
        encoder,
        b_enc: vec![0.0; latents],
        decoder: directions,
        b_dec: vec![0.0; width],
        extra: Extra::default(),
    }
}

/// What is left of the encoder row of a latent that begins dead.
const SHRUNK: f32 = 0.01;

/// Shrinks the encoder rows of the first `count` latents until they win against no other.
pub(super) fn deaden(parameters: &mut Parameters, count: usize) {
    let width = parameters.encoder.cols();
    let rows = &mut parameters.encoder.data_mut()[..count * width];
    rows.iter_mut().for_each(|w| *w *= SHRUNK);
}

/// Rows that a threshold is found from.
pub(super) const THRESHOLD_ROWS: usize = 256;
/// L0 at which a run with a target begins, in targets. From twice the target one latent in five
/// dies before it has learnt anything; from far above, thresholds, which move by about the learning
/// rate a step, do not arrive.
const BEGIN_AT: f64 = 8.0;

/// The one threshold for all latents above which [`BEGIN_AT`] times `target` of them are active on
/// a mean row of `rows` (in the units of training).
pub(super) fn threshold(parameters: &Parameters, rows: &[f32], target: f64) -> f32 {
    let width = parameters.encoder.cols();
    let mut pre: Vec<f32> = rows
        .par_chunks(width)
        .flat_map_iter(|x| {
            (0..parameters.encoder.rows()).map(move |i| {
                x.iter().zip(parameters.encoder.row(i)).map(|(x, w)| x * w).sum::<f32>()
            })
        })
        .filter(|v| *v > 0.0)
        .collect();
    let active = (BEGIN_AT * target * (rows.len() / width) as f64) as usize;
    if active >= pre.len() {
        return 0.0;
    }
    *pre.select_nth_unstable_by(active, |a, b| b.total_cmp(a)).1
}

/// What only some architectures have: thresholds at their start, all else 0 (Gated: magnitude
/// rows equal to gate rows; transcoder: no skip).
pub(super) fn extra(shapes: &[(&'static str, Vec<usize>)], start: Start) -> Result<Extra> {
    Extra::made_of(shapes, |name, shape| {
        let value = if name == "threshold" { start.threshold } else { 0.0 };
        Ok(vec![value; shape.iter().product()])
    })
}

/// Random directions at unit norm.
fn unit_rows(rows: usize, width: usize, rng: &mut ChaCha8Rng) -> Matrix {
    let mut all = Matrix::zeros(rows, width);
    for i in 0..rows {
        let row = all.row_mut(i);
        row.iter_mut().for_each(|w| *w = rng.sample(StandardNormal));
        let norm = row.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt();
        row.iter_mut().for_each(|w| *w = (f64::from(*w) / norm.max(f64::MIN_POSITIVE)) as f32);
    }
    all
}

/// Where the decoder bias begins, found from some rows.
pub(super) fn bias(start: BiasStart, rows: &[f32], width: usize) -> Vec<f32> {
    match start {
        BiasStart::Zero => vec![0.0; width],
        BiasStart::Mean => mean(rows, width).iter().map(|m| *m as f32).collect(),
        BiasStart::GeometricMedian => geometric_median(rows, width),
    }
}

fn mean(rows: &[f32], width: usize) -> Vec<f64> {
    let count = (rows.len() / width).max(1) as f64;
    let mut mean = vec![0.0f64; width];
    for row in rows.chunks(width) {
        mean.iter_mut().zip(row).for_each(|(m, x)| *m += f64::from(*x) / count);
    }
    mean
}

/// The factor that brings `rows` to E‖x‖² = d; 1 where they are all zero.
pub(super) fn scale(rows: &[f32], width: usize) -> f64 {
    let count = (rows.len() / width).max(1) as f64;
    let mean = rows.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / count;
    if mean > 0.0 && mean.is_finite() { (width as f64 / mean).sqrt() } else { 1.0 }
}

/// Steps of [`geometric_median`] at most.
const STEPS: usize = 100;

/// The point with the least sum of distances to `rows`, by Weiszfeld's iteration from their
/// mean, until it moves less than 1e-5. A few rows of huge norm hardly move it.
pub fn geometric_median(rows: &[f32], width: usize) -> Vec<f32> {
    let mut guess = mean(rows, width);
    for _ in 0..STEPS {
        let mut next = vec![0.0f64; width];
        let mut total = 0.0;
        for row in rows.chunks(width) {
            let square: f64 =
                row.iter().zip(&guess).map(|(x, g)| (f64::from(*x) - g).powi(2)).sum();
            // A row that the guess has fallen on would weigh infinitely much.
            let weight = 1.0 / square.sqrt().max(1e-12);
            total += weight;
            next.iter_mut().zip(row).for_each(|(n, x)| *n += weight * f64::from(*x));
        }
        next.iter_mut().for_each(|n| *n /= total);
        let moved: f64 = next.iter().zip(&guess).map(|(n, g)| (n - g).powi(2)).sum();
        guess = next;
        if moved.sqrt() < 1e-5 {
            break;
        }
    }
    guess.iter().map(|g| *g as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_lets_so_many_pass() {
        use rand::SeedableRng;
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let parameters = Parameters {
            encoder: unit_rows(100, 8, &mut rng),
            b_enc: vec![0.0; 100],
            ..Parameters::default()
        };
        let rows = unit_rows(50, 8, &mut rng);
        let above = threshold(&parameters, rows.data(), 2.5);
        let pre = |x: &[f32], w: &[f32]| x.iter().zip(w).map(|(x, w)| x * w).sum::<f32>();
        let active = |x| (0..100).filter(|i| pre(x, parameters.encoder.row(*i)) > above).count();
        assert_eq!(rows.data().chunks(8).map(active).sum::<usize>(), 50 * 20);
        assert_eq!(threshold(&parameters, rows.data(), 13.0), 0.0, "no more than are positive");
    }

    #[test]
    fn the_median_of_a_cross_is_its_middle_whatever_one_far_pair_does() {
        let rows = [1.0, 0.0, -1.0, 0.0, 0.0, 1e6, 0.0, -1e6f32];
        let median = geometric_median(&rows, 2);
        assert!(median.iter().all(|m| m.abs() < 1e-3), "{median:?}");
    }

    #[test]
    fn a_start_that_was_chosen_is_followed() {
        use rand::SeedableRng;
        let usual =
            Start { decoder_norm: 1.0, encoder_norm: 1.0, bias_at_median: true, threshold: 0.0 };
        let draw = |choice| weights(9, 5, usual, choice, &mut ChaCha8Rng::seed_from_u64(4));
        let tied = draw(StartChoice::default());
        assert_eq!(tied.encoder, tied.decoder);
        let choice = StartChoice { untied: true, norm: Some(0.1), ..StartChoice::default() };
        let other = draw(choice);
        for (a, b) in other.encoder.row_norms().iter().zip(other.decoder.row_norms()) {
            assert!((a - 0.1).abs() < 1e-6 && (b - 0.1).abs() < 1e-6);
        }
        assert!(other.encoder.row(0) != other.decoder.row(0));
        let rows = [1.0, 2.0, 3.0, 6.0f32];
        assert_eq!(bias(BiasStart::Mean, &rows, 2), [2.0, 4.0]);
        assert_eq!(bias(BiasStart::Zero, &rows, 2), [0.0, 0.0]);
    }

    #[test]
    fn equal_rows_are_their_own_median() {
        assert_eq!(geometric_median(&[3.0, -4.0].repeat(7), 2), [3.0, -4.0]);
    }

    #[test]
    fn scale_brings_the_mean_square_to_the_width() {
        assert!((scale(&[3.0, 4.0, 0.0, 0.0], 2) - (2.0f64 / 12.5).sqrt()).abs() < 1e-12);
        assert_eq!(scale(&[0.0; 6], 2), 1.0);
    }
}
