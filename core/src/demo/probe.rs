//! How well latents tell a class: the best single one by a threshold, five by logistic regression.

use crate::sae::Latents;

/// Latents of a sparse probe.
pub(super) const PROBED: usize = 5;
/// Steps of Newton's method; it has converged long before.
const NEWTON: usize = 30;
/// L2 penalty on the coefficients of standardised latents, per sample.
const RIDGE: f64 = 1e-4;

/// 2·TP / (2·TP + FP + FN); 0 where nothing is right.
pub(super) fn f1(predicted: impl Iterator<Item = bool>, truth: &[bool]) -> f64 {
    let (mut hits, mut said, mut true_ones) = (0usize, 0usize, 0usize);
    for (said_so, &is_so) in predicted.zip(truth) {
        hits += usize::from(said_so && is_so);
        said += usize::from(said_so);
        true_ones += usize::from(is_so);
    }
    if hits == 0 { 0.0 } else { 2.0 * hits as f64 / (said + true_ones) as f64 }
}

/// One latent with a threshold: the class is meant where the latent is above it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Single {
    pub latent: u32,
    pub threshold: f32,
    /// F1 on the rows it was chosen on.
    pub f1: f64,
}

/// Rows by latent: which rows a latent is active in, and how strongly.
pub(super) fn by_latent(latents: &Latents) -> Vec<Vec<(u32, f32)>> {
    let mut columns = vec![Vec::new(); latents.width];
    for row in 0..latents.rows() {
        let (index, value) = latents.row(row);
        for (&i, &v) in index.iter().zip(value) {
            columns[i as usize].push((row as u32, v));
        }
    }
    columns
}

/// The threshold above which scored rows give the greatest F1, and that F1; `positives` counts the
/// true rows, those without a score included. Below the last score lies `floor`.
pub(super) fn best_threshold(
    mut scored: Vec<(f64, bool)>,
    positives: usize,
    floor: f64,
) -> Option<(f64, f64)> {
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut hits, mut best) = (0usize, None);
    for (said, &(score, is_so)) in scored.iter().enumerate() {
        hits += usize::from(is_so);
        let next = scored.get(said + 1).map_or(floor, |n| n.0);
        // Equal scores fall on the same side of a threshold.
        if next == score || hits == 0 {
            continue;
        }
        let f1 = 2.0 * hits as f64 / (said + 1 + positives) as f64;
        if best.is_none_or(|(_, most)| f1 > most) {
            best = Some(((score + next) / 2.0, f1));
        }
    }
    best
}

/// The latent and threshold with the greatest F1 on these rows.
pub(super) fn best_single(columns: &[Vec<(u32, f32)>], truth: &[bool]) -> Option<Single> {
    let positives = truth.iter().filter(|&&t| t).count();
    let mut best: Option<Single> = None;
    for (latent, column) in columns.iter().enumerate() {
        let scored = column.iter().map(|&(row, v)| (f64::from(v), truth[row as usize])).collect();
        let Some((threshold, f1)) = best_threshold(scored, positives, 0.0) else { continue };
        if best.is_none_or(|b| f1 > b.f1) {
            best = Some(Single { latent: latent as u32, threshold: threshold as f32, f1 });
        }
    }
    best
}

/// The latents that together follow the class best, chosen one by one: each time the one whose
/// activation correlates most with what the ones before leave unexplained (orthogonal matching
/// pursuit). `first` is taken whatever it correlates with.
fn choose(
    columns: &[Vec<(u32, f32)>],
    truth: &[bool],
    count: usize,
    first: Option<u32>,
) -> Vec<u32> {
    let n = truth.len() as f64;
    let mean = truth.iter().filter(|&&t| t).count() as f64 / n;
    let target: Vec<f64> = truth.iter().map(|&t| f64::from(u8::from(t)) - mean).collect();
    let mut residual = target.clone();
    let mut chosen: Vec<u32> = first.into_iter().collect();
    if !chosen.is_empty() {
        residual = least_squares_residual(columns, &chosen, &target);
    }
    while chosen.len() < count {
        let mut best = (0.0, None);
        for (latent, column) in columns.iter().enumerate() {
            if chosen.contains(&(latent as u32)) {
                continue;
            }
            let sum: f64 = column.iter().map(|&(_, v)| f64::from(v)).sum();
            let squares: f64 = column.iter().map(|&(_, v)| f64::from(v).powi(2)).sum();
            let variance = squares - sum * sum / n;
            if variance <= 1e-9 * n {
                continue;
            }
            // The residual sums to 0, so the latent's mean takes nothing away.
            let dot: f64 =
                column.iter().map(|&(row, v)| f64::from(v) * residual[row as usize]).sum();
            let score = (dot / variance.sqrt()).abs();
            if score > best.0 {
                best = (score, Some(latent as u32));
            }
        }
        let Some(latent) = best.1 else { break };
        chosen.push(latent);
        residual = least_squares_residual(columns, &chosen, &target);
    }
    chosen
}

