//! What the cases of all libraries share.

use rand::SeedableRng;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use sparsescope_core::sae::architectures::Running;
use sparsescope_core::sae::engine::{OptimizerState, Parameters, Set};
use sparsescope_core::sae::{About, Extra, Matrix};
use sparsescope_core::training::{Counters, TrainConfig, Trainer};
use std::collections::HashMap;
use std::path::PathBuf;

/// Forward, loss and gradients: relative to the largest entry.
pub const RELATIVE: f64 = 1e-5;
/// Parameters after updates: absolute.
pub const ABSOLUTE: f64 = 1e-6;

/// Long enough ago to be dead by any library's count.
const LONG_AGO: u64 = 20_000_000;

pub type Tensors = HashMap<String, (Vec<usize>, Vec<f64>)>;

fn folder() -> PathBuf {
    std::env::var_os("SPARSESCOPE_GOLDEN").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden"),
        PathBuf::from,
    )
}

pub fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder().join(name)).unwrap()).unwrap()
}

fn tensors(name: &str) -> Tensors {
    let bytes = std::fs::read(folder().join(name)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let read = |view: &safetensors::tensor::TensorView<'_>| -> Vec<f64> {
        let data = view.data();
        match view.dtype() {
            Dtype::F32 => {
                let bytes = data.as_chunks::<4>().0.iter();
                bytes.map(|b| f64::from(f32::from_le_bytes(*b))).collect()
            }
            Dtype::I32 => {
                let bytes = data.as_chunks::<4>().0.iter();
                bytes.map(|b| f64::from(i32::from_le_bytes(*b))).collect()
            }
            Dtype::I64 => {
                let bytes = data.as_chunks::<8>().0.iter();
                bytes.map(|b| i64::from_le_bytes(*b) as f64).collect()
            }
            other => panic!("a tensor of {name} is of type {other:?}"),
        }
    };
    file.iter().map(|(n, view)| (n.to_owned(), (view.shape().to_vec(), read(&view)))).collect()
}

