//! Comparisons against brute force, and what must not change when latents are shuffled.

use super::tests::{cosine, dictionary};
use super::*;
use crate::activations::Provenance;
use crate::jobs::JobContext;
use crate::llama::Site;
use crate::sae::Sae;
use proptest::prelude::*;

fn compared(a: &Sae, b: &Sae) -> Comparison {
    compare(&JobContext::<()>::unwatched(), a, b).unwrap()
}

/// The best match of each direction, as it is defined.
fn best_by_hand(a: &Sae, b: &Sae) -> Vec<(u32, f64)> {
    let best = |i: usize| {
        let cosines =
            (0..b.latents()).map(|j| (j as u32, cosine(a.direction(i), b.direction(j)).unwrap()));
        cosines.reduce(|x, y| if y.1 > x.1 { y } else { x }).unwrap()
    };
    (0..a.latents()).map(best).collect()
}

#[test]
fn best_matches_and_their_figures_are_those_of_brute_force() {
    let (a, b) = (dictionary(700, 6, 1), dictionary(300, 6, 2));
    let found = compared(&a, &b);
    let (forth, back) = (best_by_hand(&a, &b), best_by_hand(&b, &a));
    for (side, wanted) in [(&found.a, &forth), (&found.b, &back)] {
        for (f, w) in side.best.iter().zip(wanted) {
            let f = f.unwrap();
            assert_eq!(f.latent, w.0);
            assert!((f64::from(f.cosine) - w.1).abs() < 1e-5);
        }
        let n = wanted.len() as f64;
        let mean = wanted.iter().map(|w| w.1).sum::<f64>() / n;
        assert!((side.mean_max_cosine - mean).abs() < 1e-6);
        let share = |least: f64| wanted.iter().filter(|w| w.1 >= least).count() as f64 / n;
        assert!((side.above_07 - share(0.7)).abs() < 1e-12);
        assert!((side.above_09 - share(0.9)).abs() < 1e-12);
        assert!(share(0.9) > 0.0 && share(0.9) < share(0.7));
        let alone = side.alone(0.9);
        assert_eq!(alone.len(), wanted.iter().filter(|w| w.1 < 0.9).count());
        assert!(alone.is_sorted_by(|x, y| x.1 <= y.1));
    }
    let mutual = (0..700).filter(|i| back[forth[*i].0 as usize].0 as usize == *i).count();
    assert_eq!(found.mutual, mutual);
    assert_eq!(found.pairs.iter().filter(|p| p.mutual).count(), mutual);
}

#[test]
fn pairs_are_one_to_one_and_greedy() {
    // So few that every pair is a candidate.
    let (a, b) = (dictionary(30, 9, 5), dictionary(20, 9, 6));
    let mut all = Vec::new();
    for i in 0..30 {
        for j in 0..20 {
            all.push((i, j, cosine(a.direction(i), b.direction(j)).unwrap()));
        }
    }
    all.sort_by(|x, y| y.2.total_cmp(&x.2));
    let mut wanted: Vec<(usize, usize, f64)> = Vec::new();
    for (i, j, c) in all {
        if c > 0.0 && wanted.iter().all(|w| w.0 != i && w.1 != j) {
            wanted.push((i, j, c));
        }
    }
    let found = compared(&a, &b);
    let pairs: Vec<_> = found.pairs.iter().map(|p| (p.a as usize, p.b as usize)).collect();
    assert_eq!(pairs, wanted.iter().map(|w| (w.0, w.1)).collect::<Vec<_>>());
    let mean = wanted.iter().map(|w| w.2).sum::<f64>() / wanted.len() as f64;
    assert!((found.mean_pair_cosine - mean).abs() < 1e-6);
}

fn at(sae: &mut Sae, model: &str, site: Site) {
    sae.about.trained_on = Some(Provenance {
        model: model.into(),
        site,
        target: None,
        corpus: String::new(),
        rows: String::new(),
        seed: 0,
    });
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let ctx = JobContext::<()>::unwatched();
    let (mut a, mut b) = (dictionary(5, 4, 1), dictionary(5, 6, 1));
    let why = compare(&ctx, &a, &b).unwrap_err().why;
    assert!(why.contains("width") && why.contains('4') && why.contains('6'), "{why}");
    b = dictionary(7, 4, 1);
    compare(&ctx, &a, &b).unwrap();
    at(&mut a, "one", Site::Resid(1));
    compare(&ctx, &a, &b).unwrap();
    at(&mut b, "one", Site::Mlp(1));
    let why = compare(&ctx, &a, &b).unwrap_err().why;
    assert!(why.contains("resid.1") && why.contains("mlp.1"), "{why}");
    at(&mut b, "two", Site::Resid(1));
    assert!(compare(&ctx, &a, &b).unwrap_err().why.contains("model"));
    at(&mut b, "one", Site::Resid(1));
    compare(&ctx, &a, &b).unwrap();
    if let Some(p) = &mut b.about.trained_on {
        p.target = Some(Site::Resid(2));
    }
    assert!(compare(&ctx, &a, &b).unwrap_err().why.contains("write to"));
}

