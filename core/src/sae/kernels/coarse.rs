//! Rounded copies of encoder and rows, each with a proven bound on what rounding can do to a
//! pre-activation: a coarse product finds out cheaply which latents may be among the greatest.
//!
//! With `x̃, w̃` the rounded forms of a row and of an encoder row, Cauchy and Schwarz give
//!
//! ```text
//! |<x, w> - <x̃, w̃>| = |<x - x̃, w> + <x̃, w - w̃>| <= ‖x - x̃‖ ‖w‖ + ‖x̃‖ ‖w - w̃‖
//! ```
//!
//! where all four norms are measured, not estimated. To that comes what f32 does to sums of d
//! terms, in the exact kernel and in the coarse one: at most `(4 d + 64) 2⁻²⁴ (‖x‖ ‖w‖ + |b|)`
//! for both together, two roundings a term in either; and an absolute part for numbers that are
//! flushed to zero. Rows and weights that are too large for this to hold, or no numbers at all,
//! get an infinite bound: they are always looked at in full.

use super::prefer_large;
use super::simd::{for_each_level, madd};
use crate::sae::Matrix;
use rayon::prelude::*;

/// Latents of a panel.
pub(super) const PANEL: usize = 48;

/// Norms above this get an infinite bound, so that no bounded sum can overflow.
const HUGE: f32 = 1e18;

/// Biases above this do too.
const HUGE_BIAS: f32 = 1e30;

/// How coordinates are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// To 255 even steps between the greatest magnitude of a row and its negative; four products
    /// a lane, summed exactly as integers.
    Int8,
    /// To eight significant bits; two products a lane.
    Bf16,
}

impl Grain {
    /// Whether this machine multiplies such numbers faster than f32.
    pub fn is_fast(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            super::Level::of_machine() == super::Level::Avx512
                && is_x86_feature_detected!("avx512bw")
                && match self {
                    Self::Int8 => is_x86_feature_detected!("avx512vnni"),
                    Self::Bf16 => is_x86_feature_detected!("avx512bf16"),
                }
        }
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Coordinates in a word of 32 bits.
    pub(super) fn per_word(self) -> usize {
        match self {
            Self::Int8 => 4,
            Self::Bf16 => 2,
        }
    }
}

/// What is known of each latent of a panel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Value of one step (integers), or 1.
    pub scale: [f32; PANEL],
    /// Bias; -∞ beyond the last latent.
    pub bias: [f32; PANEL],
    /// At least ‖w‖.
    pub norm: [f32; PANEL],
    /// At least ‖w - w̃‖.
    pub rest: [f32; PANEL],
    /// Error that does not grow with the row.
    pub slack: [f32; PANEL],
}

const NO_TERMS: Terms = Terms {
    scale: [0.0; PANEL],
    bias: [f32::NEG_INFINITY; PANEL],
    norm: [0.0; PANEL],
    rest: [0.0; PANEL],
    slack: [0.0; PANEL],
};

/// The encoder, rounded and packed as the coarse product wants it.
#[derive(Debug)]
pub struct Coarse {
    pub(super) grain: Grain,
    pub(super) latents: usize,
    pub(super) width: usize,
    /// Panel after panel, `[words][PANEL]` each.
    pub(super) data: Vec<u32>,
    pub(super) terms: Vec<Terms>,
}

impl Coarse {
    /// Nothing yet.
    pub fn new(grain: Grain) -> Self {
        Self { grain, latents: 0, width: 0, data: Vec::new(), terms: Vec::new() }
    }

    /// How the encoder was rounded.
    pub fn grain(&self) -> Grain {
        self.grain
    }

    /// Words of a row.
    pub(super) fn words(&self) -> usize {
        self.width.div_ceil(self.grain.per_word())
    }

