//! Where a probe generalises badly: the original probe at every site.

use super::Split;
use super::accuracy::Accuracies;
use super::pooled::pooled;
use super::probe::{Probe, ProbeSpec};
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::{Model, Site};
use serde::{Deserialize, Serialize};

/// What is measured at each site.
pub const SITES_DEFINITION: &str = "At each site a probe learns from the ambiguous part and is \
    measured on the balanced training part, so that choosing a site by these figures looks at no \
    text of the test part.";

/// A probe at a site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteRow {
    /// Where.
    pub site: Site,
    /// Accuracies on the balanced training part.
    pub accuracies: Accuracies,
    /// Share of the ambiguous texts whose label it names.
    pub train_accuracy: f64,
}

/// Trains a probe at every site of the model: [`SITES_DEFINITION`].
///
/// # Errors
/// As [`super::train_probe`].
pub fn compare_sites<E>(
    ctx: &JobContext<E>,
    model: &Model,
    split: &Split,
    spec: &ProbeSpec,
) -> Result<Vec<SiteRow>> {
    spec.validate()?;
    let sites = Site::all(model.config().layers);
    let check = || ctx.check();
    ctx.progress().stage("Reading every site", "", 0, 0);
    let train = pooled(model, &split.ambiguous, &sites, &[], 0, &check)?;
    let judge = pooled(model, &split.balanced_train, &sites, &[], 0, &check)?;
    ctx.progress().stage("Training probes", "sites", 0, sites.len() as u64);
    let mut out = Vec::new();
    for ((site, train), judge) in train.iter().zip(judge.values()) {
        ctx.check()?;
        let spec = ProbeSpec { site: *site, ..spec.clone() };
        let probe = Probe::train(ctx, train, &split.ambiguous, &spec)?;
        let right = probe.right(judge, &split.balanced_train);
        out.push(SiteRow {
            site: *site,
            accuracies: Accuracies::new(&split.balanced_train, &right, spec.seed),
            train_accuracy: probe.train_accuracy,
        });
        ctx.progress().add(1);
    }
    Ok(out)
}
