//! Logits, hidden states and gradients against those of Hugging Face transformers.

use crate::support::{distance, golden_models, numbers, open, outputs};
use candle_core::{DType, Device, Tensor};
use sparsescope_core::llama::{
    Logits, Model, Plan, Site, Tokens, WhatGradients, frequencies, next_token_nll,
};
use std::collections::HashMap;

const TOLERANCE: f64 = 2e-5;

fn tokens(outputs: &HashMap<String, Tensor>) -> Tokens {
    let t = &outputs["tokens"];
    let (batch, positions) = t.dims2().unwrap();
    let ids = t.to_dtype(DType::U32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    Tokens::new(ids, batch, positions).unwrap()
}

/// The name of a site in the golden files: `resid_1`.
fn golden_name(site: Site) -> String {
    site.to_string().replace('.', "_")
}

fn near(what: &str, found: &Tensor, golden: &Tensor, tolerance: f64) {
    let distance = distance(found, golden);
    assert!(distance <= tolerance, "{what} differs by {distance:e}");
}

#[test]
fn hidden_states_and_logits() {
    for name in golden_models() {
        let (model, golden) = (open(&name), outputs(&name));
        let tokens = tokens(&golden);
        let sites = Site::all(model.config().layers);
        let plan = Plan { read: &sites, logits: Logits::All, ..Plan::default() };
        let pass = model.forward(&tokens, &plan).unwrap();
        assert_eq!(pass.sites.len(), sites.len());
        for (site, x) in &pass.sites {
            near(&format!("{name} {site}"), x, &golden[&golden_name(*site)], TOLERANCE);
        }
        let logits = pass.logits.unwrap();
        near(&format!("{name} logits"), &logits, &golden["logits"], TOLERANCE);

        let nll = next_token_nll(&logits, &tokens).unwrap();
        for (found, golden) in nll.iter().zip(numbers(&golden["nll"])) {
            assert!((found - golden).abs() <= TOLERANCE, "{name} nll");
        }
        assert_eq!(nll.len(), golden["nll"].elem_count());
    }
}

#[test]
fn rotary_frequencies() {
    for name in golden_models() {
        let golden = outputs(&name);
        for (found, golden) in
            frequencies(open(&name).config()).iter().zip(numbers(&golden["rope_inv_freq"]))
        {
            let relative = (f64::from(*found) - golden).abs() / golden;
            assert!(relative <= 2e-7, "{name}: {found} instead of {golden}");
        }
        assert_eq!(numbers(&golden["rope_attention_scaling"]), [1.0]);
    }
}

/// The gradient of Σ_b logits[b, −1, 5] − logits[b, −1, 9] at the logits.
fn metric_gradient(model: &Model, batch: usize) -> Tensor {
    let vocab = model.config().vocab;
    let mut grad = vec![0f32; batch * vocab];
    for row in grad.chunks_mut(vocab) {
        (row[5], row[9]) = (1.0, -1.0);
    }
    Tensor::from_vec(grad, (batch, vocab), &Device::Cpu).unwrap()
}

#[test]
fn gradients_at_every_site() {
    for name in golden_models() {
        let (model, golden) = (open(&name), outputs(&name));
        let tokens = tokens(&golden);
        let sites = Site::all(model.config().layers);
        let what = WhatGradients { sites: &sites, ..WhatGradients::default() };
        let last = metric_gradient(&model, tokens.batch());
        let (batch, vocab) = last.dims2().unwrap();
        let before =
            Tensor::zeros((batch, tokens.positions() - 1, vocab), DType::F32, &Device::Cpu);
        let all = Tensor::cat(&[before.unwrap(), last.unsqueeze(1).unwrap()], 1).unwrap();
        for (logits, grad) in [(Logits::Last, last), (Logits::All, all)] {
            let plan = Plan { logits, trace: true, ..Plan::default() };
            let pass = model.forward(&tokens, &plan).unwrap();
            let gradients = model.backward(&pass, &grad, what).unwrap();
            assert_eq!(gradients.sites.len(), sites.len());
            assert!(gradients.weights.is_empty());
            for (site, x) in &gradients.sites {
                let wanted = &golden[&format!("grad_{}", golden_name(*site))];
                near(&format!("{name} {logits:?} gradient at {site}"), x, wanted, TOLERANCE);
            }
        }
    }
}
