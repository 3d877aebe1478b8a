//! Exact pre-activations of a few latents of one row, with the very bits that the tiles of
//! [`super::packed`] give: bias first, then the coordinates in order.

use super::simd::{Level, madd};
use crate::sae::Matrix;

/// `out[i] = W_enc[index[i]] x + b_enc[index[i]]`.
#[allow(unsafe_code)]
pub(super) fn rescore(
    encoder: &Matrix,
    b_enc: &[f32],
    x: &[f32],
    index: &[u32],
    out: &mut Vec<f32>,
) {
    out.clear();
    match Level::of_machine() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => {
            out.resize(index.len(), 0.0);
            for (index, out) in index.chunks(16).zip(out.chunks_mut(16)) {
                // SAFETY: the machine has AVX-512 (the level says so).
                unsafe { rescore_avx512(encoder, b_enc, x, index, out) };
            }
        }
        Level::Portable => each::<false>(encoder, b_enc, x, index, out),
        _ => each::<true>(encoder, b_enc, x, index, out),
    }
}

/// The obvious form.
pub(super) fn each<const FUSED: bool>(
    encoder: &Matrix,
    b_enc: &[f32],
    x: &[f32],
    index: &[u32],
    out: &mut Vec<f32>,
) {
    out.extend(index.iter().map(|i| {
        let row = encoder.row(*i as usize).iter().zip(x);
        row.fold(b_enc[*i as usize], |sum, (w, x)| madd::<FUSED>(*w, *x, sum))
    }));
}

/// Up to sixteen latents, one a lane: their encoder rows are turned sixteen coordinates at a time.
///
/// Of each row a whole cache line is read at once: rows whose length is a power of two all want
/// the same few places of the first cache, and what is left there for later is gone by then.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
#[allow(unsafe_code)]
unsafe fn rescore_avx512(
    encoder: &Matrix,
    b_enc: &[f32],
    x: &[f32],
    index: &[u32],
    out: &mut [f32],
) {
    use std::arch::x86_64::{
        _MM_HINT_T1, _mm_prefetch, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_maskz_loadu_ps,
        _mm512_set1_ps, _mm512_storeu_ps,
    };
    /// How far ahead a row is asked for.
    const AHEAD: usize = 64;
    let d = encoder.cols();
    assert!(x.len() == d);
    let latent = |lane: usize| index[lane.min(index.len() - 1)] as usize;
    let rows: [&[f32]; 16] = std::array::from_fn(|lane| encoder.row(latent(lane)));
    let biases: [f32; 16] = std::array::from_fn(|lane| b_enc[latent(lane)]);
    let rows = rows.map(<[f32]>::as_ptr);
    // SAFETY: every row is d long, and no read goes further. A prefetch may be of anything.
    unsafe {
        for row in rows {
            for line in (0..AHEAD).step_by(16) {
                _mm_prefetch::<_MM_HINT_T1>(row.wrapping_add(line).cast());
            }
        }
        let mut sums = _mm512_loadu_ps(biases.as_ptr());
        let whole = d / 16 * 16;
        for c in (0..whole).step_by(16) {
            let w = turned(std::array::from_fn(|r| {
                _mm_prefetch::<_MM_HINT_T1>(rows[r].wrapping_add(c + AHEAD).cast());
                _mm512_loadu_ps(rows[r].add(c))
            }));
            for (i, w) in w.into_iter().enumerate() {
                sums = _mm512_fmadd_ps(w, _mm512_set1_ps(*x.get_unchecked(c + i)), sums);
            }
        }
        if whole < d {
            let mask = (1u16 << (d - whole)) - 1;
            let w =
                turned(std::array::from_fn(|r| _mm512_maskz_loadu_ps(mask, rows[r].add(whole))));
            for (w, x) in w.into_iter().zip(&x[whole..]) {
                sums = _mm512_fmadd_ps(w, _mm512_set1_ps(*x), sums);
            }
        }
        let mut all = [0.0f32; 16];
        _mm512_storeu_ps(all.as_mut_ptr(), sums);
        out.copy_from_slice(&all[..out.len()]);
    }
}

/// The transpose of a 16 x 16 matrix.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn turned(rows: [std::arch::x86_64::__m512; 16]) -> [std::arch::x86_64::__m512; 16] {
    use std::arch::x86_64::{
        _mm512_castpd_ps as ps, _mm512_castps_pd as pd, _mm512_shuffle_f32x4 as lanes,
        _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
    };
    let mut out = rows;
    for i in 0..4 {
        let [a, b, c, d] = [rows[4 * i], rows[4 * i + 1], rows[4 * i + 2], rows[4 * i + 3]];
        let (ab, cd) = (pd(_mm512_unpacklo_ps(a, b)), pd(_mm512_unpacklo_ps(c, d)));
        out[4 * i] = ps(_mm512_unpacklo_pd(ab, cd));
        out[4 * i + 1] = ps(_mm512_unpackhi_pd(ab, cd));
        let (ab, cd) = (pd(_mm512_unpackhi_ps(a, b)), pd(_mm512_unpackhi_ps(c, d)));
        out[4 * i + 2] = ps(_mm512_unpacklo_pd(ab, cd));
        out[4 * i + 3] = ps(_mm512_unpackhi_pd(ab, cd));
    }
    // Now lane l of `out[4 i + j]` is coordinate 4 l + j of rows 4 i to 4 i + 3.
    let turned = out;
    for j in 0..4 {
        let [a, b, c, d] = [turned[j], turned[4 + j], turned[8 + j], turned[12 + j]];
        let (even, even_too) = (lanes::<0x88>(a, b), lanes::<0x88>(c, d));
        let (odd, odd_too) = (lanes::<0xdd>(a, b), lanes::<0xdd>(c, d));
        out[j] = lanes::<0x88>(even, even_too);
        out[4 + j] = lanes::<0x88>(odd, odd_too);
        out[8 + j] = lanes::<0xdd>(even, even_too);
        out[12 + j] = lanes::<0xdd>(odd, odd_too);
    }
    out
}
