//! The backward pass, written by hand for the one forward pass there is.
//!
//! Every site's gradient comes out of one sweep. A change made at a site during the forward pass
//! counts as a constant that was added: the gradient at the site is that at its output after the
//! change, and it goes on upstream as it is (straight through).

use super::kernels::{self, Rules};
use super::trace::{BlockTrace, Trace};
use super::weights::{Block, EMBED, HEAD, NORM, Weights, block_name};
use super::{Logits, Model, Pass, Site};
use crate::error::{Error, Result};
use candle_core::Tensor;
use std::collections::BTreeMap;

/// Which gradients to compute; the pass stops upstream of the last one wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct WhatGradients<'a> {
    /// Sites at whose output the gradient is wanted.
    pub sites: &'a [Site],
    /// Whether the gradient at every weight is wanted. A frozen weight costs nothing.
    pub weights: bool,
    /// What is treated as constant.
    pub rules: Rules,
    /// Sites through whose computation no gradient goes: that at their output is still there, and
    /// what goes past them upstream too. Direct effects are what is left.
    pub stop: &'a [Site],
}

/// What came out of a backward pass.
#[derive(Debug, Default)]
pub struct Gradients {
    /// At the output of each site wanted, `[batch, positions, width]`.
    pub sites: BTreeMap<Site, Tensor>,
    /// At each weight by its Hugging Face name; that of a tied matrix holds both its uses.
    pub weights: Weights,
}

impl Model {
    /// Gradients of a scalar of which `grad_logits` is the gradient at the logits of `pass`:
    /// `[batch, positions, vocab]`, or `[batch, vocab]` where the pass computed the last ones only.
    ///
    /// # Errors
    /// The pass kept no trace or computed no logits, or the shape is not that of its logits.
    pub fn backward(
        &self,
        pass: &Pass,
        grad_logits: &Tensor,
        what: WhatGradients<'_>,
    ) -> Result<Gradients> {
        let trace = traced(pass)?;
        let mut sweep = Sweep::new(self, trace, what);
        let x = trace.last.as_ref().ok_or_else(|| {
            Error::internal("No gradient can be computed", "the pass stopped before the logits")
        })?;
        let grad = sweep.past_logits(x, grad_logits)?;
        sweep.down(Some(grad), &[])?;
        Ok(sweep.out)
    }

    /// Gradients of a scalar of which `seeds` are the gradients at the outputs of sites, each
    /// `[batch, positions, width]`. The pass need not have gone further than these sites.
    ///
    /// # Errors
    /// The pass kept no trace, or did not reach a site.
    pub fn backward_from(
        &self,
        pass: &Pass,
        seeds: &[(Site, Tensor)],
        what: WhatGradients<'_>,
    ) -> Result<Gradients> {
        let trace = traced(pass)?;
        for (site, _) in seeds {
            site.within(self.config().layers)?;
            let ran = trace.first_block + trace.blocks.len();
            if site.layer().is_some_and(|l| l >= ran) || trace.start.is_some_and(|s| *site < s) {
                return Err(Error::internal(
                    format!("No gradient can start from {site}"),
                    "the pass stopped before the end of its block, or began after it",
                ));
            }
        }
        let mut sweep = Sweep::new(self, trace, what);
        sweep.down(None, seeds)?;
        Ok(sweep.out)
    }
}

fn traced(pass: &Pass) -> Result<&Trace> {
    pass.trace.as_ref().ok_or_else(|| {
        Error::internal("No gradient can be computed", "the forward pass kept no trace")
    })
}

struct Sweep<'a> {
    model: &'a Model,
    trace: &'a Trace,
    what: WhatGradients<'a>,
    out: Gradients,
}

impl<'a> Sweep<'a> {
    fn new(model: &'a Model, trace: &'a Trace, what: WhatGradients<'a>) -> Self {
        Self { model, trace, what, out: Gradients::default() }
    }

