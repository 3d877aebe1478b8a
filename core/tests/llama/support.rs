//! What several tests need.

use candle_core::{DType, Device, Tensor};
use sparsescope_core::llama::Model;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The folder of golden values.
pub fn golden() -> PathBuf {
    match std::env::var_os("SPARSESCOPE_GOLDEN") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden"),
    }
}

/// The folder of real inputs, if there is one; says so otherwise.
pub fn real(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SPARSESCOPE_REAL").map(PathBuf::from);
    if folder.is_none() {
        println!("{test}: skipped, SPARSESCOPE_REAL is not set");
    }
    folder
}

/// The golden models of `llama.json`, by name.
pub fn golden_models() -> Vec<String> {
    let text = std::fs::read(golden().join("llama.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    json.as_object().unwrap().keys().cloned().collect()
}

pub fn open(name: &str) -> Model {
    Model::open(&golden().join(name), &Device::Cpu).unwrap()
}

pub fn open_f64(name: &str) -> Model {
    Model::open_as(&golden().join(name), DType::F64, &Device::Cpu).unwrap()
}

pub fn outputs(name: &str) -> HashMap<String, Tensor> {
    let path = golden().join(format!("{name}_outputs.safetensors"));
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

pub fn numbers(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Largest absolute difference; shapes must agree, and no number may be missing.
pub fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let (a, b) = (numbers(a), numbers(b));
    assert!(a.iter().chain(&b).all(|x| x.is_finite()), "not finite");
    a.iter().zip(&b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

/// A seeded stream of numbers in (−1, 1), enough for test inputs.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    pub fn tensor(&mut self, shape: &[usize], dtype: DType) -> Tensor {
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| self.next()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
    }

    pub fn tokens(&mut self, count: usize, vocab: usize) -> Vec<u32> {
        (0..count)
            .map(|_| ((self.next() + 1.0) / 2.0 * vocab as f64) as u32 % vocab as u32)
            .collect()
    }
}