fn least_squares_residual(columns: &[Vec<(u32, f32)>], chosen: &[u32], target: &[f64]) -> Vec<f64> {
    let rows = dense(columns, chosen, target.len());
    let width = chosen.len() + 1;
    let (mut normal, mut right) = (vec![vec![0.0; width]; width], vec![0.0; width]);
    for (row, y) in rows.iter().zip(target) {
        for i in 0..width {
            right[i] += row[i] * y;
            for j in 0..width {
                normal[i][j] += row[i] * row[j];
            }
        }
    }
    for (i, line) in normal.iter_mut().enumerate() {
        line[i] *= 1.0 + 1e-9;
    }
    let solution = solve(normal, right);
    let fitted = |row: &[f64]| row.iter().zip(&solution).map(|(a, b)| a * b).sum::<f64>();
    rows.iter().zip(target).map(|(row, y)| y - fitted(row)).collect()
}

/// A constant 1, then the chosen latents' activations, row by row.
fn dense(columns: &[Vec<(u32, f32)>], chosen: &[u32], rows: usize) -> Vec<Vec<f64>> {
    let mut out = vec![vec![0.0; chosen.len() + 1]; rows];
    for row in &mut out {
        row[0] = 1.0;
    }
    for (i, &latent) in chosen.iter().enumerate() {
        for &(row, v) in &columns[latent as usize] {
            out[row as usize][i + 1] = f64::from(v);
        }
    }
    out
}

/// Logistic regression on rows of [`dense`]: intercept and coefficients.
fn logistic(rows: &[Vec<f64>], truth: &[bool]) -> Vec<f64> {
    let width = rows.first().map_or(1, Vec::len);
    let n = rows.len().max(1) as f64;
    // The penalty is on coefficients of latents scaled to variance 1, so that it is the same for all.
    let scale: Vec<f64> = (0..width)
        .map(|i| {
            let mean = rows.iter().map(|r| r[i]).sum::<f64>() / n;
            let variance = rows.iter().map(|r| (r[i] - mean).powi(2)).sum::<f64>() / n;
            if i == 0 || variance == 0.0 { 1.0 } else { variance.sqrt() }
        })
        .collect();
    let mut beta = vec![0.0; width];
    for _ in 0..NEWTON {
        let (mut gradient, mut hessian) = (vec![0.0; width], vec![vec![0.0; width]; width]);
        for (row, &is_so) in rows.iter().zip(truth) {
            let z: f64 = (0..width).map(|i| beta[i] * row[i] / scale[i]).sum();
            let p = 1.0 / (1.0 + (-z).exp());
            let error = p - f64::from(u8::from(is_so));
            // A sure row still bends the curve a little, so that the matrix has an inverse.
            let bend = (p * (1.0 - p)).max(1e-9);
            for i in 0..width {
                let xi = row[i] / scale[i];
                gradient[i] += error * xi;
                for j in 0..width {
                    hessian[i][j] += bend * xi * row[j] / scale[j];
                }
            }
        }
        for i in 0..width {
            let ridge = if i == 0 { 1e-9 } else { RIDGE } * n;
            gradient[i] += ridge * beta[i];
            hessian[i][i] += ridge;
        }
        let step = solve(hessian, gradient);
        let size = step.iter().map(|s| s.abs()).fold(0.0, f64::max);
        // Far from the solution Newton's step may overshoot.
        let damp = if size > 5.0 { 5.0 / size } else { 1.0 };
        beta.iter_mut().zip(&step).for_each(|(b, s)| *b -= damp * s);
        if size < 1e-8 {
            break;
        }
    }
    beta.iter().zip(&scale).map(|(b, s)| b / s).collect()
}

/// A sparse probe: logistic regression on a few latents, and the log-odds above which the class is
/// meant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Probe {
    /// The latents.
    pub latents: Vec<u32>,
    beta: Vec<f64>,
    threshold: f64,
}

impl Probe {
    /// On the latents of [`choose`], the best single one among them. Log-odds of 0 would be the
    /// place to cut for the fewest mistakes; of a rare class that says too seldom that it is there,
    /// so the cut is where F1 is greatest on these rows, as it is for a single latent.
    pub(super) fn fit(columns: &[Vec<(u32, f32)>], truth: &[bool], count: usize) -> Self {
        let single = best_single(columns, truth).map(|best| best.latent);
        let latents = choose(columns, truth, count, single);
        let rows = dense(columns, &latents, truth.len());
        let beta = logistic(&rows, truth);
        let scored = rows.iter().map(|row| log_odds(row, &beta)).zip(truth.iter().copied());
        let positives = truth.iter().filter(|&&t| t).count();
        let best = best_threshold(scored.collect(), positives, f64::NEG_INFINITY);
        Self { latents, beta, threshold: best.map_or(0.0, |(threshold, _)| threshold) }
    }

    /// Whether each of `rows` rows is of the class.
    pub(super) fn says(&self, columns: &[Vec<(u32, f32)>], rows: usize) -> Vec<bool> {
        let rows = dense(columns, &self.latents, rows);
        rows.iter().map(|row| log_odds(row, &self.beta) > self.threshold).collect()
    }
}

fn log_odds(row: &[f64], beta: &[f64]) -> f64 {
    row.iter().zip(beta).map(|(x, b)| x * b).sum()
}

