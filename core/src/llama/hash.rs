//! The content hash that names a model.
//!
//! SHA-256 over the configuration as this program understands it, then over every weight in the
//! order of its name: name, number type, shape, and the digests of its bytes in chunks of 4 MiB,
//! which are computed in parallel. Sharding, file order and old or new names of the same tensor
//! make no difference; the number type does.

use super::files::Files;
use super::weights::expected;
use super::{Config, Model};
use candle_core::{DType, Tensor};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

const CHUNK: usize = 4 << 20;

/// Of the weights as they are stored.
pub(super) fn of_files(config: &Config, files: &Files) -> String {
    let mut all = start(config);
    for (name, _) in expected(config) {
        if let Some(stored) = files.get(&name) {
            tensor(&mut all, &name, &format!("{:?}", stored.dtype), &stored.shape, stored.data);
        }
    }
    hexadecimal(all)
}

/// Of a model that was never on disk: as if its weights were stored as they are.
pub(super) fn of_tensors(model: &Model) -> String {
    let mut all = start(model.config());
    for (name, shape) in expected(model.config()) {
        let bytes = model.weights().ok().and_then(|w| bytes(w.get(&name)?)).unwrap_or_default();
        let dtype = if model.dtype() == DType::F64 { "F64" } else { "F32" };
        tensor(&mut all, &name, dtype, &shape, &bytes);
    }
    hexadecimal(all)
}

fn bytes(tensor: &Tensor) -> Option<Vec<u8>> {
    let flat = tensor.flatten_all().ok()?;
    match flat.dtype() {
        DType::F64 => {
            Some(flat.to_vec1::<f64>().ok()?.into_iter().flat_map(f64::to_le_bytes).collect())
        }
        _ => Some(flat.to_vec1::<f32>().ok()?.into_iter().flat_map(f32::to_le_bytes).collect()),
    }
}

fn start(config: &Config) -> Sha256 {
    let mut all = Sha256::new();
    all.update(b"sparsescope model 1\n");
    // The architecture's name and the special tokens do not touch the arithmetic of a pass, but a
    // model that ends its texts elsewhere is another one.
    all.update(format!("{config:?}\n"));
    all
}

fn tensor(all: &mut Sha256, name: &str, dtype: &str, shape: &[usize], bytes: &[u8]) {
    all.update(format!("{name} {dtype} {shape:?}\n"));
    let digests: Vec<_> = bytes.par_chunks(CHUNK).map(Sha256::digest).collect();
    for digest in digests {
        all.update(digest);
    }
}

fn hexadecimal(all: Sha256) -> String {
    all.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
