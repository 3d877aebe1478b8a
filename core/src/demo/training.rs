//! Trains the built-in model, reproducibly: same request, same weights.

use super::bpe::{BOS, EOS, VOCABULARY, tokenizer_json};
use super::check::{Knowledge, check_model};
use super::muon::Muon;
use super::optimizer::{AdamW, Gradient};
use super::stream::Stream;
use crate::error::{Error, IoContext, Result};
use crate::jobs::JobContext;
use crate::llama::{
    Config, Logits, Model, Plan, Rope, TokenizerHandle, Tokens, Weights, WhatGradients,
    cross_entropy, expected_weights,
};
use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// What to train; the defaults made the built-in model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRequest {
    /// Folder for `config.json`, `tokenizer.json`, `model.safetensors`.
    pub out: PathBuf,
    /// Seed of weights and text.
    pub seed: u64,
    /// Tokens to train on.
    pub tokens: u64,
    /// Rows a step.
    pub batch: usize,
    /// Tokens a row.
    pub positions: usize,
    /// Peak learning rate of AdamW (embedding, output, norms); warm-up over a fiftieth of the
    /// run, then half a cosine down to 0.
    pub lr: f64,
    /// The same for the matrices of the blocks, which Muon moves.
    pub matrix_lr: f64,
    /// Number of blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Number of heads.
    pub heads: usize,
    /// Width of the MLP's hidden layer.
    pub hidden: usize,
    /// Documents of the check at the end.
    pub check_documents: usize,
}

impl ModelRequest {
    /// The request that made the built-in model, but for the folder.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            seed: 0,
            tokens: 8_000_000,
            batch: 8,
            positions: 256,
            lr: 5e-3,
            matrix_lr: 0.02,
            layers: 4,
            width: 128,
            heads: 4,
            hidden: 352,
            check_documents: 2000,
        }
    }

    /// The shape of the model.
    pub fn config(&self) -> Config {
        Config {
            architecture: "LlamaForCausalLM".to_owned(),
            layers: self.layers,
            width: self.width,
            heads: self.heads,
            kv_heads: self.heads,
            head_dim: self.width / self.heads.max(1),
            hidden: self.hidden,
            vocab: VOCABULARY,
            context: self.positions,
            norm_eps: 1e-5,
            rope_theta: 10_000.0,
            rope: Rope::Default,
            tied: Some(false),
            bos: Some(BOS),
            eos: vec![EOS],
        }
    }
}

/// A point of the training's curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ModelPoint {
    /// Step, from 1.
    pub step: u64,
    /// Tokens so far.
    pub tokens: u64,
    /// Mean loss since the last point, nats a token.
    pub loss: f64,
    /// Learning rate.
    pub lr: f64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelOutcome {
    /// The folder.
    pub out: PathBuf,
    /// Content hash of the model as it was written.
    pub hash: String,
    /// Number of parameters.
    pub parameters: u64,
    /// Bytes of the weights on disk.
    pub bytes: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// Seconds the training took.
    pub seconds: f64,
    /// How well the model knows the world, measured on what was written.
    pub knowledge: Knowledge,
}

