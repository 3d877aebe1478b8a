//! Settings found by trying: a few short runs, and the reasons.

use super::config::TrainConfig;
use super::probe::{Probe, ProbeRows};
use super::search::{Found, Wanted, search};
use super::sweep::SweepRun;
use crate::activations::Source;
use crate::error::Result;
use crate::jobs::JobContext;

/// Learning rates that are tried, as multiples of the usual one.
const RATES: [f64; 5] = [0.1, 0.3, 1.0, 3.0, 10.0];

/// Settings that were found by trying.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The settings.
    pub config: TrainConfig,
    /// What was tried and why these were taken, sentence by sentence.
    pub reasons: Vec<String>,
}

/// Finds settings for `config`'s architecture at the L0 `target`: the coefficient of its penalty
/// (or k = L0), then the learning rate with the least FVU among those that come to that L0; a
/// coefficient is looked for once more at the chosen rate. Every probe is `probe_tokens` long
/// and sees the same rows of the source's first site.
///
/// # Errors
/// Settings that make no sense; an L0 that cannot be reached; what the source says; stopped.
pub fn auto<E>(
    ctx: &JobContext<E>,
    source: &mut dyn Source,
    config: &TrainConfig,
    target: f64,
    probe_tokens: u64,
) -> Result<Chosen> {
    super::search::check_targets(config, &[target])?;
    let start = source.position();
    let mut rows = ProbeRows::new(source, config.batch, probe_tokens);
    let mut reasons = Vec::new();
    let mut config = match config.architecture.k() {
        Some(_) => {
            reasons.push(format!("k is the L0 that is wanted, {target}."));
            let architecture = config.architecture.clone().with_k(target as usize);
            TrainConfig { architecture, ..config.clone() }
        }
        None => coefficient(ctx, &mut rows, config, target, &mut reasons)?,
    };
    let asked: Vec<(usize, TrainConfig)> = RATES
        .iter()
        .map(|r| (0, TrainConfig { lr: short(config.lr * r), ..config.clone() }))
        .collect();
    let probes = rows.run(ctx, &asked)?;
    let tried: Vec<(f64, Option<Probe>)> = asked.iter().map(|(_, c)| c.lr).zip(probes).collect();
    reasons.push(told(&tried));
    let best = tried
        .iter()
        .filter_map(|(lr, probe)| probe.map(|p| (*lr, p)))
        .filter(|(_, p)| p.fvu.is_finite() && (p.l0 / target).ln().abs() < 0.5)
        .min_by(|a, b| a.1.fvu.total_cmp(&b.1.fvu));
    match best {
        Some((lr, probe)) if lr != config.lr => {
            reasons.push(format!(
                "The learning rate {lr} is taken: the least FVU ({:.3}) of those near the L0.",
                probe.fvu
            ));
            config.lr = lr;
            if config.architecture.k().is_none() {
                config = coefficient(ctx, &mut rows, &config, target, &mut reasons)?;
            }
        }
        Some((lr, probe)) => reasons.push(format!(
            "The usual learning rate {lr} stays: the least FVU ({:.3}) of those near the L0.",
            probe.fvu
        )),
        None => reasons.push("None came near the L0; the usual learning rate stays.".to_owned()),
    }
    source.seek(&start)?;
    Ok(Chosen { config, reasons })
}

/// The settings with the coefficient that leads to `target`.
fn coefficient<E>(
    ctx: &JobContext<E>,
    rows: &mut ProbeRows<'_>,
    config: &TrainConfig,
    target: f64,
    reasons: &mut Vec<String>,
) -> Result<TrainConfig> {
    let wanted = [Wanted { site: 0, config: config.clone(), targets: vec![target] }];
    let found = search(ctx, rows, &wanted, RATES.len())?.remove(0).remove(0);
    match found {
        Found::Near(near) => {
            let l1 = short(near.coefficient);
            reasons.push(format!(
                "With the coefficient {l1} a probe at learning rate {} came to L0 {:.1} (FVU {:.3}).",
                config.lr, near.probe.l0, near.probe.fvu
            ));
            Ok(TrainConfig { l1, ..config.clone() })
        }
        Found::Unreachable { least, most, .. } => {
            let unreachable = Some((least, most));
            let config = config.clone();
            let run = SweepRun { site: 0, target, config, probed: None, unreachable };
            Err(run
                .refusal()
                .unwrap_or_else(|| crate::Error::internal("A search failed", "it did not say why")))
        }
    }
}

fn told(tried: &[(f64, Option<Probe>)]) -> String {
    let one = |(lr, probe): &(f64, Option<Probe>)| match probe {
        Some(p) => format!("{lr}: FVU {:.3} at L0 {:.1}", p.fvu, p.l0),
        None => format!("{lr}: broke down"),
    };
    let all: Vec<String> = tried.iter().map(one).collect();
    format!("Learning rates tried: {}.", all.join("; "))
}

/// Three digits: a short number is read back from a file to the last bit.
fn short(x: f64) -> f64 {
    format!("{x:.2e}").parse().unwrap_or(x)
}
