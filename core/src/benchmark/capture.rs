//! Tokens a second of a forward pass that stops at a site, its output written or not.

use super::{Lap, Stopwatch};
use crate::error::{Error, IoContext as _, Result};
use crate::jobs::JobContext;
use crate::llama::{Config, Model, Plan, Site, Tokens, Weights, expected_weights};
use candle_core::{Device, Tensor};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

/// What to measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureShape {
    /// The site to read; the pass stops there.
    pub site: Site,
    /// Rows of a forward pass.
    pub batch: usize,
    /// Tokens of a row.
    pub positions: usize,
    /// Forward passes of one repetition.
    pub passes: usize,
    /// Repetitions, of which the median counts.
    pub repetitions: usize,
    /// File to write the activations to (f32), again at each repetition; deleted at the end.
    pub write: Option<PathBuf>,
    /// Seed of the tokens, and of the weights of [`tiny`].
    pub seed: u64,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureFigures {
    /// Tokens of one repetition.
    pub tokens: u64,
    /// Tokens a second, median of the repetitions.
    pub tokens_per_second: f64,
    /// Tokens a second of the best repetition.
    pub best_tokens_per_second: f64,
    /// Tokens per second of processor time, median of the repetitions.
    pub tokens_per_cpu_second: Option<f64>,
    /// Every repetition.
    pub laps: Vec<Lap>,
}

/// Measures how fast `model` can be captured from.
///
/// # Errors
/// A shape that makes no sense for the model, cancelled, a file that cannot be written.
pub fn capture<E>(
    ctx: &JobContext<E>,
    model: &Model,
    shape: &CaptureShape,
) -> Result<CaptureFigures> {
    if shape.passes == 0 || shape.repetitions == 0 {
        return Err(Error::setting(
            "There is nothing to measure",
            "passes and repetitions must be at least 1",
            "Give numbers from 1 on",
        ));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(shape.seed ^ 1);
    let vocab = model.config().vocab as u32;
    let batches: Vec<Tokens> = (0..shape.passes)
        .map(|_| {
            let ids =
                (0..shape.batch * shape.positions).map(|_| rng.random_range(0..vocab)).collect();
            Tokens::new(ids, shape.batch, shape.positions)
        })
        .collect::<Result<_>>()?;
    let mut laps = Vec::with_capacity(shape.repetitions);
    ctx.progress().stage("Measuring", "repetitions", 0, shape.repetitions as u64);
    pass(model, shape.site, &batches[0])?;
    for _ in 0..shape.repetitions {
        let watch = Stopwatch::start();
        let mut file = shape.write.as_ref().map(|path| Output::create(path)).transpose()?;
        for tokens in &batches {
            ctx.check()?;
            let output = pass(model, shape.site, tokens)?;
            if let Some(file) = &mut file {
                file.write(&output)?;
            }
        }
        laps.push(watch.lap());
        ctx.progress().add(1);
    }
    let tokens = (shape.passes * shape.batch * shape.positions) as u64;
    let rate = |seconds: f64| tokens as f64 / seconds;
    let middle = Lap::median(&laps)
        .ok_or_else(|| Error::internal("Nothing was measured", "there was no repetition"))?;
    Ok(CaptureFigures {
        tokens,
        tokens_per_second: rate(middle.seconds),
        best_tokens_per_second: laps.iter().map(|l| rate(l.seconds)).fold(0.0, f64::max),
        tokens_per_cpu_second: middle.cpu_seconds.map(rate),
        laps,
    })
}

fn pass(model: &Model, site: Site, tokens: &Tokens) -> Result<Vec<f32>> {
    let mut pass = model.forward(tokens, &Plan { read: &[site], ..Plan::default() })?;
    let output = pass.sites.remove(&site).ok_or_else(|| {
        Error::internal("Nothing was captured", format!("the pass did not hand back {site}"))
    })?;
    Ok(output.flatten_all()?.to_vec1()?)
}

/// The file written to, gone when this is dropped.
struct Output {
    path: PathBuf,
    file: File,
}

impl Output {
    fn create(path: &std::path::Path) -> Result<Self> {
        let file = File::create(path).doing(|| format!("Could not write {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn write(&mut self, numbers: &[f32]) -> Result<()> {
        let mut bytes = vec![0; numbers.len() * 4];
        for (place, number) in bytes.chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        self.file.write_all(&bytes).doing(|| format!("Could not write {}", self.path.display()))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A Llama of random weights: 6 blocks of width 288, 6 heads, 32,000 tokens, tied.
///
/// # Errors
/// There is too little memory.
pub fn tiny(seed: u64, device: &Device) -> Result<Model> {
    let config = Config::from_json(
        br#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 288,
            "num_hidden_layers": 6, "num_attention_heads": 6, "num_key_value_heads": 6,
            "intermediate_size": 768, "vocab_size": 32000, "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "hidden_act": "silu"}"#,
    )?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let normal = Normal::new(0.0_f32, 0.02)
        .map_err(|e| Error::internal("Random weights could not be made", e.to_string()))?;
    let mut weights = Weights::new();
    for (name, shape) in expected_weights(&config) {
        let size = shape.iter().product();
        let values: Vec<f32> = match shape.len() {
            1 => vec![1.0; size],
            _ => (0..size).map(|_| normal.sample(&mut rng)).collect(),
        };
        weights.insert(name, Tensor::from_vec(values, shape, device)?);
    }
    Model::from_weights(config, &weights, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_shape_is_measured_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let shape = CaptureShape {
            site: Site::Resid(0),
            batch: 2,
            positions: 8,
            passes: 2,
            repetitions: 3,
            write: Some(folder.path().join("x.bin")),
            seed: 0,
        };
        let model = tiny(0, &Device::Cpu).unwrap();
        let ctx = JobContext::<()>::unwatched();
        let figures = capture(&ctx, &model, &shape).unwrap();
        assert_eq!((figures.tokens, figures.laps.len()), (32, 3));
        assert!(figures.best_tokens_per_second >= figures.tokens_per_second);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let none = CaptureShape { passes: 0, ..shape };
        assert!(capture(&ctx, &model, &none).is_err());
    }
}
