//! Weights: from safetensors, memory-mapped, single or sharded, to the tensors of a forward pass.

use super::Config;
use super::files::{Files, Stored};
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor, WithDType};
use rayon::prelude::*;
use safetensors::Dtype;
use std::collections::BTreeMap;

/// Every weight by its Hugging Face name (`model.layers.0.mlp.up_proj.weight`); a tied output
/// matrix has no entry of its own.
pub type Weights = BTreeMap<String, Tensor>;

/// The tensors of one block; matrices `[out, in]`, those that read the same input joined.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub norm1: Tensor,
    /// Rows: all query heads, all key heads, all value heads.
    pub qkv: Tensor,
    pub o: Tensor,
    pub norm2: Tensor,
    /// Rows: gate, then up.
    pub gate_up: Tensor,
    pub down: Tensor,
}

/// All tensors of a model.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub embed: Tensor,
    pub blocks: Vec<Block>,
    pub norm: Tensor,
    /// `None`: the embedding serves.
    pub head: Option<Tensor>,
}

pub(super) const EMBED: &str = "model.embed_tokens.weight";
pub(super) const NORM: &str = "model.norm.weight";
pub(super) const HEAD: &str = "lm_head.weight";

/// Full name of a block's tensor.
pub(super) fn block_name(layer: usize, short: &str) -> String {
    format!("model.layers.{layer}.{short}.weight")
}

/// The tensors of a block by short name, with their shapes, in the order they are joined:
/// norm1 | q k v | o | norm2 | gate up | down.
pub(super) fn block_shapes(c: &Config) -> [(&'static str, Vec<usize>); 9] {
    let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
    [
        ("input_layernorm", vec![c.width]),
        ("self_attn.q_proj", vec![q, c.width]),
        ("self_attn.k_proj", vec![kv, c.width]),
        ("self_attn.v_proj", vec![kv, c.width]),
        ("self_attn.o_proj", vec![c.width, q]),
        ("post_attention_layernorm", vec![c.width]),
        ("mlp.gate_proj", vec![c.hidden, c.width]),
        ("mlp.up_proj", vec![c.hidden, c.width]),
        ("mlp.down_proj", vec![c.width, c.hidden]),
    ]
}

/// Name and shape of every weight that a model of this configuration has, in the order of the
/// forward pass. A tied output matrix is not named.
pub fn expected(config: &Config) -> Vec<(String, Vec<usize>)> {
    let matrix = vec![config.vocab, config.width];
    let mut all = vec![(EMBED.to_owned(), matrix.clone())];
    for layer in 0..config.layers {
        for (short, shape) in block_shapes(config) {
            all.push((block_name(layer, short), shape));
        }
    }
    all.push((NORM.to_owned(), vec![config.width]));
    if config.tied != Some(true) {
        all.push((HEAD.to_owned(), matrix));
    }
    all
}

/// Where a loader finds a weight by name: a file or a dictionary of tensors.
trait Find {
    /// The named tensors below one another, as one tensor.
    fn joined(&self, names: &[(String, Vec<usize>)]) -> Result<Tensor>;
}

impl Parts {
    /// Loads and converts to `dtype` (f32, or f64 for checks of precision) on `device`.
    pub(super) fn read(
        config: &Config,
        files: &Files,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        Self::from(config, &FromFiles { files, dtype, device })
    }

    /// From a dictionary; tensors are shared where they need not be joined.
    pub(super) fn gather(config: &Config, weights: &Weights) -> Result<Self> {
        Self::from(config, weights)
    }

    fn from(config: &Config, find: &impl Find) -> Result<Self> {
        let one = |name: String, shape: Vec<usize>| find.joined(&[(name, shape)]);
        let shapes = block_shapes(config);
        let block = |layer: usize| {
            let part = |range: std::ops::Range<usize>| {
                let named: Vec<_> = shapes[range]
                    .iter()
                    .map(|(short, shape)| (block_name(layer, short), shape.clone()))
                    .collect();
                find.joined(&named)
            };
            Ok(Block {
                norm1: part(0..1)?,
                qkv: part(1..4)?,
                o: part(4..5)?,
                norm2: part(5..6)?,
                gate_up: part(6..8)?,
                down: part(8..9)?,
            })
        };
        let matrix = vec![config.vocab, config.width];
        Ok(Self {
            embed: one(EMBED.to_owned(), matrix.clone())?,
            blocks: (0..config.layers).map(block).collect::<Result<_>>()?,
            norm: one(NORM.to_owned(), vec![config.width])?,
            head: match config.tied {
                Some(true) => None,
                _ => Some(one(HEAD.to_owned(), matrix)?),
            },
        })
    }

    /// The weights by name, as views of the joined tensors.
    pub(super) fn scatter(&self, config: &Config) -> Result<Weights> {
        let mut all = Weights::new();
        all.insert(EMBED.to_owned(), self.embed.clone());
        for (layer, b) in self.blocks.iter().enumerate() {
            let joined =
                [&b.norm1, &b.qkv, &b.qkv, &b.qkv, &b.o, &b.norm2, &b.gate_up, &b.gate_up, &b.down];
            let mut start = 0;
            for (i, (short, shape)) in block_shapes(config).into_iter().enumerate() {
                let rows = shape[0];
                // A new joined tensor starts where the one before it was another.
                if i == 0 || joined[i].id() != joined[i - 1].id() {
                    start = 0;
                }
                all.insert(block_name(layer, short), joined[i].narrow(0, start, rows)?);
                start += rows;
            }
        }
        all.insert(NORM.to_owned(), self.norm.clone());
        if let Some(head) = &self.head {
            all.insert(HEAD.to_owned(), head.clone());
        }
        Ok(all)
    }
}

impl Find for Weights {
    fn joined(&self, names: &[(String, Vec<usize>)]) -> Result<Tensor> {
        let mut found = Vec::with_capacity(names.len());
        for (name, shape) in names {
            let tensor = self.get(name).ok_or_else(|| missing(name, "the weights given"))?;
            if tensor.dims() != shape {
                return Err(misshapen(name, tensor.dims(), shape));
            }
            found.push(tensor);
        }
        match found[..] {
            [one] => Ok(one.contiguous()?),
            _ => Ok(Tensor::cat(&found, 0)?),
        }
    }
}

struct FromFiles<'a> {
    files: &'a Files,
    dtype: DType,
    device: &'a Device,
}

