//! The jobs behind the verdict: what the model does with and without the open circuit.

use super::circuit::OpenBases;
use sparsescope_core::circuits::{
    self, Bases, Circuit, CurvePoint, Cut, Examples, Judge, JudgeSpec, Node, RandomPoint, Task,
    Verdict, checks, counts,
};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::{Error, Result};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Held-out pairs that are judged by at most.
pub const PAIRS: usize = 40;
/// Points of a curve.
const POINTS: usize = 15;
/// Sizes at which random circuits are drawn, and how many of each.
const RANDOM: (usize, usize) = (6, 3);

/// What is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Counts the circuits of the window.
    pub version: u64,
    /// How it is judged; the metric is the circuit's.
    pub spec: JudgeSpec,
    /// The circuit.
    pub nodes: BTreeSet<Node>,
    /// What is cut.
    pub cuts: Vec<Cut>,
}

/// A verdict, and what it stands on.
#[derive(Debug, Clone)]
pub struct Judged {
    /// What was asked.
    pub asked: Asked,
    /// The answer.
    pub verdict: Verdict,
    /// Text of the clean prompt of each of its pairs, and of its clean answer.
    pub prompts: Vec<(String, String)>,
    /// Whether these pairs were held out when the circuit was found.
    pub held_out: bool,
    /// Dictionaries that should not be used, each in a sentence.
    pub doubts: Vec<String>,
    /// How long it took, once what it needs was open.
    pub took: Duration,
}

/// The judge of the circuit that was judged last. Only jobs look into it: the window hands it on.
#[derive(Clone, Default)]
pub struct OpenJudge(Arc<Mutex<Option<Arc<Known>>>>);

struct Known {
    model: String,
    version: u64,
    spec: JudgeSpec,
    judge: Judge,
    prompts: Vec<(String, String)>,
    held_out: bool,
    doubts: Vec<String>,
}

/// What verdicts are made with.
#[derive(Clone)]
pub struct Needs {
    /// The workspace.
    pub workspace: std::path::PathBuf,
    /// Its dictionaries that are open.
    pub bases: OpenBases,
    /// The judge that is ready.
    pub judge: OpenJudge,
    /// The model.
    pub model: Model,
    /// The circuit that is open.
    pub circuit: Arc<Circuit>,
    /// The task that it was found on.
    pub task: Option<Arc<Task>>,
}

impl Needs {
    /// The verdict on what is asked.
    ///
    /// # Errors
    /// The circuit was found with something that is not open or not here any more; stopped.
    pub fn judge(&self, ctx: &JobContext, asked: &Asked) -> Result<Judged> {
        let known = self.known(ctx, asked.version, &asked.spec)?;
        let begun = Instant::now();
        let verdict = known.judge.verdict(ctx, &asked.nodes, &asked.cuts)?;
        Ok(Judged {
            asked: asked.clone(),
            verdict,
            prompts: known.prompts.clone(),
            held_out: known.held_out,
            doubts: known.doubts.clone(),
            took: begun.elapsed(),
        })
    }

    fn known(&self, ctx: &JobContext, version: u64, spec: &JudgeSpec) -> Result<Arc<Known>> {
        let fits = |known: &&Arc<Known>| {
            known.version == version && known.spec == *spec && known.model == self.model.hash()
        };
        let ready = self.judge.lock().as_ref().filter(fits).cloned();
        if let Some(known) = ready {
            return Ok(known);
        }
        let bases = self.open(ctx)?;
        let (judged, held_out) = self.examples()?.to_judge(&self.circuit);
        let judged = judged.drawn(PAIRS, spec.seed);
        let doubts = checks::fitting(ctx, &self.model, &bases, &judged, true)?;
        let task = self.task()?;
        let prompt = |pair: usize| {
            let pair = task.pairs.get(pair);
            let answer = pair.map(|pair| pair.clean_answer.all().join(" or "));
            (
                pair.map(|pair| pair.clean_prefix.clone()).unwrap_or_default(),
                answer.unwrap_or_default(),
            )
        };
        let known = Arc::new(Known {
            model: self.model.hash().to_owned(),
            version,
            spec: spec.clone(),
            prompts: judged.kept.iter().map(|example| prompt(example.pair)).collect(),
            judge: Judge::new(ctx, &self.model, &bases, &judged, spec.clone())?,
            held_out,
            doubts: doubts.iter().map(ToString::to_string).collect(),
        });
        *self.judge.lock() = Some(known.clone());
        Ok(known)
    }

