//! Dictionaries against dictionary_learning's own numbers: forward, losses, gradients, updates.
//!
//! Cases and settings are read from `sae.json` of the golden folder (`SPARSESCOPE_GOLDEN`, or
//! `tests/golden`), so that values made from other seeds can be put in its place.

#![allow(clippy::unwrap_used)]

use rand::SeedableRng;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use sparsescope_core::sae::architectures::Losses;
use sparsescope_core::sae::engine::{OptimizerState, Parameters};
use sparsescope_core::sae::{About, Architecture, L1Penalty, Matrix};
use sparsescope_core::training::{
    Compatibility, Counters, Schedule, TrainConfig, Trainer, geometric_median,
};
use std::collections::HashMap;
use std::path::PathBuf;

/// Forward, loss and gradients: relative to the largest entry.
const RELATIVE: f64 = 1e-5;
/// Parameters after updates: absolute.
const ABSOLUTE: f64 = 1e-6;

type Tensors = HashMap<String, (Vec<usize>, Vec<f64>)>;

fn folder() -> PathBuf {
    std::env::var_os("SPARSESCOPE_GOLDEN").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden"),
        PathBuf::from,
    )
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

/// One case with what its library calls things.
struct Case {
    name: String,
    about: Value,
    tensors: Tensors,
    batches: Tensors,
    whole: Value,
}

impl Case {
    fn architecture(&self) -> Option<Architecture> {
        Some(match self.about["trainer"].as_str()? {
            "StandardTrainer" => Architecture::Standard { penalty: L1Penalty::UnitNorm },
            "StandardTrainerAprilUpdate" => {
                Architecture::Standard { penalty: L1Penalty::DecoderNorm }
            }
            "TopKTrainer" => Architecture::TopK { k: self.about["kwargs"]["k"].as_u64()? as usize },
            _ => return None,
        })
    }

