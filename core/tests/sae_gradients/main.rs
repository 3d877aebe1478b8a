//! Every hand-derived gradient against finite differences of the loss as the papers write it,
//! in f64, written again from scratch; thresholds of JumpReLU, which have no gradient, against
//! the pseudo-gradient that is stated for them.

#![allow(clippy::unwrap_used)]

mod oracle;

use oracle::{Problem, Weights};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use sparsescope_core::sae::architectures::{Anneal, Running};
use sparsescope_core::sae::engine::{OptimizerState, Parameters};
use sparsescope_core::sae::{Architecture, Extra, L0Loss, L1Penalty, Matrix, PNorm, Wiring};
use sparsescope_core::training::{Counters, TrainConfig, Trainer};

const SKIP: Wiring = Wiring::Transcoder { skip: true };

/// One random problem.
#[derive(Clone)]
struct Case {
    architecture: Architecture,
    wiring: Wiring,
    m: usize,
    d: usize,
    n: usize,
    seed: u64,
    dead: bool,
}

fn case(architecture: Architecture, seed: u64) -> Case {
    Case { architecture, wiring: Wiring::Centred, m: 24, d: 6, n: 11, seed, dead: false }
}

fn normal(rng: &mut ChaCha8Rng, count: usize, size: f32) -> Vec<f32> {
    (0..count).map(|_| rng.sample::<f32, _>(StandardNormal) * size).collect()
}

fn parameters(case: &Case, rng: &mut ChaCha8Rng) -> Parameters {
    let (m, d) = (case.m, case.d);
    let shapes = Extra::shapes(&case.architecture, case.wiring, m, d);
    Parameters {
        encoder: Matrix::new(m, d, normal(rng, m * d, 0.5)).unwrap(),
        b_enc: normal(rng, m, 0.2),
        decoder: Matrix::new(m, d, normal(rng, m * d, 0.5)).unwrap(),
        b_dec: normal(rng, d, 0.3),
        extra: Extra::made_of(&shapes, |name, shape| {
            let part = normal(rng, shape.iter().product(), 0.3);
            // Thresholds are not below 0.
            Ok(if name == "threshold" { part.iter().map(|t| t.abs()).collect() } else { part })
        })
        .unwrap(),
    }
}

fn in_f64(rows: &[f32], d: usize) -> Vec<Vec<f64>> {
    rows.chunks(d).map(|r| r.iter().map(|v| f64::from(*v)).collect()).collect()
}

/// Compares loss and all gradients on one random problem; returns how many latents were dead.
fn check(case: &Case) -> usize {
    let (m, d, n) = (case.m, case.d, case.n);
    let mut rng = ChaCha8Rng::seed_from_u64(case.seed);
    let parameters = parameters(case, &mut rng);
    let inputs = normal(&mut rng, n * d, 1.0);
    let transcodes = matches!(case.wiring, Wiring::Transcoder { .. });
    let targets = if transcodes { normal(&mut rng, n * d, 1.0) } else { inputs.clone() };
    let rows: Vec<f32> = if transcodes {
        inputs.chunks(d).zip(targets.chunks(d)).flat_map(|(x, y)| [x, y].concat()).collect()
    } else {
        inputs.clone()
    };
    let mut config = TrainConfig::preset(case.architecture.clone(), m);
    (config.batch, config.l1, config.sparsity_warmup_steps) = (n, 0.3, 0);
    (config.normalize, config.aux_weight, config.dead_after) = (false, 0.4, 1000);
    config.wiring = case.wiring;
    let silent: Vec<u64> = (0..m).map(|i| if case.dead && i % 2 == 0 { 5000 } else { 0 }).collect();
    let annealed = matches!(case.architecture, Architecture::PAnneal { .. });
    let anneal = if annealed { (case.seed as u32 % 8, 0.7) } else { (0, 1.0) };
    let problem = Problem {
        config: config.clone(),
        inputs: in_f64(&inputs, d),
        targets: in_f64(&targets, d),
        silent: silent.clone(),
        anneal,
    };
    let weights = Weights::of(&parameters);
    let optimizer = OptimizerState::new(&parameters);
    let counters = Counters {
        step: 0,
        tokens: 0,
        silent_for: silent,
        scale: 1.0,
        target_scale: 1.0,
        running: Running {
            anneal: Anneal { changes: anneal.0, factor: anneal.1, recent: Vec::new() },
            ..Running::default()
        },
        rng: ChaCha8Rng::seed_from_u64(0),
    };
    let mut trainer = Trainer::with(&config, parameters, optimizer, counters).unwrap();
    let losses = trainer.gradients(&rows, &|| Ok(())).unwrap();

    let fixed = problem.fixed(&weights);
    let active = problem.latents(&weights).concat().iter().filter(|f| **f > 0.0).count();
    let want = problem.loss(&weights, &fixed) + problem.count_loss(active as f64 / n as f64);
    let name = format!("{:?} {:?} seed {}", case.architecture, case.wiring, case.seed);
    assert!((losses.total - want).abs() < 1e-5 * want, "{name}: loss {} not {want}", losses.total);
    let gradients = trainer.engine().gradients();
    let mut at = 0;
    for (part, got) in gradients.parts() {
        let here = at;
        at += got.len();
        let slopes: Vec<f64> = if let ("threshold", Architecture::JumpRelu { bandwidth, .. }) =
            (part, &case.architecture)
        {
            problem.threshold_slopes(&weights, *bandwidth)
        } else {
            // Powers under 1 bend sharply near 0.
            let h = if annealed { 1e-8 } else { 1e-6 };
            let slope = |i: usize| {
                let (mut up, mut down) = (weights.clone(), weights.clone());
                up.all[i] += h;
                down.all[i] -= h;
                (problem.loss(&up, &fixed) - problem.loss(&down, &fixed)) / (2.0 * h)
            };
            (here..at).map(slope).collect()
        };
        let largest = slopes.iter().fold(1e-3f64, |a, b| a.max(b.abs()));
        for (i, (got, want)) in got.iter().zip(&slopes).enumerate() {
            let off = (f64::from(*got) - want).abs();
            assert!(off < 1e-5 * largest, "{name}: gradient of {part}[{i}] is {got}, not {want}");
        }
    }
    assert_eq!(at, weights.all.len(), "{name}: a part has no gradient");
    losses.dead
}

