//! Gradients against finite differences in f64, of every weight and at every site.

use crate::support::{Noise, golden_models, numbers, open_f64};
use candle_core::{DType, Device, Tensor};
use sparsescope_core::Result;
use sparsescope_core::llama::{
    Change, Logits, Model, Plan, Site, Tokens, WhatGradients, cross_entropy,
};

const STEP: f64 = 1e-4;

/// Adds a fixed tensor to a site.
struct Nudge(Tensor);

impl Change for Nudge {
    fn apply(&self, x: &Tensor, _first: usize) -> Result<Tensor> {
        Ok((x + &self.0)?)
    }
}

/// Σ logits · w, a scalar whose gradient at the logits is `w`.
fn metric(model: &Model, tokens: &Tokens, w: &Tensor, change: &[(Site, &dyn Change)]) -> f64 {
    let logits = if w.rank() == 2 { Logits::Last } else { Logits::All };
    let pass = model.forward(tokens, &Plan { change, logits, ..Plan::default() }).unwrap();
    numbers(&(pass.logits.unwrap() * w).unwrap()).iter().sum()
}

fn tokens(vocab: usize) -> Tokens {
    Tokens::new(Noise(5).tokens(3 * 35, vocab), 3, 35).unwrap()
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    numbers(&(a * b).unwrap()).iter().sum()
}

/// df/dstep at 0, by differences of fourth order.
fn derivative(f: impl Fn(f64) -> f64) -> f64 {
    (8.0 * (f(STEP) - f(-STEP)) - (f(2.0 * STEP) - f(-2.0 * STEP))) / (12.0 * STEP)
}

fn close(what: &str, analytic: f64, numeric: f64) {
    let error = (analytic - numeric).abs() / numeric.abs().max(1.0);
    assert!(error < 1e-7, "{what}: {analytic} against {numeric}");
}

#[test]
fn at_every_site_along_random_directions() {
    for name in golden_models() {
        let model = open_f64(&name);
        let (c, mut noise) = (model.config().clone(), Noise(1));
        let tokens = tokens(c.vocab);
        for shape in [vec![3, 35, c.vocab], vec![3, c.vocab]] {
            let w = noise.tensor(&shape, DType::F64);
            let logits = if shape.len() == 2 { Logits::Last } else { Logits::All };
            let sites = Site::all(c.layers);
            let plan = Plan { logits, trace: true, ..Plan::default() };
            let pass = model.forward(&tokens, &plan).unwrap();
            let what = WhatGradients { sites: &sites, ..WhatGradients::default() };
            let gradients = model.backward(&pass, &w, what).unwrap();
            for site in sites {
                let direction = noise.tensor(&[3, 35, c.width], DType::F64);
                let at = |step: f64| {
                    let nudge = Nudge((&direction * step).unwrap());
                    metric(&model, &tokens, &w, &[(site, &nudge)])
                };
                let numeric = derivative(at);
                close(&format!("{name} {site}"), dot(&gradients.sites[&site], &direction), numeric);
            }
        }
    }
}

#[test]
fn at_every_weight_along_random_directions() {
    for name in golden_models() {
        let model = open_f64(&name);
        let (c, mut noise) = (model.config().clone(), Noise(2));
        let tokens = tokens(c.vocab);
        let w = noise.tensor(&[3, 35, c.vocab], DType::F64);
        let plan = Plan { logits: Logits::All, trace: true, ..Plan::default() };
        let pass = model.forward(&tokens, &plan).unwrap();
        let what = WhatGradients { weights: true, ..WhatGradients::default() };
        let gradients = model.backward(&pass, &w, what).unwrap().weights;
        let weights = model.weights().unwrap();
        assert!(gradients.keys().eq(weights.keys()), "a weight has no gradient");
        for (name, weight) in &weights {
            let direction = noise.tensor(weight.dims(), DType::F64);
            let at = |step: f64| {
                let mut moved = weights.clone();
                moved.insert(name.clone(), (weight + (&direction * step).unwrap()).unwrap());
                let model = Model::from_weights(c.clone(), &moved, None).unwrap();
                metric(&model, &tokens, &w, &[])
            };
            let numeric = derivative(at);
            close(name, dot(&gradients[name], &direction), numeric);
        }
    }
}

