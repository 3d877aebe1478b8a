//! The coarse product of one tile, and which of its latents may be candidates.

use super::coarse::{Coarse, CoarseRows, Grain, PANEL, Terms};
use super::packed::TILE_ROWS;

/// Vector registers of a panel.
#[cfg(target_arch = "x86_64")]
const VECTORS: usize = PANEL / 16;

/// What a tile found: for each row a bit for each latent whose value may reach the row's
/// threshold, and for these the bounds of the value. Other places hold anything.
#[derive(Debug)]
pub(super) struct Found {
    pub mask: [u64; TILE_ROWS],
    pub low: [f32; TILE_ROWS * PANEL],
    pub high: [f32; TILE_ROWS * PANEL],
}

impl Found {
    pub fn new() -> Self {
        Self { mask: [0; TILE_ROWS], low: [0.0; TILE_ROWS * PANEL], high: [0.0; TILE_ROWS * PANEL] }
    }
}

impl Coarse {
    /// Panel `p` for the eight rows from `at` on.
    #[allow(unsafe_code)]
    pub(super) fn tile(&self, p: usize, rows: &CoarseRows, at: usize, found: &mut Found) {
        let words = self.words();
        let data = &self.data[p * PANEL * words..][..PANEL * words];
        let x = &rows.words[at * words..][..TILE_ROWS * words];
        let terms = &self.terms[p];
        let _: [&[f32]; 4] =
            [&rows.scale, &rows.alpha, &rows.beta, &rows.threshold].map(|v| &v[at..at + TILE_ROWS]);
        match self.grain {
            // SAFETY: the machine has the features. `data` is PANEL * words long, `x` TILE_ROWS *
            // words, and every row of the tile is in `rows` (all asserted by slicing above).
            #[cfg(target_arch = "x86_64")]
            Grain::Int8 if self.grain.is_fast() => unsafe {
                tile_int8(words, data, x, terms, rows, at, found);
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Grain::Bf16 if self.grain.is_fast() => unsafe {
                tile_bf16(words, data, x, terms, rows, at, found);
            },
            grain => tile_portable(grain, words, data, x, terms, rows, at, found),
        }
    }
}

/// The obvious form: what the fast ones are tested against.
pub(super) fn tile_portable(
    grain: Grain,
    words: usize,
    data: &[u32],
    x: &[u32],
    terms: &Terms,
    rows: &CoarseRows,
    at: usize,
    found: &mut Found,
) {
    for r in 0..TILE_ROWS {
        let x = &x[r * words..][..words];
        found.mask[r] = 0;
        for j in 0..PANEL {
            let pairs = x.iter().enumerate().map(|(c, x)| (*x, data[c * PANEL + j]));
            let value = match grain {
                Grain::Int8 => {
                    let product = |(x, w): (u32, u32)| -> i32 {
                        let products = x.to_le_bytes().into_iter().zip(w.to_le_bytes());
                        products.map(|(x, w)| i32::from(x as i8) * i32::from(w)).sum()
                    };
                    let sum = pairs.fold(rows.start[at + r], |sum, p| sum + product(p));
                    sum as f32 * (terms.scale[j] * rows.scale[at + r]) + terms.bias[j]
                }
                Grain::Bf16 => {
                    let low = |v: u32| f32::from_bits(v << 16);
                    let high = |v: u32| f32::from_bits(v & 0xffff_0000);
                    pairs.fold(terms.bias[j], |sum, (x, w)| {
                        sum + high(x) * high(w) + low(x) * low(w)
                    })
                }
            };
            let bound = rows.alpha[at + r] * terms.norm[j]
                + (rows.beta[at + r] * terms.rest[j] + terms.slack[j]);
            let high = value + bound;
            found.low[r * PANEL + j] = value - bound;
            found.high[r * PANEL + j] = high;
            // What is no number passes.
            let below = high < rows.threshold[at + r];
            found.mask[r] |= u64::from(!below) << j;
        }
    }
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _CMP_NLT_UQ, _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps,
    _mm512_dpbf16_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_storeu_ps, _mm512_sub_ps,
};

/// Bounds of sixteen values, and which of them may reach the threshold.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
#[allow(unsafe_code)]
unsafe fn judge(
    value: __m512,
    terms: &Terms,
    rows: &CoarseRows,
    at: usize,
    r: usize,
    v: usize,
    found: &mut Found,
) {
    // SAFETY: the caller vouches for `at + r` being a row of `rows`; r < TILE_ROWS, v < VECTORS.
    unsafe {
        let row = |part: &[f32]| _mm512_set1_ps(*part.get_unchecked(at + r));
        let term = |part: &[f32; PANEL]| _mm512_loadu_ps(part.as_ptr().add(16 * v));
        let fixed = _mm512_fmadd_ps(row(&rows.beta), term(&terms.rest), term(&terms.slack));
        let bound = _mm512_fmadd_ps(row(&rows.alpha), term(&terms.norm), fixed);
        let high = _mm512_add_ps(value, bound);
        let mask = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(high, row(&rows.threshold));
        if mask != 0 {
            found.mask[r] |= u64::from(mask) << (16 * v);
            let place = PANEL * r + 16 * v;
            _mm512_storeu_ps(found.high.as_mut_ptr().add(place), high);
            _mm512_storeu_ps(found.low.as_mut_ptr().add(place), _mm512_sub_ps(value, bound));
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[allow(unsafe_code)]
unsafe fn tile_int8(
    words: usize,
    data: &[u32],
    x: &[u32],
    terms: &Terms,
    rows: &CoarseRows,
    at: usize,
    found: &mut Found,
) {
    found.mask = [0; TILE_ROWS];
    // SAFETY: the caller vouches for the lengths; every access stays below PANEL * words,
    // TILE_ROWS * words, and within the tile's rows.
    unsafe {
        let mut sums = [[_mm512_set1_epi32(0); VECTORS]; TILE_ROWS];
        for (r, sums) in sums.iter_mut().enumerate() {
            *sums = [_mm512_set1_epi32(*rows.start.get_unchecked(at + r)); VECTORS];
        }
        let (data, x) = (data.as_ptr(), x.as_ptr());
        for c in 0..words {
            let w = load_panel(data.add(PANEL * c));
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = _mm512_set1_epi32(*x.add(r * words + c) as i32);
                for v in 0..VECTORS {
                    sums[v] = _mm512_dpbusd_epi32(sums[v], w[v], x);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            let step = _mm512_set1_ps(*rows.scale.get_unchecked(at + r));
            for (v, sum) in sums.iter().enumerate() {
                let scale = _mm512_mul_ps(_mm512_loadu_ps(terms.scale.as_ptr().add(16 * v)), step);
                let bias = _mm512_loadu_ps(terms.bias.as_ptr().add(16 * v));
                let value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(*sum), scale, bias);
                judge(value, terms, rows, at, r, v, found);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
#[allow(unsafe_code)]
unsafe fn tile_bf16(
    words: usize,
    data: &[u32],
    x: &[u32],
    terms: &Terms,
    rows: &CoarseRows,
    at: usize,
    found: &mut Found,
) {
    found.mask = [0; TILE_ROWS];
    // SAFETY: as for `tile_int8`; registers of any content may be taken for bf16 numbers.
    unsafe {
        let bf16 = |v: __m512i| std::mem::transmute::<__m512i, __m512bh>(v);
        let mut sums = [[_mm512_set1_ps(0.0); VECTORS]; TILE_ROWS];
        for sums in &mut sums {
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = _mm512_loadu_ps(terms.bias.as_ptr().add(16 * v));
            }
        }
        let (data, x) = (data.as_ptr(), x.as_ptr());
        for c in 0..words {
            let w = load_panel(data.add(PANEL * c)).map(bf16);
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = bf16(_mm512_set1_epi32(*x.add(r * words + c) as i32));
                for v in 0..VECTORS {
                    sums[v] = _mm512_dpbf16_ps(sums[v], w[v], x);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                judge(*sum, terms, rows, at, r, v, found);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
#[allow(unsafe_code)]
unsafe fn load_panel(at: *const u32) -> [__m512i; VECTORS] {
    // SAFETY: the caller vouches for PANEL words from `at` on.
    unsafe {
        [
            _mm512_loadu_si512(at.cast()),
            _mm512_loadu_si512(at.add(16).cast()),
            _mm512_loadu_si512(at.add(32).cast()),
        ]
    }
}