    /// From the logits to the residual stream after the last block, `[rows, width]`.
    fn past_logits(&mut self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let c = self.model.config();
        let parts = self.model.parts();
        let (batch, positions) = (self.trace.tokens.batch(), self.trace.tokens.positions());
        let wanted: &[usize] = match self.trace.logits {
            Logits::Last => &[batch, c.vocab],
            _ => &[batch, positions, c.vocab],
        };
        if grad.dims() != wanted {
            return Err(Error::internal(
                "No gradient can be computed",
                format!("that at the logits has shape {:?} instead of {wanted:?}", grad.dims()),
            ));
        }
        let grad = grad.reshape(((), c.vocab))?.contiguous()?;
        let x = match self.trace.logits {
            Logits::Last => x
                .reshape((batch, positions, c.width))?
                .narrow(1, positions - 1, 1)?
                .contiguous()?
                .reshape((batch, c.width))?,
            _ => x.clone(),
        };
        let d_normed = kernels::linear_backward(&grad, parts.head())?;
        if self.what.weights {
            let normed = kernels::rms_norm(&x, &parts.norm, c.norm_eps)?;
            let name = if parts.head.is_some() { HEAD } else { EMBED };
            self.weight(name.to_owned(), kernels::linear_weight(&grad, &normed)?)?;
        }
        let dx = self.norm_backward(&d_normed, &x, &parts.norm, || NORM.to_owned())?;
        match self.trace.logits {
            Logits::Last => {
                let before =
                    Tensor::zeros((batch, positions - 1, c.width), dx.dtype(), dx.device())?;
                let dx = Tensor::cat(&[before, dx.unsqueeze(1)?], 1)?;
                Ok(dx.reshape((batch * positions, c.width))?)
            }
            _ => Ok(dx),
        }
    }

    /// From the residual stream after the last block that ran (or from the seeds) to the embedding.
    fn down(&mut self, grad: Option<Tensor>, seeds: &[(Site, Tensor)]) -> Result<()> {
        let c = self.model.config();
        let rows = self.trace.tokens.ids().len();
        let lowest = if self.what.weights {
            Some(Site::Embed)
        } else {
            self.what.sites.iter().min().copied()
        };
        let seed = |site: Site, grad: Option<Tensor>| -> Result<Option<Tensor>> {
            let mut sum = grad;
            for (_, seed) in seeds.iter().filter(|(s, _)| *s == site) {
                let seed = seed.reshape((rows, c.width))?.contiguous()?;
                sum = Some(match sum {
                    Some(sum) => kernels::add(&sum, &seed)?,
                    None => seed,
                });
            }
            Ok(sum)
        };
        let mut grad = grad;
        if let Some(start) = self.trace.start
            && (self.what.weights || lowest.is_some_and(|lowest| lowest < start))
        {
            return Err(Error::internal(
                "No gradient can be computed there",
                format!("the pass began at {start}"),
            ));
        }
        if self.what.weights && self.trace.first > 0 {
            return Err(Error::internal(
                "No gradient can be computed at the weights",
                "the pass began after the first position",
            ));
        }
        let stopped = |site: Site| self.what.stop.contains(&site);
        for (i, block) in self.trace.blocks.iter().enumerate().rev() {
            let layer = self.trace.first_block + i;
            let weights = &self.model.parts().blocks[layer];
            let done = |site: Site| lowest.is_none_or(|lowest| site <= lowest);
            grad = seed(Site::Resid(layer), grad)?;
            self.keep(Site::Resid(layer), &grad)?;
            if done(Site::Resid(layer)) {
                return Ok(());
            }
            grad = grad.filter(|_| !stopped(Site::Resid(layer)));
            let mlp = seed(Site::Mlp(layer), grad.clone())?;
            self.keep(Site::Mlp(layer), &mlp)?;
            if done(Site::Mlp(layer)) {
                return Ok(());
            }
            if let Some(mlp) = mlp.filter(|_| !stopped(Site::Mlp(layer))) {
                grad = Some(self.mlp(layer, block, weights, &mlp, grad)?);
            }
            let attention = seed(Site::Attn(layer), grad.clone())?;
            self.keep(Site::Attn(layer), &attention)?;
            if done(Site::Attn(layer)) {
                return Ok(());
            }
            if let Some(attention) = attention.filter(|_| !stopped(Site::Attn(layer))) {
                grad = Some(self.attention(layer, block, weights, &attention, grad)?);
            }
        }
        let first = self.trace.first_block.checked_sub(1).map_or(Site::Embed, Site::Resid);
        grad = seed(first, grad)?;
        self.keep(first, &grad)?;
        match grad {
            Some(grad) if self.what.weights => self.embedding(&grad),
            _ => Ok(()),
        }
    }

    /// Through the MLP to the stream before it; `through` is the gradient that went past it.
    fn mlp(
        &mut self,
        layer: usize,
        block: &BlockTrace,
        w: &Block,
        grad: &Tensor,
        through: Option<Tensor>,
    ) -> Result<Tensor> {
        let eps = self.model.config().norm_eps;
        let block = block.mlp.as_ref().ok_or_else(|| untraced(Site::Mlp(layer)))?;
        let d_act = kernels::linear_backward(grad, &w.down)?;
        let d_gate_up = kernels::silu_mul_backward(&d_act, &block.gate_up, &self.what.rules)?;
        let d_normed = kernels::linear_backward(&d_gate_up, &w.gate_up)?;
        if self.what.weights {
            let act = kernels::silu_mul(&block.gate_up)?;
            self.block_weight(layer, "mlp.down_proj", kernels::linear_weight(grad, &act)?)?;
            let normed = kernels::rms_norm(&block.mid, &w.norm2, eps)?;
            let both = kernels::linear_weight(&d_gate_up, &normed)?;
            let hidden = self.model.config().hidden;
            self.block_weight(layer, "mlp.gate_proj", both.narrow(0, 0, hidden)?)?;
            self.block_weight(layer, "mlp.up_proj", both.narrow(0, hidden, hidden)?)?;
        }
        let name = || block_name(layer, "post_attention_layernorm");
        let dx = self.norm_backward(&d_normed, &block.mid, &w.norm2, name)?;
        add(dx, through)
    }

