//! A sweep: sites × architectures × wanted L0s, planned so that one pass can train it.

use super::config::TrainConfig;
use super::memory::memory_needed;
use super::probe::ProbeRows;
use super::search::{Found, Wanted, check_targets, search};
use crate::activations::Source;
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::sae::{Architecture, L0Loss};
use serde::{Deserialize, Serialize};

/// What to sweep over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepSpec {
    /// How many sites the source reads.
    pub sites: usize,
    /// For each architecture its settings; where it has a penalty, the coefficient in them is
    /// where the search begins; where it has a k, that of the L0 takes its place.
    pub configs: Vec<TrainConfig>,
    /// The L0s that are wanted.
    pub targets: Vec<f64>,
    /// Tokens of a probe.
    pub probe_tokens: u64,
}

/// One dictionary of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepRun {
    /// Which of the source's sites.
    pub site: usize,
    /// The L0 that is wanted.
    pub target: f64,
    /// Its settings.
    pub config: TrainConfig,
    /// L0 of the probe that its coefficient was chosen by; `None` where k says it.
    pub probed: Option<f64>,
    /// The least and the greatest L0 that was reached, where the target cannot be; such a run is
    /// not trained.
    pub unreachable: Option<(f64, f64)>,
}

impl SweepRun {
    /// Why it is not trained, if it is not.
    pub fn refusal(&self) -> Option<Error> {
        let (least, most) = self.unreachable?;
        let name = self.config.architecture.name();
        let why = match most > 0.0 {
            true => {
                format!(
                    "in short probes its penalty led to L0s from {least:.1} to {most:.1}, whatever its size"
                )
            }
            false => "no latent stayed alive at any size of its penalty".to_owned(),
        };
        Some(Error::setting(
            format!("{name} did not come to an L0 of {} in short probes", self.target),
            why,
            "Probe for longer, train it alone with this target L0 (the penalty then follows it through \
             the whole run), choose an L0 in that range, or an architecture with a k",
        ))
    }
}

impl SweepSpec {
    /// Tokens of a probe that is usual for these runs: a tenth of the longest, 100 steps at least
    /// and 400 at most. Thresholds that are learnt move by the learning rate a step, and take
    /// three times as long.
    pub fn usual_probe(configs: &[TrainConfig]) -> u64 {
        let one = |config: &TrainConfig| {
            let searched = aimed(&config.architecture, 1.0).is_none();
            let jumps = matches!(config.architecture, Architecture::JumpRelu { .. }) && searched;
            let slow = if jumps { 3 } else { 1 };
            let batch = slow * config.batch.max(1) as u64;
            (slow * config.tokens / 10).clamp(100 * batch, 400 * batch).min(config.tokens.max(1))
        };
        configs.iter().map(one).max().unwrap_or(0)
    }

    /// Bytes that the sweep holds at its greatest, for activations of width `width`; without the
    /// model and the source.
    pub fn memory(&self, width: usize) -> u64 {
        let each = self.configs.iter().map(|c| memory_needed(c, width));
        let all = each.sum::<u64>() * (self.sites * self.targets.len()) as u64;
        all.saturating_add(ProbeRows::memory(width, self.sites, self.probe_tokens))
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// Nothing to sweep over, batches of different sizes, a target that is no L0.
    pub fn validate(&self, width: usize) -> Result<()> {
        if self.sites == 0 || self.configs.is_empty() || self.targets.is_empty() {
            return Err(Error::setting(
                "There is nothing to sweep over",
                "a sweep takes at least one site, one architecture and one L0",
                "Name for example resid.1, topk and 16",
            ));
        }
        for config in &self.configs {
            check_targets(config, &self.targets)?;
            config.validate(width)?;
            if config.batch != self.configs[0].batch {
                return Err(Error::setting(
                    "The dictionaries cannot be trained together",
                    "they take batches of different sizes",
                    "Give all the same batch",
                ));
            }
        }
        Ok(())
    }

    /// Number of dictionaries.
    pub fn count(&self) -> usize {
        self.sites * self.configs.len() * self.targets.len()
    }
}

/// How many times denser than wanted the sparsest probe may be for the run to be trained anyway.
const FOLLOWED: f64 = 8.0;

/// Four digits: a short number is read back from a file to the last bit.
fn short(coefficient: f64) -> f64 {
    format!("{coefficient:.3e}").parse().unwrap_or(coefficient)
}

/// The architecture at this L0, where that needs no search: with a k, or with a target of its
/// own.
fn aimed(architecture: &Architecture, target: f64) -> Option<Architecture> {
    match architecture {
        Architecture::JumpRelu { loss: L0Loss::Quadratic { .. }, bandwidth } => {
            let loss = L0Loss::Quadratic { target };
            Some(Architecture::JumpRelu { loss, bandwidth: *bandwidth })
        }
        _ => architecture.k().map(|_| architecture.clone().with_k(target as usize)),
    }
}

/// Plans a sweep: k = L0 where the architecture has a k, else the coefficient that short probes
/// on the first rows of `source` find. The source stands at its beginning afterwards.
///
/// # Errors
/// A sweep that makes no sense; what the source says; stopped.
pub fn plan_sweep<E>(
    ctx: &JobContext<E>,
    source: &mut dyn Source,
    spec: &SweepSpec,
) -> Result<Vec<SweepRun>> {
    spec.validate(source.width())?;
    let start = source.position();
    let mut wanted = Vec::new();
    for site in 0..spec.sites {
        for config in spec.configs.iter().filter(|c| aimed(&c.architecture, 1.0).is_none()) {
            wanted.push(Wanted { site, config: config.clone(), targets: spec.targets.clone() });
        }
    }
    let mut found = Vec::new();
    if !wanted.is_empty() {
        let batch = spec.configs[0].batch;
        let mut rows = ProbeRows::new(source, batch, spec.probe_tokens);
        // No more at once than the sweep itself will hold.
        found = search(ctx, &mut rows, &wanted, spec.count())?;
        source.seek(&start)?;
    }
    let mut found = found.into_iter();
    let mut runs = Vec::with_capacity(spec.count());
    for site in 0..spec.sites {
        for config in &spec.configs {
            let searched = match aimed(&config.architecture, 1.0) {
                Some(_) => None,
                None => found.next(),
            };
            for (i, target) in spec.targets.iter().enumerate() {
                let mut config = config.clone();
                let (mut probed, mut unreachable) = (None, None);
                match searched.as_ref().map(|found| &found[i]) {
                    None => {
                        let aimed = aimed(&config.architecture, *target);
                        config.architecture = aimed.unwrap_or(config.architecture);
                    }
                    Some(Found::Near(near)) => {
                        config.l1 = short(near.coefficient);
                        // A whole run ends sparser than a probe: it follows its L0 to the target.
                        config.target_l0 = Some(*target);
                        probed = Some(near.probe.l0);
                    }
                    // A short probe ends denser than a whole run: where it came within reach, the
                    // run follows its L0 the rest of the way.
                    Some(Found::Unreachable { least, sparsest, .. })
                        if target < least && *least <= FOLLOWED * target =>
                    {
                        config.l1 = short(*sparsest);
                        config.target_l0 = Some(*target);
                        probed = Some(*least);
                    }
                    Some(Found::Unreachable { least, most, .. }) => {
                        unreachable = Some((*least, *most));
                    }
                }
                runs.push(SweepRun { site, target: *target, config, probed, unreachable });
            }
        }
    }
    Ok(runs)
}