/// A change counts as a constant that was added: the gradient at a changed site is that at its
/// output after the change, and upstream of it the change is passed over.
#[test]
fn through_a_change_straight() {
    struct Square;
    impl Change for Square {
        fn apply(&self, x: &Tensor, _first: usize) -> Result<Tensor> {
            Ok((x * x)?)
        }
    }
    let model = open_f64("llama_a");
    let c = model.config().clone();
    let tokens = tokens(c.vocab);
    let w = Noise(3).tensor(&[3, 35, c.vocab], DType::F64);
    let (site, below) = (Site::Mlp(0), Site::Embed);
    let read = [site, below];
    let plan = Plan { read: &[site], ..Plan::default() };
    let plain = model.forward(&tokens, &plan).unwrap().sites[&site].clone();

    let square: (Site, &dyn Change) = (site, &Square);
    let plan = Plan {
        read: &[site],
        change: &[square],
        logits: Logits::All,
        trace: true,
        ..Plan::default()
    };
    let pass = model.forward(&tokens, &plan).unwrap();
    let what = WhatGradients { sites: &read, ..WhatGradients::default() };
    let found = model.backward(&pass, &w, what).unwrap();

    // The same pass with the change's difference as a constant.
    let constant = Nudge((&pass.sites[&site] - plain).unwrap());
    let mut noise = Noise(4);
    for at in read {
        let direction = noise.tensor(&[3, 35, c.width], DType::F64);
        let value = |step: f64| {
            let nudge = Nudge((&direction * step).unwrap());
            metric(&model, &tokens, &w, &[(at, &nudge), (site, &constant)])
        };
        let numeric = derivative(value);
        close(&format!("{at}"), dot(&found.sites[&at], &direction), numeric);
    }
}

/// From the middle: gradients of Σ x · w at a site, upstream of it; nothing further is computed.
#[test]
fn from_a_site() {
    let model = open_f64("llama_a");
    let c = model.config().clone();
    let tokens = tokens(c.vocab);
    for (from, stop) in [(Site::Mlp(1), Site::Resid(1)), (Site::Attn(0), Site::Resid(0))] {
        let seed = Noise(6).tensor(&[3, 35, c.width], DType::F64);
        let sites = [Site::Embed, Site::Resid(0), from];
        let pass = model
            .forward(&tokens, &Plan { read: &[stop], trace: true, ..Plan::default() })
            .unwrap();
        let what = WhatGradients { sites: &sites, ..WhatGradients::default() };
        let found = model.backward_from(&pass, &[(from, seed.clone())], what).unwrap();
        for at in sites {
            let direction = Noise(7).tensor(&[3, 35, c.width], DType::F64);
            let value = |step: f64| {
                let nudge = Nudge((&direction * step).unwrap());
                let change: [(Site, &dyn Change); 1] = [(at, &nudge)];
                let plan = Plan { read: &[from], change: &change, ..Plan::default() };
                dot(&model.forward(&tokens, &plan).unwrap().sites[&from], &seed)
            };
            let numeric = derivative(value);
            close(&format!("{from} at {at}"), dot(&found.sites[&at], &direction), numeric);
        }
    }
}

#[test]
fn what_cannot_be_differentiated_is_refused() {
    let model = open_f64("llama_a");
    let tokens = tokens(model.config().vocab);
    let w = Noise(8).tensor(&[3, 101], DType::F64);
    let what = WhatGradients::default();
    let plan = Plan { logits: Logits::Last, ..Plan::default() };
    let untraced = model.forward(&tokens, &plan).unwrap();
    assert!(model.backward(&untraced, &w, what).is_err());
    let plan = Plan { trace: true, ..Plan::default() };
    let short = model.forward(&tokens, &plan).unwrap();
    assert!(model.backward(&short, &w, what).is_err());
    let seed = (Site::Resid(0), Noise(9).tensor(&[3, 35, 32], DType::F64));
    assert!(model.backward_from(&short, &[seed], what).is_err());
    let plan = Plan { logits: Logits::All, trace: true, ..Plan::default() };
    let all = model.forward(&tokens, &plan).unwrap();
    assert!(model.backward(&all, &w, what).is_err(), "a gradient of another shape");
}

#[test]
fn cross_entropy_and_its_gradient() {
    let logits: Vec<f32> = (0..5 * 7).map(|i| ((i * 37 % 11) as f32) / 3.0).collect();
    let targets = [1, 0, 6, 3, 2];
    let weights = [1.0, 0.0, 2.0, 1.0, 0.5];
    let tensor = |v: &[f32]| Tensor::from_vec(v.to_vec(), (5, 7), &Device::Cpu).unwrap();
    let oracle = |v: &[f64]| {
        let mut total = 0.0;
        for (i, row) in v.chunks(7).enumerate() {
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            total += weights[i] * (sum.ln() - row[targets[i] as usize]);
        }
        total / weights.iter().sum::<f64>()
    };
    let exact: Vec<f64> = logits.iter().map(|x| f64::from(*x)).collect();
    let narrow: Vec<f32> = weights.iter().map(|w| *w as f32).collect();
    let (loss, grad) = cross_entropy(&tensor(&logits), &targets, Some(&narrow)).unwrap();
    assert!((loss - oracle(&exact)).abs() < 1e-6);
    for (i, found) in numbers(&grad).into_iter().enumerate() {
        let at = |step: f64| {
            let mut moved = exact.clone();
            moved[i] += step;
            oracle(&moved)
        };
        let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!((found - numeric).abs() < 1e-6, "{found} against {numeric}");
    }
    assert!(cross_entropy(&tensor(&logits), &[1, 2, 3, 4, 7], None).is_err());
    assert!(cross_entropy(&tensor(&logits), &[1], None).is_err());
}
