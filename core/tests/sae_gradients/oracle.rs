//! Every loss as the papers write it, in f64, row by row and without a thought for speed.

use sparsescope_core::sae::architectures::PAnneal;
use sparsescope_core::sae::engine::Parameters;
use sparsescope_core::sae::{Architecture, L0Loss, L1Penalty, PNorm, Wiring};
use sparsescope_core::training::TrainConfig;
use std::collections::HashMap;

/// Weights in f64: one vector, and where each part of it begins.
#[derive(Clone)]
pub struct Weights {
    pub m: usize,
    pub d: usize,
    starts: HashMap<&'static str, usize>,
    pub all: Vec<f64>,
}

impl Weights {
    pub fn of(p: &Parameters) -> Self {
        let (mut starts, mut all) = (HashMap::new(), Vec::new());
        for (name, part) in p.parts() {
            starts.insert(name, all.len());
            all.extend(part.iter().map(|v| f64::from(*v)));
        }
        Self { m: p.b_enc.len(), d: p.b_dec.len(), starts, all }
    }

    fn row(&self, part: &str, i: usize, width: usize) -> &[f64] {
        &self.all[self.starts[part] + i * width..][..width]
    }

    pub fn one(&self, part: &str, i: usize) -> f64 {
        self.all[self.starts[part] + i]
    }

    pub fn direction(&self, i: usize) -> &[f64] {
        self.row("decoder", i, self.d)
    }

    fn b_dec(&self) -> &[f64] {
        self.row("b_dec", 0, self.d)
    }

    fn norm(&self, i: usize) -> f64 {
        square(self.direction(i)).sqrt()
    }

    fn skip(&self, x: &[f64]) -> Vec<f64> {
        if !self.starts.contains_key("skip") {
            return vec![0.0; self.d];
        }
        (0..self.d).map(|c| dot(self.row("skip", c, self.d), x)).collect()
    }

    /// Σ f_i d_i over the latents before `end`.
    fn decode(&self, f: &[f64], end: usize) -> Vec<f64> {
        let mut out = vec![0.0; self.d];
        for (i, f) in f[..end].iter().enumerate() {
            out.iter_mut().zip(self.direction(i)).for_each(|(o, w)| *o += f * w);
        }
        out
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub fn square(v: &[f64]) -> f64 {
    dot(v, v)
}

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Keeps the k greatest of `values` among those `allowed`.
fn keep(values: &[f64], k: usize, allowed: impl Fn(usize) -> bool) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).filter(|i| allowed(*i)).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    let mut kept = vec![0.0; values.len()];
    order.iter().take(k).for_each(|i| kept[*i] = values[*i]);
    kept
}

/// What a step holds constant: the residuals and the decoder of the point it starts from.
pub struct Fixed {
    pub weights: Weights,
    pub residuals: Vec<Vec<f64>>,
}

pub struct Problem {
    pub config: TrainConfig,
    pub inputs: Vec<Vec<f64>>,
    pub targets: Vec<Vec<f64>>,
    pub silent: Vec<u64>,
    /// Of p-annealing: changes so far, and the factor.
    pub anneal: (u32, f64),
}

impl Problem {
    pub fn pre(&self, w: &Weights, x: &[f64]) -> Vec<f64> {
        let seen = match self.config.wiring {
            Wiring::Centred => minus(x, w.b_dec()),
            _ => x.to_vec(),
        };
        (0..w.m).map(|i| dot(w.row("encoder", i, w.d), &seen) + w.one("b_enc", i)).collect()
    }

    fn relu(&self, w: &Weights, x: &[f64]) -> Vec<f64> {
        self.pre(w, x).into_iter().map(|v| v.max(0.0)).collect()
    }

