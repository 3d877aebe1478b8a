//! The one forward pass: reads, changes, stops early, traces, continues from a cache.

use super::kernels::{self, AttentionShape, Table};
use super::trace::{BlockTrace, Trace};
use super::weights::Block;
use super::{Cache, Logits, Model, Pass, Plan, Site, Tokens, rope};
use crate::error::Result;
use candle_core::{DType, Tensor};
use std::collections::BTreeMap;

impl Model {
    /// Runs the model on `tokens`: reads and changes what `plan` names, goes no further than it
    /// needs.
    ///
    /// # Errors
    /// A token or a site the model does not have, a text longer than its context, whatever a
    /// change or the plan's check returns.
    pub fn forward(&self, tokens: &Tokens, plan: &Plan<'_>) -> Result<Pass> {
        self.run(tokens, plan, None)
    }

    /// As [`Model::forward`], for the text that follows what `cache` holds; `cache` grows by it.
    /// No trace is kept.
    ///
    /// # Errors
    /// As [`Model::forward`]; and after an error the cache must not be used again.
    pub fn forward_cached(
        &self,
        tokens: &Tokens,
        plan: &Plan<'_>,
        cache: &mut Cache,
    ) -> Result<Pass> {
        self.run(tokens, &Plan { trace: false, ..*plan }, Some(cache))
    }

    fn run(&self, tokens: &Tokens, plan: &Plan<'_>, cache: Option<&mut Cache>) -> Result<Pass> {
        let c = self.config();
        let first = cache.as_ref().map_or(0, |cache| cache.positions());
        tokens.within(c.vocab, c.context, first)?;
        for site in plan.read.iter().chain(plan.change.iter().map(|(site, _)| site)) {
            site.within(c.layers)?;
        }
        Run::new(self, tokens, plan, cache, first)?.all()
    }

    pub(super) fn table(&self, first: usize, count: usize) -> Result<Table> {
        let (cos, sin) = rope::table(self.config(), first, count);
        let shape = (count, self.config().head_dim / 2);
        let tensor = |values: Vec<f64>| {
            // Not every device has f64.
            match self.dtype() {
                DType::F64 => Tensor::from_vec(values, shape, self.device()),
                _ => {
                    let values: Vec<f32> = values.into_iter().map(|x| x as f32).collect();
                    Tensor::from_vec(values, shape, self.device())
                }
            }
        };
        Ok(Table { cos: tensor(cos)?, sin: tensor(sin)? })
    }

    pub(super) fn attention_shape(&self, batch: usize, positions: usize) -> AttentionShape {
        let c = self.config();
        AttentionShape {
            batch,
            positions,
            heads: c.heads,
            kv_heads: c.kv_heads,
            head_dim: c.head_dim,
        }
    }
}

/// A forward pass under way.
struct Run<'a, 'p> {
    model: &'a Model,
    tokens: &'a Tokens,
    plan: &'a Plan<'p>,
    cache: Option<&'a mut Cache>,
    first: usize,
    shape: AttentionShape,
    table: Table,
    /// The last site that matters; `None` where the pass goes on to the logits.
    stop: Option<Site>,
    sites: BTreeMap<Site, Tensor>,
    blocks: Vec<BlockTrace>,
}

impl<'a, 'p> Run<'a, 'p> {
    fn new(
        model: &'a Model,
        tokens: &'a Tokens,
        plan: &'a Plan<'p>,
        cache: Option<&'a mut Cache>,
        first: usize,
    ) -> Result<Self> {
        let named = plan.read.iter().chain(plan.change.iter().map(|(site, _)| site));
        let stop = match plan.logits {
            // A pass that is asked for nothing still does what little there is.
            Logits::None => Some(named.max().copied().unwrap_or(Site::Embed)),
            Logits::Last | Logits::All => None,
        };
        Ok(Self {
            model,
            tokens,
            plan,
            cache,
            first,
            shape: model.attention_shape(tokens.batch(), tokens.positions()),
            table: model.table(first, tokens.positions())?,
            stop,
            sites: BTreeMap::new(),
            blocks: Vec::new(),
        })
    }

