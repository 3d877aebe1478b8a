//! Circuits and cuts as changes of the one forward pass.

use super::super::{Cut, CutOp, Node, Unit};
use super::batch::Batch;
use super::{Errors, Judge, Which};
use crate::edits::{Further, NodeEdits, Stay, To, Values};
use crate::error::{Error, Result};
use crate::llama::Site;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Nodes of a site by position; `None` is everywhere.
type ByPosition = BTreeMap<Option<u32>, Vec<Unit>>;

impl Judge {
    /// What a pass over `batch` changes; sites at which nothing changes are left out.
    pub(super) fn changes(
        &self,
        batch: &Batch,
        which: Which<'_>,
        cuts: &[Cut],
    ) -> Result<Vec<(Site, NodeEdits)>> {
        let nodes = match which {
            Which::Everything => BTreeMap::new(),
            Which::Only(nodes) | Which::Without(nodes) => by_site(nodes.iter()),
        };
        let none = ByPosition::new();
        let mut out = Vec::new();
        for site in self.sites() {
            let further = further(batch, site, cuts)?;
            let whole = which == Which::Everything || self.spec.exempt.contains(&site);
            let stay: Vec<Stay> = (0..batch.positions())
                .map(|position| match whole {
                    true => Stay { listed: Vec::new(), only: false, error: true },
                    false => {
                        let nodes = nodes.get(&site).unwrap_or(&none);
                        self.stay(nodes, position as u32, matches!(which, Which::Only(_)))
                    }
                })
                .collect();
            let Some(values) = batch.ablation.get(&site) else { continue };
            let sae = self.bases.sae(site).cloned();
            let width = self.model.config().width;
            let edits = NodeEdits::new(sae, width, values.clone(), stay, further)?;
            if !edits.is_empty() {
                out.push((site, edits));
            }
        }
        Ok(out)
    }

    fn stay(&self, nodes: &ByPosition, position: u32, only: bool) -> Stay {
        let units = [None, Some(position)].into_iter().filter_map(|at| nodes.get(&at)).flatten();
        let (mut listed, mut error) = (Vec::new(), false);
        for unit in units {
            match unit {
                Unit::Latent(latent) => listed.push(*latent),
                Unit::Error => error = true,
            }
        }
        listed.sort_unstable();
        listed.dedup();
        let error = match self.spec.errors {
            Errors::AsNodes => error == only,
            Errors::Keep => true,
            Errors::Cut => false,
        };
        Stay { listed, only, error }
    }
}

/// What cuts do at each position of a site.
fn further(batch: &Batch, site: Site, cuts: &[Cut]) -> Result<Vec<Further>> {
    let mut out = vec![Further::new(); batch.positions()];
    for cut in cuts {
        for node in cut.nodes.iter().filter(|node| node.site == site) {
            let to = to(batch, node, cut.op)?;
            let latent = match node.unit {
                Unit::Latent(latent) => Some(latent),
                Unit::Error => None,
            };
            for (position, further) in out.iter_mut().enumerate() {
                if node.position.is_none_or(|p| p as usize == position) {
                    further.push((latent, to.clone()));
                }
            }
        }
    }
    Ok(out)
}

fn to(batch: &Batch, node: &Node, op: CutOp) -> Result<To> {
    let of = |values: Option<&Arc<Values>>| {
        values.map(|values| To::Of(values.clone())).ok_or_else(|| {
            Error::internal("The cut cannot be made", format!("nothing was read at {}", node.site))
        })
    };
    match op {
        CutOp::Zero if node.unit == Unit::Error => Ok(To::Times(0.0)),
        CutOp::Zero => Ok(To::Value(0.0)),
        CutOp::Mean => of(batch.means.get(&node.site)),
        CutOp::Resample => of(batch.resampled().get(&node.site)),
        CutOp::Scale(s) => Ok(To::Times(s)),
        CutOp::Set(_) | CutOp::Add(_) if node.unit == Unit::Error => Err(Error::setting(
            format!("{node} cannot be set to a value, nor can one be added"),
            "the error is a whole vector",
            "Put it to zero or to its mean, resample it, or scale it",
        )),
        CutOp::Set(v) => Ok(To::Value(v)),
        CutOp::Add(v) => Ok(To::Plus(v)),
    }
}

pub(super) fn by_site<'a>(nodes: impl Iterator<Item = &'a Node>) -> BTreeMap<Site, ByPosition> {
    let mut out = BTreeMap::<Site, ByPosition>::new();
    for node in nodes {
        out.entry(node.site).or_default().entry(node.position).or_default().push(node.unit);
    }
    out
}