    /// Rounds and packs the encoder.
    pub fn pack(&mut self, grain: Grain, encoder: &Matrix, b_enc: &[f32]) {
        let d = encoder.cols();
        (self.grain, self.latents, self.width) = (grain, encoder.rows(), d);
        let (words, latents) = (self.words(), self.latents);
        let panels = latents.div_ceil(PANEL);
        if self.data.len() != panels * PANEL * words {
            self.data.resize(panels * PANEL * words, 0);
            prefer_large(&self.data);
        }
        self.terms.resize(panels, NO_TERMS);
        let panels = self.data.par_chunks_mut(PANEL * words).zip(self.terms.par_iter_mut());
        panels.enumerate().for_each_init(
            || vec![0; words],
            |row, (p, (data, terms))| {
                *terms = NO_TERMS;
                let first = p * PANEL;
                for j in 0..PANEL.min(latents - first) {
                    let rounded = round(grain, 128, encoder.row(first + j), row);
                    row.iter().enumerate().for_each(|(c, word)| data[c * PANEL + j] = *word);
                    let bias = b_enc[first + j];
                    let bounded = rounded.norm < HUGE && bias.abs() < HUGE_BIAS;
                    terms.scale[j] = rounded.scale;
                    terms.bias[j] = bias;
                    terms.norm[j] = if bounded { rounded.norm } else { f32::INFINITY };
                    terms.rest[j] = rounded.rest;
                    // Products and sums below the smallest normal number may count as zero.
                    terms.slack[j] = per_term(d) * bias.abs() + d as f32 * 1e-36;
                }
            },
        );
    }
}

/// Relative error that is allowed for a sum of `d` products.
fn per_term(d: usize) -> f32 {
    (4 * d + 64) as f32 * 2.0f32.powi(-24)
}

/// Some rows, rounded, with what the bound needs of them. Filled up to a whole tile with rows
/// that nothing passes.
#[derive(Debug, Default)]
pub(super) struct CoarseRows {
    /// `[rows][words]`.
    pub words: Vec<u32>,
    pub scale: Vec<f32>,
    /// What the integer sums begin with: it takes back the 128 that makes weights unsigned.
    pub start: Vec<i32>,
    /// Factor on `norm`: at least ‖x - x̃‖ and the error of the sums.
    pub alpha: Vec<f32>,
    /// Factor on `rest`: at least ‖x̃‖.
    pub beta: Vec<f32>,
    /// A latent whose value is surely below this is no candidate.
    pub threshold: Vec<f32>,
}

impl CoarseRows {
    /// Takes rows (`[n, d]`), filled up to a multiple of `tile` rows.
    pub fn take(&mut self, grain: Grain, rows: &[f32], d: usize, tile: usize) {
        let n = rows.len() / d;
        let all = n.next_multiple_of(tile);
        let words = d.div_ceil(grain.per_word());
        self.words.clear();
        self.words.resize(all * words, 0);
        for part in [&mut self.scale, &mut self.alpha, &mut self.beta, &mut self.threshold] {
            part.clear();
        }
        self.start.clear();
        for (row, words) in rows.chunks(d).zip(self.words.chunks_mut(words)) {
            let rounded = round(grain, 0, row, words);
            let size = rounded.norm + rounded.rest;
            let g = per_term(d);
            let alpha = (rounded.rest + g * size) * (1.0 + 1e-6);
            self.scale.push(rounded.scale);
            self.alpha.push(if size < HUGE { alpha } else { f32::INFINITY });
            self.beta.push(size * (1.0 + 1e-6 + 2.0 * g));
            self.threshold.push(0.0);
            self.start.push(match grain {
                Grain::Int8 => -128 * sum_of_bytes(words),
                Grain::Bf16 => 0,
            });
        }
        for part in [&mut self.scale, &mut self.alpha, &mut self.beta] {
            part.resize(all, 0.0);
        }
        self.start.resize(all, 0);
        self.threshold.resize(all, f32::INFINITY);
    }
}

fn sum_of_bytes(words: &[u32]) -> i32 {
    words
        .iter()
        .map(|word| word.to_le_bytes().map(|b| i32::from(b as i8)).iter().sum::<i32>())
        .sum()
}

