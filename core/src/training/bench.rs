//! How fast a training step is, measured the way the peers are: random activations in memory.

use super::config::TrainConfig;
use super::trainer::Trainer;
use crate::error::{Error, Result};
use crate::sae::Architecture;
use crate::sae::engine::{OptimizerState, Spent};
use crate::sae::kernels::portable;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use std::fs;
use std::time::{Duration, Instant};

/// Batches of random rows that the steps take in turn.
const BATCHES: usize = 4;

/// What to measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchSpec {
    /// Architecture and its own numbers.
    pub architecture: Architecture,
    /// Width d of the activations.
    pub width: usize,
    /// Number of latents, m.
    pub latents: usize,
    /// Rows a step.
    pub batch: usize,
    /// Steps that are measured.
    pub steps: u64,
    /// Steps before that.
    pub warmup: u64,
    /// Threads.
    pub threads: usize,
    /// Share of latents that are dead, so that an auxiliary loss has work.
    pub dead: f64,
    /// If given, biases begin where so many latents of a row are active on average.
    pub l0: Option<f64>,
}

impl Default for BenchSpec {
    /// The shape that the peers were measured at.
    fn default() -> Self {
        Self {
            architecture: Architecture::TopK { k: 32 },
            width: 512,
            latents: 16384,
            batch: 4096,
            steps: 3,
            warmup: 1,
            threads: 1,
            dead: 0.0,
            l0: None,
        }
    }
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchRecord {
    /// What was asked for.
    pub spec: BenchSpec,
    /// Tokens a second of wall-clock time, over all measured steps.
    pub tokens_per_second: f64,
    /// Tokens a second of the fastest step.
    pub tokens_per_second_best: f64,
    /// Tokens a second of processor time; `None` where the system does not tell it.
    pub tokens_per_cpu_second: Option<f64>,
    /// Seconds of each step.
    pub seconds: Vec<f64>,
    /// Mean seconds a step by part of the step.
    pub breakdown: Spent,
    /// Multiplications and additions of the encoder product alone, by the time it took.
    pub encoder_gflops: f64,
    /// Most memory the process has held, in bytes; `None` where the system does not tell it.
    pub peak_memory: Option<u64>,
    /// Mean number of active latents a row in the last step.
    pub l0: f64,
    /// Loss of the last step: two programs that do the same work agree on it.
    pub loss: f64,
}

/// Measures the training step.
///
/// # Errors
/// Settings that make no sense.
pub fn bench_train(spec: &BenchSpec) -> Result<BenchRecord> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(spec.threads)
        .build()
        .map_err(|e| Error::internal("The threads could not be started", e.to_string()))?;
    pool.install(|| measure(spec))
}