    /// The name of the decoder bias differs between classes.
    fn bias(&self) -> &'static str {
        if self.about["params"].get("b_dec").is_some() {
            return "b_dec";
        }
        if self.about["params"].get("bias").is_some() { "bias" } else { "decoder.bias" }
    }

    fn raw(&self, name: &str) -> &(Vec<usize>, Vec<f64>) {
        self.tensors.get(name).unwrap_or_else(|| panic!("{} has no tensor {name}", self.name))
    }

    /// The four parts of our [`Parameters`] under `prefix`, the decoder transposed to ours.
    fn parts(&self, prefix: &str) -> [(&'static str, Vec<f64>); 4] {
        let get = |name: &str| self.raw(&format!("{prefix}{name}")).1.clone();
        let (shape, data) = self.raw(&format!("{prefix}decoder.weight"));
        let (d, m) = (shape[0], shape[1]);
        let decoder = (0..m * d).map(|i| data[(i % d) * m + i / d]).collect();
        [
            ("encoder", get("encoder.weight")),
            ("b_enc", get("encoder.bias")),
            ("decoder", decoder),
            ("b_dec", get(self.bias())),
        ]
    }

    fn start(&self) -> Parameters {
        let [(_, encoder), (_, b_enc), (_, decoder), (_, b_dec)] = self.parts("init.");
        let (m, d) = (b_enc.len(), b_dec.len());
        Parameters {
            encoder: Matrix::new(m, d, f32s(&encoder)).unwrap(),
            b_enc: f32s(&b_enc),
            decoder: Matrix::new(m, d, f32s(&decoder)).unwrap(),
            b_dec: f32s(&b_dec),
        }
    }

    fn batch(&self, i: usize) -> Vec<f32> {
        f32s(&self.batches[&format!("x{i}")].1)
    }

    fn config(&self, architecture: Architecture) -> TrainConfig {
        let kwargs = &self.about["kwargs"];
        let number = |name: &str| kwargs[name].as_f64();
        let rows = self.batches["x0"].0[0];
        let mut config = TrainConfig::preset(
            architecture.clone(),
            kwargs["dict_size"].as_u64().unwrap() as usize,
        );
        config.batch = rows;
        config.tokens = rows as u64 * kwargs["steps"].as_u64().unwrap();
        config.lr = number("lr").unwrap();
        config.schedule = Schedule::Constant;
        config.warmup_steps = kwargs["warmup_steps"].as_u64().unwrap();
        config.l1 = number("l1_penalty").unwrap_or(0.0);
        config.sparsity_warmup_steps = kwargs["sparsity_warmup_steps"].as_u64().unwrap_or(0);
        config.dead_after = 10_000_000;
        config.aux_weight = number("auxk_alpha").unwrap_or(1.0 / 32.0);
        config.clip = match architecture {
            Architecture::Standard { penalty: L1Penalty::UnitNorm } => None,
            _ => Some(1.0),
        };
        config.normalize = false;
        config.compatibility = Compatibility { warmup_from_zero: true, ..Compatibility::default() };
        config
    }

    fn trainer(&self, config: &TrainConfig, step: u64) -> Trainer {
        let parameters = self.start();
        let mut silent_for = vec![0; config.latents];
        if self.name.ends_with("_aux") {
            silent_for[..self.whole["dead"].as_u64().unwrap() as usize].fill(20_000_000);
        }
        let rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        let counters = Counters { step, tokens: 0, silent_for, scale: 1.0, rng };
        let optimizer = OptimizerState::new(&parameters);
        Trainer::with(config, parameters, optimizer, counters).unwrap()
    }

    fn near(&self, what: &str, got: &[f32], want: &[f64], relative: bool) {
        assert_eq!(got.len(), want.len(), "{}: {what}", self.name);
        let largest = want.iter().fold(0.0f64, |a, b| a.max(b.abs()));
        let limit = if relative { RELATIVE * largest } else { ABSOLUTE };
        let off = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs());
        let worst = off.fold(0.0, f64::max);
        assert!(worst <= limit, "{}: {what} is off by {worst:.3e} > {limit:.1e}", self.name);
    }

    fn near_number(&self, what: &str, got: f64, want: &Value) {
        let want = want.as_f64().unwrap();
        let limit = RELATIVE * want.abs();
        assert!((got - want).abs() <= limit, "{}: {what} is {got}, not {want}", self.name);
    }

    fn near_parameters(&self, what: &str, got: &Parameters, prefix: &str, relative: bool) {
        for ((name, got), (_, want)) in got.parts().iter().zip(self.parts(prefix)) {
            self.near(&format!("{what} {name}"), got, &want, relative);
        }
    }

    /// Every addend that the library logged.
    fn near_losses(&self, what: &str, got: &Losses, want: &Value) {
        let topk = want.get("auxk_loss").is_some();
        for (name, value) in want.as_object().unwrap() {
            let got = match name.as_str() {
                "loss" => got.total,
                "mse_loss" => got.mse,
                // The top-k trainers log E‖e‖² under this name, the standard ones E‖e‖, which
                // no loss contains.
                "l2_loss" if topk => got.mse,
                "l2_loss" => continue,
                "sparsity_loss" => got.sparsity,
                "auxk_loss" => got.aux,
                other => panic!("{}: what is {other}?", self.name),
            };
            self.near_number(&format!("{what} {name}"), got, value);
        }
    }

    fn check_start(&self, config: &TrainConfig) {
        let mut trainer = self.trainer(config, 4);
        let losses = trainer.gradients(&self.batch(0), &|| Ok(())).unwrap();
        self.near_number("loss", losses.total, &self.about["loss_step5"]);
        self.near_losses("step 5", &losses, &self.about["losses_step5"]);
        if let Some(dead) = self.about["dead_features_step5"].as_u64() {
            assert_eq!(losses.dead as u64, dead, "{}: dead latents", self.name);
        }
        self.near_parameters("gradient of", &trainer.engine().gradients(), "grad.", true);
        self.check_forward(&trainer, "fwd.");
        let latents = trainer.dictionary(About::default()).encode(&self.batch(0)).unwrap();
        self.near_number("L0", latents.l0(), &self.about["l0"]);
    }

    fn check_forward(&self, trainer: &Trainer, prefix: &str) {
        let sae = trainer.dictionary(About::default());
        let latents = sae.encode(&self.batch(0)).unwrap();
        let want = &self.raw(&format!("{prefix}f")).1;
        self.near(&format!("{prefix}f"), &latents.to_dense(), want, true);
        let want = &self.raw(&format!("{prefix}x_hat")).1;
        self.near(&format!("{prefix}x_hat"), &sae.decode(&latents).unwrap(), want, true);
    }

    fn check_updates(&self, config: &TrainConfig) {
        let mut trainer = self.trainer(config, 0);
        for step in 1..=5 {
            let report = trainer.step(&self.batch(step), &|| Ok(())).unwrap();
            let logged = &self.about["losses_before_update_steps1to5"][step - 1];
            self.near_losses(&format!("update {step}"), &report.losses, logged);
            if step == 1 || step == 5 {
                let prefix = format!("step{step}.");
                self.near_parameters(&prefix, trainer.parameters(), &prefix, false);
            }
        }
        let moments = || trainer.optimizer().moments.iter();
        for (moments, (name, want)) in moments().zip(self.parts("adam.exp_avg.")) {
            self.near(&format!("first moment of {name}"), &moments.first, &want, true);
        }
        for (moments, (name, want)) in moments().zip(self.parts("adam.exp_avg_sq.")) {
            self.near(&format!("second moment of {name}"), &moments.second, &want, true);
        }
        if let Some((_, want)) = self.tensors.get("step5.num_tokens_since_fired") {
            let got: Vec<f64> = trainer.counters().silent_for.iter().map(|n| *n as f64).collect();
            assert_eq!(&got, want, "{}: counters", self.name);
        }
        self.check_forward(&trainer, "eval.");
    }

    fn check(&self, architecture: Architecture) {
        let config = self.config(architecture);
        self.check_start(&config);
        self.check_updates(&config);
        if let Some((_, want)) = self.tensors.get("step0.geometric_median") {
            let got = geometric_median(&self.batch(0), want.len());
            self.near("geometric median", &got, want, true);
        }
    }
}

#[test]
fn every_case_of_dictionary_learning() {
    let text = std::fs::read(folder().join("sae.json")).unwrap();
    let whole: Value = serde_json::from_slice(&text).unwrap();
    let mut checked = 0;
    for (name, about) in whole["cases"].as_object().unwrap() {
        let case = Case {
            name: name.clone(),
            about: about.clone(),
            tensors: tensors(&format!("sae_{name}.safetensors")),
            batches: tensors("sae_batches.safetensors"),
            whole: whole.clone(),
        };
        let Some(architecture) = case.architecture() else {
            eprintln!("skipped: {name} ({}) is not built yet", about["trainer"]);
            continue;
        };
        case.check(architecture);
        checked += 1;
    }
    assert!(checked >= 4, "only {checked} cases were found");
}