#[derive(Debug, Clone, Copy)]
struct Rounded {
    scale: f32,
    /// At least ‖v‖.
    norm: f32,
    /// At least ‖v - ṽ‖.
    rest: f32,
}

/// Rounds `v` into `words`; integers are stored with `offset` added.
fn round(grain: Grain, offset: u8, v: &[f32], words: &mut [u32]) -> Rounded {
    let (scale, squares, left) = match grain {
        Grain::Int8 => round_int8(v, offset, words),
        Grain::Bf16 => round_bf16(v, words),
    };
    // Sums of squares in f32, and squares too small for it.
    let d = v.len() as f32;
    let more = 1.0 + (d + 64.0) * 2.0f32.powi(-23);
    let tiny = d.sqrt() * 1e-18;
    let norm = squares.sqrt() * more + tiny;
    Rounded { scale, norm, rest: left.sqrt() * more + tiny + norm * 2.0f32.powi(-22) }
}

const LANES: usize = 64;

for_each_level! {
    /// Value of a step, Σ v², Σ (v - ṽ)².
    fn round_int8(v: &[f32], offset: u8, words: &mut [u32]) -> (f32, f32, f32) {
        // Added to a small number it leaves the nearest integer in the lowest bits.
        const MAGIC: f32 = 12_582_912.0;
        let mut greatest = [0.0f32; LANES];
        for v in v.chunks(LANES) {
            for (g, v) in greatest.iter_mut().zip(v) {
                *g = if v.abs() > *g { v.abs() } else { *g };
            }
        }
        let greatest = greatest.iter().fold(0.0, |a: f32, b| a.max(*b));
        let usual = greatest > 1e-30 && greatest < 1e30;
        let (scale, inverse) = if usual { (greatest / 127.0, 127.0 / greatest) } else { (0.0, 0.0) };
        let (mut squares, mut left) = ([0.0f32; LANES], [0.0f32; LANES]);
        for (v, words) in v.chunks(LANES).zip(words.chunks_mut(LANES / 4)) {
            let mut x = [0.0f32; LANES];
            x[..v.len()].copy_from_slice(v);
            let mut bytes = [0u8; LANES];
            for i in 0..LANES {
                let moved = x[i] * inverse + MAGIC;
                let e = madd::<FUSED>(MAGIC - moved, scale, x[i]);
                squares[i] = madd::<FUSED>(x[i], x[i], squares[i]);
                left[i] = madd::<FUSED>(e, e, left[i]);
                bytes[i] = (moved.to_bits() as u8).wrapping_add(offset);
            }
            for (word, b) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *word = u32::from_le_bytes(*b);
            }
        }
        (scale, squares.iter().sum(), left.iter().sum())
    }
}

for_each_level! {
    /// 1, Σ v², Σ (v - ṽ)².
    fn round_bf16(v: &[f32], words: &mut [u32]) -> (f32, f32, f32) {
        let (mut squares, mut left) = ([0.0f32; LANES], [0.0f32; LANES]);
        for (v, words) in v.chunks(LANES).zip(words.chunks_mut(LANES / 2)) {
            let mut x = [0.0f32; LANES];
            x[..v.len()].copy_from_slice(v);
            let mut codes = [0u32; LANES];
            for i in 0..LANES {
                let bits = x[i].to_bits();
                let even = bits.wrapping_add(0x7fff).wrapping_add((bits >> 16) & 1) & 0xffff_0000;
                // The product takes numbers below the normal ones for zero.
                let even = if x[i].abs() < f32::MIN_POSITIVE { 0 } else { even };
                let e = x[i] - f32::from_bits(even);
                squares[i] = madd::<FUSED>(x[i], x[i], squares[i]);
                left[i] = madd::<FUSED>(e, e, left[i]);
                codes[i] = even;
            }
            for (word, c) in words.iter_mut().zip(codes.as_chunks::<2>().0) {
                *word = c[0] >> 16 | c[1];
            }
        }
        (1.0, squares.iter().sum(), left.iter().sum())
    }
}
