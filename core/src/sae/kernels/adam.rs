//! Adam, fused: decoder-gradient projection, clipping, moments, step and renormalisation of a
//! row in one pass over memory.

use super::Gradients;
use super::simd::{dot, for_each_level, madd};
use crate::sae::Matrix;
use rayon::prelude::*;

/// Rows that are worked on together.
const ROWS: usize = 64;

/// A moment smaller than this counts as zero. A silent latent's moments shrink for ever, and
/// processors slow down a hundredfold on the numbers near 1e-40 where they would end; a step of
/// lr * 1e-30 / 1e-8 changes no weight.
const NOTHING: f32 = 1e-30;

/// Numbers of one update: exactly Adam (Kingma & Ba, 1412.6980) with bias correction, applied to
/// every weight at every step. A weight without gradient still moves on what its moments hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Learning rate of this step.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Number of this step, from 1.
    pub step: u64,
    /// Factor on the gradient (clipping).
    pub scale: f64,
}

/// First and second moments of some weights.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// Running mean of the gradient.
    pub first: Vec<f32>,
    /// Running mean of its square.
    pub second: Vec<f32>,
}

impl Moments {
    /// Zeros.
    pub fn new(len: usize) -> Self {
        Self { first: vec![0.0; len], second: vec![0.0; len] }
    }
}

/// Some weights with their moments.
#[derive(Debug)]
pub struct Slice<'a> {
    /// The weights.
    pub weights: &'a mut [f32],
    /// Their moments.
    pub moments: &'a mut Moments,
}

#[derive(Clone, Copy)]
pub(super) struct Factors {
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    /// lr / (1 - beta1^t)
    rate: f32,
    /// 1 / sqrt(1 - beta2^t)
    root: f32,
    eps: f32,
    scale: f32,
}

impl Adam {
    fn factors(&self) -> Factors {
        let left = |beta: f64| 1.0 - beta.powf(self.step as f64);
        Factors {
            beta1: self.beta1 as f32,
            rest1: (1.0 - self.beta1) as f32,
            beta2: self.beta2 as f32,
            rest2: (1.0 - self.beta2) as f32,
            rate: (self.lr / left(self.beta1)) as f32,
            root: (1.0 / left(self.beta2).sqrt()) as f32,
            eps: self.eps as f32,
            scale: self.scale as f32,
        }
    }
}

/// One element's update.
#[inline(always)]
fn advance<const FUSED: bool>(k: Factors, w: &mut f32, m: &mut f32, v: &mut f32, g: f32) {
    let first = madd::<FUSED>(k.beta1, *m, k.rest1 * g);
    let second = madd::<FUSED>(k.beta2, *v, k.rest2 * g * g);
    let first = if first.abs() < NOTHING { 0.0 } else { first };
    let second = if second < NOTHING { 0.0 } else { second };
    *m = first;
    *v = second;
    *w -= k.rate * first / madd::<FUSED>(second.sqrt(), k.root, k.eps);
}

/// Updates `[rows, d]` weights. A row that is not `touched` has no gradient. With `unit`, each
/// row's gradient loses its part along the row before, and the row is brought back to unit norm
/// after.
pub fn update_rows(
    d: usize,
    weights: Slice<'_>,
    gradient: &Matrix,
    touched: &[bool],
    adam: &Adam,
    unit: bool,
) {
    let factors = adam.factors();
    let span = ROWS * d;
    let Moments { first, second } = weights.moments;
    weights
        .weights
        .par_chunks_mut(span)
        .zip(first.par_chunks_mut(span).zip(second.par_chunks_mut(span)))
        .zip(gradient.data().par_chunks(span).zip(touched.par_chunks(ROWS)))
        .for_each(|((w, (m, v)), (g, touched))| {
            update_block(d, factors, unit, w, m, v, g, touched)
        });
}

