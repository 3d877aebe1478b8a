//! Short runs that only look: several at once on the same few rows, nothing on disk.

use super::config::TrainConfig;
use super::trainer::Trainer;
use crate::activations::{Source, check_of};
use crate::error::{Error, Result};
use crate::jobs::JobContext;

/// Batches that the scale of the activations is estimated from, as in a run.
const ESTIMATE_BATCHES: usize = 4;

/// Share of a probe's last steps over which its figures are averaged.
const TAIL: u64 = 5;

/// Most bytes of rows that are kept from one round of probes to the next.
const KEPT: usize = 512 << 20;

/// What a probe came to: means over its last steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probe {
    /// Mean number of active latents a row.
    pub l0: f64,
    /// Fraction of variance unexplained.
    pub fvu: f64,
    /// Share of dead latents at its end.
    pub dead: f64,
}

/// The first rows of a source, for probes to run on again and again.
pub struct ProbeRows<'s> {
    source: &'s mut dyn Source,
    start: crate::activations::Position,
    batch: usize,
    steps: u64,
    /// Every batch, for each site; empty where they are too many to be kept.
    kept: Vec<Vec<Vec<f32>>>,
    keep: bool,
}

impl<'s> ProbeRows<'s> {
    /// The first `tokens` rows from where `source` stands, in batches.
    pub fn new(source: &'s mut dyn Source, batch: usize, tokens: u64) -> Self {
        let batch = batch.max(1);
        let steps = (tokens / batch as u64).max(1);
        let keep = bytes(source, batch, steps) <= KEPT as u64;
        let start = source.position();
        Self { source, start, batch, steps, kept: Vec::new(), keep }
    }

    /// Bytes that the rows of such probes take.
    pub fn memory(width: usize, sites: usize, tokens: u64) -> u64 {
        (tokens * width as u64 * sites as u64 * 4).min(KEPT as u64)
    }

    /// Width of the rows.
    pub fn width(&self) -> usize {
        self.source.width()
    }

    /// Runs these settings, each at one of the source's sites, on the same rows; each as short
    /// as the rows allow, its warm-ups and periods shortened in proportion. A run that breaks
    /// down is `None`.
    ///
    /// # Errors
    /// Settings that make no sense, what the source says, the job was stopped.
    pub fn run<E>(
        &mut self,
        ctx: &JobContext<E>,
        runs: &[(usize, TrainConfig)],
    ) -> Result<Vec<Option<Probe>>> {
        let configs: Vec<TrainConfig> = runs.iter().map(|(_, c)| self.shortened(c)).collect();
        for config in &configs {
            config.validate(self.width())?;
        }
        let total = self.steps * self.batch as u64;
        ctx.progress().stage("Probing", "tokens", 0, total);
        self.source.seek(&self.start)?;
        let mut first: Vec<Vec<f32>> = vec![Vec::new(); self.source.sites()];
        let ahead = (self.steps as usize).min(ESTIMATE_BATCHES);
        let mut waiting = Vec::new();
        for step in 0..ahead {
            let parts = self.read(ctx, step)?;
            first.iter_mut().zip(&parts).for_each(|(all, part)| all.extend_from_slice(part));
            waiting.push(parts);
        }
        let mut trainers = Vec::with_capacity(runs.len());
        for ((site, _), config) in runs.iter().zip(&configs) {
            trainers.push(Some(Trainer::new(config, self.width(), &first[*site])?));
        }
        drop(first);
        let tail = self.steps - (self.steps / TAIL).max(1);
        let mut sums = vec![(0.0, 0.0); runs.len()];
        for step in 0..self.steps as usize {
            let parts = match waiting.get_mut(step) {
                Some(parts) => std::mem::take(parts),
                None => self.read(ctx, step)?,
            };
            for (i, (site, _)) in runs.iter().enumerate() {
                ctx.check()?;
                let Some(trainer) = &mut trainers[i] else { continue };
                match trainer.step(&parts[*site], &|| ctx.check_cancelled()) {
                    Ok(report) if step as u64 >= tail => {
                        sums[i].0 += report.l0;
                        sums[i].1 += report.fvu;
                    }
                    Ok(_) => {}
                    Err(error) if error.is_cancelled() => return Err(error),
                    // Such settings are worth nothing, and say so by having no figures.
                    Err(_) => trainers[i] = None,
                }
            }
            ctx.progress().add(self.batch as u64);
        }
        let count = (self.steps - tail) as f64;
        let probe = |(trainer, (l0, fvu)): (Option<Trainer>, (f64, f64))| {
            Some(Probe { l0: l0 / count, fvu: fvu / count, dead: trainer?.dead_share() })
        };
        Ok(trainers.into_iter().zip(sums).map(probe).collect())
    }

    /// Batch `step` of every site.
    fn read<E>(&mut self, ctx: &JobContext<E>, step: usize) -> Result<Vec<Vec<f32>>> {
        if let Some(parts) = self.kept.get(step) {
            return Ok(parts.clone());
        }
        ctx.check()?;
        let at = self.start.rows + (step * self.batch) as u64;
        if !self.kept.is_empty() && self.source.position().rows != at {
            return Err(Error::internal("A probe lost its place", "rows were read out of turn"));
        }
        let mut parts = vec![Vec::new(); self.source.sites()];
        let mut out: Vec<&mut Vec<f32>> = parts.iter_mut().collect();
        self.source.read_sites(&check_of(ctx), self.batch, &mut out)?;
        if self.keep {
            self.kept.push(parts.clone());
        }
        Ok(parts)
    }

    /// The settings for so few steps: everything that is counted in steps or tokens of the run
    /// shrinks with it, as far as it goes.
    fn shortened(&self, config: &TrainConfig) -> TrainConfig {
        let share = (self.steps as f64 / config.steps().max(1) as f64).min(1.0);
        let fewer = |steps: u64, at_most: u64| ((steps as f64 * share) as u64).min(at_most);
        let mut short = config.clone();
        short.batch = self.batch;
        short.tokens = self.steps * self.batch as u64;
        short.warmup_steps = fewer(config.warmup_steps, self.steps / 10);
        short.sparsity_warmup_steps = fewer(config.sparsity_warmup_steps, self.steps / 4);
        short.dead_after = config.dead_after.min(short.tokens / 4).max(1);
        if let Some(anneal) = &mut short.k_anneal {
            anneal.steps = anneal.steps.min(self.steps / 2);
        }
        if let Some(resample) = &mut short.resample {
            resample.every = fewer(resample.every, self.steps / 2).max(1);
        }
        short.resample_at.clear();
        short
    }
}

fn bytes(source: &dyn Source, batch: usize, steps: u64) -> u64 {
    (batch as u64 * steps).saturating_mul((source.width() * source.sites() * 4) as u64)
}
