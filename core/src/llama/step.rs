//! The forward pass over one new position of each row, as text is written: the same arithmetic as
//! [`super::forward`], on plain numbers with keys and values in place. For f32 on a CPU; elsewhere,
//! and for anything but the logits behind a cache, the other form serves.

use super::kernels::{AttentionShape, Numbers, vector};
use super::{Cache, Logits, Model, Pass, Plan, Site, Tokens, rope};
use crate::error::{Error, Result};
use candle_core::{DType, Tensor};
use std::collections::BTreeMap;

/// Most rows: for more the matrix products of the other form pay.
const MOST: usize = 8;

/// Whether this pass is one for [`step`].
pub(super) fn takes(model: &Model, tokens: &Tokens, plan: &Plan<'_>) -> bool {
    tokens.positions() == 1
        && tokens.batch() <= MOST
        && plan.logits != Logits::None
        && model.dtype() == DType::F32
        && model.device().is_cpu()
}

/// The pass; see [`Model::forward_cached`].
pub(super) fn step(
    model: &Model,
    tokens: &Tokens,
    plan: &Plan<'_>,
    cache: &mut Cache,
) -> Result<Pass> {
    let c = model.config();
    let (parts, rows, first) = (model.parts(), tokens.batch(), cache.positions());
    let s = model.attention_shape(rows, 1);
    let (cos, sin) = rope::table(c, first, 1);
    let [cos, sin] = [cos, sin].map(|t| t.into_iter().map(|x| x as f32).collect::<Vec<f32>>());
    let kept = cache.rows(parts.blocks.len(), &s, c.context)?;
    let mut sites = Sites { model, plan, rows, first, read: BTreeMap::new() };

    let embed = Numbers::of(&parts.embed);
    let embed = embed.slice()?;
    let mut x: Vec<f32> = Vec::with_capacity(rows * c.width);
    for id in tokens.ids() {
        x.extend_from_slice(&embed[*id as usize * c.width..][..c.width]);
    }
    sites.visit(Site::Embed, &mut x)?;
    let (mut normed, mut wide, mut out) = (Vec::new(), Vec::new(), Vec::new());
    let mut z = vec![0f32; rows * s.heads * s.head_dim];
    let mut scores = vec![0f32; first + 1];
    for (layer, w) in parts.blocks.iter().enumerate() {
        if let Some(check) = plan.check {
            check()?;
        }
        vector::norm(&x, Numbers::of(&w.norm1).slice()?, c.norm_eps, &mut normed);
        vector::product(&normed, Numbers::of(&w.qkv).slice()?, c.width, &mut wide);
        let all = (s.heads + 2 * s.kv_heads) * s.head_dim;
        let turning = (s.heads + s.kv_heads) * s.head_dim;
        for (row, (qkv, z)) in
            wide.chunks_exact_mut(all).zip(z.chunks_exact_mut(s.heads * s.head_dim)).enumerate()
        {
            vector::turn(&mut qkv[..turning], &cos, &sin);
            attention(qkv, kept.of(layer, row), first, &s, &mut scores, z);
        }
        let heads = s.heads * s.head_dim;
        vector::product(&z, Numbers::of(&w.o).slice()?, heads, &mut out);
        sites.visit(Site::Attn(layer), &mut out)?;
        add(&mut x, &out);
        vector::norm(&x, Numbers::of(&w.norm2).slice()?, c.norm_eps, &mut normed);
        vector::product(&normed, Numbers::of(&w.gate_up).slice()?, c.width, &mut wide);
        vector::silu_mul(&wide, c.hidden, &mut normed);
        vector::product(&normed, Numbers::of(&w.down).slice()?, c.hidden, &mut out);
        sites.visit(Site::Mlp(layer), &mut out)?;
        add(&mut x, &out);
        sites.visit(Site::Resid(layer), &mut x)?;
    }
    vector::norm(&x, Numbers::of(&parts.norm).slice()?, c.norm_eps, &mut normed);
    vector::product(&normed, Numbers::of(parts.head()).slice()?, c.width, &mut out);
    cache.advance(1, true);
    let vocab = out.len() / rows;
    let logits = match plan.logits {
        Logits::All => Tensor::from_vec(out, (rows, 1, vocab), model.device())?,
        _ => Tensor::from_vec(out, (rows, vocab), model.device())?,
    };
    Ok(Pass { sites: sites.read, logits: Some(logits), trace: None })
}

/// Outputs of the heads at `position` for turned queries, keys and values, which are kept.
fn attention(
    qkv: &[f32],
    (keys, values): (&mut [f32], &mut [f32]),
    position: usize,
    s: &AttentionShape,
    scores: &mut [f32],
    z: &mut [f32],
) {
    let (d, stride) = (s.head_dim, s.kv_heads * s.head_dim);
    let (q, kv) = qkv.split_at(s.heads * d);
    let (k, v) = kv.split_at(stride);
    keys[position * stride..][..stride].copy_from_slice(k);
    values[position * stride..][..stride].copy_from_slice(v);
    let group = s.heads / s.kv_heads;
    for (head, (q, z)) in q.chunks_exact(d).zip(z.chunks_exact_mut(d)).enumerate() {
        let at = head / group * d;
        vector::attend(q, &keys[at..], &values[at..], stride, scores, z);
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// What the plan changes and reads on the way.
struct Sites<'a, 'p> {
    model: &'a Model,
    plan: &'a Plan<'p>,
    rows: usize,
    first: usize,
    read: BTreeMap<Site, Tensor>,
}

impl Sites<'_, '_> {
    fn visit(&mut self, site: Site, x: &mut [f32]) -> Result<()> {
        let changed = self.plan.change.iter().any(|(s, _)| *s == site);
        let read = self.plan.read.contains(&site);
        if !changed && !read {
            return Ok(());
        }
        let shape = (self.rows, 1, x.len() / self.rows);
        let mut tensor = Tensor::from_slice(&*x, shape, self.model.device())?;
        for (_, change) in self.plan.change.iter().filter(|(s, _)| *s == site) {
            tensor = change.apply(&tensor, self.first)?;
            if tensor.dims() != [shape.0, shape.1, shape.2] {
                return Err(Error::internal(
                    format!("A change at {site} failed"),
                    format!("it made {:?} of {shape:?}", tensor.dims()),
                ));
            }
        }
        if changed {
            tensor = tensor.contiguous()?;
            x.copy_from_slice(Numbers::of(&tensor).slice()?);
        }
        if read {
            self.read.insert(site, tensor);
        }
        Ok(())
    }
}
