//! Maps: components against their definition, t-SNE against what it promises.

use super::tests::{cosine, dictionary};
use super::*;
use crate::error::ErrorKind;
use crate::jobs::{self, JobContext};
use crate::sae::Sae;
use std::time::{Duration, Instant};

fn unwatched() -> JobContext<()> {
    JobContext::unwatched()
}

#[test]
fn principal_components_explain_what_they_say() {
    let mut sae = dictionary(3000, 33, 1);
    for i in 0..3000 {
        sae.decoder.row_mut(i)[5] *= 4.0;
        sae.decoder.row_mut(i)[9] = sae.decoder.row(i)[9] * 2.0 + 1.0;
    }
    sae.decoder.row_mut(17).fill(0.0);
    let of = Directions::of(&sae);
    assert_eq!((of.len(), of.total()), (2999, 3000));
    let found = pca(&unwatched(), &of, 3).unwrap();
    // The variance along each axis of the map is that of the component, and axes are uncorrelated.
    let n = of.len() as f64;
    let column = |c: usize| found.coordinates.iter().map(move |p| f64::from(p[c]));
    let mean: Vec<f64> =
        (0..33).map(|c| (0..of.len()).map(|i| f64::from(of.row(i)[c])).sum::<f64>() / n).collect();
    let total: f64 = (0..of.len())
        .flat_map(|i| of.row(i).iter().zip(&mean).map(|(x, m)| (f64::from(*x) - m).powi(2)))
        .sum();
    for c in 0..3 {
        assert!(column(c).sum::<f64>().abs() / n < 1e-6);
        let variance: f64 = column(c).map(|x| x * x).sum();
        assert!((variance / total - found.explained[c]).abs() < 1e-6);
        for other in 0..c {
            let product: f64 = column(c).zip(column(other)).map(|(x, y)| x * y).sum();
            assert!(product.abs() / variance < 1e-4);
        }
    }
    assert!(found.explained.is_sorted_by(|a, b| a >= b));
    // No direction has more variance than the first component: try some.
    for (axis, mean) in mean.iter().enumerate() {
        let along: f64 = (0..of.len()).map(|i| (f64::from(of.row(i)[axis]) - mean).powi(2)).sum();
        assert!(along / total <= found.explained[0] + 1e-6);
    }
}

/// Families of latents around random heads.
fn families(families: usize, each: usize, width: usize) -> Sae {
    let heads = dictionary(families, width, 77);
    let mut sae = dictionary(families * each, width, 78);
    for i in 0..families * each {
        let head = heads.direction(i % families).to_vec();
        let row = sae.decoder.row_mut(i);
        row.iter_mut().zip(head).for_each(|(r, h)| *r = (0.4 * *r + h) * (1.0 + i as f32));
    }
    sae
}

fn spec() -> TsneSpec {
    TsneSpec { perplexity: 12.0, epochs: 400, seed: 3 }
}

#[test]
fn a_t_sne_map_keeps_families_together_and_is_the_same_at_any_number_of_threads() {
    let sae = families(4, 60, 24);
    let map_with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| direction_map(&unwatched(), &sae, MapMethod::Tsne(spec())).unwrap())
    };
    let (one, four) = (map_with(1), map_with(4));
    assert_eq!(one, four);
    let nearest = |i: usize| {
        let far = |j: &usize| {
            let (a, b) = (one.points[i], one.points[*j]);
            (a[0] - b[0]).hypot(a[1] - b[1])
        };
        (0..240).filter(|j| *j != i).min_by(|x, y| far(x).total_cmp(&far(y))).unwrap()
    };
    let kept = (0..240).filter(|i| nearest(*i) % 4 == i % 4).count();
    assert!(kept >= 236, "{kept} of 240");
    let other = TsneSpec { seed: 4, ..spec() };
    assert_ne!(one, direction_map(&unwatched(), &sae, MapMethod::Tsne(other)).unwrap());
}