impl Find for FromFiles<'_> {
    fn joined(&self, names: &[(String, Vec<usize>)]) -> Result<Tensor> {
        let mut views = Vec::with_capacity(names.len());
        for (name, shape) in names {
            let stored = self.files.get(name).ok_or_else(|| missing(name, &self.files.name))?;
            if stored.shape != *shape {
                return Err(misshapen(name, &stored.shape, shape));
            }
            views.push((name.as_str(), stored));
        }
        let mut shape = names[0].1.clone();
        shape[0] = names.iter().map(|(_, s)| s[0]).sum();
        match self.dtype {
            DType::F64 => on_device(convert::<f64>(&views)?, shape, self.device),
            _ => on_device(convert::<f32>(&views)?, shape, self.device),
        }
    }
}

fn on_device<R: WithDType>(values: Vec<R>, shape: Vec<usize>, device: &Device) -> Result<Tensor> {
    Tensor::from_vec(values, shape, device).map_err(|e| {
        Error::new(
            crate::ErrorKind::Memory,
            "The weights could not be put on the device",
            e.to_string(),
            "Use --device cpu, or a smaller model",
        )
    })
}

/// A number as it stands in a file.
trait FromDisk: Copy + Send + Sync {
    const BYTES: usize;
    fn read(bytes: &[u8]) -> f64;
}

macro_rules! from_disk {
    ($type:ty, $bytes:literal, $widen:expr) => {
        impl FromDisk for $type {
            const BYTES: usize = $bytes;
            #[inline(always)]
            fn read(bytes: &[u8]) -> f64 {
                let mut raw = [0; $bytes];
                raw.copy_from_slice(bytes);
                $widen(<$type>::from_le_bytes(raw))
            }
        }
    };
}
from_disk!(f32, 4, f64::from);
from_disk!(f64, 8, |x| x);
from_disk!(half::f16, 2, half::f16::to_f64);
from_disk!(half::bf16, 2, half::bf16::to_f64);

fn convert<R: WithDType>(views: &[(&str, Stored<'_>)]) -> Result<Vec<R>> {
    let total = views.iter().map(|(_, v)| v.shape.iter().product::<usize>()).sum();
    let mut out = Vec::new();
    out.try_reserve_exact(total).map_err(|_| {
        Error::new(
            crate::ErrorKind::Memory,
            "The model does not fit into memory",
            format!("a tensor of {total} numbers could not be allocated"),
            "Close other programs, or choose a smaller model",
        )
    })?;
    out.resize(total, R::zero());
    let mut rest = &mut out[..];
    for (name, view) in views {
        let (here, after) = rest.split_at_mut(view.shape.iter().product());
        rest = after;
        let finite = match view.dtype {
            Dtype::F32 => widen::<f32, R>(view.data, here),
            Dtype::F64 => widen::<f64, R>(view.data, here),
            Dtype::F16 => widen::<half::f16, R>(view.data, here),
            Dtype::BF16 => widen::<half::bf16, R>(view.data, here),
            other => return Err(wrong_type(name, other)),
        };
        if !finite {
            return Err(Error::new(
                crate::ErrorKind::Numeric,
                "The model's weights are damaged",
                format!("the tensor {name} holds a number that is infinite or not a number"),
                "Download the model again; if it stays so, the checkpoint itself is broken",
            ));
        }
    }
    Ok(out)
}

/// Fills `out` from the bytes; whether all numbers are finite.
fn widen<D: FromDisk, R: WithDType>(bytes: &[u8], out: &mut [R]) -> bool {
    const CHUNK: usize = 1 << 16;
    out.par_chunks_mut(CHUNK)
        .zip(bytes.par_chunks(CHUNK * D::BYTES))
        .map(|(out, bytes)| {
            let mut finite = true;
            for (o, b) in out.iter_mut().zip(bytes.chunks_exact(D::BYTES)) {
                let x = D::read(b);
                finite &= x.is_finite();
                *o = R::from_f64(x);
            }
            finite
        })
        .reduce(|| true, |a, b| a && b)
}

fn wrong_type(name: &str, dtype: Dtype) -> Error {
    Error::format(
        "The model's weights cannot be read",
        format!("the tensor {name} is stored as {dtype:?}; F32, F16 and BF16 are read"),
        "Choose the model in one of these forms, not a quantized one",
    )
}

fn missing(name: &str, place: &str) -> Error {
    Error::format(
        "The model is incomplete",
        format!("the tensor {name} is missing from {place}"),
        "Download the model again, all of its files, and see that config.json belongs to it",
    )
}

fn misshapen(name: &str, found: &[usize], wanted: &[usize]) -> Error {
    Error::format(
        "The model's weights do not fit its config.json",
        format!("the tensor {name} has shape {found:?} instead of {wanted:?}"),
        "Use the config.json that belongs to these weights",
    )
}
