//! The greatest eigenvalues of a symmetric matrix and their vectors.
//!
//! Small matrices: Jacobi's rotations. Large ones: subspace iteration, filtered by Chebyshev
//! polynomials (Zhou, Saad, Tiago, Chelikowsky 2006, doi 10.1016/j.jcp.2006.03.017), with
//! Rayleigh-Ritz projections that Jacobi's rotations solve.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Vectors of the subspace.
const BLOCK: usize = 16;

/// Rounds at most. A spectrum that needs more has no gap to speak of.
const ROUNDS: usize = 40;

/// Degree of the filter at most.
const DEGREE: usize = 12;

/// A residual below this share of the greatest eigenvalue is good enough: the matrix itself, summed
/// from products in f32, is hardly more accurate.
const NEAR: f64 = 1e-6;

type Rows = Vec<[f64; BLOCK]>;

/// The `count` greatest eigenvalues, greatest first, and for each its unit vector, whose entry of
/// greatest magnitude is positive. `matrix` is symmetric, positive semidefinite, `n` rows of `n`.
///
/// `stop` is asked between steps of the work.
pub(super) fn greatest<E>(
    matrix: &[f64],
    n: usize,
    count: usize,
    stop: impl Fn() -> Result<(), E>,
) -> Result<(Vec<f64>, Vec<Vec<f64>>), E> {
    let count = count.min(n).min(BLOCK / 2);
    let (values, mut vectors) =
        if n <= BLOCK { jacobi(matrix.to_vec(), n) } else { subspace(matrix, n, count, stop)? };
    vectors.truncate(count);
    for vector in &mut vectors {
        let greatest = vector.iter().fold(0.0f64, |m, v| if v.abs() > m.abs() { *v } else { m });
        if greatest < 0.0 {
            vector.iter_mut().for_each(|v| *v = -*v);
        }
    }
    Ok((values[..count].to_vec(), vectors))
}

/// All eigenvalues, greatest first, and their vectors.
fn jacobi(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut v = vec![0.0; n * n];
    (0..n).for_each(|i| v[i * n + i] = 1.0);
    for _ in 0..60 {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| a[i * n + j].powi(2))
            .sum();
        let all: f64 = a.iter().map(|x| x * x).sum();
        if off <= 1e-30 * all {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, n, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|i, j| a[j * n + j].total_cmp(&a[i * n + i]));
    let values = order.iter().map(|i| a[i * n + i]).collect();
    let vectors = order.iter().map(|i| (0..n).map(|r| v[r * n + i]).collect()).collect();
    (values, vectors)
}

/// Makes entry (p, q) of `a` zero.
fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let apq = a[p * n + q];
    if apq == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for i in 0..n {
        let (x, y) = (a[i * n + p], a[i * n + q]);
        (a[i * n + p], a[i * n + q]) = (c * x - s * y, s * x + c * y);
    }
    for i in 0..n {
        let (x, y) = (a[p * n + i], a[q * n + i]);
        (a[p * n + i], a[q * n + i]) = (c * x - s * y, s * x + c * y);
        let (x, y) = (v[i * n + p], v[i * n + q]);
        (v[i * n + p], v[i * n + q]) = (c * x - s * y, s * x + c * y);
    }
}

fn subspace<E>(
    matrix: &[f64],
    n: usize,
    count: usize,
    stop: impl Fn() -> Result<(), E>,
) -> Result<(Vec<f64>, Vec<Vec<f64>>), E> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut v: Rows =
        (0..n).map(|_| std::array::from_fn(|_| random.random_range(-1.0..1.0))).collect();
    let mut values = Vec::new();
    for _ in 0..ROUNDS {
        stop()?;
        orthonormalise(&mut v);
        let mut w = times(matrix, &v);
        values = project(&mut v, &mut w);
        let residual = |k: usize| -> f64 {
            v.iter().zip(&w).map(|(v, w)| (w[k] - values[k] * v[k]).powi(2)).sum::<f64>().sqrt()
        };
        if (0..count).all(|k| residual(k) <= NEAR * values[0]) {
            break;
        }
        v = filtered(matrix, &v, w, values[BLOCK - 1], values[0], &stop)?;
    }
    let vector = |k: usize| v.iter().map(|row| row[k]).collect();
    Ok((values, (0..count).map(vector).collect()))
}

/// The subspace after a Chebyshev polynomial of the matrix that is small on [0, `cut`].
fn filtered<E>(
    matrix: &[f64],
    v: &Rows,
    w: Rows,
    cut: f64,
    greatest: f64,
    stop: &impl Fn() -> Result<(), E>,
) -> Result<Rows, E> {
    let half = cut / 2.0;
    if half <= 1e-9 * greatest {
        return Ok(w);
    }
    // So strong a filter that the first vector drowned the others would lose them.
    let stretch = ((greatest - half) / half).max(1.0).acosh();
    let degree =
        if stretch > 0.0 { (18.0 / stretch).floor().clamp(1.0, DEGREE as f64) } else { 1.0 };
    let next = |w: &Rows, v: &Rows, before: Option<&Rows>| -> Rows {
        let factor = if before.is_some() { 2.0 } else { 1.0 } / half;
        let one = |i: usize| {
            std::array::from_fn(|k| {
                (w[i][k] - half * v[i][k]) * factor - before.map_or(0.0, |b| b[i][k])
            })
        };
        (0..v.len()).map(one).collect()
    };
    let (mut before, mut now) = (v.clone(), next(&w, v, None));
    for _ in 1..degree as usize {
        stop()?;
        let then = next(&times(matrix, &now), &now, Some(&before));
        before = std::mem::replace(&mut now, then);
    }
    Ok(now)
}

