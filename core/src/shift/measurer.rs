//! What a trim does to a probe, fast enough to be asked at every key press.

use super::pooled::{Batch, Pooled, batches, most_latents};
use super::{Accuracies, Probe, Text};
use crate::activations::site_output;
use crate::circuits::{Bases, Basis};
use crate::edits::{Dictionaries, Edit, Edits};
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{Model, Plan, Site, Start};
use candle_core::Tensor;
use std::collections::BTreeMap;

/// Bytes of outputs that are kept at most; more texts are measured without keeping any.
const MOST_KEPT: usize = 1 << 30;

/// Measures a probe on some texts under one trim after another.
///
/// The residual stream after every block is kept as the last trim left it, and the next one is
/// computed from the first block in which the two differ. The outcome is that of a measurer that
/// keeps nothing, bit for bit.
#[derive(Debug)]
pub struct Measurer {
    model: Model,
    dictionaries: Dictionaries,
    probe: Probe,
    texts: Vec<Text>,
    seed: u64,
    batches: Vec<Batch>,
    /// The sites whose output is kept: the embedding and the ends of the blocks before the probe.
    ends: Vec<Site>,
    state: Option<State>,
}

/// What the last trim left.
#[derive(Debug)]
struct State {
    edits: Vec<Edit>,
    /// For each batch the outputs kept.
    outputs: Vec<BTreeMap<Site, Tensor>>,
    pooled: Pooled,
}

impl Measurer {
    /// For `probe` on `texts` (a sample of the balanced test part, say: [`super::Split::test_sample`])
    /// and trims of latents of the dictionaries of `bases`. `seed` is that of the bootstrap.
    ///
    /// # Errors
    /// No texts; a probe of another width or of a site that the model does not have.
    pub fn new(
        model: &Model,
        bases: &Bases,
        texts: Vec<Text>,
        probe: Probe,
        seed: u64,
    ) -> Result<Self> {
        let site = probe.site.within(model.config().layers)?;
        if probe.weights.len() != model.config().width {
            return Err(Error::setting(
                "The probe does not fit the model",
                format!("it has {} weights, not {}", probe.weights.len(), model.config().width),
                "Train it on this model",
            ));
        }
        if texts.is_empty() {
            return Err(Error::setting(
                "Nothing can be measured",
                "there are no texts",
                "Give some texts of each group",
            ));
        }
        let batches = batches(model, &texts, most_latents(bases))?;
        let all = (0..model.config().layers).map(Site::Resid);
        let mut ends: Vec<Site> =
            [Site::Embed].into_iter().chain(all).filter(|end| *end < site).collect();
        let rows: usize = batches.iter().map(|b| b.tokens.ids().len()).sum();
        if rows * model.config().width * 4 * ends.len() > MOST_KEPT {
            ends.clear();
        }
        let dictionaries = dictionaries(bases);
        let model = model.clone();
        Ok(Self { model, dictionaries, probe, texts, seed, batches, ends, state: None })
    }

    /// The probe.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// The texts that are measured.
    pub fn texts(&self) -> &[Text] {
        &self.texts
    }

    /// Accuracies of the probe on the unchanged model.
    ///
    /// # Errors
    /// As [`Measurer::trimmed`].
    pub fn original<E>(&mut self, ctx: &JobContext<E>) -> Result<Accuracies> {
        self.trimmed(ctx, &[])
    }

    /// Accuracies of the probe on the model under `edits`. Edits after the probe's site change
    /// nothing.
    ///
    /// # Errors
    /// An edit of a site without a dictionary or of a latent that there is not; a NaN; the job was
    /// stopped.
    pub fn trimmed<E>(&mut self, ctx: &JobContext<E>, edits: &[Edit]) -> Result<Accuracies> {
        let state = self.bring(ctx, edits)?;
        let right = self.probe.right(&state.pooled, &self.texts);
        let accuracies = Accuracies::new(&self.texts, &right, self.seed);
        self.state = Some(state);
        Ok(accuracies)
    }