    /// Activations of every row.
    pub fn latents(&self, w: &Weights) -> Vec<Vec<f64>> {
        let all: Vec<Vec<f64>> = self.inputs.iter().map(|x| self.relu(w, x)).collect();
        match self.config.architecture {
            Architecture::TopK { k } | Architecture::MultiTopK { k } => {
                all.iter().map(|f| keep(f, k, |_| true)).collect()
            }
            Architecture::GroupMax { k } => {
                let size = w.m / k;
                let best = |f: &Vec<f64>| {
                    let groups = f.chunks(size).flat_map(|group| keep(group, 1, |_| true));
                    groups.collect()
                };
                all.iter().map(best).collect()
            }
            Architecture::BatchTopK { k } | Architecture::Matryoshka { k, .. } => {
                let kept = keep(&all.concat(), k * all.len(), |_| true);
                kept.chunks(w.m).map(<[f64]>::to_vec).collect()
            }
            Architecture::Standard { .. } | Architecture::PAnneal { .. } => all,
            Architecture::Gated => {
                let magnitude = |i: usize, gate: f64| {
                    let pre = gate - w.one("b_enc", i);
                    let f = w.one("r_mag", i).exp() * pre + w.one("b_mag", i);
                    if gate > 0.0 { f.max(0.0) } else { 0.0 }
                };
                let row = |x: &Vec<f64>| {
                    let gates = self.pre(w, x).into_iter().enumerate();
                    gates.map(|(i, gate)| magnitude(i, gate)).collect()
                };
                self.inputs.iter().map(row).collect()
            }
            Architecture::JumpRelu { .. } => {
                let row = |x: &Vec<f64>| {
                    let pre = self.pre(w, x).into_iter().enumerate();
                    let jump =
                        |(i, z): (usize, f64)| if z > w.one("threshold", i) { z } else { 0.0 };
                    pre.map(jump).collect()
                };
                self.inputs.iter().map(row).collect()
            }
        }
    }

    /// y - x̂ of a row with these activations, of which those before `end` count.
    fn residual(&self, w: &Weights, row: usize, f: &[f64], end: usize) -> Vec<f64> {
        let left = minus(&self.targets[row], &w.skip(&self.inputs[row]));
        minus(&minus(&left, w.b_dec()), &w.decode(f, end))
    }

    pub fn fixed(&self, w: &Weights) -> Fixed {
        let f = self.latents(w);
        let residuals = (0..f.len()).map(|r| self.residual(w, r, &f[r], w.m)).collect();
        Fixed { weights: w.clone(), residuals }
    }

    /// The loss at `w`; what the paper holds constant is taken from `fixed`.
    pub fn loss(&self, w: &Weights, fixed: &Fixed) -> f64 {
        let f = self.latents(w);
        let loss = self.loss_of(w, &f);
        let n = f.len() as f64;
        loss + match &self.config.architecture {
            Architecture::Standard { .. } | Architecture::PAnneal { .. } => 0.0,
            Architecture::Gated => self.gates(w, fixed),
            Architecture::JumpRelu { .. } => {
                let dead = |i: usize| self.silent[i] >= self.config.dead_after;
                let mut sum = 0.0;
                for x in &self.inputs {
                    for (i, z) in self.pre(w, x).into_iter().enumerate().filter(|(i, _)| dead(*i)) {
                        sum += (w.one("threshold", i) - z).max(0.0) * w.norm(i);
                    }
                }
                self.config.aux_weight * sum / n
            }
            Architecture::MultiTopK { k } => self.auxk(w, &f, fixed) + self.multi(w, 4 * k),
            _ => self.auxk(w, &f, fixed),
        }
    }

    /// Reconstruction and penalty with these activations.
    pub fn loss_of(&self, w: &Weights, f: &[Vec<f64>]) -> f64 {
        let n = f.len() as f64;
        let error = |end: usize| {
            (0..f.len()).map(|r| square(&self.residual(w, r, &f[r], end))).sum::<f64>() / n
        };
        let each = |of: &dyn Fn(&Vec<f64>) -> f64| f.iter().map(of).sum::<f64>() / n;
        let weighted = |of: &dyn Fn(usize, f64) -> f64| {
            each(&|f| f.iter().enumerate().map(|(i, f)| of(i, *f)).sum())
        };
        let l1 = self.config.l1;
        match &self.config.architecture {
            Architecture::Matryoshka { weights, .. } => {
                let ends = self.config.architecture.nested_ends(w.m);
                let plain = 1.0 / ends.len() as f64;
                let weight = |g: usize| weights.get(g).copied().unwrap_or(plain);
                ends.iter().enumerate().map(|(g, end)| weight(g) * error(*end)).sum()
            }
            Architecture::Standard { penalty: L1Penalty::UnitNorm } => {
                error(w.m) + l1 * weighted(&|_, f| f)
            }
            Architecture::Standard { penalty: L1Penalty::DecoderNorm } => {
                error(w.m) + l1 * weighted(&|i, f| f * w.norm(i))
            }
            Architecture::JumpRelu { loss: L0Loss::Tanh { scale }, .. } => {
                error(w.m) + l1 * weighted(&|i, f| (scale * f * w.norm(i)).tanh())
            }
            Architecture::PAnneal { norm, p_end, from, updates } => {
                let rule = PAnneal { norm: *norm, p_end: *p_end, from: *from, updates: *updates };
                let p = rule.p(self.anneal.0);
                let power = |f: &Vec<f64>| {
                    let active = f.iter().filter(|f| **f > 0.0);
                    let sum: f64 = active.map(|f| f.powf(p)).sum();
                    if *norm == PNorm::Lp { sum.powf(1.0 / p) } else { sum }
                };
                error(w.m) + l1 * self.anneal.1 * each(&power)
            }
            _ => error(w.m),
        }
    }