    fn open(&self, ctx: &JobContext) -> Result<Bases> {
        let (_, bases) = self.bases.of(ctx, &self.workspace, &self.model, &self.circuit)?;
        checks::unchanged(&self.circuit, &self.model, &bases)?;
        Ok(bases)
    }

    fn task(&self) -> Result<&Task> {
        self.task.as_deref().ok_or_else(|| {
            Error::setting(
                "The circuit cannot be judged",
                format!(
                    "its task {:?} is not in the workspace any more, so there are no pairs to \
                     judge it by",
                    self.circuit.conventions.task.name
                ),
                "Bring the task's file in again, or find the circuit again",
            )
        })
    }

    /// The pairs of its task.
    fn examples(&self) -> Result<Examples> {
        let spec = &self.circuit.conventions.spec;
        Examples::prepare(&self.model, self.task()?, &spec.metric, spec.change)?.some()
    }

    /// How much circuits of every size hold, told point by point: the circuit's own nodes, random
    /// ones, and the strongest coordinates where no dictionary is used.
    ///
    /// # Errors
    /// As [`Needs::judge`].
    pub fn curves(
        &self,
        ctx: &JobContext<CurveStep>,
        version: u64,
        spec: &JudgeSpec,
    ) -> Result<()> {
        let quiet = ctx.without_events();
        let known = self.known(&quiet, version, spec)?;
        let ranked = ranked(&self.circuit);
        let sizes = counts(ranked.len(), POINTS);
        let few = counts(ranked.len(), RANDOM.0);
        let steps = 2 * sizes.len() + few.len() * RANDOM.1;
        ctx.progress().stage("Judging circuits of every size", "circuits", 0, steps as u64);
        known
            .judge
            .curve(&quiet, &ranked, &sizes, |point| ctx.emit(CurveStep::Features(point.clone())))?;
        for size in few {
            let nodes = ranked.iter().take(size).copied().collect();
            ctx.emit(CurveStep::Random(known.judge.random(&quiet, &nodes, RANDOM.1)?));
        }
        let bases = Bases::neurons(&self.model);
        let found_on = self.examples()?.split(self.circuit.conventions.spec.seed).0;
        let spec = &self.circuit.conventions.spec;
        // As many as the features' circuit could have at most, and no further questions.
        let plain = circuits::FindSpec {
            node_threshold: 0.0,
            audit: 0,
            resamples: 0,
            most_nodes: spec.most_nodes.max(1000),
            ..spec.clone()
        };
        let neurons = circuits::find(&quiet, &self.model, &bases, &found_on, &plain)?;
        let judge = Judge::new(
            &quiet,
            &self.model,
            &bases,
            known.judge.examples(),
            known.judge.spec().clone(),
        )?;
        let of_neurons = self::ranked(&neurons);
        let sizes = counts(of_neurons.len(), POINTS);
        judge.curve(&quiet, &of_neurons, &sizes, |point| {
            ctx.emit(CurveStep::Neurons(point.clone()));
        })?;
        Ok(())
    }
}

/// A point of one of the curves.
#[derive(Debug, Clone)]
pub enum CurveStep {
    /// The circuit's strongest nodes.
    Features(CurvePoint),
    /// Random ones in their place.
    Random(RandomPoint),
    /// The strongest coordinates.
    Neurons(CurvePoint),
}

impl OpenJudge {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Known>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for OpenJudge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenJudge")
    }
}

/// The nodes of a circuit, the strongest first.
fn ranked(circuit: &Circuit) -> Vec<Node> {
    let mut nodes: Vec<_> = circuit.nodes.iter().collect();
    nodes.sort_by(|a, b| b.effect.mean.abs().total_cmp(&a.effect.mean.abs()));
    nodes.into_iter().map(|node| node.node).collect()
}