/// Gaussian elimination with pivots; a direction without information gets 0.
fn solve(mut a: Vec<Vec<f64>>, mut y: Vec<f64>) -> Vec<f64> {
    let n = y.len();
    for i in 0..n {
        let pivot = (i..n).max_by(|&p, &q| a[p][i].abs().total_cmp(&a[q][i].abs())).unwrap_or(i);
        a.swap(i, pivot);
        y.swap(i, pivot);
        if a[i][i].abs() < 1e-300 {
            continue;
        }
        let (above, below) = a.split_at_mut(i + 1);
        for (k, row) in below.iter_mut().enumerate() {
            let factor = row[i] / above[i][i];
            for (x, pivot) in row[i..].iter_mut().zip(&above[i][i..]) {
                *x -= factor * pivot;
            }
            y[i + 1 + k] -= factor * y[i];
        }
    }
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        let rest: f64 = (i + 1..n).map(|j| a[i][j] * x[j]).sum();
        x[i] = if a[i][i].abs() < 1e-300 { 0.0 } else { (y[i] - rest) / a[i][i] };
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_by_hand() {
        // 2 hits, 1 false alarm, 1 miss.
        let truth = [true, true, true, false, false];
        let said = [true, true, false, true, false];
        assert!((f1(said.into_iter(), &truth) - 4.0 / 6.0).abs() < 1e-12);
        assert_eq!(f1([false; 5].into_iter(), &truth), 0.0);
    }

    fn example() -> (Vec<Vec<(u32, f32)>>, Vec<bool>) {
        let truth = vec![true, true, true, false, false, false];
        let columns = vec![
            // Always on, strongest where true but for one.
            vec![(0, 5.0), (1, 4.0), (2, 1.0), (3, 2.0), (4, 0.5), (5, 0.5)],
            // On for one true row and one false.
            vec![(2, 1.0), (5, 1.0)],
            vec![],
        ];
        (columns, truth)
    }

    #[test]
    fn the_best_single_latent_by_hand() {
        let (columns, truth) = example();
        let best = best_single(&columns, &truth).expect("one");
        // Above 0.75: 3 hits, 1 false alarm: 6 / 7. Above 3: 2 hits, no alarm: 4 / 5.
        assert_eq!(best.latent, 0);
        assert!((best.f1 - 6.0 / 7.0).abs() < 1e-12 && (best.threshold - 0.75).abs() < 1e-6);
    }

    #[test]
    fn latents_are_chosen_for_what_the_others_leave() {
        // The class is a XOR-free sum: on where latent 0 or latent 2 is; latent 1 copies latent 0.
        let columns = vec![
            vec![(0, 1.0), (1, 1.0), (2, 1.0)],
            vec![(0, 1.0), (1, 1.0), (2, 0.9)],
            vec![(3, 1.0)],
            vec![(4, 1.0), (5, 1.0), (6, 1.0)],
        ];
        let truth = [true, true, true, true, false, false, false, false];
        let mut chosen = choose(&columns, &truth, 2, Some(0));
        chosen.sort_unstable();
        assert_eq!(chosen, [0, 2]);
        let probe = Probe::fit(&columns, &truth, 2);
        assert_eq!(f1(probe.says(&columns, 8).into_iter(), &truth), 1.0);
    }

    #[test]
    fn a_rare_class_is_cut_where_f1_is_greatest() {
        // One latent: strong on 3 of 100 rows, of which 1 is true; weak on 20, of which 1 is true.
        // The class is never more likely than not, so a cut at even odds would find nothing.
        let column = (0..3).map(|row| (row, 2.0)).chain((3..23).map(|row| (row, 1.0))).collect();
        let columns = vec![column];
        let truth: Vec<bool> = (0..100).map(|row| row == 0 || row == 3).collect();
        let beta = logistic(&dense(&columns, &[0], 100), &truth);
        assert!(beta[0] + 2.0 * beta[1] < 0.0, "even odds would say yes");
        let probe = Probe::fit(&columns, &truth, 1);
        let says = probe.says(&columns, 100);
        // 1 hit of 3 said and 2 true: 2 / 5.
        assert_eq!(says.iter().filter(|&&s| s).count(), 3);
        assert!((f1(says.into_iter(), &truth) - 0.4).abs() < 1e-12);
    }

    #[test]
    fn logistic_regression_finds_the_log_odds() {
        // One latent, on in half of the rows: 3 of 4 true where on, 1 of 4 where off.
        let columns = vec![(0..40).map(|row| (row, 1.0)).collect::<Vec<_>>()];
        let truth: Vec<bool> = (0..80).map(|row| (row % 4 < 3) == (row < 40)).collect();
        let beta = logistic(&dense(&columns, &[0], 80), &truth);
        let odds = 3f64.ln();
        assert!((beta[0] + odds).abs() < 0.01 && (beta[1] - 2.0 * odds).abs() < 0.02, "{beta:?}");
    }

    #[test]
    fn systems_are_solved() {
        let x = solve(vec![vec![0.0, 2.0], vec![4.0, 1.0]], vec![6.0, 11.0]);
        assert_eq!(x, [2.0, 3.0]);
    }
}