    fn all(mut self) -> Result<Pass> {
        let parts = self.model.parts();
        let ids = Tensor::new(self.tokens.ids(), self.model.device())?;
        let mut x = self.site(Site::Embed, parts.embed.index_select(&ids, 0)?)?;
        let mut finished = self.stop != Some(Site::Embed);
        if finished {
            for (layer, block) in parts.blocks.iter().enumerate() {
                if let Some(check) = self.plan.check {
                    check()?;
                }
                match self.block(layer, block, x.clone())? {
                    Some(after) => x = after,
                    None => {
                        finished = false;
                        break;
                    }
                }
                if self.stop == Some(Site::Resid(layer)) {
                    finished = layer + 1 == parts.blocks.len();
                    break;
                }
            }
        }
        if let Some(cache) = &mut self.cache {
            cache.advance(self.tokens.positions(), self.stop.is_none());
        }
        let logits = match self.plan.logits {
            Logits::None => None,
            wanted => Some(self.logits(&x, wanted)?),
        };
        let trace = self.plan.trace.then(|| Trace {
            tokens: self.tokens.clone(),
            table: self.table,
            blocks: self.blocks,
            last: finished.then_some(x),
            logits: self.plan.logits,
        });
        Ok(Pass { sites: self.sites, logits, trace })
    }

    /// The residual stream after a block; `None` if the pass ends within it.
    fn block(&mut self, layer: usize, w: &Block, x: Tensor) -> Result<Option<Tensor>> {
        let eps = self.model.config().norm_eps;
        let normed = kernels::rms_norm(&x, &w.norm1, eps)?;
        let qkv = kernels::rotate(kernels::linear(&normed, &w.qkv)?, &self.shape, &self.table)?;
        drop(normed);
        let z = match &mut self.cache {
            None => kernels::attention(&qkv, &self.shape)?,
            Some(cache) => {
                let [q, k, v] = kernels::split(&qkv, &self.shape)?;
                let (k, v) = cache.extend(layer, &k, &v)?;
                kernels::attend(&q, &k, &v, &self.shape)?
            }
        };
        let attention = self.site(Site::Attn(layer), kernels::linear(&z, &w.o)?)?;
        if self.stop == Some(Site::Attn(layer)) {
            return Ok(None);
        }
        let mid = kernels::add(&x, &attention)?;
        let normed = kernels::rms_norm(&mid, &w.norm2, eps)?;
        let gate_up = kernels::linear(&normed, &w.gate_up)?;
        drop(normed);
        let mlp = kernels::linear(&kernels::silu_mul(&gate_up)?, &w.down)?;
        let mlp = self.site(Site::Mlp(layer), mlp)?;
        if self.stop == Some(Site::Mlp(layer)) {
            return Ok(None);
        }
        let after = self.site(Site::Resid(layer), kernels::add(&mid, &mlp)?)?;
        if self.plan.trace {
            self.blocks.push(BlockTrace { x, qkv, z, mid, gate_up });
        }
        Ok(Some(after))
    }

    /// Changes and reads a site's output `[rows, width]`.
    fn site(&mut self, site: Site, x: Tensor) -> Result<Tensor> {
        let flat = x.dims2()?;
        let full = (self.tokens.batch(), self.tokens.positions(), flat.1);
        let mut x = x;
        for (_, change) in self.plan.change.iter().filter(|(s, _)| *s == site) {
            x = change.apply(&x.reshape(full)?, self.first)?;
            if x.dims() != [full.0, full.1, full.2] {
                return Err(crate::Error::internal(
                    format!("A change at {site} failed"),
                    format!("it made {:?} of {full:?}", x.dims()),
                ));
            }
            x = x.reshape(flat)?.contiguous()?;
        }
        if self.plan.read.contains(&site) {
            self.sites.insert(site, x.reshape(full)?);
        }
        Ok(x)
    }

    fn logits(&self, x: &Tensor, wanted: Logits) -> Result<Tensor> {
        let (batch, positions) = (self.tokens.batch(), self.tokens.positions());
        let width = self.model.config().width;
        let x = match wanted {
            Logits::Last => {
                let x = x.reshape((batch, positions, width))?;
                x.narrow(1, positions - 1, 1)?.contiguous()?.reshape((batch, width))?
            }
            _ => x.clone(),
        };
        let parts = self.model.parts();
        let normed = kernels::rms_norm(&x, &parts.norm, self.model.config().norm_eps)?;
        let logits = kernels::linear(&normed, parts.head())?;
        match wanted {
            Logits::Last => Ok(logits),
            _ => Ok(logits.reshape((batch, positions, ()))?),
        }
    }
}