/// `matrix v`.
fn times(matrix: &[f64], v: &Rows) -> Rows {
    let n = v.len();
    let row = |row: &[f64]| {
        let mut sums = [0.0; BLOCK];
        for (a, v) in row.iter().zip(v) {
            (0..BLOCK).for_each(|k| sums[k] += a * v[k]);
        }
        sums
    };
    matrix.par_chunks_exact(n).map(row).collect()
}

/// Gram-Schmidt, twice; a vector that is nothing new gives way to a coordinate axis.
fn orthonormalise(v: &mut Rows) {
    let dot = |v: &Rows, i: usize, j: usize| v.iter().map(|row| row[i] * row[j]).sum::<f64>();
    for k in 0..BLOCK {
        for axis in 0..=v.len() {
            let before = dot(v, k, k).sqrt();
            for _ in 0..2 {
                for j in 0..k {
                    let share = dot(v, j, k);
                    v.iter_mut().for_each(|row| row[k] -= share * row[j]);
                }
            }
            let norm = dot(v, k, k).sqrt();
            if norm > 1e-12 * before && norm.is_finite() && norm > 0.0 {
                v.iter_mut().for_each(|row| row[k] /= norm);
                break;
            }
            v.iter_mut().enumerate().for_each(|(i, row)| row[k] = f64::from(u8::from(i == axis)));
        }
    }
}

/// Rayleigh-Ritz: turns `v` and `w` = matrix `v` to the best approximations of eigenvectors.
fn project(v: &mut Rows, w: &mut Rows) -> Vec<f64> {
    let mut h = vec![0.0; BLOCK * BLOCK];
    for (v, w) in v.iter().zip(w.iter()) {
        for i in 0..BLOCK {
            (0..BLOCK).for_each(|j| h[i * BLOCK + j] += v[i] * w[j]);
        }
    }
    for i in 0..BLOCK {
        for j in 0..i {
            let mean = 0.5 * (h[i * BLOCK + j] + h[j * BLOCK + i]);
            (h[i * BLOCK + j], h[j * BLOCK + i]) = (mean, mean);
        }
    }
    let (values, vectors) = jacobi(h, BLOCK);
    for rows in [v, w] {
        for row in rows.iter_mut() {
            *row = std::array::from_fn(|k| (0..BLOCK).map(|i| row[i] * vectors[k][i]).sum());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix of known spectrum: H diag(spectrum) H of a Householder reflection H.
    fn known(spectrum: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let n = spectrum.len();
        let u: Vec<f64> = (0..n).map(|i| ((i * 37 + 5) % 23) as f64 - 11.0).collect();
        let norm = u.iter().map(|x| x * x).sum::<f64>();
        let h = |i: usize, j: usize| f64::from(u8::from(i == j)) - 2.0 * u[i] * u[j] / norm;
        let entry = |i: usize, j: usize| (0..n).map(|k| h(i, k) * spectrum[k] * h(k, j)).sum();
        let matrix = (0..n * n).map(|x| entry(x / n, x % n)).collect();
        (matrix, (0..n).map(|k| (0..n).map(|i| h(i, k)).collect()).collect())
    }

    fn check(spectrum: &[f64], near: f64) {
        let (matrix, vectors) = known(spectrum);
        let (found, of) = greatest(&matrix, spectrum.len(), 3, || Ok::<(), ()>(())).unwrap();
        for k in 0..3 {
            assert!((found[k] - spectrum[k]).abs() <= near * spectrum[0], "{k}: {found:?}");
            let dot: f64 = of[k].iter().zip(&vectors[k]).map(|(x, y)| x * y).sum();
            assert!((dot.abs() - 1.0).abs() < near, "{k}: {dot}");
            let most = of[k].iter().fold(0.0f64, |m, v| if v.abs() > m.abs() { *v } else { m });
            assert!(most > 0.0);
        }
    }

    #[test]
    fn small_and_large_flat_and_steep_spectra_are_found() {
        check(&[5.0, 3.0, 2.0, 1.0, 0.5], 1e-12);
        let flat: Vec<f64> = (0..150).map(|i| 1.0 + 0.3 * (-f64::from(i) / 10.0).exp()).collect();
        check(&flat, 1e-6);
        let steep: Vec<f64> = (0..120).map(|i| 10.0f64.powi(-i)).collect();
        check(&steep, 1e-6);
        let even: Vec<f64> = (0..200).map(|i| 2.0 - f64::from(i) / 100.0).collect();
        check(&even, 1e-6);
    }

    #[test]
    fn a_matrix_of_zeros_has_zeros() {
        for n in [1, 3, 40] {
            let (values, vectors) = greatest(&vec![0.0; n * n], n, 2, || Ok::<(), ()>(())).unwrap();
            assert!(values.iter().all(|v| *v == 0.0));
            assert!(vectors.iter().flatten().all(|v| v.is_finite()));
        }
    }
}
