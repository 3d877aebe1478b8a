//! The probe without what is trimmed, as it is judged.

use super::{Found, Trained};
use crate::work::circuit::OpenBases;
use sparsescope_core::circuits::{Circuit, Node};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::shift::{
    Accuracies, CircuitSpec, Judgements, Measurer, PronounReport, PronounSpec, TableInput,
    TableRow, TableSpec, Telling, Text, judge_by_truth, pronouns, table, train_probe, trim,
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
pub struct OpenMeasurer(Arc<Mutex<Option<Ready>>>);

/// Measurers of a circuit's probe.
struct Ready {
    /// The model, by its hash.
    model: String,
    /// The window's count of the circuit.
    version: u64,
    /// Of a few texts, for an answer while the key is still down; `None` where all are few.
    few: Option<Measurer>,
    /// Of all.
    all: Measurer,
}

/// Texts that are measured first.
const FEW: usize = 160;

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
    /// Measures the probe without what is trimmed: on a few texts, then on all, then trained again;
    /// each is told as soon as it is known.
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
        let quiet: JobContext = ctx.without_events();
        let (_, bases) = self.bases.of(&quiet, &self.workspace, &self.model, circuit)?;
        if open.as_ref().is_none_or(|r| r.model != hash || r.version != version) {
            let split = &trained.texts.split;
            let measurer = |texts: Vec<Text>| {
                Measurer::new(&self.model, &bases, texts, trained.probe.clone(), SEED)
            };
            let many = split.balanced_test.len() > 2 * FEW;
            let mut few = many.then(|| measurer(split.test_sample(FEW))).transpose()?;
            let mut all = measurer(split.balanced_test.clone())?;
            // What is before the first edit is the same for every trim, and kept.
            for measurer in few.iter_mut().chain([&mut all]) {
                measurer.original(ctx)?;
            }
            *open = Some(Ready { model: hash.to_owned(), version, few, all });
        }
        let begun = Instant::now();
        let Some(ready) = open.as_mut() else {
            return Err(Error::internal("Nothing was measured", "no measurer"));
        };
        let edits = trim(&asked.1);
        let live = |trimmed: Accuracies| Live {
            asked: asked.clone(),
            trimmed,
            retrained: None,
            took: begun.elapsed(),
        };
        if let Some(few) = &mut ready.few {
            ctx.emit(live(few.trimmed(ctx, &edits)?));
        }
        let measurer = &mut ready.all;
        let live = live(measurer.trimmed(ctx, &edits)?);
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