#[test]
fn equal_directions_and_zero_ones_make_no_trouble() {
    let mut sae = dictionary(40, 5, 1);
    let same = sae.direction(0).to_vec();
    (0..30).for_each(|i| sae.decoder.row_mut(i).copy_from_slice(&same));
    sae.decoder.row_mut(33).fill(0.0);
    for method in [MapMethod::Pca, MapMethod::Tsne(TsneSpec { epochs: 60, ..spec() })] {
        let map = direction_map(&unwatched(), &sae, method).unwrap();
        assert_eq!(map.placed(), 39);
        assert!(map.points[33][0].is_nan());
        assert!(map.said().contains("One latent has a zero direction"));
    }
    sae.decoder.data_mut().fill(0.0);
    assert!(direction_map(&unwatched(), &sae, MapMethod::Pca).is_err());
    let few = dictionary(5, 4, 1);
    let error = direction_map(&unwatched(), &few, MapMethod::Tsne(spec())).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Setting);
    assert_eq!(direction_map(&unwatched(), &few, MapMethod::Pca).unwrap().placed(), 5);
}

#[test]
fn a_kept_map_is_found_again_and_one_of_other_directions_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut sae = families(3, 10, 8);
    let spec = TsneSpec { epochs: 30, perplexity: 5.0, seed: 0 };
    assert_eq!(load_map(dir.path(), &sae, spec).unwrap(), None);
    let map = direction_map(&unwatched(), &sae, MapMethod::Tsne(spec)).unwrap();
    save_map(dir.path(), &sae, &map).unwrap();
    assert_eq!(load_map(dir.path(), &sae, spec).unwrap(), Some(map));
    let other = TsneSpec { seed: 1, ..spec };
    assert_eq!(load_map(dir.path(), &sae, other).unwrap(), None);
    sae.decoder.data_mut()[3] += 0.5;
    assert_eq!(load_map(dir.path(), &sae, spec).unwrap(), None);
    std::fs::write(dir.path().join("directions.safetensors"), b"no").unwrap();
    assert_eq!(load_map(dir.path(), &sae, spec).unwrap_err().kind, ErrorKind::Format);
}

#[test]
fn a_stopped_map_returns_at_once() {
    let sae = families(20, 150, 16);
    let long = TsneSpec { epochs: 1_000_000, ..spec() };
    let handle = jobs::spawn("map", std::sync::Arc::new(|| {}), move |ctx: &JobContext<()>| {
        direction_map(ctx, &sae, MapMethod::Tsne(long))
    });
    let begun = Instant::now();
    while handle.progress().stage != "Laying out the map" {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    handle.cancel("enough");
    let end = handle.wait(|_, _| {});
    assert!(end.unwrap_err().is_cancelled());
}

#[test]
fn neighbours_of_all_are_those_of_brute_force_at_any_number_of_threads() {
    let (a, b) = (dictionary(300, 7, 1), dictionary(700, 7, 2));
    let (from, to) = (Directions::of(&a), Directions::of(&b));
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| nearest_of_all(&unwatched(), &from, &to, 9, false).unwrap())
    };
    let found = with(4);
    assert_eq!(found, with(1));
    for i in 0..300 {
        let mut wanted: Vec<(usize, f64)> =
            (0..700).map(|j| (j, cosine(a.direction(i), b.direction(j)).unwrap())).collect();
        wanted.sort_by(|x, y| y.1.total_cmp(&x.1));
        for ((place, cosine), wanted) in found.of(i).zip(&wanted) {
            assert_eq!(place, wanted.0);
            assert!((f64::from(cosine) - wanted.1).abs() < 1e-5);
        }
    }
    let own = nearest_of_all(&unwatched(), &from, &from, 400, true).unwrap();
    assert_eq!(own.k, 299);
    assert!((0..300).all(|i| own.of(i).all(|(j, _)| j != i)));
}
