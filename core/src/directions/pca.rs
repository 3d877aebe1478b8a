//! A map by principal components.

use super::eigen;
use super::unit::Directions;
use crate::error::Result;
use crate::jobs::JobContext;
use crate::sae::kernels::add_product;
use rayon::prelude::*;

/// Directions that are summed in f32 before their sum goes into one of f64.
const ROWS: usize = 2048;

/// Columns of a block of work.
const COLUMNS: usize = 128;

/// Directions in the coordinates of their principal components.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    /// The coordinates of each direction, as many as were asked for or as there are.
    pub coordinates: Vec<Vec<f32>>,
    /// The share of the variance (around the mean direction) that each component explains.
    pub explained: Vec<f64>,
}

/// The first `components` principal components of the directions (each of length one), by their
/// whole covariance matrix; at most 8.
///
/// The sign of a component is chosen so that its entry of greatest magnitude is positive.
///
/// # Errors
/// The job was stopped.
pub fn pca<E>(ctx: &JobContext<E>, of: &Directions, components: usize) -> Result<Pca> {
    let (n, d) = (of.len(), of.width());
    ctx.progress().stage("Principal components", "directions", 0, n as u64);
    if n == 0 || d == 0 {
        return Ok(Pca { coordinates: vec![Vec::new(); n], explained: Vec::new() });
    }
    let ctx = &ctx.without_events::<()>();
    let mean = mean(of);
    let covariance = covariance(ctx, of, &mean)?;
    let trace: f64 = (0..d).map(|i| covariance[i * d + i]).sum();
    let (values, vectors) = eigen::greatest(&covariance, d, components, || ctx.check())?;
    let project = |row: &[f32]| -> Vec<f32> {
        let along = |v: &Vec<f64>| -> f64 {
            row.iter().zip(&mean).zip(v).map(|((x, m), v)| (f64::from(*x) - m) * v).sum()
        };
        vectors.iter().map(|v| along(v) as f32).collect()
    };
    let share = |v: &f64| if trace > 0.0 { (v / trace).clamp(0.0, 1.0) } else { 0.0 };
    Ok(Pca {
        coordinates: of.data().par_chunks_exact(d).map(project).collect(),
        explained: values.iter().map(share).collect(),
    })
}

/// The mean direction, summed block by block so that threads play no part.
fn mean(of: &Directions) -> Vec<f64> {
    let (n, d) = (of.len(), of.width());
    let sums: Vec<Vec<f64>> = of
        .data()
        .par_chunks(ROWS * d)
        .map(|rows| {
            let mut sum = vec![0.0; d];
            for row in rows.chunks_exact(d) {
                sum.iter_mut().zip(row).for_each(|(s, x)| *s += f64::from(*x));
            }
            sum
        })
        .collect();
    let mut mean = vec![0.0; d];
    for sum in sums {
        mean.iter_mut().zip(sum).for_each(|(m, s)| *m += s / n as f64);
    }
    mean
}

/// The covariance matrix of the directions around `mean`.
fn covariance(ctx: &JobContext<()>, of: &Directions, mean: &[f64]) -> Result<Vec<f64>> {
    let (n, d) = (of.len(), of.width());
    let panels = d.div_ceil(COLUMNS);
    // Of each panel of columns the rows from its first column on: the rest is its mirror image.
    let mut sums: Vec<Vec<f64>> =
        (0..panels).map(|p| vec![0.0; (d - p * COLUMNS) * COLUMNS.min(d - p * COLUMNS)]).collect();
    let mut centred = Vec::new();
    for rows in of.data().chunks(ROWS * d) {
        ctx.check()?;
        let count = rows.len() / d;
        centred.resize(rows.len(), 0.0f32);
        centred.par_chunks_exact_mut(d).zip(rows.par_chunks_exact(d)).for_each(|(to, from)| {
            for ((to, from), m) in to.iter_mut().zip(from).zip(mean) {
                *to = (f64::from(*from) - m) as f32;
            }
        });
        let centred = &centred;
        sums.par_iter_mut().enumerate().for_each(|(p, sums)| {
            let first = p * COLUMNS;
            let columns = COLUMNS.min(d - first);
            let panel: Vec<f32> = centred
                .chunks_exact(d)
                .flat_map(|row| row[first..first + columns].iter().copied())
                .collect();
            let mut product = vec![0.0; (d - first) * columns];
            let left = &centred[first..];
            add_product(d - first, columns, count, &mut product, left, (1, d), &panel, 1.0);
            sums.iter_mut().zip(product).for_each(|(s, x)| *s += f64::from(x));
        });
        ctx.progress().add(count as u64);
    }
    let mut all = vec![0.0; d * d];
    for (p, sums) in sums.iter().enumerate() {
        let first = p * COLUMNS;
        let columns = COLUMNS.min(d - first);
        for (i, row) in sums.chunks_exact(columns).enumerate() {
            for (j, sum) in row.iter().enumerate() {
                all[(first + i) * d + first + j] = sum / n as f64;
                all[(first + j) * d + first + i] = sum / n as f64;
            }
        }
    }
    Ok(all)
}
