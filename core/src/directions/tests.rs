//! Everything here against a slow and obvious reference in f64.

use super::*;
use crate::llama::Site;
use crate::sae::{About, Architecture, Extra, Matrix, Sae, Wiring};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A dictionary of random directions of random lengths.
pub(super) fn dictionary(latents: usize, width: usize, seed: u64) -> Sae {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut numbers =
        |n: usize| -> Vec<f32> { (0..n).map(|_| random.random_range(-1.0..1.0)).collect() };
    Sae {
        architecture: Architecture::TopK { k: 1 },
        encoder: Matrix::new(latents, width, numbers(latents * width)).unwrap(),
        b_enc: vec![0.0; latents],
        decoder: Matrix::new(latents, width, numbers(latents * width)).unwrap(),
        b_dec: vec![0.0; width],
        extra: Extra::default(),
        wiring: Wiring::Centred,
        about: About::default(),
    }
}

/// The cosine, as it is defined; `None` where one of the two is zero.
pub(super) fn cosine(x: &[f32], y: &[f32]) -> Option<f64> {
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    let lengths = dot(x, x).sqrt() * dot(y, y).sqrt();
    (lengths > 0.0).then(|| dot(x, y) / lengths)
}

fn by_hand(direction: &[f32], sae: &Sae, k: usize) -> Vec<(u32, f32)> {
    let mut all: Vec<(u32, f64)> = (0..sae.latents())
        .filter_map(|i| Some((i as u32, cosine(direction, sae.direction(i))?)))
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all.into_iter().map(|(i, c)| (i, c as f32)).collect()
}

fn assert_same(found: &[(u32, f32)], wanted: &[(u32, f32)]) {
    assert_eq!(found.len(), wanted.len());
    for (f, w) in found.iter().zip(wanted) {
        assert_eq!(f.0, w.0);
        assert!((f.1 - w.1).abs() < 1e-6, "{f:?} {w:?}");
    }
}

#[test]
fn the_nearest_are_those_of_brute_force() {
    let (a, b) = (dictionary(1500, 13, 1), dictionary(1100, 13, 2));
    for latent in [0, 7, 1024, 1499] {
        let wanted: Vec<_> = by_hand(a.direction(latent), &a, 21).into_iter().skip(1).collect();
        assert_same(&nearest(&a, latent as u32, 20).unwrap(), &wanted);
        let wanted = by_hand(a.direction(latent), &b, 5);
        assert_same(&nearest_to(a.direction(latent), &b, 5).unwrap(), &wanted);
    }
    assert_eq!(nearest(&a, 3, 10_000).unwrap().len(), 1499);
    assert!(nearest(&a, 3, 0).unwrap().is_empty());
}

#[test]
fn equal_directions_come_in_the_order_of_their_index_and_zero_ones_not_at_all() {
    let mut sae = dictionary(1300, 8, 3);
    let copy = sae.direction(1200).to_vec();
    for i in [4, 1290, 30] {
        let scaled: Vec<f32> = copy.iter().map(|v| v * 4.0).collect();
        sae.decoder.row_mut(i).copy_from_slice(&scaled);
    }
    sae.decoder.row_mut(77).fill(0.0);
    let found = nearest(&sae, 1200, 3).unwrap();
    assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), [4, 30, 1290]);
    assert!(found.iter().all(|f| (f.1 - 1.0).abs() < 1e-6));
    assert!(nearest(&sae, 77, 3).unwrap().is_empty());
    assert!(nearest(&sae, 5, 2000).unwrap().iter().all(|f| f.0 != 77));
    assert!(nearest(&sae, 1300, 3).unwrap_err().why.contains("0 to 1299"));
    assert!(nearest_to(&[1.0; 9], &sae, 3).unwrap_err().why.contains('9'));
}

#[test]
fn the_nearest_neurons_are_columns_of_the_down_projections() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/llama_a");
    let model = crate::llama::Model::open(&folder, &candle_core::Device::Cpu).unwrap();
    let (width, hidden) = (model.config().width, model.config().hidden);
    let direction = dictionary(1, width, 9).direction(0).to_vec();
    let weights = model.weights().unwrap();
    let mut wanted = Vec::new();
    for layer in 0..model.config().layers {
        let name = format!("model.layers.{layer}.mlp.down_proj.weight");
        let down: Vec<Vec<f32>> = weights[&name].to_vec2().unwrap();
        for i in 0..hidden {
            let column: Vec<f32> = down.iter().map(|row| row[i]).collect();
            wanted.push((layer as u32, i as u32, cosine(&direction, &column).unwrap()));
        }
    }
    wanted.sort_by(|a, b| b.2.total_cmp(&a.2));
    let found = nearest_neurons(&model, Site::Resid(0), &direction, 7).unwrap();
    assert_eq!(found.len(), 7);
    for (f, w) in found.iter().zip(&wanted) {
        assert_eq!((f.layer, f.index), (w.0, w.1));
        assert!((f64::from(f.cosine) - w.2).abs() < 1e-6);
    }
    let one = nearest_neurons(&model, Site::Mlp(1), &direction, 7).unwrap();
    assert!(one.iter().all(|n| n.layer == 1));
    assert!(nearest_neurons(&model, Site::Embed, &vec![0.0; width], 7).unwrap().is_empty());
}
