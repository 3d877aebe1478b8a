//! The one forward pass: reads, changes, stops early, traces, continues from a cache.

use super::kernels::{self, AttentionShape, Table};
use super::trace::{AttentionTrace, BlockTrace, MlpTrace, Trace};
use super::weights::Block;
use super::{Cache, Logits, Model, Pass, Plan, Prefix, Site, Tokens, rope, step};
use crate::error::{Error, Result};
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
        let first = match (&cache, &plan.prefix) {
            (Some(cache), _) => cache.positions(),
            (None, Some(prefix)) => prefix.positions,
            (None, None) => 0,
        };
        tokens.within(c.vocab, c.context, first)?;
        for site in plan.read.iter().chain(plan.change.iter().map(|(site, _)| site)) {
            site.within(c.layers)?;
            if plan.start.is_some_and(|start| *site < start.site) {
                return Err(Error::internal(
                    format!("{site} cannot be read or changed"),
                    "the pass begins after it",
                ));
            }
        }
        if cache.is_some() && (plan.prefix.is_some() || plan.start.is_some()) {
            return Err(Error::internal(
                "The text cannot be continued",
                "a pass with a cache begins with its tokens",
            ));
        }
        match cache {
            Some(cache) if step::takes(self, tokens, plan) => step::step(self, tokens, plan, cache),
            cache => Run::new(self, tokens, plan, cache, first)?.all(),
        }
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
            from: 0,
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
    /// Of the rows that this pass computes.
    shape: AttentionShape,
    table: Table,
    /// The last site that matters; `None` where the pass goes on to the logits.
    stop: Option<Site>,
    sites: BTreeMap<Site, Tensor>,
    blocks: Vec<BlockTrace>,
}

