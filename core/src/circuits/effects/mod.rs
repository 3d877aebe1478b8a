//! What each node does to the metric.
//!
//! With g the gradient of F at a site's output x, the effect of latent i at a position is
//! `F(clean) − F(changed) ≈ −Δf_i ⟨g, d_i⟩`, and that of the error `−⟨g, Δε⟩`: the gradient goes
//! past the dictionaries straight through, so one backward pass of the plain model serves all.
//! As `x = b + Σ f_i d_i + ε`, the error's is that of all of Δx less those of the latents.

mod batch;
mod exact;
mod line;
mod project;

pub(super) use batch::{Batch, batches, finite_gradient, output, rows_at_once};
pub(super) use exact::{errors, exact};
pub(super) use project::{encode, project, read};

use super::{Aggregation, Bases, FindSpec, Method, Unit};
use crate::error::{Error, Result};
use crate::llama::{Model, Rules, Site};
use std::collections::BTreeMap;

/// What all batches share.
pub(super) struct Setup<'a> {
    pub model: &'a Model,
    pub bases: &'a Bases,
    pub spec: &'a FindSpec,
    /// Sites that have nodes, up to the one that the metric reads.
    pub sites: Vec<Site>,
    /// Where the metric reads.
    pub top: Site,
    /// Asked now and then; its error ends the work.
    pub check: &'a (dyn Fn() -> Result<()> + Sync),
}

impl<'a> Setup<'a> {
    pub(super) fn new(
        model: &'a Model,
        bases: &'a Bases,
        spec: &'a FindSpec,
        check: &'a (dyn Fn() -> Result<()> + Sync),
    ) -> Result<Self> {
        let top = spec.metric.site(model).within(model.config().layers)?;
        let sites: Vec<Site> = bases.sites.keys().copied().filter(|site| *site <= top).collect();
        if sites.is_empty() {
            return Err(Error::setting(
                "There are no nodes to look at",
                format!("none of the sites chosen comes before {top}, where the metric is read"),
                "Choose dictionaries at other sites",
            ));
        }
        Ok(Self { model, bases, spec, sites, top, check })
    }

    /// Sites to read: the ones with nodes, and those that a pass needs to begin at one of them.
    fn read(&self) -> Vec<Site> {
        let all = Site::all(self.layers());
        all.into_iter().filter(|site| *site <= self.top).collect()
    }

    fn layers(&self) -> usize {
        self.model.config().layers
    }

    /// What is linearised.
    pub(super) fn rules(&self) -> Rules {
        match self.spec.method {
            Method::Relp => Rules {
                freeze_norm: true,
                freeze_pattern: false,
                freeze_gate: true,
                halve_products: true,
            },
            _ => Rules::default(),
        }
    }
}

/// The effect of one node in one pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Effect {
    /// Absolute; `None` where positions are summed.
    pub position: Option<u32>,
    pub unit: Unit,
    pub effect: f32,
}

/// Effects in one pair.
#[derive(Debug, Clone)]
pub(super) struct PairEffects {
    /// Place among the examples.
    pub place: usize,
    /// Those that are not 0, by site, ordered by position and unit.
    pub sites: BTreeMap<Site, Vec<Effect>>,
}

/// Effects of all nodes in each pair of the batch.
pub(super) fn effects(setup: &Setup<'_>, batch: &Batch) -> Result<Vec<PairEffects>> {
    let mut out: Vec<PairEffects> = batch
        .places
        .iter()
        .map(|place| PairEffects { place: *place, sites: BTreeMap::new() })
        .collect();
    if setup.spec.method == Method::Exact {
        for site in &setup.sites {
            for (pair, effects) in exact(setup, batch, *site, None)?.into_iter().enumerate() {
                out[pair].sites.insert(*site, effects);
            }
        }
        return Ok(out);
    }
    let gradients = gradients(setup, batch, &setup.sites)?;
    for (site, gradient) in &gradients {
        (setup.check)()?;
        for (pair, effects) in project(setup, batch, *site, gradient)?.into_iter().enumerate() {
            out[pair].sites.insert(*site, effects);
        }
    }
    Ok(out)
}

/// The gradient at each of `sites` by which the method weighs changes there; for exact patching,
/// which has none, that of integrated gradients.
pub(super) fn gradients(
    setup: &Setup<'_>,
    batch: &Batch,
    sites: &[Site],
) -> Result<BTreeMap<Site, Vec<f32>>> {
    let steps = match setup.spec.method {
        Method::Attribution | Method::Relp => 1,
        Method::IntegratedGradients { steps } => steps,
        Method::Exact => 10,
    };
    let mut found = batch.gradients(setup, setup.rules(), sites)?;
    if steps > 1 {
        for site in sites {
            if let Some(gradient) = found.get_mut(site) {
                line::mean_along(setup, batch, *site, steps, gradient)?;
            }
        }
    }
    Ok(found)
}

/// Adds a site's effects up as the aggregation says: `rows` gives them for each row of the batch.
struct Gather<'a> {
    batch: &'a Batch,
    aggregation: Aggregation,
    /// Number of units, the error included.
    units: usize,
    sums: Vec<f64>,
    touched: Vec<u32>,
    out: Vec<Vec<Effect>>,
}

impl<'a> Gather<'a> {
    fn new(setup: &Setup<'_>, batch: &'a Batch, latents: usize) -> Self {
        Self {
            batch,
            aggregation: setup.spec.aggregation,
            units: latents + 1,
            sums: vec![0.0; latents + 1],
            touched: Vec::new(),
            out: vec![Vec::new(); batch.pairs()],
        }
    }

    fn unit(&self, unit: usize) -> Unit {
        if unit + 1 == self.units { Unit::Error } else { Unit::Latent(unit as u32) }
    }

    /// One row's effects, units ascending. Rows come in ascending order.
    fn add(&mut self, row: usize, unit: usize, effect: f64) {
        if effect == 0.0 {
            return;
        }
        match self.aggregation {
            Aggregation::Summed => {
                self.touched.push(unit as u32);
                self.sums[unit] += effect;
            }
            Aggregation::PerPosition => {
                let position = (self.batch.first + row % self.batch.positions) as u32;
                let effect = Effect {
                    position: Some(position),
                    unit: self.unit(unit),
                    effect: effect as f32,
                };
                self.out[row / self.batch.positions].push(effect);
            }
        }
    }

    /// All rows of a pair are there.
    fn end_pair(&mut self, pair: usize) {
        if self.aggregation == Aggregation::PerPosition {
            return;
        }
        self.touched.sort_unstable();
        self.touched.dedup();
        for unit in std::mem::take(&mut self.touched) {
            let effect = std::mem::take(&mut self.sums[unit as usize]) as f32;
            if effect != 0.0 {
                let unit = self.unit(unit as usize);
                self.out[pair].push(Effect { position: None, unit, effect });
            }
        }
    }
}
