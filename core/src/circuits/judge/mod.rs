//! What a circuit is worth: what the model does with everything else put away (faithfulness), what
//! is left when the circuit itself is (completeness), and what a cut changes.
//!
//! F(M) is the mean metric of the model as it is, F(C) with every node outside C at its ablation
//! value, F(∅) with every node there. `faithfulness(C) = (F(C) − F(∅)) / (F(M) − F(∅))`, and
//! completeness is the same of the complement M∖C: 0 where nothing outside C carries the
//! behaviour. Nodes that are kept are not frozen: they are encoded anew from what the ablated model
//! below makes of them (Marks et al. 2024, arXiv:2403.19647, section 3).

mod batch;
mod curve;
mod random;
mod run;
mod spec;
mod stays;
mod values;
mod verdict;

pub use curve::{Curve, CurvePoint, counts};
pub use random::RandomPoint;
pub use spec::{Ablation, Errors, JudgeSpec};
pub use verdict::{Accuracy, PairVerdict, Verdict};

use super::{Bases, Cut, Examples, Node};
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{Model, Site};
use batch::Batch;
use run::{Memory, Outcome};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Judges circuits of one model on one set of pairs. Ablation values, F(M) and F(∅) are computed
/// once; a verdict then costs a pass for each thing that was not asked before.
pub struct Judge {
    model: Model,
    bases: Bases,
    examples: Examples,
    spec: JudgeSpec,
    batches: Vec<Batch>,
    memory: Memory,
}

/// Which nodes stay; the others take their ablation values.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Which<'a> {
    Everything,
    Only(&'a BTreeSet<Node>),
    Without(&'a BTreeSet<Node>),
}

impl Judge {
    /// Gets ready to judge circuits of `model` with the nodes of `bases` on `examples` (held-out
    /// ones, if the verdict is to say anything of other prompts).
    ///
    /// # Errors
    /// No examples, a metric or an exempt site that does not fit the model; cancelled.
    pub fn new<E>(
        ctx: &JobContext<E>,
        model: &Model,
        bases: &Bases,
        examples: &Examples,
        spec: JudgeSpec,
    ) -> Result<Self> {
        if examples.kept.is_empty() {
            return Err(Error::setting(
                "There is nothing to judge a circuit by",
                "no pair of the task is held out",
                "Give the task more pairs, or judge on the pairs that the circuit was found on",
            ));
        }
        spec.fits(model)?;
        let batches = batch::batches(ctx, model, bases, examples, &spec)?;
        let judge = Self {
            model: model.clone(),
            bases: bases.clone(),
            examples: examples.clone(),
            spec,
            batches,
            memory: Memory::default(),
        };
        judge.outcome(ctx, Which::Everything, &[])?;
        judge.outcome(ctx, Which::Only(&BTreeSet::new()), &[])?;
        Ok(judge)
    }

    /// How it judges.
    pub fn spec(&self) -> &JudgeSpec {
        &self.spec
    }

    /// The pairs it judges by.
    pub fn examples(&self) -> &Examples {
        &self.examples
    }

    /// The nodes of every site.
    pub fn bases(&self) -> &Bases {
        &self.bases
    }

    /// The verdict on the circuit of `nodes`, with `cuts` made in it and in the whole model.
    ///
    /// # Errors
    /// A node that there is not, a cut that is not defined, a number that became NaN, cancelled.
    pub fn verdict<E>(
        &self,
        ctx: &JobContext<E>,
        nodes: &BTreeSet<Node>,
        cuts: &[Cut],
    ) -> Result<Verdict> {
        for node in nodes.iter().chain(cuts.iter().flat_map(|cut| &cut.nodes)) {
            self.known(node)?;
        }
        let cuts: Vec<Cut> = cuts.iter().filter(|cut| !cut.nodes.is_empty()).cloned().collect();
        // A pass with cuts begins from the stream of the one without.
        let uncut = self.outcome(ctx, Which::Only(nodes), &[])?;
        let parts = verdict::Parts {
            model: self.outcome(ctx, Which::Everything, &[])?,
            cut_model: self.outcome(ctx, Which::Everything, &cuts)?,
            circuit: self.outcome(ctx, Which::Only(nodes), &cuts)?,
            uncut,
            complement: self.outcome(ctx, Which::Without(nodes), &[])?,
            empty: self.outcome(ctx, Which::Only(&BTreeSet::new()), &[])?,
        };
        Ok(verdict::verdict(&self.examples, nodes, &cuts, &parts))
    }

    /// What came of a pass, now or before.
    fn outcome<E>(
        &self,
        ctx: &JobContext<E>,
        which: Which<'_>,
        cuts: &[Cut],
    ) -> Result<Arc<Outcome>> {
        if let Some(known) = self.memory.get(which, cuts) {
            return Ok(known);
        }
        // Of what nobody cuts the stream is of no use.
        let keep = cuts.is_empty() && !matches!(which, Which::Without(_));
        let (outcome, streams) = self.pass(ctx, which, cuts, keep)?;
        if keep {
            self.memory.put_streams(which, streams);
        }
        let outcome = Arc::new(outcome);
        self.memory.put(which, cuts, outcome.clone());
        Ok(outcome)
    }

    fn known(&self, node: &Node) -> Result<()> {
        let refused = |why: String| {
            Err(Error::setting(
                format!("There is no node {node}"),
                why,
                "Choose the dictionaries that the circuit was found with",
            ))
        };
        let Some(basis) = self.bases.sites.get(&node.site) else {
            return refused(format!("{} is not among the sites that are looked at", node.site));
        };
        let (count, error) = match basis {
            super::Basis::Sae(sae) => (sae.latents(), true),
            super::Basis::Neurons => (self.model.config().width, false),
        };
        match node.unit {
            super::Unit::Error if !error => {
                refused(format!("the nodes of {} are its coordinates", node.site))
            }
            super::Unit::Latent(latent) if latent as usize >= count => {
                refused(format!("{} has the nodes 0 to {}", node.site, count.saturating_sub(1)))
            }
            _ => Ok(()),
        }
    }

    /// Sites whose nodes are put away, in the order of the forward pass.
    fn sites(&self) -> impl Iterator<Item = Site> + '_ {
        self.bases.sites.keys().copied()
    }
}

#[cfg(test)]
mod tests;
