//! Random circuits of equal size: the control.

use super::super::{Estimate, Node, Unit};
use super::verdict::{estimate, share_of};
use super::{Judge, Which};
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::Site;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Random circuits of one size. Each has as many latents at every site and position as the circuit
/// it stands beside, drawn from those that are active there on the prompts that ablation values
/// come from; errors are the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RandomPoint {
    /// How many nodes.
    pub nodes: usize,
    /// Faithfulness of each draw.
    pub draws: Vec<f64>,
    /// Their mean, and its standard error over draws. `None` where faithfulness means nothing.
    pub faithfulness: Option<Estimate>,
}

impl Judge {
    /// `draws` random circuits beside that of `nodes`.
    ///
    /// # Errors
    /// As [`Judge::verdict`].
    pub fn random<E>(
        &self,
        ctx: &JobContext<E>,
        nodes: &BTreeSet<Node>,
        draws: usize,
    ) -> Result<RandomPoint> {
        for node in nodes {
            self.known(node)?;
        }
        let model = self.outcome(ctx, Which::Everything, &[])?;
        let empty = self.outcome(ctx, Which::Only(&BTreeSet::new()), &[])?;
        let mut pools = BTreeMap::new();
        let mut out = RandomPoint { nodes: nodes.len(), ..RandomPoint::default() };
        for draw in 0..draws {
            let drawn = self.drawn(nodes, draw as u64, &mut pools);
            let outcome = self.run(ctx, Which::Only(&drawn), &[])?;
            out.draws.extend(share_of(&outcome.value, &empty.value, &model.value).map(|s| s.mean));
            ctx.progress().add(1);
        }
        out.faithfulness = (!out.draws.is_empty()).then(|| estimate(&out.draws));
        Ok(out)
    }

    /// As many nodes of every site and position, drawn.
    pub(super) fn drawn(
        &self,
        nodes: &BTreeSet<Node>,
        draw: u64,
        pools: &mut BTreeMap<(Site, Option<u32>), Vec<u32>>,
    ) -> BTreeSet<Node> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.spec.seed);
        rng.set_stream(16 + draw);
        let mut due = BTreeMap::<(Site, Option<u32>), usize>::new();
        let mut out = BTreeSet::new();
        for node in nodes {
            match node.unit {
                Unit::Latent(_) => *due.entry((node.site, node.position)).or_default() += 1,
                Unit::Error => {
                    out.insert(*node);
                }
            }
        }
        for ((site, position), count) in due {
            let pool = pools.entry((site, position)).or_insert_with(|| {
                let of = |batch: &super::Batch| batch.reads[&site].active(position);
                let all: BTreeSet<u32> = self.batches.iter().flat_map(of).collect();
                all.into_iter().collect()
            });
            let mut order = pool.clone();
            let (chosen, _) = order.partial_shuffle(&mut rng, count);
            let node = |latent: &u32| Node { site, position, unit: Unit::Latent(*latent) };
            out.extend(chosen.iter().map(node));
        }
        out
    }
}
