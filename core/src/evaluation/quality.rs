//! How well rows are reconstructed, summed up as they pass by.

use crate::sae::Latents;

/// Sums over the rows seen so far, in f64.
///
/// The variance is summed batch by batch around each batch's own mean, and the batches are joined
/// by the formula of Chan, Golub and LeVeque, so nothing large is subtracted from anything large.
#[derive(Debug, Clone)]
pub(super) struct Quality {
    width: usize,
    rows: u64,
    active: u64,
    /// Rows on which each latent fired.
    fired: Vec<u64>,
    mean: Vec<f64>,
    /// Σ‖x − mean‖².
    spread: f64,
    /// Σ‖x − x̂‖².
    error: f64,
    /// Σ‖x̂‖².
    energy: f64,
    /// Σ x·x̂.
    product: f64,
    /// The mean that each row's own variance is measured from: that of the first rows.
    centre: Option<Vec<f64>>,
    /// Σ ‖x − x̂‖² / ‖x − centre‖².
    ratios: f64,
}

/// The finished numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figures {
    pub rows: u64,
    pub l0: f64,
    pub mse: f64,
    pub fvu: f64,
    pub fvu_per_token: f64,
    pub gamma: f64,
    pub dead: f64,
    pub density: Vec<f32>,
}

impl Quality {
    pub fn new(width: usize, latents: usize) -> Self {
        Self {
            width,
            rows: 0,
            active: 0,
            fired: vec![0; latents],
            mean: vec![0.0; width],
            spread: 0.0,
            error: 0.0,
            energy: 0.0,
            product: 0.0,
            centre: None,
            ratios: 0.0,
        }
    }

    /// Adds rows `x` (`[n, width]`), what the dictionary says of them and its reconstruction.
    pub fn add(&mut self, x: &[f32], latents: &Latents, decoded: &[f32]) {
        let n = latents.rows() as u64;
        if n == 0 {
            return;
        }
        self.active += latents.len() as u64;
        for latent in &latents.index {
            self.fired[*latent as usize] += 1;
        }
        self.join(x, n);
        let centre = self.centre.get_or_insert_with(|| self.mean.clone());
        let pairs = x.chunks_exact(self.width).zip(decoded.chunks_exact(self.width));
        for (x, decoded) in pairs {
            let (mut error, mut variance) = (0.0, 0.0);
            for ((x, y), c) in x.iter().zip(decoded).zip(centre.iter()) {
                let (x, y) = (f64::from(*x), f64::from(*y));
                error += (x - y) * (x - y);
                variance += (x - c) * (x - c);
                self.energy += y * y;
                self.product += x * y;
            }
            self.error += error;
            self.ratios += error / variance;
        }
        self.rows += n;
    }

    /// Joins the mean and the spread of a batch to those so far.
    fn join(&mut self, x: &[f32], n: u64) {
        let mut mean = vec![0.0; self.width];
        for row in x.chunks_exact(self.width) {
            for (m, x) in mean.iter_mut().zip(row) {
                *m += f64::from(*x);
            }
        }
        mean.iter_mut().for_each(|m| *m /= n as f64);
        let mut spread = 0.0;
        for row in x.chunks_exact(self.width) {
            spread += row.iter().zip(&mean).map(|(x, m)| (f64::from(*x) - m).powi(2)).sum::<f64>();
        }
        let (old, new) = (self.rows as f64, n as f64);
        let share = new / (old + new);
        let mut apart = 0.0;
        for (all, batch) in self.mean.iter_mut().zip(&mean) {
            let delta = batch - *all;
            apart += delta * delta;
            *all += delta * share;
        }
        self.spread += spread + apart * old * share;
    }

    pub fn figures(&self) -> Figures {
        let rows = self.rows.max(1) as f64;
        let dead = self.fired.iter().filter(|n| **n == 0).count();
        Figures {
            rows: self.rows,
            l0: self.active as f64 / rows,
            mse: self.error / rows,
            fvu: self.error / self.spread,
            fvu_per_token: self.ratios / rows,
            gamma: self.energy / self.product,
            dead: dead as f64 / self.fired.len().max(1) as f64,
            density: self.fired.iter().map(|n| (*n as f64 / rows) as f32).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activations::testing::tiny_sae;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// The figures straight from their definitions, over everything at once.
    fn oracle(x: &[f32], latents: &Latents, decoded: &[f32], d: usize, first: usize) -> Figures {
        let n = x.len() / d;
        let rows: Vec<&[f32]> = x.chunks(d).collect();
        let recon: Vec<&[f32]> = decoded.chunks(d).collect();
        let mean = |rows: &[&[f32]]| -> Vec<f64> {
            (0..d)
                .map(|j| rows.iter().map(|r| f64::from(r[j])).sum::<f64>() / rows.len() as f64)
                .collect()
        };
        let all = mean(&rows);
        let centre = mean(&rows[..first]);
        let dist = |a: &[f32], b: &dyn Fn(usize) -> f64| -> f64 {
            a.iter().enumerate().map(|(j, v)| (f64::from(*v) - b(j)).powi(2)).sum()
        };
        let errors: Vec<f64> = (0..n).map(|i| dist(rows[i], &|j| f64::from(recon[i][j]))).collect();
        let spread: f64 = rows.iter().map(|r| dist(r, &|j| all[j])).sum();
        let ratios: f64 = (0..n).map(|i| errors[i] / dist(rows[i], &|j| centre[j])).sum();
        let energy: f64 = decoded.iter().map(|v| f64::from(*v).powi(2)).sum();
        let product: f64 = x.iter().zip(decoded).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let dense = latents.to_dense();
        let m = latents.width;
        let density: Vec<f32> = (0..m)
            .map(|l| (0..n).filter(|i| dense[i * m + l] > 0.0).count() as f32 / n as f32)
            .collect();
        Figures {
            rows: n as u64,
            l0: dense.iter().filter(|v| **v > 0.0).count() as f64 / n as f64,
            mse: errors.iter().sum::<f64>() / n as f64,
            fvu: errors.iter().sum::<f64>() / spread,
            fvu_per_token: ratios / n as f64,
            gamma: energy / product,
            dead: density.iter().filter(|d| **d == 0.0).count() as f64 / m as f64,
            density,
        }
    }

    #[test]
    fn sums_by_the_way_equal_the_definitions() {
        let sae = tiny_sae(&[16, 200]);
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        // A large offset, which naive sums of squares would drown in.
        let x: Vec<f32> = (0..97 * 16).map(|_| 300.0 + rng.random_range(-1.0f32..1.0)).collect();
        let latents = sae.encode(&x).unwrap();
        let decoded: Vec<f32> = x.iter().map(|v| 0.999 * v).collect();
        let mut quality = Quality::new(16, 200);
        for (from, to) in [(0, 40), (40, 41), (41, 97)] {
            let part = &x[from * 16..to * 16];
            quality.add(part, &sae.encode(part).unwrap(), &decoded[from * 16..to * 16]);
        }
        let (got, want) = (quality.figures(), oracle(&x, &latents, &decoded, 16, 40));
        let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-9 * b.abs(), "{a} {b}");
        near(got.mse, want.mse);
        near(got.fvu, want.fvu);
        near(got.fvu_per_token, want.fvu_per_token);
        near(got.gamma, want.gamma);
        near(got.l0, want.l0);
        near(got.dead, want.dead);
        assert!((got.gamma - 0.999).abs() < 1e-6);
        assert_eq!((got.rows, got.density), (want.rows, want.density));
        assert!(want.dead > 0.0 && want.dead < 1.0);
    }
}
