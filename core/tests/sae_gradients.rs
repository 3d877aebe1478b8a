//! Every hand-derived gradient against finite differences of the loss as the papers write it,
//! in f64, written again from scratch.

#![allow(clippy::unwrap_used)]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use sparsescope_core::sae::architectures::Running;
use sparsescope_core::sae::engine::{OptimizerState, Parameters};
use sparsescope_core::sae::{Architecture, Extra, L1Penalty, Matrix};
use sparsescope_core::training::{Counters, TrainConfig, Trainer};

/// Weights in f64, one vector: encoder, b_enc, decoder, b_dec.
#[derive(Clone)]
struct Weights {
    m: usize,
    d: usize,
    all: Vec<f64>,
}

impl Weights {
    fn of(p: &Parameters) -> Self {
        let all = p.parts().iter().flat_map(|(_, p)| p.iter().map(|v| f64::from(*v))).collect();
        Self { m: p.b_enc.len(), d: p.b_dec.len(), all }
    }

    fn encoder(&self, i: usize) -> &[f64] {
        &self.all[i * self.d..][..self.d]
    }

    fn b_enc(&self, i: usize) -> f64 {
        self.all[self.m * self.d + i]
    }

    fn decoder(&self, i: usize) -> &[f64] {
        &self.all[self.m * self.d + self.m + i * self.d..][..self.d]
    }

    fn b_dec(&self) -> &[f64] {
        &self.all[2 * self.m * self.d + self.m..]
    }

    fn activations(&self, x: &[f64]) -> Vec<f64> {
        (0..self.m)
            .map(|i| {
                let centred = x.iter().zip(self.b_dec());
                let product: f64 =
                    centred.zip(self.encoder(i)).map(|((x, b), w)| (x - b) * w).sum();
                (product + self.b_enc(i)).max(0.0)
            })
            .collect()
    }

    fn decode(&self, f: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.d];
        for (i, f) in f.iter().enumerate() {
            out.iter_mut().zip(self.decoder(i)).for_each(|(o, w)| *o += f * w);
        }
        out
    }
}

/// Keeps the k greatest entries of `f` among those `allowed`.
fn keep(f: &[f64], k: usize, allowed: impl Fn(usize) -> bool) -> Vec<f64> {
    let mut order: Vec<usize> = (0..f.len()).filter(|i| allowed(*i)).collect();
    order.sort_by(|a, b| f[*b].total_cmp(&f[*a]));
    let mut kept = vec![0.0; f.len()];
    order.iter().take(k).for_each(|i| kept[*i] = f[*i]);
    kept
}

fn square(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum()
}

struct Problem {
    config: TrainConfig,
    rows: Vec<Vec<f64>>,
    silent: Vec<u64>,
}

impl Problem {
    fn main_latents(&self, w: &Weights, x: &[f64]) -> Vec<f64> {
        let f = w.activations(x);
        match self.config.architecture {
            Architecture::TopK { k } => keep(&f, k, |_| true),
            _ => f,
        }
    }

    fn residuals(&self, w: &Weights) -> Vec<Vec<f64>> {
        let residual = |x: &Vec<f64>| {
            let back = w.decode(&self.main_latents(w, x));
            x.iter().zip(back).zip(w.b_dec()).map(|((x, y), b)| x - y - b).collect()
        };
        self.rows.iter().map(residual).collect()
    }

    /// The loss at `w`; what the paper holds constant is taken from `fixed`.
    fn loss(&self, w: &Weights, fixed: &[Vec<f64>]) -> f64 {
        let n = self.rows.len() as f64;
        let mut loss = self.residuals(w).iter().map(|r| square(r)).sum::<f64>() / n;
        if let Architecture::Standard { penalty } = self.config.architecture {
            for x in &self.rows {
                for (i, f) in self.main_latents(w, x).iter().enumerate() {
                    let size = match penalty {
                        L1Penalty::UnitNorm => 1.0,
                        L1Penalty::DecoderNorm => square(w.decoder(i)).sqrt(),
                    };
                    loss += self.config.l1 * f * size / n;
                }
            }
            return loss;
        }
        let mut fired = vec![false; w.m];
        for x in &self.rows {
            let f = self.main_latents(w, x);
            fired.iter_mut().zip(f).for_each(|(fired, f)| *fired |= f > 0.0);
        }
        let dead = |i: usize| {
            !fired[i] && self.silent[i] + self.rows.len() as u64 >= self.config.dead_after
        };
        let count = (0..w.m).filter(|i| dead(*i)).count();
        if count == 0 {
            return loss;
        }
        let k_aux = (w.d / 2).min(count);
        let mean: Vec<f64> =
            (0..w.d).map(|c| fixed.iter().map(|r| r[c]).sum::<f64>() / n).collect();
        let spread = |r: &Vec<f64>| r.iter().zip(&mean).map(|(r, m)| (r - m).powi(2)).sum::<f64>();
        let variance = fixed.iter().map(spread).sum::<f64>() / n;
        for (x, r) in self.rows.iter().zip(fixed) {
            let a = w.decode(&keep(&w.activations(x), k_aux, dead));
            let error: f64 = r.iter().zip(a).map(|(r, a)| (r - a).powi(2)).sum();
            loss += self.config.aux_weight * error / n / variance;
        }
        loss
    }
}