fn f32s(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

/// What the libraries call our parts, and whether each stores it transposed. A file has exactly
/// one name of each part that there is.
const NAMES: [(&str, &[(&str, bool)]); 7] = [
    ("encoder", &[("encoder.weight", false), ("W_enc", true)]),
    (
        "b_enc",
        &[("encoder.bias", false), ("b_enc", false), ("gate_bias", false), ("b_gate", false)],
    ),
    ("decoder", &[("decoder.weight", true), ("W_dec", false)]),
    (
        "b_dec",
        &[("b_dec", false), ("bias", false), ("decoder.bias", false), ("decoder_bias", false)],
    ),
    ("threshold", &[("threshold", false)]),
    ("r_mag", &[("r_mag", false)]),
    ("b_mag", &[("mag_bias", false), ("b_mag", false)]),
];

/// One case with what its library calls things.
pub struct Case {
    pub name: String,
    pub about: Value,
    tensors: Tensors,
    batches: Tensors,
}

impl Case {
    pub fn read(library: &str, name: &str, about: &Value) -> Self {
        Self {
            name: format!("{library} {name}"),
            about: about.clone(),
            tensors: tensors(&format!("{library}_{name}.safetensors")),
            batches: tensors("sae_batches.safetensors"),
        }
    }

    pub fn raw(&self, name: &str) -> &(Vec<usize>, Vec<f64>) {
        self.tensors.get(name).unwrap_or_else(|| panic!("{} has no tensor {name}", self.name))
    }

    pub fn find(&self, name: &str) -> Option<&(Vec<usize>, Vec<f64>)> {
        self.tensors.get(name)
    }

    /// The parts of our [`Parameters`] under `prefix`, all in our layout.
    pub fn parts(&self, prefix: &str) -> Vec<(&'static str, Vec<f64>)> {
        let mut parts = Vec::new();
        for (ours, names) in NAMES {
            for (theirs, transposed) in names {
                let Some((shape, data)) = self.find(&format!("{prefix}{theirs}")) else { continue };
                let part = if *transposed {
                    let (rows, columns) = (shape[0], shape[1]);
                    (0..rows * columns).map(|i| data[(i % rows) * columns + i / rows]).collect()
                } else {
                    data.clone()
                };
                parts.push((ours, part));
            }
        }
        let found = self.tensors.keys().filter(|k| k.starts_with(prefix));
        let weights = found.filter(|k| !k.contains("since_fired") && !k.contains("buffer"));
        let weights = weights.filter(|k| !k.contains("median")).count();
        assert_eq!(parts.len(), weights, "{}: unknown tensors {prefix}*", self.name);
        parts
    }

    pub fn start(&self) -> Parameters {
        let parts: HashMap<&str, Vec<f64>> = self.parts("init.").into_iter().collect();
        let part = |name: &str| parts.get(name).map(|p| f32s(p)).unwrap_or_default();
        let (b_enc, b_dec) = (part("b_enc"), part("b_dec"));
        let (m, d) = (b_enc.len(), b_dec.len());
        Parameters {
            encoder: Matrix::new(m, d, part("encoder")).unwrap(),
            b_enc,
            decoder: Matrix::new(m, d, part("decoder")).unwrap(),
            b_dec,
            extra: Extra {
                threshold: part("threshold"),
                r_mag: part("r_mag"),
                b_mag: part("b_mag"),
                skip: Matrix::default(),
            },
        }
    }

    pub fn batch(&self, i: usize) -> Vec<f32> {
        f32s(&self.batches[&format!("x{i}")].1)
    }

    pub fn rows(&self) -> usize {
        self.batches["x0"].0[0]
    }

    /// A run before its step `step + 1`, the first `dead` latents long dead.
    pub fn trainer(&self, config: &TrainConfig, step: u64, dead: usize) -> Trainer {
        let parameters = self.start();
        let mut silent_for = vec![0; config.latents];
        silent_for[..dead].fill(LONG_AGO);
        let counters = Counters {
            step,
            tokens: 0,
            silent_for,
            scale: 1.0,
            target_scale: 1.0,
            running: Running::default(),
            rng: rand_chacha::ChaCha8Rng::seed_from_u64(0),
        };
        let optimizer = OptimizerState::new(&parameters);
        Trainer::with(config, parameters, optimizer, counters).unwrap()
    }

    pub fn near(&self, what: &str, got: &[f32], want: &[f64], relative: bool) {
        assert_eq!(got.len(), want.len(), "{}: {what}", self.name);
        let largest = want.iter().fold(0.0f64, |a, b| a.max(b.abs()));
        let limit = if relative { RELATIVE * largest } else { ABSOLUTE };
        let off = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs());
        let worst = off.fold(0.0, f64::max);
        assert!(worst <= limit, "{}: {what} is off by {worst:.3e} > {limit:.1e}", self.name);
    }

    pub fn near_number(&self, what: &str, got: f64, want: &Value) {
        let want = want.as_f64().unwrap();
        let limit = RELATIVE * want.abs();
        assert!((got - want).abs() <= limit, "{}: {what} is {got}, not {want}", self.name);
    }

    pub fn near_parts(&self, what: &str, got: &Parameters, prefix: &str, relative: bool) {
        let want = self.parts(prefix);
        assert_eq!(got.parts().len(), want.len(), "{}: parts", self.name);
        for ((name, got), (other, want)) in got.parts().iter().zip(want) {
            assert_eq!(*name, other, "{}: parts", self.name);
            self.near(&format!("{what} {name}"), got, &want, relative);
        }
    }

    /// What the dictionary makes of the first batch.
    pub fn near_dictionary(&self, trainer: &Trainer, prefix: &str) {
        let sae = trainer.dictionary(About::default());
        let latents = sae.encode(&self.batch(0)).unwrap();
        let want = &self.raw(&format!("{prefix}f")).1;
        self.near(&format!("{prefix}f"), &latents.to_dense(), want, true);
        let want = &self.raw(&format!("{prefix}x_hat")).1;
        self.near(&format!("{prefix}x_hat"), &sae.decode(&latents).unwrap(), want, true);
    }

    /// What the step on the first batch found: where latents are chosen over the whole batch.
    /// With `by_norm` the library's activations are ours times the norms of the directions.
    pub fn near_engine(&self, trainer: &Trainer, by_norm: bool) {
        let mut f = trainer.engine().latents(Set::Main).to_dense();
        if by_norm {
            let norms = trainer.parameters().decoder.row_norms();
            f.chunks_mut(norms.len())
                .for_each(|row| row.iter_mut().zip(&norms).for_each(|(f, norm)| *f *= norm));
        }
        self.near("fwd.f", &f, &self.raw("fwd.f").1, true);
        let errors = trainer.engine().errors(Set::Main);
        let back: Vec<f32> = self.batch(0).iter().zip(errors).map(|(x, e)| x + e).collect();
        self.near("fwd.x_hat", &back, &self.raw("fwd.x_hat").1, true);
    }
}
