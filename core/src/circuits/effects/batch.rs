//! Clean and patch runs of some pairs of one length, from the first position that matters on.

use super::Setup;
use crate::activations::numbers;
use crate::circuits::{Basis, Change, Example, Gauge};
use crate::error::{Error, ErrorKind, Result};
use crate::llama::{Pass, Plan, Prefix, Rules, Site, Tokens, WhatGradients};
use candle_core::Tensor;
use std::collections::BTreeMap;

/// Work of one block of the model in one pass, in multiplications: at this rate a job is stopped
/// well within 100 ms.
const WORK: usize = 2_000_000_000;

/// Rows (batch × positions) that one pass of this model should have at most.
pub(in crate::circuits) fn rows_at_once(setup: &Setup<'_>) -> usize {
    let c = setup.model.config();
    let attention = c.width * c.head_dim * (2 * c.heads + 2 * c.kv_heads);
    (WORK / (attention + 3 * c.width * c.hidden).max(1)).clamp(16, 4096)
}

/// Places of examples in groups that run as one batch each: of one length, those whose prompts
/// differ first at the same place side by side.
pub(in crate::circuits) fn batches(setup: &Setup<'_>, examples: &[Example]) -> Vec<Vec<usize>> {
    let first = |e: &Example| e.first_difference().unwrap_or(0);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    order.sort_by_key(|i| (examples[*i].positions(), first(&examples[*i]), *i));
    let rows = rows_at_once(setup);
    let mut out: Vec<Vec<usize>> = Vec::new();
    for i in order {
        let positions = examples[i].positions();
        let fits = |batch: &&mut Vec<usize>| {
            examples[batch[0]].positions() == positions
                && (batch.len() + 1) * positions <= rows
                && batch.len() < 32
        };
        match out.last_mut().filter(fits) {
            Some(batch) => batch.push(i),
            None => out.push(vec![i]),
        }
    }
    out
}

/// Pairs of one length, run.
///
/// Everything here begins at position [`Batch::first`]: before it the prompts are the same, or
/// nodes are left out. Keys and values of those positions come from [`Batch::prefix`].
pub(in crate::circuits) struct Batch {
    /// Whose pairs these are, as places among the examples.
    pub places: Vec<usize>,
    /// Where each pair's own prompts first differ, counted from `first`.
    pub differ: Vec<usize>,
    /// The first position that matters.
    pub first: usize,
    /// Positions from it on.
    pub positions: usize,
    /// The positions before it, run on the clean prompts.
    pub prefix: Option<Pass>,
    /// The clean prompts, with a trace.
    pub clean: Pass,
    /// Outputs on the patch prompts.
    pub patch: Option<BTreeMap<Site, Tensor>>,
    /// The metric for these pairs.
    pub gauge: Gauge,
    /// F on the clean prompts.
    pub clean_values: Vec<f64>,
    /// F on the patch prompts.
    pub patch_values: Option<Vec<f64>>,
    tokens: Tokens,
}

