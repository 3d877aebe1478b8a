//! The encoder packed for the product, and the product of one tile.

use super::prefer_large;
use super::simd::{Level, madd};
use crate::sae::Matrix;
use rayon::prelude::*;

/// Rows of a tile.
pub(super) const TILE_ROWS: usize = 8;

/// Widest panel of any level.
pub(super) const MAX_PANEL: usize = 48;

/// Encoder rows cut into panels of neighbouring latents; within a panel the latents of one
/// input coordinate lie side by side, so that a vector register holds several latents.
///
/// A tile is a panel times [`TILE_ROWS`] activation rows. Each of its sums runs over the
/// coordinates in order, in one register: it does not depend on which rows share the tile.
#[derive(Debug)]
pub struct Packed {
    level: Level,
    latents: usize,
    width: usize,
    /// Panel after panel, `[width][panel]` each, the last one filled up with zeros.
    data: Vec<f32>,
    bias: Vec<f32>,
}

impl Packed {
    /// Nothing yet, for this machine.
    pub fn new() -> Self {
        Self::for_level(Level::of_machine())
    }

    pub(super) fn for_level(level: Level) -> Self {
        Self { level, latents: 0, width: 0, data: Vec::new(), bias: Vec::new() }
    }

    /// Number of latents.
    pub(super) fn latents(&self) -> usize {
        self.latents
    }

    /// Width d of the activations.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Latents of a panel.
    pub(super) fn panel(&self) -> usize {
        if self.level == Level::Avx512 { 48 } else { 16 }
    }

    /// Number of panels.
    pub(super) fn panels(&self) -> usize {
        self.latents.div_ceil(self.panel())
    }

    /// Packs the encoder, or of it the rows `only`, in this order.
    pub fn pack(&mut self, encoder: &Matrix, b_enc: &[f32], only: Option<&[u32]>) {
        let (d, panel) = (encoder.cols(), self.panel());
        self.width = d;
        self.latents = only.map_or(encoder.rows(), <[u32]>::len);
        let padded = self.panels() * panel;
        if self.data.len() != padded * d {
            self.data.resize(padded * d, 0.0);
            prefer_large(&self.data);
        }
        self.bias.resize(padded, 0.0);
        let row = |i: usize| only.map_or(i, |only| only[i] as usize);
        let latents = self.latents;
        let bias = self.bias.par_chunks_mut(panel);
        self.data.par_chunks_mut(panel * d).zip(bias).enumerate().for_each(|(p, (data, bias))| {
            for j in 0..panel {
                let i = p * panel + j;
                if i < latents {
                    bias[j] = b_enc[row(i)];
                    let weights = encoder.row(row(i));
                    weights.iter().enumerate().for_each(|(c, w)| data[c * panel + j] = *w);
                } else {
                    bias[j] = 0.0;
                    (0..d).for_each(|c| data[c * panel + j] = 0.0);
                }
            }
        });
    }

    /// Pre-activations of panel `p` for the first `live` of eight rows (`[8, d]`), at least for these:
    /// `out[r * panel + j]`.
    #[allow(unsafe_code)]
    pub(super) fn tile(
        &self,
        p: usize,
        rows: &[f32],
        live: usize,
        out: &mut [f32; TILE_ROWS * MAX_PANEL],
    ) {
        let (d, panel) = (self.width, self.panel());
        let data = &self.data[p * panel * d..][..panel * d];
        let bias = &self.bias[p * panel..][..panel];
        assert!(rows.len() == TILE_ROWS * d);
        match self.level {
            // SAFETY: the machine has AVX-512 (the level says so), `data` is 48 * d long, `rows`
            // 8 * d, `bias` 48, `out` 8 * 48.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe {
                match live {
                    // One position at a time is how a text is written.
                    1 => tile_avx512::<1>(d, data, bias, rows, out),
                    2 => tile_avx512::<2>(d, data, bias, rows, out),
                    _ => tile_avx512::<TILE_ROWS>(d, data, bias, rows, out),
                }
            },
            // SAFETY: the machine has AVX2 and FMA (the level says so).
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { tile_avx2(d, data, bias, rows, live, out) },
            _ => tile_of_16::<false>(d, data, bias, rows, live, out),
        }
    }
}