    /// Through the attention to the stream before the block.
    fn attention(
        &mut self,
        layer: usize,
        block: &BlockTrace,
        w: &Block,
        grad: &Tensor,
        through: Option<Tensor>,
    ) -> Result<Tensor> {
        let c = self.model.config();
        let block = block.attention.as_ref().filter(|_| !self.trace.alone);
        let block = block.ok_or_else(|| untraced(Site::Attn(layer)))?;
        let tokens = &self.trace.tokens;
        let shape = self.model.attention_shape(tokens.batch(), tokens.positions());
        let whole = shape.behind(self.trace.first);
        let dz = kernels::linear_backward(grad, &w.o)?;
        let d_qkv = kernels::attention_backward(&dz, &block.qkv, &whole, &self.what.rules)?;
        let d_qkv = kernels::rotate_back(d_qkv, &shape, &self.trace.table)?;
        let d_normed = kernels::linear_backward(&d_qkv, &w.qkv)?;
        if self.what.weights {
            self.block_weight(layer, "self_attn.o_proj", kernels::linear_weight(grad, &block.z)?)?;
            let normed = kernels::rms_norm(&block.x, &w.norm1, c.norm_eps)?;
            let all = kernels::linear_weight(&d_qkv, &normed)?;
            let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
            self.block_weight(layer, "self_attn.q_proj", all.narrow(0, 0, q)?)?;
            self.block_weight(layer, "self_attn.k_proj", all.narrow(0, q, kv)?)?;
            self.block_weight(layer, "self_attn.v_proj", all.narrow(0, q + kv, kv)?)?;
        }
        let name = || block_name(layer, "input_layernorm");
        let dx = self.norm_backward(&d_normed, &block.x, &w.norm1, name)?;
        add(dx, through)
    }

    fn norm_backward(
        &mut self,
        dy: &Tensor,
        x: &Tensor,
        w: &Tensor,
        name: impl FnOnce() -> String,
    ) -> Result<Tensor> {
        let (eps, want) = (self.model.config().norm_eps, self.what.weights);
        let (dx, dw) = kernels::rms_norm_backward(dy, x, w, eps, &self.what.rules, want)?;
        if let Some(dw) = dw {
            self.weight(name(), dw)?;
        }
        Ok(dx)
    }

    fn embedding(&mut self, grad: &Tensor) -> Result<()> {
        let c = self.model.config();
        let ids = Tensor::new(self.trace.tokens.ids(), self.model.device())?;
        let zeros = Tensor::zeros((c.vocab, c.width), grad.dtype(), grad.device())?;
        let used = zeros.index_add(&ids, grad, 0)?;
        self.weight(EMBED.to_owned(), used)
    }

    fn block_weight(&mut self, layer: usize, short: &str, grad: Tensor) -> Result<()> {
        self.weight(block_name(layer, short), grad)
    }

    fn weight(&mut self, name: String, grad: Tensor) -> Result<()> {
        let sum = match self.out.weights.remove(&name) {
            Some(before) => kernels::add(&before, &grad.contiguous()?)?,
            None => grad,
        };
        self.out.weights.insert(name, sum);
        Ok(())
    }

    /// Keeps a site's gradient, if it is wanted; zero where nothing downstream depends on it.
    fn keep(&mut self, site: Site, grad: &Option<Tensor>) -> Result<()> {
        if !self.what.sites.contains(&site) {
            return Ok(());
        }
        let (batch, positions) = (self.trace.tokens.batch(), self.trace.tokens.positions());
        let shape = (batch, positions, self.model.config().width);
        let grad = match grad {
            Some(grad) => grad.reshape(shape)?,
            None => Tensor::zeros(shape, self.model.dtype(), self.model.device())?,
        };
        self.out.sites.insert(site, grad);
        Ok(())
    }
}

fn untraced(site: Site) -> Error {
    Error::internal(
        format!("No gradient can go through {site}"),
        "the pass began there, or was taken apart",
    )
}

fn add(dx: Tensor, through: Option<Tensor>) -> Result<Tensor> {
    match through {
        Some(through) => kernels::add(&dx, &through),
        None => Ok(dx),
    }
}