/// Trains a model on the world and writes its folder.
///
/// # Errors
/// Settings that make no sense, a folder that cannot be written, a loss that is no number.
pub fn train_model(ctx: &JobContext<ModelPoint>, request: &ModelRequest) -> Result<ModelOutcome> {
    let started = Instant::now();
    let config = request.config().checked()?;
    if request.batch == 0 || request.positions < 2 || !request.lr.is_finite() || request.lr <= 0.0 {
        return Err(Error::setting(
            "The model cannot be trained",
            "batch, positions or learning rate is 0",
            "Give numbers greater than 0",
        ));
    }
    fs::create_dir_all(&request.out)
        .doing(|| format!("Could not create {}", request.out.display()))?;
    ctx.progress().stage("Learning the tokenizer", "", 0, 0);
    let json = tokenizer_json();
    let tokenizer = Arc::new(TokenizerHandle::from_bytes(&json, None, Some(BOS), VOCABULARY)?);
    let mut weights = first_weights(&config, request.seed)?;
    let mut adam = AdamW::new((0.9, 0.98), 0.0);
    let mut muon = Muon::new(0.95, 0.02);
    let mut stream = Stream::new(&tokenizer, request.seed);
    let per_step = (request.batch * request.positions) as u64;
    let steps = request.tokens.div_ceil(per_step).max(1);
    ctx.progress().stage("Training the model", "tokens", 0, steps * per_step);
    let (mut sum, mut since, mut shown) = (0.0, 0u32, Instant::now());
    for step in 1..=steps {
        ctx.check()?;
        let share = rate(step, steps);
        let (inputs, targets) = stream.rows(request.batch, request.positions)?;
        let model = Model::from_weights(config.clone(), &weights, None)?;
        let (loss, gradients) =
            loss_and_gradients(ctx, &model, request.positions, &inputs, &targets)?;
        let by_adam = |name: &str, weight: &Tensor| !Muon::takes(name, weight);
        adam.step(&mut weights, &gradients, request.lr * share, 1.0, by_adam)?;
        muon.step(&mut weights, &gradients, request.matrix_lr * share)?;
        ctx.progress().add(per_step);
        sum += loss;
        since += 1;
        if shown.elapsed().as_millis() >= 500 || step == steps {
            let loss = sum / f64::from(since);
            ctx.emit(ModelPoint { step, tokens: step * per_step, loss, lr: request.lr * share });
            (sum, since, shown) = (0.0, 0, Instant::now());
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let bytes = save(&request.out, &config, &weights, &json)?;
    let model = Model::open(&request.out, &Device::Cpu)?;
    // Once for the loss and once for agreement.
    let looks = 2 * request.check_documents as u64;
    ctx.progress().stage("Checking the model", "documents", 0, looks);
    // A seed that no training text has.
    let knowledge = check_model(ctx, &model, request.check_documents, request.seed ^ (1 << 32))?;
    Ok(ModelOutcome {
        out: request.out.clone(),
        hash: model.hash().to_owned(),
        parameters: config.parameters(),
        bytes,
        tokens: steps * per_step,
        seconds,
        knowledge,
    })
}

/// Mean loss of a batch and its gradient at every weight. Each row is computed by itself and the
/// rows are summed in order, so that the numbers do not depend on the threads there are.
fn loss_and_gradients(
    ctx: &JobContext<ModelPoint>,
    model: &Model,
    positions: usize,
    inputs: &[u32],
    targets: &[u32],
) -> Result<(f64, Gradient)> {
    let rows: Vec<(&[u32], &[u32])> =
        inputs.chunks(positions).zip(targets.chunks(positions)).collect();
    let parts: Vec<(f64, Weights)> = rows
        .par_iter()
        .map(|(inputs, targets)| {
            ctx.check()?;
            let plan = Plan { logits: Logits::All, trace: true, ..Plan::default() };
            let pass = model.forward(&Tokens::row(inputs)?, &plan)?;
            let logits = pass.logits.as_ref().ok_or_else(no_logits)?;
            let (loss, gradient) = cross_entropy(logits, targets, None)?;
            let what = WhatGradients { weights: true, ..WhatGradients::default() };
            Ok((loss, model.backward(&pass, &gradient, what)?.weights))
        })
        .collect::<Result<_>>()?;
    let share = 1.0 / rows.len() as f32;
    let names: Vec<&String> = parts.first().map(|p| p.1.keys().collect()).unwrap_or_default();
    let gradient = names
        .par_iter()
        .map(|name| {
            let mut sum = Vec::new();
            for (_, part) in &parts {
                let part = part[*name].flatten_all()?.to_vec1::<f32>()?;
                sum.resize(part.len(), 0.0);
                sum.iter_mut().zip(&part).for_each(|(s, p)| *s += share * p);
            }
            Ok(((*name).clone(), sum))
        })
        .collect::<Result<Gradient>>()?;
    let loss = parts.iter().map(|p| p.0).sum::<f64>() / rows.len() as f64;
    Ok((loss, gradient))
}

/// Share of the peak learning rate at a step: linear warm-up, then half a cosine.
fn rate(step: u64, steps: u64) -> f64 {
    let warm = (steps / 50).max(1);
    if step <= warm {
        return step as f64 / warm as f64;
    }
    let share = (step - warm) as f64 / (steps - warm).max(1) as f64;
    0.5 * (1.0 + (std::f64::consts::PI * share).cos())
}

/// Normal weights of deviation 1/√fan-in (embeddings 0.02, what adds to the residual stream
/// divided by √(2 · layers) besides), norms 1.
fn first_weights(config: &Config, seed: u64) -> Result<Weights> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = Weights::new();
    for (name, shape) in expected_weights(config) {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = if shape.len() == 1 {
            vec![1.0; count]
        } else {
            let fan_in = shape[1] as f64;
            let mut deviation = fan_in.sqrt().recip();
            if name.contains("embed_tokens") || name.contains("lm_head") {
                deviation = 0.02;
            } else if name.contains("o_proj") || name.contains("down_proj") {
                deviation /= (2.0 * config.layers as f64).sqrt();
            }
            (0..count)
                .map(|_| {
                    let z: f64 = StandardNormal.sample(&mut rng);
                    (z * deviation) as f32
                })
                .collect()
        };
        weights.insert(name, Tensor::from_vec(values, shape, &Device::Cpu)?);
    }
    Ok(weights)
}

/// Writes the folder, weights in f16; returns their bytes.
fn save(out: &Path, config: &Config, weights: &Weights, tokenizer: &[u8]) -> Result<u64> {
    let mut halves = std::collections::HashMap::new();
    for (name, weight) in weights {
        halves.insert(name.clone(), weight.to_dtype(DType::F16)?);
    }
    let bytes = safetensors::serialize(&halves, None)
        .map_err(|e| Error::internal("The weights cannot be written", e.to_string()))?;
    let mut json = serde_json::to_vec_pretty(&config.to_json("float16")).unwrap_or_default();
    json.push(b'\n');
    replace(&out.join("tokenizer.json"), tokenizer)?;
    replace(&out.join("config.json"), &json)?;
    replace(&out.join("model.safetensors"), &bytes)?;
    Ok(bytes.len() as u64)
}

/// Writes beside, syncs, renames.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().doing(|| format!("Could not write {}", path.display()))
}

fn no_logits() -> Error {
    Error::internal("The model was not trained", "the pass gave no logits")
}