impl Default for Packed {
    fn default() -> Self {
        Self::new()
    }
}

/// `R` rows, at most eight, times 48 latents: of eight, 24 of the 32 vector registers hold sums.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[allow(unsafe_code)]
unsafe fn tile_avx512<const R: usize>(
    d: usize,
    data: &[f32],
    bias: &[f32],
    rows: &[f32],
    out: &mut [f32; TILE_ROWS * MAX_PANEL],
) {
    use std::arch::x86_64::{
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };
    let mut sums = [[_mm512_setzero_ps(); 3]; R];
    // SAFETY: the caller vouches for the lengths; every access stays below 48 * d, 8 * d, 48
    // and 8 * 48 elements respectively.
    unsafe {
        let bias = bias.as_ptr();
        for row in &mut sums {
            for (v, sum) in row.iter_mut().enumerate() {
                *sum = _mm512_loadu_ps(bias.add(16 * v));
            }
        }
        let (data, rows) = (data.as_ptr(), rows.as_ptr());
        for c in 0..d {
            let at = data.add(48 * c);
            let w = [_mm512_loadu_ps(at), _mm512_loadu_ps(at.add(16)), _mm512_loadu_ps(at.add(32))];
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = _mm512_set1_ps(*rows.add(r * d + c));
                for v in 0..3 {
                    sums[v] = _mm512_fmadd_ps(w[v], x, sums[v]);
                }
            }
        }
        for (r, row) in sums.iter().enumerate() {
            for (v, sum) in row.iter().enumerate() {
                _mm512_storeu_ps(out.as_mut_ptr().add(48 * r + 16 * v), *sum);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn tile_avx2(
    d: usize,
    data: &[f32],
    bias: &[f32],
    rows: &[f32],
    live: usize,
    out: &mut [f32; TILE_ROWS * MAX_PANEL],
) {
    tile_of_16::<true>(d, data, bias, rows, live, out);
}

/// Eight rows times 16 latents, four rows at a time: eight 256-bit registers of sums.
#[inline(always)]
fn tile_of_16<const FUSED: bool>(
    d: usize,
    data: &[f32],
    bias: &[f32],
    rows: &[f32],
    live: usize,
    out: &mut [f32; TILE_ROWS * MAX_PANEL],
) {
    if live == 1 {
        return rows_of_16::<FUSED, 1>(d, data, bias, rows, 0, out);
    }
    for first in (0..live.min(TILE_ROWS)).step_by(4) {
        rows_of_16::<FUSED, 4>(d, data, bias, rows, first, out);
    }
}

/// `R` rows from `first` on times 16 latents.
#[inline(always)]
fn rows_of_16<const FUSED: bool, const R: usize>(
    d: usize,
    data: &[f32],
    bias: &[f32],
    rows: &[f32],
    first: usize,
    out: &mut [f32; TILE_ROWS * MAX_PANEL],
) {
    let (weights, _) = data.as_chunks::<16>();
    let x: [&[f32]; R] = std::array::from_fn(|r| &rows[(first + r) * d..][..d]);
    let mut sums = [[0.0f32; 16]; R];
    sums.iter_mut().for_each(|sum| sum.copy_from_slice(bias));
    for (c, w) in weights[..d].iter().enumerate() {
        for (sum, x) in sums.iter_mut().zip(x) {
            for j in 0..16 {
                sum[j] = madd::<FUSED>(w[j], x[c], sum[j]);
            }
        }
    }
    for (r, sum) in sums.iter().enumerate() {
        out[(first + r) * 16..][..16].copy_from_slice(sum);
    }
}
