//! Looking at a task's pairs, finding a circuit, opening one that was found.

use super::OpenBases;
use crate::commands::FindRequest;
use crate::state::Prepared;
use sparsescope_core::circuits::{
    self, Change, Circuit, Estimate, Example, Examples, Gauge, Metric, Task,
};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Model, Plan, Tokens};
use sparsescope_core::workspace::{CircuitId, Workspace};
use sparsescope_core::{Error, Result};
use std::path::Path;
use std::sync::Arc;

/// A circuit that is to be shown.
pub struct OpenedCircuit {
    /// It.
    pub circuit: Arc<Circuit>,
    /// The task that it was found on, where the workspace has it.
    pub task: Option<Task>,
    /// Its number in the workspace, if it is kept there.
    pub id: Option<CircuitId>,
}

/// Finds a circuit and keeps it.
pub fn find(
    ctx: &JobContext,
    workspace: &Path,
    open: &OpenBases,
    model: &Model,
    request: &FindRequest,
) -> Result<OpenedCircuit> {
    let FindRequest { task, spec, choice, edges, model_name, anyway } = request;
    let bases = open.choose(ctx, workspace, model, choice)?;
    let examples = Examples::prepare(model, task, &spec.metric, spec.change)?;
    let (found_on, _) = examples.split(spec.seed);
    let found_on = found_on.some()?;
    circuits::checks::fitting(ctx, model, &bases, &found_on, *anyway)?;
    let mut circuit = circuits::find(ctx, model, &bases, &found_on, spec)?;
    circuit.of_task(task);
    circuit.conventions.model_name.clone_from(model_name);
    if *edges {
        circuits::connect(ctx, model, &bases, &found_on, &mut circuit)?;
    }
    let db = Workspace::open(workspace)?;
    let name = format!("{} by {}", task.name, spec.method);
    let id = db.save_circuit(&name, &circuit, Some(task))?;
    Ok(OpenedCircuit { circuit: Arc::new(circuit), task: Some(task.clone()), id: Some(id) })
}

/// Opens a circuit of the workspace.
pub fn open(workspace: &Path, id: CircuitId) -> Result<OpenedCircuit> {
    let db = Workspace::open(workspace)?;
    let circuit = db.circuit(id)?;
    let task = db.task_of(&circuit.conventions.task.hash)?;
    Ok(OpenedCircuit { circuit: Arc::new(circuit), task, id: Some(id) })
}

/// Pairs on which the model is measured at most, while a task is edited.
const MEASURED: usize = 200;
/// Pairs run at once.
const BATCH: usize = 32;

/// Which pairs of a task can be used, and how the model does on (some of) them.
pub fn prepare(
    ctx: &JobContext,
    model: &Model,
    task: &Task,
    metric: &Metric,
    change: Change,
) -> Result<Prepared> {
    let examples = Examples::prepare(model, task, metric, change)?;
    let mut why = vec![None; task.pairs.len()];
    for left in &examples.left_out {
        if let Some(why) = why.get_mut(left.pair) {
            *why = Some(left.why.sentence());
        }
    }
    let measured = examples.drawn(MEASURED, 0);
    let (mut clean, mut patched) = (Vec::new(), Vec::new());
    for places in measured.by_length().values() {
        for batch in places.chunks(BATCH) {
            ctx.check()?;
            let batch: Vec<&Example> = batch.iter().map(|&i| &measured.kept[i]).collect();
            let rows: Vec<&[u32]> = batch.iter().map(|e| e.clean.as_slice()).collect();
            clean.extend(values(model, metric, &batch, &rows)?);
            let rows: Option<Vec<&[u32]>> = batch.iter().map(|e| e.patch.as_deref()).collect();
            if let Some(rows) = rows {
                patched.extend(values(model, metric, &batch, &rows)?);
            }
        }
    }
    let lengths = examples.by_length();
    Ok(Prepared {
        why,
        left_out: examples.counts(),
        usable: examples.kept.len(),
        lengths: lengths.into_iter().map(|(length, pairs)| (length, pairs.len())).collect(),
        measured: clean.len(),
        right: clean.iter().filter(|v| **v > 0.0).count(),
        metric: Estimate::of(&clean),
        patched: (patched.len() == clean.len() && !clean.is_empty())
            .then(|| Estimate::of(&patched)),
    })
}

/// The metric of each example after a prompt of its own.
fn values(
    model: &Model,
    metric: &Metric,
    examples: &[&Example],
    prompts: &[&[u32]],
) -> Result<Vec<f64>> {
    let gauge = Gauge::new(model, metric, examples)?;
    let site = gauge.site();
    let pass =
        model.forward(&Tokens::rows(prompts)?, &Plan { read: &[site], ..Plan::default() })?;
    let x = pass.sites.get(&site).ok_or_else(|| {
        Error::internal("The pairs could not be looked at", format!("{site} was not read"))
    })?;
    gauge.values(x, &(0..examples.len()).collect::<Vec<_>>())
}
