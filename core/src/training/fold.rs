//! From the weights of a run to a dictionary of raw activations.

use super::config::TrainConfig;
use super::trainer::Counters;
use crate::sae::engine::Parameters;
use crate::sae::{About, Extra, Matrix, Sae};

/// The dictionary of these weights for raw activations: the scale of the run is folded in.
///
/// With s the factor on the input and t that on the output (equal but for a transcoder): every
/// architecture commutes with a factor if biases and thresholds do, so that `f(s x) / t` is what
/// `W_enc s/t` with biases and thresholds `/ t` gives for x. Directions, and the ratio of Gated's
/// magnitudes to its gates, stay as they are; a skip matrix becomes `W_skip s/t`.
///
/// Where latents are chosen by `f ‖d‖` (SAELens), norms are folded into the encoder besides.
pub(super) fn dictionary(
    config: &TrainConfig,
    counters: &Counters,
    parameters: &Parameters,
    about: About,
) -> Sae {
    let Parameters { encoder, b_enc, decoder, b_dec, extra } = parameters;
    let (scale, target) = (counters.scale, counters.target_scale);
    let raw = |v: &[f32]| v.iter().map(|b| (f64::from(*b) / target) as f32).collect::<Vec<_>>();
    // A step may leave a threshold under 0, which the next one takes for 0.
    let mut threshold = raw(&extra.threshold);
    threshold.iter_mut().for_each(|t| *t = t.max(0.0));
    if config.architecture.has_batch_threshold() {
        threshold = raw(&[counters.running.threshold.unwrap_or(0.0) as f32]);
    }
    let mut sae = Sae {
        architecture: config.architecture.clone(),
        encoder: times(encoder, scale / target),
        b_enc: raw(b_enc),
        decoder: decoder.clone(),
        b_dec: raw(b_dec),
        extra: Extra {
            threshold,
            r_mag: extra.r_mag.clone(),
            b_mag: raw(&extra.b_mag),
            skip: times(&extra.skip, scale / target),
        },
        wiring: config.wiring,
        about: About { tokens: counters.tokens, scale_folded: scale, ..about },
    };
    if config.compatibility.free_directions && config.architecture.k().is_some() {
        fold_norms(&mut sae);
    }
    sae
}

fn times(matrix: &Matrix, factor: f64) -> Matrix {
    let mut out = matrix.clone();
    if factor != 1.0 {
        out.data_mut().iter_mut().for_each(|w| *w = (f64::from(*w) * factor) as f32);
    }
    out
}

/// Brings directions to unit norm; encoder and bias take the norms over.
fn fold_norms(sae: &mut Sae) {
    let norms = sae.decoder.row_norms();
    for (i, norm) in norms.into_iter().enumerate().filter(|(_, norm)| *norm > 0.0) {
        sae.decoder.row_mut(i).iter_mut().for_each(|w| *w /= norm);
        sae.encoder.row_mut(i).iter_mut().for_each(|w| *w *= norm);
        sae.b_enc[i] *= norm;
    }
}
