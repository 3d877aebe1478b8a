//! Finding the nodes of a circuit.

use super::effects::{Batch, Setup, batches, effects};
use super::gathered::{Gathered, estimate, kept};
use super::{
    Aggregation, Bases, Circuit, CircuitNode, Conventions, Estimate, Examples, FindSpec, SIGN,
    THRESHOLD_STAGE, Task, audit, describe, stability,
};
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::Model;

/// Finds the nodes of the circuit by which `model` does what `examples` show.
///
/// The effect of each latent and each error at the sites of `bases` is estimated in every pair by
/// `spec.method`, averaged over pairs, and compared with the threshold after that. Nodes come with
/// standard errors, activations, an exact audit of the greatest (`spec.audit`) and the share of
/// resamples in which each is kept (`spec.resamples`). Edges are left to [`super::connect`].
///
/// The outcome depends on the seed, not on the number of threads.
///
/// # Errors
/// No pairs or no nodes; a basis or a metric that does not fit; a NaN, with the site where it
/// arises; the job was stopped.
pub fn find<E>(
    ctx: &JobContext<E>,
    model: &Model,
    bases: &Bases,
    examples: &Examples,
    spec: &FindSpec,
) -> Result<Circuit> {
    spec.validate()?;
    let check = || ctx.check_cancelled();
    let setup = Setup::new(model, bases, spec, &check)?;
    let chosen = chosen(examples, spec)?;
    let pairs = chosen.kept.len();
    ctx.progress().stage("Estimating effects", "pairs", 0, pairs as u64);
    let mut done = Vec::with_capacity(pairs);
    let (mut clean, mut patch) = (vec![0.0; pairs], vec![None; pairs]);
    for places in batches(&setup, &chosen.kept) {
        ctx.check()?;
        let batch = Batch::new(&setup, &chosen.kept, places)?;
        for (i, place) in batch.places.iter().enumerate() {
            clean[*place] = batch.clean_values[i];
            patch[*place] = batch.patch_values.as_ref().map(|values| values[i]);
        }
        done.extend(effects(&setup, &batch)?);
        ctx.progress().add(batch.pairs() as u64);
    }
    // Batches are in an order of their own.
    done.sort_by_key(|effects| effects.place);
    let mut gathered = Gathered::default();
    done.into_iter().for_each(|effects| gathered.add(effects));
    // A node that passes the threshold in no pair cannot do so in any mean.
    let (candidates, all) = gathered.candidates(spec.node_threshold);
    let means: Vec<f64> = candidates.iter().map(|c| c.estimate(pairs).mean).collect();
    let places = kept(&means, spec);
    let stability = stability::stability(ctx, &candidates, &places, pairs, spec)?;
    let nodes = places
        .iter()
        .enumerate()
        .map(|(at, place)| CircuitNode {
            node: candidates[*place].node,
            effect: candidates[*place].estimate(pairs),
            clean: 0.0,
            patch: 0.0,
            exact: None,
            stability: stability.as_ref().map(|s| s.of_nodes[at]),
        })
        .collect();
    let mut circuit = Circuit {
        conventions: conventions(model, bases, spec, examples, &chosen),
        clean: estimate(clean.iter().copied(), pairs),
        patch: patch.into_iter().collect::<Option<Vec<f64>>>().map(|p| estimate_all(&p)),
        nodes,
        candidates: all,
        edges: Vec::new(),
        stability: stability.map(|s| s.mean),
    };
    describe::describe(ctx, &setup, &chosen.kept, &mut circuit.nodes)?;
    audit::audit(ctx, &setup, &chosen.kept, &mut circuit.nodes)?;
    Ok(circuit)
}

fn estimate_all(values: &[f64]) -> Estimate {
    estimate(values.iter().copied(), values.len())
}

/// The pairs to work with: those of one length if nodes stand at positions, and no more than were
/// asked for.
pub(super) fn chosen(examples: &Examples, spec: &FindSpec) -> Result<Examples> {
    let examples = examples.clone().some()?;
    let of_length = match spec.aggregation {
        Aggregation::Summed => examples,
        Aggregation::PerPosition => match examples.commonest_length() {
            Some(positions) => examples.of_length(positions),
            None => examples,
        },
    };
    Ok(of_length.drawn(spec.pairs.max(1), spec.seed))
}

fn conventions(
    model: &Model,
    bases: &Bases,
    spec: &FindSpec,
    examples: &Examples,
    chosen: &Examples,
) -> Conventions {
    // Name and hash of the task are added by whoever holds it: see `Circuit::of_task`.
    let mut task = chosen.mark(&Task::default(), model.tokenizer());
    let lengths = examples.by_length();
    if spec.aggregation == Aggregation::PerPosition {
        let others = lengths.iter().filter(|(length, _)| **length != task.positions);
        let others: usize = others.map(|(_, pairs)| pairs.len()).sum();
        if others > 0 {
            task.left_out.insert("another length than most".to_owned(), others);
        }
    }
    Conventions {
        model: model.hash().to_owned(),
        model_name: String::new(),
        saes: bases.hashes(),
        task,
        spec: spec.clone(),
        sign: SIGN.to_owned(),
        threshold_stage: THRESHOLD_STAGE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

impl FindSpec {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// Says which does not.
    pub fn validate(&self) -> Result<()> {
        let bad = |what: &str, why: &str, remedy: &str| Err(Error::setting(what, why, remedy));
        for (name, threshold) in [("node", self.node_threshold), ("edge", self.edge_threshold)] {
            if !threshold.is_finite() || threshold < 0.0 {
                return bad(
                    "The threshold cannot be used",
                    &format!("the {name} threshold is {threshold}"),
                    "Give a number from 0 on",
                );
            }
        }
        if self.pairs == 0 || self.most_nodes == 0 {
            return bad(
                "There is nothing to find",
                "the greatest number of pairs, or that of nodes, is 0",
                "Give numbers from 1 on",
            );
        }
        Ok(())
    }
}