impl Batch {
    /// Runs the examples at `places`, which have one length.
    pub(in crate::circuits) fn new(
        setup: &Setup<'_>,
        examples: &[Example],
        places: Vec<usize>,
    ) -> Result<Self> {
        let chosen: Vec<&Example> = places.iter().map(|i| &examples[*i]).collect();
        let whole = chosen.first().map_or(0, |e| e.positions());
        let patched = setup.spec.change == Change::Patch;
        let differ: Vec<usize> = match patched {
            true => chosen.iter().map(|e| e.first_difference().unwrap_or(0)).collect(),
            false => vec![0; chosen.len()],
        };
        let differs = differ.iter().min().copied().unwrap_or(0);
        let last = whole.saturating_sub(1);
        let first = differs.max(setup.spec.skip_positions).min(last);
        let differs = differs.min(first);
        let own: Vec<usize> = (0..chosen.len()).collect();
        let sites = setup.read();
        let plan =
            |trace| Plan { read: &sites, trace, check: Some(setup.check), ..Plan::default() };
        let part = |prompts: &[&[u32]], from: usize, to: usize| {
            Tokens::rows(&prompts.iter().map(|p| &p[from..to]).collect::<Vec<_>>())
        };
        let prompts: Vec<&[u32]> = chosen.iter().map(|e| e.clean.as_slice()).collect();
        let mut gauge = Gauge::new(setup.model, &setup.spec.metric, &chosen)?;
        let prefix = match first {
            0 => None,
            _ => Some(setup.model.forward(&part(&prompts, 0, first)?, &plan(true))?),
        };
        if let Some(prefix) = &prefix {
            gauge = gauge.behind(output(&prefix.sites, setup.top)?)?;
        }
        let behind = |positions: usize| {
            let prefix = prefix.as_ref().filter(|_| positions > 0);
            prefix.map(|pass| Prefix { pass, rows: &own, positions })
        };
        let tokens = part(&prompts, first, whole)?;
        let clean = setup.model.forward(&tokens, &Plan { prefix: behind(first), ..plan(true) })?;
        for site in &sites {
            finite(setup, *site, output(&clean.sites, *site)?, "clean")?;
        }
        let clean_values = gauge.values(output(&clean.sites, setup.top)?, &own)?;
        let (mut patch, mut patch_values) = (None, None);
        if patched {
            let prompts = chosen
                .iter()
                .map(|e| {
                    e.patch.as_deref().ok_or_else(|| {
                        Error::internal("A pair cannot be used", "it has no patch prompt")
                    })
                })
                .collect::<Result<Vec<&[u32]>>>()?;
            let tokens = part(&prompts, differs, whole)?;
            let plan = Plan { prefix: behind(differs), ..plan(false) };
            let mut pass = setup.model.forward(&tokens, &plan)?;
            for x in pass.sites.values_mut() {
                *x = x.narrow(1, first - differs, whole - first)?.contiguous()?;
            }
            for site in &sites {
                finite(setup, *site, output(&pass.sites, *site)?, "patch")?;
            }
            patch_values = Some(gauge.values(output(&pass.sites, setup.top)?, &own)?);
            patch = Some(pass.sites);
        }
        let differ = differ.iter().map(|p| p.saturating_sub(first)).collect();
        let positions = whole - first;
        Ok(Self {
            places,
            differ,
            first,
            positions,
            prefix,
            clean,
            patch,
            gauge,
            clean_values,
            patch_values,
            tokens,
        })
    }

    /// Pairs in it.
    pub(in crate::circuits) fn pairs(&self) -> usize {
        self.places.len()
    }

    /// The clean output of `site`, `[pairs · positions, width]`.
    pub(in crate::circuits) fn clean(&self, site: Site) -> Result<Vec<f32>> {
        numbers(output(&self.clean.sites, site)?)
    }

    /// What all nodes of `site` together become: its output on the patch prompts; with zero
    /// ablation what is left without latents and error.
    pub(in crate::circuits) fn changed(&self, setup: &Setup<'_>, site: Site) -> Result<Vec<f32>> {
        if let Some(patch) = &self.patch {
            return numbers(output(patch, site)?);
        }
        let width = setup.model.config().width;
        let rows = self.pairs() * self.positions;
        Ok(match setup.bases.sites.get(&site) {
            Some(Basis::Sae(sae)) => sae.b_dec.repeat(rows),
            _ => vec![0.0; rows * width],
        })
    }

    /// Which rows of a site may have an effect: those from the pair's first difference on.
    pub(in crate::circuits) fn matters(&self, row: usize) -> bool {
        row % self.positions >= self.differ[row / self.positions]
    }

    /// The gradient of F at the clean run, at each of `sites`.
    pub(in crate::circuits) fn gradients(
        &self,
        setup: &Setup<'_>,
        rules: Rules,
        sites: &[Site],
    ) -> Result<BTreeMap<Site, Vec<f32>>> {
        let own: Vec<usize> = (0..self.pairs()).collect();
        let x = output(&self.clean.sites, setup.top)?;
        let seed = self.gauge.gradients(x, &own, &rules)?.1;
        (setup.check)()?;
        let what = WhatGradients { sites, rules, ..WhatGradients::default() };
        let found = setup.model.backward_from(&self.clean, &[(setup.top, seed)], what)?;
        let mut out = BTreeMap::new();
        for (site, gradient) in found.sites {
            let gradient = numbers(&gradient)?;
            finite_gradient(site, &gradient)?;
            out.insert(site, gradient);
        }
        Ok(out)
    }

