//! The coarse way to the greatest latents gives the bits of the exact one, whatever it is fed.

use super::coarse::{CoarseRows, PANEL};
use super::coarse_tile::{Found, tile_portable};
use super::packed::TILE_ROWS;
use super::*;
use crate::sae::{Latents, Matrix};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const GRAINS: [Grain; 2] = [Grain::Int8, Grain::Bf16];

/// How numbers are drawn.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Normal,
    /// One coordinate is a thousand times the others.
    Outlier,
    /// Few distinct values: ties abound.
    Few,
    /// All rows but a few alike, or different in the last bit only.
    Near,
    Scaled(i32),
    Zero,
    /// Of every magnitude at once, numbers below the normal ones among them.
    Wild,
    /// Some NaN, some infinities.
    Broken,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Normal),
        2 => Just(Kind::Outlier),
        2 => Just(Kind::Few),
        2 => Just(Kind::Near),
        2 => (-126..126).prop_map(Kind::Scaled),
        1 => Just(Kind::Zero),
        2 => Just(Kind::Wild),
        1 => Just(Kind::Broken),
    ]
}

fn numbers(kind: Kind, rng: &mut ChaCha8Rng, rows: usize, d: usize) -> Vec<f32> {
    let mut normal =
        |n: usize| -> Vec<f32> { (0..n).map(|_| rng.sample(StandardNormal)).collect() };
    let mut v = normal(rows * d);
    match kind {
        Kind::Normal => {}
        Kind::Outlier => v.chunks_mut(d).for_each(|row| row[d / 2] *= 1000.0),
        Kind::Few => v.iter_mut().for_each(|v| *v = v.round()),
        Kind::Near => {
            let first = v[..d].to_vec();
            for row in v.chunks_mut(d) {
                let last_bit = row[0] > 0.5;
                row.copy_from_slice(&first);
                if last_bit {
                    row[0] = f32::from_bits(row[0].to_bits() ^ 1);
                }
            }
        }
        Kind::Scaled(by) => v.iter_mut().for_each(|v| *v *= 2.0f32.powi(by)),
        Kind::Zero => v.fill(0.0),
        Kind::Wild => {
            for v in &mut v {
                *v *= 2.0f32.powi(rng.random_range(-140..100));
            }
        }
        Kind::Broken => {
            for v in &mut v {
                *v = match rng.random_range(0..100) {
                    0 => f32::NAN,
                    1 => f32::INFINITY,
                    2 => f32::NEG_INFINITY,
                    3 => f32::MAX,
                    _ => *v,
                };
            }
        }
    }
    v
}

fn go_on() -> Result<()> {
    Ok(())
}

fn bits(latents: &Latents) -> (&[usize], &[u32], Vec<u32>) {
    let value = latents.value.iter().map(|v| v.to_bits()).collect();
    (&latents.row_start, &latents.index, value)
}