/// On the site itself, centred and not, and from one site to another, with and without skip.
fn check_wirings(case: &Case) {
    for wiring in [Wiring::Centred, Wiring::Plain, Wiring::Transcoder { skip: false }, SKIP] {
        check(&Case { wiring, ..case.clone() });
    }
}

#[test]
fn topk_and_its_kin() {
    for (seed, k) in [(1, 1), (2, 3), (3, 24)] {
        check_wirings(&case(Architecture::TopK { k }, seed));
        check(&Case { m: 50, d: 7, n: 21, ..case(Architecture::TopK { k }, seed) });
    }
    for (seed, k) in [(1, 1), (2, 3), (3, 6)] {
        check_wirings(&case(Architecture::MultiTopK { k }, seed));
        check_wirings(&case(Architecture::GroupMax { k }, seed));
    }
}

#[test]
fn batchtopk_and_matryoshka() {
    for (seed, k) in [(1, 1), (2, 3), (3, 24)] {
        check_wirings(&case(Architecture::BatchTopK { k }, seed));
        for (groups, weights) in [
            (vec![0.25, 0.25, 0.5], vec![]),
            (vec![0.125, 0.375, 0.5], vec![0.5, 0.3, 1.7]),
            (vec![1.0], vec![]),
        ] {
            check_wirings(&case(Architecture::Matryoshka { k, groups, weights }, seed));
        }
    }
}

#[test]
fn auxk_of_dead_latents() {
    let matryoshka = |k| Architecture::Matryoshka { k, groups: vec![0.25, 0.75], weights: vec![] };
    type Made = fn(usize) -> Architecture;
    let made: [Made; 4] = [
        |k| Architecture::TopK { k },
        |k| Architecture::BatchTopK { k },
        |k| Architecture::MultiTopK { k },
        |k| Architecture::GroupMax { k },
    ];
    let all = made.iter().map(|made| made(2)).chain([matryoshka(2)]);
    for architecture in all {
        let mut dead = 0;
        for wiring in [Wiring::Centred, SKIP] {
            for seed in 1..4 {
                let case = case(architecture.clone(), seed);
                dead += check(&Case { m: 50, n: 9, dead: true, wiring, ..case });
            }
        }
        assert!(dead > 20, "{architecture:?}: the auxiliary loss was hardly tried: {dead}");
    }
}

#[test]
fn standard_in_both_forms() {
    for penalty in [L1Penalty::UnitNorm, L1Penalty::DecoderNorm] {
        for seed in 1..4 {
            check_wirings(&case(Architecture::Standard { penalty }, seed));
            check(&Case { m: 50, d: 7, n: 13, ..case(Architecture::Standard { penalty }, seed) });
        }
    }
}

#[test]
fn gated() {
    for seed in 1..5 {
        check_wirings(&case(Architecture::Gated, seed));
        check(&Case { m: 50, d: 7, n: 13, ..case(Architecture::Gated, seed) });
    }
}

#[test]
fn jumprelu_with_each_loss() {
    for loss in [L0Loss::Step, L0Loss::Tanh { scale: 4.0 }, L0Loss::Quadratic { target: 5.0 }] {
        for seed in 1..4 {
            // Of the wide window a good part lies below thresholds, and some thresholds are
            // under half of it.
            let architecture = Architecture::JumpRelu { loss, bandwidth: 0.5 };
            check_wirings(&case(architecture.clone(), seed));
            let dead = check(&Case { dead: true, ..case(architecture, seed) });
            assert_eq!(dead, 12);
        }
    }
}

#[test]
fn p_annealed_penalties() {
    for norm in [PNorm::Lp, PNorm::LpToThePower] {
        // Seeds are the number of changes that p has gone through.
        for seed in [0, 1, 4, 7] {
            let architecture = Architecture::PAnneal { norm, p_end: 0.5, from: 0.1, updates: 8 };
            check_wirings(&case(architecture, seed));
        }
    }
}
