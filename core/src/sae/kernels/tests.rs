//! The fast kernels against their obvious forms, at every level this machine has.

use super::packed::Packed;
use super::*;
use crate::sae::{Latents, Matrix};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

fn normal(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.sample(StandardNormal)).collect()
}

fn go_on() -> Result<()> {
    Ok(())
}

fn levels() -> Vec<Level> {
    match Level::of_machine() {
        Level::Avx512 => vec![Level::Portable, Level::Avx2, Level::Avx512],
        Level::Avx2 => vec![Level::Portable, Level::Avx2],
        Level::Portable => vec![Level::Portable],
    }
}

fn near(a: &[f32], b: &[f32], limit: f32) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= limit * (1.0 + b.abs()), "{i}: {a} is not {b}");
    }
}

#[test]
fn encoding_equals_the_obvious_form() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (m, d, n) in [(1, 1, 1), (47, 3, 7), (48, 16, 8), (100, 33, 137), (513, 20, 300)] {
        let encoder = Matrix::new(m, d, normal(&mut rng, m * d)).unwrap();
        let bias = normal(&mut rng, m);
        let rows = normal(&mut rng, n * d);
        for select in
            [Select::Positive, Select::TopK(1), Select::TopK(m.div_ceil(3)), Select::TopK(m)]
        {
            let mut want = Latents::new(m);
            portable::encode(&rows, &encoder, &bias, select, &mut want);
            for level in levels() {
                let mut packed = Packed::for_level(level);
                packed.pack(&encoder, &bias, None);
                let mut got = Latents::new(m);
                let memory = &mut Encoding::default();
                encode(&rows, &packed, None, select, memory, &mut got, &go_on).unwrap();
                got.validate(m).unwrap();
                near(&got.to_dense(), &want.to_dense(), 1e-4);
            }
        }
    }
}

#[test]
fn a_row_is_encoded_alike_in_any_company_and_among_any_latents() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let (m, d, n) = (150, 24, 141);
    let encoder = Matrix::new(m, d, normal(&mut rng, m * d)).unwrap();
    let bias = normal(&mut rng, m);
    let rows = normal(&mut rng, n * d);
    let memory = &mut Encoding::default();
    let mut packed = Packed::new();
    packed.pack(&encoder, &bias, None);
    let (mut all, mut one) = (Latents::new(m), Latents::new(m));
    encode(&rows, &packed, None, Select::TopK(9), memory, &mut all, &go_on).unwrap();
    for (i, row) in rows.chunks(d).enumerate() {
        encode(row, &packed, None, Select::TopK(9), memory, &mut one, &go_on).unwrap();
        assert_eq!(all.row(i), one.row(0));
    }
    let only: Vec<u32> = (0..m as u32).filter(|i| i % 3 == 1).collect();
    let (mut part, mut whole) = (Latents::new(m), Latents::new(m));
    encode(&rows, &packed, None, Select::Positive, memory, &mut whole, &go_on).unwrap();
    packed.pack(&encoder, &bias, Some(&only));
    encode(&rows, &packed, Some(&only), Select::Positive, memory, &mut part, &go_on).unwrap();
    for r in 0..n {
        for i in &only {
            assert_eq!(part.get(r, *i).to_bits(), whole.get(r, *i).to_bits());
        }
        assert!(part.row(r).0.iter().all(|i| i % 3 == 1));
    }
}

#[test]
fn stopping_is_heard() {
    let encoder = Matrix::zeros(64, 4);
    let mut packed = Packed::new();
    packed.pack(&encoder, &[0.0; 64], None);
    let stop = || Err(crate::Error::cancelled("test"));
    let memory = &mut Encoding::default();
    let mut out = Latents::new(64);
    let error = encode(&[0.0; 40], &packed, None, Select::Positive, memory, &mut out, &stop);
    assert!(error.unwrap_err().is_cancelled());
}

/// Adam as the paper writes it, in f64, one number at a time.
fn adam_oracle(w: &mut f64, m: &mut f64, v: &mut f64, g: f64, k: &Adam) {
    *m = k.beta1 * *m + (1.0 - k.beta1) * g;
    *v = k.beta2 * *v + (1.0 - k.beta2) * g * g;
    let mean = *m / (1.0 - k.beta1.powf(k.step as f64));
    let square = *v / (1.0 - k.beta2.powf(k.step as f64));
    *w -= k.lr * mean / (square.sqrt() + k.eps);
}

#[test]
fn adam_equals_the_paper_with_and_without_gradients() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (m, d) = (70, 19);
    let mut weights = normal(&mut rng, m * d);
    let mut moments = Moments::new(m * d);
    let mut slow: Vec<[f64; 3]> = weights.iter().map(|w| [f64::from(*w), 0.0, 0.0]).collect();
    for step in 1..=300 {
        let gradient = Matrix::new(m, d, normal(&mut rng, m * d)).unwrap();
        // Few latents have a gradient, as in training; some go silent for good.
        let touched: Vec<bool> = (0..m)
            .map(|i| i % 7 != 0 && (step < 100 || i % 5 != 0) && rng.random_bool(0.3))
            .collect();
        let adam = Adam { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, step, scale: 0.7 };
        let slice = Slice { weights: &mut weights, moments: &mut moments };
        update_rows(d, slice, &gradient, &touched, &adam, false);
        for (i, [w, m, v]) in slow.iter_mut().enumerate() {
            let g = if touched[i / d] { 0.7 * f64::from(gradient.data()[i]) } else { 0.0 };
            adam_oracle(w, m, v, g, &adam);
        }
    }
    for (i, [w, ..]) in slow.iter().enumerate() {
        assert!((f64::from(weights[i]) - w).abs() < 1e-5, "{i}: {} is not {w}", weights[i]);
    }
}

#[test]
fn unit_rows_stay_unit_and_their_gradient_is_projected() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let (m, d) = (9, 21);
    let mut weights = normal(&mut rng, m * d);
    let mut moments = Moments::new(m * d);
    let adam = Adam { lr: 0.0, beta1: 0.0, beta2: 0.999, eps: 1e-8, step: 1, scale: 1.0 };
    let gradient = Matrix::new(m, d, normal(&mut rng, m * d)).unwrap();
    let before = weights.clone();
    let slice = Slice { weights: &mut weights, moments: &mut moments };
    update_rows(d, slice, &gradient, &[true; 9], &adam, true);
    for i in 0..m {
        let span = i * d..(i + 1) * d;
        // With beta1 = 0 the first moment is the gradient that Adam saw.
        let along = portable::dot(&moments.first[span.clone()], &before[span.clone()]);
        assert!(along.abs() < 1e-5, "{along}");
        let norm = portable::dot(&weights[span.clone()], &weights[span]);
        assert!((norm - 1.0).abs() < 1e-6, "{norm}");
    }
}

#[test]
fn variance_of_equal_rows_is_zero_however_large_they_are() {
    assert_eq!(variance(&[1e4, -3e3, 0.1].repeat(999), 3), 0.0);
    assert!((variance(&[1.0, 0.0, 3.0, 0.0], 2) - 2.0).abs() < 1e-12);
    let far: Vec<f32> = (0..1000).map(|i| 1e4 + (i % 2) as f32).collect();
    assert!((variance(&far, 1) - 250.0).abs() < 1e-6);
}