fn exact(rows: &[f32], encoder: &Matrix, b_enc: &[f32], k: usize) -> Latents {
    let mut packed = Packed::new();
    packed.pack(encoder, b_enc, None);
    let (memory, mut out) = (&mut Encoding::default(), Latents::new(encoder.rows()));
    encode(rows, &packed, None, Select::TopK(k), memory, &mut out, &go_on).unwrap();
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_coarse_way_gives_the_bits_of_the_exact_one(
        (weights, biases, inputs) in (kind(), kind(), kind()),
        (m, d, n, k) in (1usize..400, 1usize..90, 1usize..30, 1usize..50),
        seed in any::<u64>(),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let encoder = Matrix::new(m, d, numbers(weights, &mut rng, m, d)).unwrap();
        let b_enc = numbers(biases, &mut rng, m, 1);
        let rows = numbers(inputs, &mut rng, n, d);
        let want = exact(&rows, &encoder, &b_enc, k);
        for grain in GRAINS {
            let mut coarse = Coarse::new(grain);
            coarse.pack(grain, &encoder, &b_enc);
            let (memory, mut got) = (&mut TopEncoding::default(), Latents::new(m));
            let found =
                encode_top(&rows, &encoder, &b_enc, &coarse, k, memory, &mut got, &go_on).unwrap();
            prop_assert_eq!(bits(&got), bits(&want), "{:?}", grain);
            prop_assert!(found >= want.len());
            let bound = want.value.iter().copied().fold(f32::NAN, f32::min).max(0.0);
            let mut above = Latents::new(m);
            encode_top::encode_above(
                &rows, &encoder, &b_enc, &coarse, bound, memory, &mut above, &go_on,
            )
            .unwrap();
            let mut packed = Packed::new();
            packed.pack(&encoder, &b_enc, None);
            let mut all = Latents::new(m);
            let make = || Above::new(Bound::All(bound));
            sift(&rows, &packed, None, make, &mut all, &go_on).unwrap();
            prop_assert_eq!(bits(&above), bits(&all), "{:?}", grain);
            // Memory that has been used does not show.
            encode_top(&rows, &encoder, &b_enc, &coarse, k, memory, &mut got, &go_on).unwrap();
            prop_assert_eq!(bits(&got), bits(&want), "{:?}", grain);
        }
    }

    #[test]
    fn exact_values_lie_between_the_bounds(
        (weights, biases, inputs) in (kind(), kind(), kind()),
        d in 1usize..200,
        seed in any::<u64>(),
    ) {
        let m = PANEL;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let encoder = Matrix::new(m, d, numbers(weights, &mut rng, m, d)).unwrap();
        let b_enc = numbers(biases, &mut rng, m, 1);
        let x = numbers(inputs, &mut rng, TILE_ROWS, d);
        let all: Vec<u32> = (0..m as u32).collect();
        for grain in GRAINS {
            let mut coarse = Coarse::new(grain);
            coarse.pack(grain, &encoder, &b_enc);
            let mut rows = CoarseRows::default();
            rows.take(grain, &x, d, TILE_ROWS);
            rows.threshold.fill(f32::NEG_INFINITY);
            let (mut fast, mut slow) = (Found::new(), Found::new());
            coarse.tile(0, &rows, 0, &mut fast);
            let words = coarse.words();
            let terms = &coarse.terms[0];
            tile_portable(grain, words, &coarse.data, &rows.words, terms, &rows, 0, &mut slow);
            for found in [&fast, &slow] {
                for (r, x) in x.chunks(d).enumerate() {
                    prop_assert_eq!(found.mask[r], u64::MAX >> (64 - PANEL));
                    let mut value = Vec::new();
                    rescore::rescore(&encoder, &b_enc, x, &all, &mut value);
                    for (j, v) in value.iter().enumerate() {
                        let (low, high) = (found.low[r * PANEL + j], found.high[r * PANEL + j]);
                        let outside = low > *v || high < *v;
                        prop_assert!(!outside, "{:?}: {} is not in {}..{}", grain, v, low, high);
                        let open = low.is_nan() || high.is_nan() || low == f32::NEG_INFINITY;
                        prop_assert!(open || v.is_finite(), "{:?}: {} bounded", grain, v);
                    }
                }
            }
        }
    }

    #[test]
    fn a_few_latents_are_computed_as_in_a_tile(
        (m, d, count) in (1usize..100, 1usize..70, 0usize..70),
        seed in any::<u64>(),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let encoder = Matrix::new(m, d, numbers(Kind::Normal, &mut rng, m, d)).unwrap();
        let b_enc = numbers(Kind::Normal, &mut rng, m, 1);
        let x = numbers(Kind::Normal, &mut rng, 1, d);
        let some: Vec<u32> = (0..count).map(|_| rng.random_range(0..m as u32)).collect();
        let (mut got, mut want) = (Vec::new(), Vec::new());
        rescore::rescore(&encoder, &b_enc, &x, &some, &mut got);
        if Level::of_machine() == Level::Portable {
            rescore::each::<false>(&encoder, &b_enc, &x, &some, &mut want);
        } else {
            rescore::each::<true>(&encoder, &b_enc, &x, &some, &mut want);
        }
        prop_assert_eq!(&got, &want);
        let all = exact(&x, &encoder, &b_enc, m);
        for (i, v) in some.iter().zip(&got).filter(|(_, v)| **v > 0.0) {
            prop_assert_eq!(all.get(0, *i).to_bits(), v.to_bits());
        }
    }
}

#[test]
fn on_ordinary_numbers_few_latents_are_computed_exactly() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let (m, d, n, k) = (4096, 256, 200, 16);
    let encoder = Matrix::new(m, d, numbers(Kind::Normal, &mut rng, m, d)).unwrap();
    let b_enc = numbers(Kind::Normal, &mut rng, m, 1);
    let rows = numbers(Kind::Normal, &mut rng, n, d);
    let want = exact(&rows, &encoder, &b_enc, k);
    for (grain, most) in [(Grain::Int8, 4 * k), (Grain::Bf16, 2 * k)] {
        let mut coarse = Coarse::new(grain);
        coarse.pack(grain, &encoder, &b_enc);
        let (memory, mut got) = (&mut TopEncoding::default(), Latents::new(m));
        let found =
            encode_top(&rows, &encoder, &b_enc, &coarse, k, memory, &mut got, &go_on).unwrap();
        assert_eq!(bits(&got), bits(&want));
        assert!(found < most * n, "{grain:?}: {found}");
    }
}

#[test]
fn stopping_the_search_is_heard() {
    let encoder = Matrix::zeros(64, 4);
    let b_enc = [0.0; 64];
    let mut coarse = Coarse::new(Grain::Int8);
    coarse.pack(Grain::Int8, &encoder, &b_enc);
    let stop = || Err(crate::Error::cancelled("test"));
    let (memory, mut out) = (&mut TopEncoding::default(), Latents::new(64));
    let error = encode_top(&[0.0; 40], &encoder, &b_enc, &coarse, 3, memory, &mut out, &stop);
    assert!(error.unwrap_err().is_cancelled());
}