/// What is given of a block, in the place of what it would compute.
enum Given {
    Attention(Tensor),
    Mlp(Tensor),
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
        let layers = parts.blocks.len();
        let (mut x, first_block, mut given) = self.begin()?;
        let reached = first_block.checked_sub(1).map_or(Site::Embed, Site::Resid);
        let mut go_on = given.is_some() || self.stop != Some(reached);
        let mut done = first_block;
        while go_on && done < layers {
            if let Some(check) = self.plan.check {
                check()?;
            }
            match self.block(done, &parts.blocks[done], x.clone(), given.take())? {
                Some(after) => x = after,
                None => break,
            }
            go_on = self.stop != Some(Site::Resid(done));
            done += 1;
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
            first: self.first,
            table: self.table,
            start: self.plan.start.map(|start| start.site),
            first_block,
            blocks: self.blocks,
            alone: false,
            last: (done == layers).then_some(x),
            logits: self.plan.logits,
        });
        Ok(Pass { sites: self.sites, logits, trace })
    }

    /// The residual stream that the pass begins with, the block that comes next, and what is given
    /// of that block.
    fn begin(&mut self) -> Result<(Tensor, usize, Option<Given>)> {
        let Some(start) = self.plan.start else {
            let ids = Tensor::new(self.tokens.ids(), self.model.device())?;
            let embed = self.model.parts().embed.index_select(&ids, 0)?;
            return Ok((self.site(Site::Embed, embed)?, 0, None));
        };
        start.site.within(self.model.config().layers)?;
        let value = self.flat(start.value)?;
        let beside = || {
            let beside = start.beside.ok_or_else(|| {
                Error::internal(
                    format!("The pass cannot begin at {}", start.site),
                    "the residual stream beside it was not given",
                )
            })?;
            self.flat(beside)
        };
        match start.site {
            Site::Embed => Ok((self.site(Site::Embed, value)?, 0, None)),
            Site::Resid(l) => Ok((self.site(Site::Resid(l), value)?, l + 1, None)),
            Site::Attn(l) => Ok((beside()?, l, Some(Given::Attention(value)))),
            Site::Mlp(l) => Ok((beside()?, l, Some(Given::Mlp(value)))),
        }
    }

    /// A tensor that was given for this pass, as `[rows, width]`.
    fn flat(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, positions) = (self.tokens.batch(), self.tokens.positions());
        let width = self.model.config().width;
        if x.dims() != [batch, positions, width] {
            return Err(Error::internal(
                "The pass cannot begin",
                format!("it was given {:?} for [{batch}, {positions}, {width}]", x.dims()),
            ));
        }
        Ok(x.reshape((batch * positions, width))?.contiguous()?)
    }

    /// The residual stream after a block; `None` if the pass ends within it.
    fn block(
        &mut self,
        layer: usize,
        w: &Block,
        x: Tensor,
        given: Option<Given>,
    ) -> Result<Option<Tensor>> {
        let mut traced = BlockTrace { attention: None, mlp: None };
        let (mid, mlp) = match given {
            Some(Given::Mlp(mlp)) => (x, mlp),
            given => {
                let attention = match given {
                    Some(Given::Attention(attention)) => attention,
                    _ => self.attention(layer, w, &x, &mut traced)?,
                };
                let attention = self.site(Site::Attn(layer), attention)?;
                if self.stop == Some(Site::Attn(layer)) {
                    return Ok(None);
                }
                let mid = kernels::add(&x, &attention)?;
                let mlp = self.mlp(w, &mid, &mut traced)?;
                (mid, mlp)
            }
        };
        let mlp = self.site(Site::Mlp(layer), mlp)?;
        if self.stop == Some(Site::Mlp(layer)) {
            return Ok(None);
        }
        let after = self.site(Site::Resid(layer), kernels::add(&mid, &mlp)?)?;
        if self.plan.trace {
            self.blocks.push(traced);
        }
        Ok(Some(after))
    }

    fn attention(
        &mut self,
        layer: usize,
        w: &Block,
        x: &Tensor,
        traced: &mut BlockTrace,
    ) -> Result<Tensor> {
        let normed = kernels::rms_norm(x, &w.norm1, self.model.config().norm_eps)?;
        let mut qkv = kernels::rotate(kernels::linear(&normed, &w.qkv)?, &self.shape, &self.table)?;
        drop(normed);
        let z = match &mut self.cache {
            None => {
                if let Some(prefix) = &self.plan.prefix {
                    qkv = self.behind(layer, prefix, &qkv)?;
                }
                kernels::attention(&qkv, &self.shape.behind(self.first))?
            }
            Some(cache) => {
                let [q, k, v] = kernels::split(&qkv, &self.shape)?;
                let (k, v) = cache.extend(layer, &k, &v)?;
                kernels::attend(&q, &k, &v, &self.shape)?
            }
        };
        let out = kernels::linear(&z, &w.o)?;
        if self.plan.trace {
            traced.attention = Some(AttentionTrace { x: x.clone(), qkv, z });
        }
        Ok(out)
    }

    /// `qkv` behind the rows that come before it.
    fn behind(&self, layer: usize, prefix: &Prefix<'_>, qkv: &Tensor) -> Result<Tensor> {
        let absent = |why: &str| Error::internal("A text cannot be continued", why.to_owned());
        let trace =
            prefix.pass.trace.as_ref().ok_or_else(|| absent("what came before kept no trace"))?;
        let place = layer.checked_sub(trace.first_block).and_then(|at| trace.blocks.get(at));
        let before = place
            .and_then(|block| block.attention.as_ref())
            .ok_or_else(|| absent("what came before did not go so far"))?;
        let whole = trace.first + trace.tokens.positions();
        let (batch, positions) = (self.tokens.batch(), self.tokens.positions());
        if prefix.positions > whole
            || prefix.rows.len() != batch
            || prefix.rows.iter().any(|row| *row >= trace.tokens.batch())
        {
            return Err(absent("it does not fit what came before"));
        }
        let rows: Vec<u32> = prefix.rows.iter().map(|row| *row as u32).collect();
        let rows = Tensor::new(rows, qkv.device())?;
        let before = before.qkv.reshape((trace.tokens.batch(), whole, ()))?;
        let before = before.narrow(1, 0, prefix.positions)?.contiguous()?.index_select(&rows, 0)?;
        let all = Tensor::cat(&[before, qkv.reshape((batch, positions, ()))?], 1)?;
        Ok(all.reshape((batch * (prefix.positions + positions), ()))?.contiguous()?)
    }

    fn mlp(&self, w: &Block, mid: &Tensor, traced: &mut BlockTrace) -> Result<Tensor> {
        let normed = kernels::rms_norm(mid, &w.norm2, self.model.config().norm_eps)?;
        let gate_up = kernels::linear(&normed, &w.gate_up)?;
        let out = kernels::linear(&kernels::silu_mul(&gate_up)?, &w.down)?;
        if self.plan.trace {
            traced.mlp = Some(MlpTrace { mid: mid.clone(), gate_up });
        }
        Ok(out)
    }

    /// Changes and reads a site's output `[rows, width]`.
    fn site(&mut self, site: Site, x: Tensor) -> Result<Tensor> {
        let flat = x.dims2()?;
        let full = (self.tokens.batch(), self.tokens.positions(), flat.1);
        let mut x = x;
        for (_, change) in self.plan.change.iter().filter(|(s, _)| *s == site) {
            x = change.apply(&x.reshape(full)?, self.first)?;
            if x.dims() != [full.0, full.1, full.2] {
                return Err(Error::internal(
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