for_each_level! {
    fn update_block(
        d: usize,
        k: Factors,
        unit: bool,
        w: &mut [f32],
        m: &mut [f32],
        v: &mut [f32],
        g: &[f32],
        touched: &[bool],
    ) {
        for (i, touched) in touched.iter().enumerate() {
            let span = i * d..(i + 1) * d;
            let (w, m, v) = (&mut w[span.clone()], &mut m[span.clone()], &mut v[span.clone()]);
            if *touched {
                let g = &g[span];
                let along = if unit { along::<FUSED>(g, w) } else { 0.0 };
                for c in 0..d {
                    let g = k.scale * madd::<FUSED>(-along, w[c], g[c]);
                    advance::<FUSED>(k, &mut w[c], &mut m[c], &mut v[c], g);
                }
            } else {
                for c in 0..d {
                    advance::<FUSED>(k, &mut w[c], &mut m[c], &mut v[c], 0.0);
                }
            }
            if unit {
                let square = dot::<FUSED>(w, w);
                // A direction of zero length has no unit form: leave it.
                if square > 0.0 {
                    let norm = 1.0 / square.sqrt();
                    w.iter_mut().for_each(|w| *w *= norm);
                }
            }
        }
    }
}

/// `<g, w> / ‖w‖²`: what of `g` lies along `w`, in lengths of `w`.
#[inline(always)]
fn along<const FUSED: bool>(g: &[f32], w: &[f32]) -> f32 {
    let square = dot::<FUSED>(w, w);
    if square > 0.0 { dot::<FUSED>(g, w) / square } else { 0.0 }
}

/// Updates a bias.
pub fn update_bias(weights: Slice<'_>, gradient: impl Fn(usize) -> f32, adam: &Adam) {
    let k = adam.factors();
    let Moments { first, second } = weights.moments;
    for (i, w) in weights.weights.iter_mut().enumerate() {
        advance::<false>(k, w, &mut first[i], &mut second[i], k.scale * gradient(i));
    }
}

/// L2 norm of all gradients together; with `decoder`, that of its gradient after the projection.
pub fn gradient_norm(
    gradients: &Gradients,
    decoder: Option<&Matrix>,
    partial: &mut Vec<f64>,
) -> f64 {
    let d = gradients.b_dec.len();
    let m = gradients.b_enc.len();
    partial.clear();
    partial.resize(m.div_ceil(ROWS), 0.0);
    partial.par_iter_mut().enumerate().for_each(|(block, sum)| {
        let first = block * ROWS;
        let latents = first..(first + ROWS).min(m);
        let span = latents.start * d..latents.end * d;
        *sum = norm_block(
            d,
            &gradients.encoder.data()[span.clone()],
            &gradients.decoder.data()[span.clone()],
            decoder.map(|w| &w.data()[span.clone()]),
            &gradients.b_enc[latents.clone()],
            &gradients.touched[latents],
        );
    });
    let bias: f64 = gradients.b_dec.iter().map(|g| f64::from(*g).powi(2)).sum();
    (partial.iter().sum::<f64>() + bias).sqrt()
}

for_each_level! {
    fn norm_block(
        d: usize,
        encoder: &[f32],
        decoder: &[f32],
        directions: Option<&[f32]>,
        b_enc: &[f32],
        touched: &[bool],
    ) -> f64 {
        let mut sum = 0.0;
        for (i, touched) in touched.iter().enumerate() {
            if !touched {
                continue;
            }
            let (e, g) = (&encoder[i * d..][..d], &decoder[i * d..][..d]);
            let mut square = f64::from(dot::<FUSED>(g, g));
            if let Some(directions) = directions {
                let w = &directions[i * d..][..d];
                // ‖g - a w‖² = ‖g‖² - a² ‖w‖²
                let a = f64::from(along::<FUSED>(g, w));
                square = (square - a * a * f64::from(dot::<FUSED>(w, w))).max(0.0);
            }
            sum += f64::from(dot::<FUSED>(e, e)) + square + f64::from(b_enc[i]).powi(2);
        }
        sum
    }
}