    /// The mean output of the probe's site over each text under `edits`.
    ///
    /// # Errors
    /// As [`Measurer::trimmed`].
    pub fn pooled<E>(&mut self, ctx: &JobContext<E>, edits: &[Edit]) -> Result<&Pooled> {
        let state = self.bring(ctx, edits)?;
        Ok(&self.state.insert(state).pooled)
    }

    /// Takes the state out and brings it to `edits`. It comes back only whole: after an error
    /// nothing that is half done is used.
    fn bring<E>(&mut self, ctx: &JobContext<E>, edits: &[Edit]) -> Result<State> {
        let mut wanted: Vec<Edit> =
            edits.iter().filter(|e| e.site <= self.probe.site).cloned().collect();
        // Stable: several edits of one latent stay in their order.
        wanted.sort_by_key(|e| e.site);
        let ready = Edits::new(&wanted, &self.dictionaries)?;
        let state = self.state.take();
        let first = state.as_ref().map(|state| first_difference(&state.edits, &wanted));
        match (first, state) {
            (Some(None), Some(state)) => Ok(state),
            (Some(Some(first)), Some(state)) => self.run(ctx, wanted, &ready, first, Some(state)),
            _ => self.run(ctx, wanted, &ready, Site::Embed, None),
        }
    }

    /// Runs what comes from the block of `first` on.
    fn run<E>(
        &self,
        ctx: &JobContext<E>,
        wanted: Vec<Edit>,
        edits: &Edits,
        first: Site,
        state: Option<State>,
    ) -> Result<State> {
        let (site, width) = (self.probe.site, self.model.config().width);
        // A block is computed whole: its own end is known only as it was after its edits.
        let before = |layer: usize| layer.checked_sub(1).map_or(Site::Embed, Site::Resid);
        let start = first.layer().map(before);
        let start = start.filter(|start| state.is_some() && self.ends.contains(start));
        let mut read: Vec<Site> =
            self.ends.iter().copied().filter(|end| start.is_none_or(|s| *end > s)).collect();
        read.push(site);
        let all = edits.changes();
        let change: Vec<_> =
            all.into_iter().filter(|(s, _)| start.is_none_or(|start| *s > start)).collect();
        let check = || ctx.check();
        let mut values = vec![0.0; self.texts.len() * width];
        let mut outputs = state.map_or_else(
            || self.batches.iter().map(|_| BTreeMap::new()).collect(),
            |state| state.outputs,
        );
        for (batch, kept) in self.batches.iter().zip(&mut outputs) {
            ctx.check()?;
            let value = start.and_then(|start| kept.get(&start).cloned());
            let start = match (start, &value) {
                (Some(site), Some(value)) => Some(Start { site, value, beside: None }),
                (None, _) => None,
                (Some(_), None) => {
                    return Err(Error::internal(
                        "A trim cannot be measured",
                        "outputs are missing",
                    ));
                }
            };
            let plan = Plan {
                read: &read,
                change: &change,
                check: Some(&check),
                start,
                ..Plan::default()
            };
            let mut pass = self.model.forward(&batch.tokens, &plan)?;
            batch.pool(&site_output(&pass, site)?, width, site, &mut values)?;
            pass.sites.retain(|site, _| self.ends.contains(site));
            kept.append(&mut pass.sites);
        }
        Ok(State { edits: wanted, outputs, pooled: Pooled::new(width, values) })
    }
}

/// The dictionaries of `bases`.
pub(super) fn dictionaries(bases: &Bases) -> Dictionaries {
    let sae = |basis: &Basis| match basis {
        Basis::Sae(sae) => Some(sae.clone()),
        Basis::Neurons => None,
    };
    bases.sites.iter().filter_map(|(site, basis)| Some((*site, sae(basis)?))).collect()
}

/// The first site whose edits differ; both lists are sorted by site.
fn first_difference(a: &[Edit], b: &[Edit]) -> Option<Site> {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    match (a.get(same), b.get(same)) {
        (None, None) => None,
        (a, b) => a.into_iter().chain(b).map(|edit| edit.site).min(),
    }
}

#[cfg(test)]
#[path = "tests/measurer.rs"]
mod tests;