/// Compares loss and all gradients on one random problem; returns how many latents were dead.
fn check(architecture: Architecture, m: usize, d: usize, n: usize, seed: u64, dead: bool) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = |count: usize, size: f32| -> Vec<f32> {
        (0..count).map(|_| rng.sample::<f32, _>(StandardNormal) * size).collect()
    };
    let parameters = Parameters {
        encoder: Matrix::new(m, d, normal(m * d, 0.5)).unwrap(),
        b_enc: normal(m, 0.2),
        decoder: Matrix::new(m, d, normal(m * d, 0.5)).unwrap(),
        b_dec: normal(d, 0.3),
        extra: Extra::default(),
    };
    let rows = normal(n * d, 1.0);
    let mut config = TrainConfig::preset(architecture, m);
    (config.batch, config.l1, config.sparsity_warmup_steps) = (n, 0.3, 0);
    (config.normalize, config.aux_weight, config.dead_after) = (false, 0.4, 1000);
    let silent: Vec<u64> = (0..m).map(|i| if dead && i % 2 == 0 { 5000 } else { 0 }).collect();
    let problem = Problem {
        config: config.clone(),
        rows: rows.chunks(d).map(|r| r.iter().map(|v| f64::from(*v)).collect()).collect(),
        silent: silent.clone(),
    };
    let weights = Weights::of(&parameters);
    let optimizer = OptimizerState::new(&parameters);
    let rng = ChaCha8Rng::seed_from_u64(0);
    let counters = Counters {
        step: 0,
        tokens: 0,
        silent_for: silent,
        scale: 1.0,
        target_scale: 1.0,
        running: Running::default(),
        rng,
    };
    let mut trainer = Trainer::with(&config, parameters, optimizer, counters).unwrap();
    let losses = trainer.gradients(&rows, &|| Ok(())).unwrap();

    let fixed = problem.residuals(&weights);
    let want = problem.loss(&weights, &fixed);
    assert!((losses.total - want).abs() < 1e-5 * want, "loss {} is not {want}", losses.total);
    let gradients = trainer.engine().gradients();
    let mut at = 0;
    for (name, got) in gradients.parts() {
        let slopes: Vec<f64> = (at..at + got.len())
            .map(|i| {
                let h = 1e-6;
                let (mut up, mut down) = (weights.clone(), weights.clone());
                up.all[i] += h;
                down.all[i] -= h;
                (problem.loss(&up, &fixed) - problem.loss(&down, &fixed)) / (2.0 * h)
            })
            .collect();
        at += got.len();
        let largest = slopes.iter().fold(1e-3f64, |a, b| a.max(b.abs()));
        for (i, (got, want)) in got.iter().zip(&slopes).enumerate() {
            let off = (f64::from(*got) - want).abs();
            assert!(off < 1e-5 * largest, "gradient of {name}[{i}] is {got}, not {want}");
        }
    }
    losses.dead
}

#[test]
fn topk() {
    for (seed, k) in [(1, 1), (2, 3), (3, 20)] {
        check(Architecture::TopK { k }, 20, 6, 9, seed, false);
        check(Architecture::TopK { k }, 50, 7, 21, seed, false);
    }
}

#[test]
fn topk_with_dead_latents() {
    let dead: usize =
        (1..6).map(|seed| check(Architecture::TopK { k: 2 }, 50, 6, 9, seed, true)).sum();
    assert!(dead > 20, "the auxiliary loss was hardly tried: {dead}");
}

#[test]
fn standard_in_both_forms() {
    for penalty in [L1Penalty::UnitNorm, L1Penalty::DecoderNorm] {
        for seed in 1..4 {
            check(Architecture::Standard { penalty }, 20, 6, 9, seed, false);
            check(Architecture::Standard { penalty }, 50, 7, 13, seed, false);
        }
    }
}
