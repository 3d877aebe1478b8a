//! The probe without what is trimmed, as it is judged.

use super::{Found, Trained};
use crate::work::circuit::OpenBases;
use sparsescope_core::circuits::{Circuit, Node};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::shift::{
    Accuracies, CircuitSpec, Judgements, Measurer, PronounReport, PronounSpec, TableInput,
    TableRow, TableSpec, Telling, judge_by_truth, pronouns, table, train_probe, trim,
};
use sparsescope_core::{Error, Result};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the probe does without what is trimmed.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// The circuit's count and what is trimmed.
    pub asked: (u64, Vec<Node>),
    /// How it does then.
    pub trimmed: Accuracies,
    /// How a probe does that learnt from the ambiguous texts as the trimmed model reads them, once
    /// that is known.
    pub retrained: Option<Accuracies>,
    /// How long that took, once what it needs was open.
    pub took: Duration,
}

/// Seed of the bootstrap: that of the table, so that the same trim has the same intervals there.
pub(super) const SEED: u64 = 0;

/// The measurer that is ready. Only jobs look into it: the window hands it on.
#[derive(Clone, Default)]
pub struct OpenMeasurer(Arc<Mutex<Option<(String, u64, Measurer)>>>);

/// What is measured with.
#[derive(Clone)]
pub struct Needs {
    /// The workspace.
    pub workspace: PathBuf,
    /// Its dictionaries that are open.
    pub bases: OpenBases,
    /// The measurer that is ready.
    pub measurer: OpenMeasurer,
    /// The model.
    pub model: Model,
    /// The probe.
    pub trained: Arc<Trained>,
    /// Its circuit.
    pub found: Arc<Found>,
}

impl Needs {
    /// Measures the probe without what is trimmed, tells that, then trains it again and measures
    /// that too.
    ///
    /// # Errors
    /// A dictionary is not here any more; stopped.
    pub fn measure(&self, ctx: &JobContext<Live>, asked: &(u64, Vec<Node>)) -> Result<Live> {
        let circuit: &Circuit = &self.found.circuit;
        let trained = &*self.trained;
        // A job that was stopped lets go within a moment; this one waits off the window's thread.
        let mut open = self.measurer.0.lock().unwrap_or_else(PoisonError::into_inner);
        ctx.check()?;
        let (hash, version) = (self.model.hash(), asked.0);
        let ready = open.as_ref().is_some_and(|(h, v, _)| h == hash && *v == version);
        let quiet: JobContext = ctx.without_events();
        let (_, bases) = self.bases.of(&quiet, &self.workspace, &self.model, circuit)?;
        if !ready {
            let test = trained.texts.split.balanced_test.clone();
            let probe = trained.probe.clone();
            let mut measurer = Measurer::new(&self.model, &bases, test, probe, SEED)?;
            measurer.original(ctx)?;
            *open = Some((hash.to_owned(), version, measurer));
        }
        let begun = Instant::now();
        let Some((_, _, measurer)) = open.as_mut() else {
            return Err(Error::internal("Nothing was measured", "no measurer"));
        };
        let edits = trim(&asked.1);
        let trimmed = measurer.trimmed(ctx, &edits)?;
        let live = Live { asked: asked.clone(), trimmed, retrained: None, took: begun.elapsed() };
        if edits.is_empty() {
            return Ok(live);
        }
        ctx.emit(live.clone());
        let texts = &trained.texts.split.ambiguous;
        let again = train_probe(ctx, &self.model, &bases, texts, &edits, &trained.spec)?;
        let test = measurer.texts().to_vec();
        let right = again.right(measurer.pooled(ctx, &edits)?, &test);
        Ok(Live { retrained: Some(Accuracies::new(&test, &right, SEED)), ..live })
    }
}

impl Needs {
    /// What the balanced training texts tell of each feature, and the judgements that follow.
    ///
    /// # Errors
    /// As [`Needs::measure`].
    pub fn told(&self, ctx: &JobContext) -> Result<(Judgements, Vec<Telling>)> {
        let circuit = &self.found.circuit;
        let (_, bases) = self.bases.of(ctx, &self.workspace, &self.model, circuit)?;
        let texts = &self.trained.texts;
        let names = [texts.data.label_name.as_str(), texts.data.spurious_name.as_str()];
        judge_by_truth(ctx, &self.model, &bases, circuit, &texts.split.balanced_train, names)
    }
}

/// Something of the table.
#[derive(Debug, Clone)]
pub enum Filled {
    /// A row.
    Row(TableRow),
    /// What the model itself writes.
    Pronouns(PronounReport),
}

impl Needs {
    /// Fills the table row by row, then measures the model's own pronouns.
    ///
    /// # Errors
    /// As [`Needs::measure`].
    pub fn fill(
        &self,
        ctx: &JobContext<Filled>,
        judgements: &Judgements,
        circuit_spec: &CircuitSpec,
    ) -> Result<()> {
        let quiet: JobContext = ctx.without_events();
        let circuit = &self.found.circuit;
        let (_, bases) = self.bases.of(&quiet, &self.workspace, &self.model, circuit)?;
        let texts = &self.trained.texts;
        let (data, split) = (&texts.data, &texts.split);
        let input = TableInput {
            model: &self.model,
            bases: &bases,
            source: &texts.spec.source,
            data,
            split,
            probe: &self.trained.probe,
            probe_spec: &self.trained.spec,
            circuit_spec,
            judgements,
        };
        let spec = TableSpec { seed: SEED, ..TableSpec::default() };
        let mut told = |row: &TableRow| ctx.emit(Filled::Row(row.clone()));
        table(&quiet, &input, &spec, &mut told)?;
        let edits = judgements.edits();
        let asked = PronounSpec::default();
        let report = pronouns(&quiet, &self.model, &bases, data, split, &edits, &asked)?;
        ctx.emit(Filled::Pronouns(report));
        Ok(())
    }
}

impl std::fmt::Debug for OpenMeasurer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenMeasurer")
    }
}
