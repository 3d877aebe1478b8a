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
pub(super) use project::{project, read};

use super::{Aggregation, Bases, FindSpec, Method, Unit};
use crate::error::{Error, Result};
use crate::llama::{Model, Rules, Site};
use crate::sae::kernels::{self, Packed};
use crate::sae::{Latents, Sae};
use std::collections::BTreeMap;
use std::sync::OnceLock;

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
    /// Dictionaries made ready, where there is room for that.
    ready: Option<BTreeMap<Site, Ready>>,
}

/// Encoder and decoder of a dictionary as the kernels want them, made when first used.
#[derive(Default)]
struct Ready {
    encoder: OnceLock<Packed>,
    decoder: OnceLock<Packed>,
}

/// Numbers that dictionaries made ready may take: 1 GiB.
const READY: usize = 1 << 28;

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
        let numbers = |site: &Site| bases.sae(*site).map_or(0, |s| 2 * s.latents() * s.width());
        let fits = sites.iter().map(numbers).sum::<usize>() <= READY;
        let ready = fits.then(|| sites.iter().map(|site| (*site, Ready::default())).collect());
        Ok(Self { model, bases, spec, sites, top, check, ready })
    }

    /// The latents of rows at a site.
    pub(super) fn encode(&self, sae: &Sae, site: Site, rows: &[f32]) -> Result<Latents> {
        let found = match self.ready.as_ref().and_then(|ready| ready.get(&site)) {
            Some(ready) => sae.encode_by(ready.encoder.get_or_init(|| sae.packed()), rows),
            None => sae.encode(rows),
        };
        found.map_err(|e| Error { what: format!("{} at {site}", e.what), ..e })
    }

    /// ⟨d_i, row⟩ of every latent and row.
    fn products(&self, sae: &Sae, site: Site, rows: &[f32]) -> Result<Vec<f32>> {
        let mut out = Vec::new();
        let pack = || {
            let mut packed = Packed::new();
            packed.pack(&sae.decoder, &vec![0.0; sae.latents()], None);
            packed
        };
        match self.ready.as_ref().and_then(|ready| ready.get(&site)) {
            Some(ready) => {
                let packed = ready.decoder.get_or_init(pack);
                kernels::pre_dense(rows, packed, &mut out, self.check)?;
            }
            None => kernels::pre_dense(rows, &pack(), &mut out, self.check)?,
        }
        Ok(out)
    }

    /// Sites to read: the ones with nodes, and those that a pass needs to begin at one of them.
    fn read(&self) -> Vec<Site> {
        let all = Site::all(self.layers());
        all.into_iter().filter(|site| *site <= self.end()).collect()
    }

    /// The end of the block of the metric's site: a pass that stops within a block keeps no trace
    /// of it, and no gradient could start there.
    fn end(&self) -> Site {
        self.top.layer().map_or(Site::Embed, Site::Resid)
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