#[test]
fn latents_without_a_direction_match_nothing() {
    let (mut a, b) = (dictionary(6, 4, 1), dictionary(5, 4, 2));
    a.decoder.row_mut(2).fill(0.0);
    let found = compared(&a, &b);
    assert_eq!(found.a.best[2], None);
    assert!(found.b.best.iter().all(|m| m.unwrap().latent != 2));
    assert!(found.a.alone(1.1).iter().all(|(i, _)| *i != 2));
    a.decoder.data_mut().fill(0.0);
    let found = compared(&a, &b);
    assert!(found.pairs.is_empty() && found.b.best.iter().all(Option::is_none));
    assert_eq!((found.a.mean_max_cosine, found.mutual), (0.0, 0));
}

#[test]
fn the_best_site_is_the_one_with_the_nearest_direction() {
    let of = dictionary(50, 5, 1);
    let others = [dictionary(40, 5, 2), dictionary(60, 5, 3), dictionary(60, 6, 3)];
    let sites = [Site::Resid(0), Site::Mlp(1), Site::Attn(1)];
    let ctx = JobContext::<()>::unwatched();
    let open = |i: usize| Ok(others[i].clone());
    let found = best_sites(&ctx, &Directions::of(&of), &sites, open).unwrap();
    let bests = [best_by_hand(&of, &others[0]), best_by_hand(&of, &others[1])];
    for (i, found) in found.iter().enumerate() {
        let found = found.unwrap();
        let which = usize::from(bests[1][i].1 > bests[0][i].1);
        assert_eq!((found.dictionary, found.site), (which, sites[which]));
        assert_eq!(found.latent, bests[which][i].0);
    }
}

#[test]
fn a_block_of_cosines_puts_like_beside_like() {
    let mut sae = dictionary(400, 40, 3);
    // Two families, interleaved.
    for i in 0..20 {
        let head = sae.direction(300 + i % 2).to_vec();
        let row = sae.decoder.row_mut(i);
        row.iter_mut().zip(head).for_each(|(r, h)| *r = 0.2 * *r + h);
    }
    sae.decoder.row_mut(7).fill(0.0);
    let wanted: Vec<u32> = (0..20).chain([3]).collect();
    let block = cosine_block(&sae, &wanted).unwrap();
    assert_eq!(block.latents.len(), 19, "one of them is zero, one was named twice");
    let turns = block.latents.windows(2).filter(|w| w[0] % 2 != w[1] % 2).count();
    assert_eq!(turns, 1, "{:?}", block.latents);
    for (i, x) in block.latents.iter().enumerate() {
        for (j, y) in block.latents.iter().enumerate() {
            let c = cosine(sae.direction(*x as usize), sae.direction(*y as usize)).unwrap();
            assert!((f64::from(block.at(i, j)) - c).abs() < 1e-6);
        }
    }
    let all: Vec<u32> = (0..201).collect();
    assert!(cosine_block(&sae, &all).unwrap_err().why.contains("200"));
    assert!(cosine_block(&sae, &[400]).is_err());
    assert!(cosine_block(&sae, &[7]).unwrap().latents.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    /// A dictionary against itself, shuffled, scaled, some of it turned around.
    #[test]
    fn shuffling_and_scaling_change_nothing_and_a_sign_does(
        seed in 0u64..1000,
        latents in 2usize..60,
        scale in 0.01f32..50.0,
        step in 1usize..50,
        flip in 0usize..60,
    ) {
        let a = dictionary(latents, 24, seed);
        let mut b = a.clone();
        let flip = flip % latents;
        let step = (step..).find(|s| gcd(*s, latents) == 1).unwrap();
        let place = |i: usize| (i * step + 1) % latents;
        for i in 0..latents {
            let sign = if i == flip { -1.0 } else { 1.0 };
            let row: Vec<f32> = a.direction(i).iter().map(|v| sign * scale * v).collect();
            b.decoder.row_mut(place(i)).copy_from_slice(&row);
        }
        let found = compared(&a, &b);
        let turned = compared(&b, &a);
        for i in 0..latents {
            let best = found.a.best[i].unwrap();
            if i == flip {
                prop_assert!(best.cosine < 0.9);
            } else {
                prop_assert_eq!(best.latent as usize, place(i));
                prop_assert!(best.cosine > 0.99999);
            }
        }
        prop_assert_eq!(&found.a.best, &turned.b.best);
        prop_assert_eq!(&found.b.best, &turned.a.best);
        prop_assert_eq!(found.mutual, turned.mutual);
        prop_assert!((found.mean_pair_cosine - turned.mean_pair_cosine).abs() < 1e-6);
        prop_assert!(found.pairs.iter().filter(|p| p.cosine > 0.99999).count() == latents - 1);
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
