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
            for (index, out) in index.chunks(32).zip(out.chunks_mut(32)) {
                // SAFETY: the machine has AVX-512 (the level says so).
                unsafe {
                    if index.len() > 16 {
                        rescore_avx512::<2>(encoder, b_enc, x, index, out);
                    } else {
                        rescore_avx512::<1>(encoder, b_enc, x, index, out);
                    }
                }
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

/// Up to `16 G` latents, one a lane: their encoder rows are turned four coordinates at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
#[allow(unsafe_code)]
unsafe fn rescore_avx512<const G: usize>(
    encoder: &Matrix,
    b_enc: &[f32],
    x: &[f32],
    index: &[u32],
    out: &mut [f32],
) {
    use std::arch::x86_64::{
        _MM_HINT_T0, _mm_loadu_ps, _mm_prefetch, _mm512_castpd_ps, _mm512_castps_pd,
        _mm512_castps128_ps512, _mm512_fmadd_ps, _mm512_insertf32x4, _mm512_loadu_ps,
        _mm512_set1_ps, _mm512_shuffle_pd, _mm512_storeu_ps, _mm512_unpackhi_ps,
        _mm512_unpacklo_ps,
    };
    /// Numbers of a cache line, and how far ahead a row is asked for.
    const LINE: usize = 16;
    const AHEAD: usize = 4 * LINE;
    let d = encoder.cols();
    let latent = |lane: usize| index[lane.min(index.len() - 1)] as usize;
    let mut rows = [[std::ptr::null::<f32>(); 16]; G];
    let mut sums = [[0.0f32; 16]; G];
    for (g, (rows, sums)) in rows.iter_mut().zip(&mut sums).enumerate() {
        for lane in 0..16 {
            let row = encoder.row(latent(16 * g + lane));
            assert!(row.len() == d && x.len() == d);
            rows[lane] = row.as_ptr();
            sums[lane] = b_enc[latent(16 * g + lane)];
        }
    }
    let whole = d / 4 * 4;
    // SAFETY: every row is d long; reads go up to `whole` <= d. A prefetch may be of anything.
    unsafe {
        let mut lanes = [_mm512_set1_ps(0.0); G];
        for g in 0..G {
            lanes[g] = _mm512_loadu_ps(sums[g].as_ptr());
            for row in rows[g] {
                for line in 0..AHEAD / LINE {
                    _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(line * LINE).cast());
                }
            }
        }
        for c in (0..whole).step_by(4) {
            if c % LINE == 0 {
                for row in rows.iter().flatten() {
                    _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(c + AHEAD).cast());
                }
            }
            let x: [_; 4] = std::array::from_fn(|i| _mm512_set1_ps(*x.get_unchecked(c + i)));
            for g in 0..G {
                // Lane 4 l + e of the four vectors is row 4 l + e.
                let of = |e: usize| {
                    let part = |l: usize| _mm_loadu_ps(rows[g][4 * l + e].add(c));
                    let all = _mm512_castps128_ps512(part(0));
                    let all = _mm512_insertf32x4::<1>(all, part(1));
                    let all = _mm512_insertf32x4::<2>(all, part(2));
                    _mm512_insertf32x4::<3>(all, part(3))
                };
                let (r0, r1, r2, r3) = (of(0), of(1), of(2), of(3));
                let low01 = _mm512_castps_pd(_mm512_unpacklo_ps(r0, r1));
                let high01 = _mm512_castps_pd(_mm512_unpackhi_ps(r0, r1));
                let low23 = _mm512_castps_pd(_mm512_unpacklo_ps(r2, r3));
                let high23 = _mm512_castps_pd(_mm512_unpackhi_ps(r2, r3));
                let w0 = _mm512_castpd_ps(_mm512_shuffle_pd::<0x00>(low01, low23));
                let w1 = _mm512_castpd_ps(_mm512_shuffle_pd::<0xff>(low01, low23));
                let w2 = _mm512_castpd_ps(_mm512_shuffle_pd::<0x00>(high01, high23));
                let w3 = _mm512_castpd_ps(_mm512_shuffle_pd::<0xff>(high01, high23));
                let sum = _mm512_fmadd_ps(w0, x[0], lanes[g]);
                let sum = _mm512_fmadd_ps(w1, x[1], sum);
                let sum = _mm512_fmadd_ps(w2, x[2], sum);
                lanes[g] = _mm512_fmadd_ps(w3, x[3], sum);
            }
        }
        for g in 0..G {
            _mm512_storeu_ps(sums[g].as_mut_ptr(), lanes[g]);
        }
    }
    for (lane, out) in out.iter_mut().enumerate() {
        let row = encoder.row(latent(lane));
        let rest = row[whole..].iter().zip(&x[whole..]);
        *out = rest.fold(sums[lane / 16][lane % 16], |sum, (w, x)| w.mul_add(*x, sum));
    }
}