    /// What the number of active latents costs.
    pub fn count_loss(&self, l0: f64) -> f64 {
        match self.config.architecture {
            Architecture::JumpRelu { loss: L0Loss::Step, .. } => self.config.l1 * l0,
            Architecture::JumpRelu { loss: L0Loss::Quadratic { target }, .. } => {
                self.config.l1 * (l0 / target - 1.0).powi(2)
            }
            _ => 0.0,
        }
    }

    /// Gated's penalty and auxiliary reconstruction; the decoder is a constant.
    fn gates(&self, w: &Weights, fixed: &Fixed) -> f64 {
        let mut sum = 0.0;
        for (r, x) in self.inputs.iter().enumerate() {
            let gates = self.relu(w, x);
            sum += self.config.l1 * gates.iter().sum::<f64>();
            sum += square(&self.residual(&fixed.weights, r, &gates, w.m));
        }
        sum / self.inputs.len() as f64
    }

    fn multi(&self, w: &Weights, k: usize) -> f64 {
        let error = |(r, x): (usize, &Vec<f64>)| {
            square(&self.residual(w, r, &keep(&self.relu(w, x), k, |_| true), w.m))
        };
        let sum: f64 = self.inputs.iter().enumerate().map(error).sum();
        sum / self.inputs.len() as f64 / 8.0
    }

    fn auxk(&self, w: &Weights, f: &[Vec<f64>], fixed: &Fixed) -> f64 {
        let n = f.len();
        let dead = |i: usize| {
            f.iter().all(|f| f[i] == 0.0) && self.silent[i] + n as u64 >= self.config.dead_after
        };
        let count = (0..w.m).filter(|i| dead(*i)).count();
        if count == 0 {
            return 0.0;
        }
        let k_aux = (w.d / 2).min(count);
        let mean: Vec<f64> = (0..w.d)
            .map(|c| fixed.residuals.iter().map(|r| r[c]).sum::<f64>() / n as f64)
            .collect();
        let variance: f64 = fixed.residuals.iter().map(|r| square(&minus(r, &mean))).sum();
        let rows = self.inputs.iter().zip(&fixed.residuals);
        let error = |(x, r): (&Vec<f64>, &Vec<f64>)| {
            square(&minus(r, &w.decode(&keep(&self.relu(w, x), k_aux, dead), w.m)))
        };
        self.config.aux_weight * rows.map(error).sum::<f64>() / variance
    }

    /// The stated pseudo-gradient of the loss by each threshold:
    /// `Σ rect((z - θ)/ε) (-(θ/ε) ∂L/∂f - (1/ε) ∂L/∂L0)`, each derivative by finite differences.
    pub fn threshold_slopes(&self, w: &Weights, bandwidth: f64) -> Vec<f64> {
        let f = self.latents(w);
        let n = f.len() as f64;
        let l0 = f.concat().iter().filter(|f| **f > 0.0).count() as f64 / n;
        let h = 1e-6;
        let by_count = (self.count_loss(l0 + h) - self.count_loss(l0 - h)) / (2.0 * h) / n;
        let dead = |i: usize| self.silent[i] >= self.config.dead_after;
        let mut slopes = vec![0.0; w.m];
        for (r, x) in self.inputs.iter().enumerate() {
            for (i, z) in self.pre(w, x).into_iter().enumerate() {
                let theta = w.one("threshold", i);
                if dead(i) && z < theta {
                    slopes[i] += self.config.aux_weight * w.norm(i) / n;
                }
                if (z - theta).abs() >= bandwidth / 2.0 {
                    continue;
                }
                let (mut up, mut down) = (f.clone(), f.clone());
                up[r][i] += h;
                down[r][i] -= h;
                let by_f = (self.loss_of(w, &up) - self.loss_of(w, &down)) / (2.0 * h);
                slopes[i] -= (theta * by_f + by_count) / bandwidth;
            }
        }
        slopes
    }
}