fn measure(spec: &BenchSpec) -> Result<BenchRecord> {
    let mut config = TrainConfig::preset(spec.architecture.clone(), spec.latents);
    config.batch = spec.batch;
    config.tokens = spec.batch as u64 * 10_000;
    config.dead_after = 10_000_000;
    config.l1 = 0.01;
    config.normalize = false;
    config.validate(spec.width)?;
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let size = spec.batch * spec.width;
    let rows: Vec<f32> = (0..BATCHES * size).map(|_| rng.sample(StandardNormal)).collect();
    let batches: Vec<&[f32]> = rows.chunks(size).collect();
    let mut trainer = Trainer::new(&config, spec.width, batches[0])?;
    if let Some(l0) = spec.l0 {
        trainer = with_l0(&config, &trainer, batches[0], l0)?;
    }
    let dead = (spec.latents as f64 * spec.dead) as usize;
    let mut record = BenchRecord {
        spec: spec.clone(),
        tokens_per_second: 0.0,
        tokens_per_second_best: 0.0,
        tokens_per_cpu_second: None,
        seconds: Vec::new(),
        breakdown: Spent::default(),
        encoder_gflops: 0.0,
        peak_memory: None,
        l0: 0.0,
        loss: 0.0,
    };
    let mut processor = Some(Duration::ZERO);
    for step in 0..spec.warmup + spec.steps {
        trainer.declare_dead(dead);
        let (start, cpu, before) = (Instant::now(), cpu_time(), trainer.engine().spent());
        let report = trainer.step(batches[step as usize % BATCHES], &|| Ok(()))?;
        let spent = cpu_time().zip(cpu).map(|(after, before)| after.saturating_sub(before));
        if step < spec.warmup {
            continue;
        }
        record.seconds.push(start.elapsed().as_secs_f64());
        processor = processor.zip(spent).map(|(a, b)| a + b);
        record.breakdown = record.breakdown.plus(trainer.engine().spent().minus(before));
        (record.l0, record.loss) = (report.l0, report.losses.total);
    }
    let tokens = spec.batch as f64;
    let steps = record.seconds.len().max(1) as f64;
    record.breakdown = record.breakdown.times(1.0 / steps);
    record.tokens_per_second = tokens * steps / record.seconds.iter().sum::<f64>();
    record.tokens_per_second_best =
        tokens / record.seconds.iter().copied().fold(f64::INFINITY, f64::min);
    record.tokens_per_cpu_second =
        processor.filter(|cpu| !cpu.is_zero()).map(|cpu| tokens * steps / cpu.as_secs_f64());
    let product = 2.0 * tokens * spec.width as f64 * spec.latents as f64;
    record.encoder_gflops = product / record.breakdown.encode / 1e9;
    record.peak_memory = peak_memory();
    Ok(record)
}

/// The same run with one bias for all latents, such that `l0` of a row are active on average.
fn with_l0(config: &TrainConfig, run: &Trainer, rows: &[f32], l0: f64) -> Result<Trainer> {
    /// Rows that are looked at to find the bias.
    const SAMPLE: usize = 64;
    let mut parameters = run.parameters().clone();
    let (m, d) = (parameters.encoder.rows(), parameters.encoder.cols());
    let mut products = Vec::with_capacity(SAMPLE * m);
    for row in rows.chunks(d).take(SAMPLE) {
        let centred: Vec<f32> = row.iter().zip(&parameters.b_dec).map(|(x, b)| x - b).collect();
        products.extend((0..m).map(|i| portable::dot(parameters.encoder.row(i), &centred) as f32));
    }
    let active = (l0 / m as f64 * products.len() as f64) as usize;
    let at = products.len() - active.clamp(1, products.len());
    let (_, bias, _) = products.select_nth_unstable_by(at, f32::total_cmp);
    parameters.b_enc.fill(-*bias);
    let optimizer = OptimizerState::new(&parameters);
    Trainer::with(config, parameters, optimizer, run.counters().clone())
}

/// Time that all threads of this process have spent on a processor (Linux).
fn cpu_time() -> Option<Duration> {
    let mut total = 0;
    for thread in fs::read_dir("/proc/self/task").ok()? {
        // A thread may end while its fellows are read.
        let Ok(text) = fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
        total += text.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(total))
}

/// Most memory this process has held (Linux).
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sae::L1Penalty;

    #[test]
    fn measures_what_it_says() {
        let spec = BenchSpec {
            width: 16,
            latents: 64,
            batch: 32,
            steps: 2,
            dead: 0.5,
            ..BenchSpec::default()
        };
        let record = bench_train(&spec).unwrap();
        assert_eq!(record.seconds.len(), 2);
        assert!(record.tokens_per_second > 0.0 && record.loss.is_finite());
        assert!(bench_train(&BenchSpec { latents: 8, ..spec.clone() }).is_err());
        let penalty = L1Penalty::UnitNorm;
        let architecture = Architecture::Standard { penalty };
        let record =
            bench_train(&BenchSpec { architecture, l0: Some(3.0), warmup: 0, steps: 1, ..spec });
        let l0 = record.unwrap().l0;
        assert!(l0 > 1.5 && l0 < 6.0, "{l0}");
    }
}
