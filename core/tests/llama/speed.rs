//! Speed, for people: `cargo test --release -p sparsescope-core --test llama speed -- --ignored --nocapture`.

use crate::support::Noise;
use candle_core::DType;
use sparsescope_core::llama::{
    Config, Logits, Model, Plan, Rope, Site, Tokens, Weights, WhatGradients, cross_entropy,
    expected_weights,
};
use std::time::Instant;

fn random(layers: usize, width: usize, heads: usize, hidden: usize, vocab: usize) -> Model {
    let config = Config {
        architecture: "LlamaForCausalLM".to_owned(),
        layers,
        width,
        heads,
        kv_heads: heads,
        head_dim: width / heads,
        hidden,
        vocab,
        context: 2048,
        norm_eps: 1e-5,
        rope_theta: 1e4,
        rope: Rope::Default,
        tied: Some(true),
        bos: None,
        eos: Vec::new(),
    };
    let mut noise = Noise(1);
    let weights: Weights = expected_weights(&config)
        .into_iter()
        .map(|(name, shape)| {
            let scale = 1.0 / (shape[shape.len() - 1] as f64).sqrt();
            let w = noise.tensor(&shape, DType::F32);
            (name, (w * scale).unwrap())
        })
        .collect();
    Model::from_weights(config, &weights, None).unwrap()
}

/// Processor seconds of this process so far.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn timed(what: &str, threads: usize, tokens: usize, mut f: impl FnMut() + Send) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        f();
        let mut best = f64::INFINITY;
        let (start, before) = (Instant::now(), cpu());
        let mut runs = 0;
        while start.elapsed().as_secs_f64() < 3.0 {
            let once = Instant::now();
            f();
            best = best.min(once.elapsed().as_secs_f64());
            runs += 1;
        }
        println!(
            "{what}, {threads} threads: {:.0} tokens/s at best, {:.0} per processor second",
            tokens as f64 / best,
            (tokens * runs) as f64 / (cpu() - before)
        );
    });
}

#[test]
#[ignore = "measures"]
fn capture() {
    let model = random(6, 288, 6, 768, 32_000);
    let tokens = Tokens::new(Noise(2).tokens(32 * 128, 32_000), 32, 128).unwrap();
    for threads in [1, 4] {
        timed("capture 6 x 288 after block 2", threads, 32 * 128, || {
            let plan = Plan { read: &[Site::Resid(2)], ..Plan::default() };
            model.forward(&tokens, &plan).unwrap();
        });
    }
}

#[test]
#[ignore = "measures"]
fn training() {
    let model = random(4, 128, 4, 344, 1000);
    let ids = Noise(2).tokens(32 * 128, 1000);
    let tokens = Tokens::new(ids.clone(), 32, 128).unwrap();
    for threads in [1, 4] {
        timed("forward and backward 4 x 128", threads, 32 * 128, || {
            let plan = Plan { logits: Logits::All, trace: true, ..Plan::default() };
            let pass = model.forward(&tokens, &plan).unwrap();
            let (_, grad) = cross_entropy(pass.logits.as_ref().unwrap(), &ids, None).unwrap();
            let what = WhatGradients { weights: true, ..WhatGradients::default() };
            model.backward(&pass, &grad, what).unwrap();
        });
    }
}