    /// A pass that begins at `site`: row i continues pair `of[i]` with `value[i]`
    /// (`[of, positions − skipped, width]` numbers) from `skipped` positions after `first` on.
    pub(in crate::circuits) fn started(
        &self,
        setup: &Setup<'_>,
        site: Site,
        value: Vec<f32>,
        of: &[usize],
        skipped: usize,
        trace: bool,
    ) -> Result<Pass> {
        let width = setup.model.config().width;
        let positions = self.positions - skipped;
        let shape = (of.len(), positions, width);
        let tensor = |values: Vec<f32>| -> Result<Tensor> {
            let x = Tensor::from_vec(values, shape, setup.model.device())?;
            Ok(x.to_dtype(setup.model.dtype())?)
        };
        let value = tensor(value)?;
        let beside = match self.beside(site)? {
            None => None,
            Some(beside) => {
                let each = self.positions * width;
                let rows = of.iter().flat_map(|i| {
                    beside[i * each + skipped * width..(i + 1) * each].iter().copied()
                });
                Some(tensor(rows.collect())?)
            }
        };
        let ids: Vec<u32> = of
            .iter()
            .flat_map(|i| {
                &self.tokens.ids()[i * self.positions + skipped..(i + 1) * self.positions]
            })
            .copied()
            .collect();
        let tokens = Tokens::new(ids, of.len(), positions)?;
        // The clean run holds its own prefix's keys and values too.
        let from = if skipped > 0 { Some(&self.clean) } else { self.prefix.as_ref() };
        let plan = Plan {
            read: &[setup.top, setup.end()],
            trace,
            check: Some(setup.check),
            start: Some(crate::llama::Start { site, value: &value, beside: beside.as_ref() }),
            prefix: from.map(|pass| Prefix { pass, rows: of, positions: self.first + skipped }),
            ..Plan::default()
        };
        setup.model.forward(&tokens, &plan)
    }

    /// What the output of `attn.L` or `mlp.L` is added to, on the clean prompts.
    fn beside(&self, site: Site) -> Result<Option<Vec<f32>>> {
        let before = |l: usize| self.clean(l.checked_sub(1).map_or(Site::Embed, Site::Resid));
        match site {
            Site::Attn(l) => Ok(Some(before(l)?)),
            Site::Mlp(l) => {
                let mut sum = before(l)?;
                sum.iter_mut().zip(self.clean(Site::Attn(l))?).for_each(|(x, a)| *x += a);
                Ok(Some(sum))
            }
            _ => Ok(None),
        }
    }
}

/// A site's output among those that were read.
pub(in crate::circuits) fn output(sites: &BTreeMap<Site, Tensor>, site: Site) -> Result<&Tensor> {
    sites
        .get(&site)
        .ok_or_else(|| Error::internal("A site was not read", format!("{site} is absent")))
}

fn finite(setup: &Setup<'_>, site: Site, x: &Tensor, prompts: &str) -> Result<()> {
    // A sum is finite only if every number is, short of a sum that is too great itself.
    let sum = x.to_dtype(candle_core::DType::F64)?.sum_all()?.to_scalar::<f64>()?;
    if sum.is_finite() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Numeric,
        format!("The activations at {site} are not all finite"),
        format!("the {prompts} prompts give NaN or an infinity there"),
        format!("Check the weights of the model up to {site}, {} blocks in all", setup.layers()),
    ))
}

/// Refuses a gradient with a NaN or an infinity.
pub(in crate::circuits) fn finite_gradient(site: Site, gradient: &[f32]) -> Result<()> {
    if gradient.iter().all(|g| g.is_finite()) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Numeric,
        format!("The gradient at {site} is not finite"),
        "it holds NaN or an infinity, though the activations there do not",
        "Look for very large weights or activations after this site",
    ))
}
