//! The golden model, dictionaries and pairs.

use candle_core::{DType, Device, Tensor};
use sparsescope_core::circuits::{
    Aggregation, Bases, Circuit, Example, Examples, FindSpec, Method, Node, Unit, find,
};
use sparsescope_core::edits::Dictionaries;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Model, Site};
use sparsescope_core::sae::{About, Architecture, Extra, L1Penalty, Matrix, Sae, Wiring};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the golden values were computed to.
pub const TOLERANCE: f64 = 1e-5;

/// The folder of golden values.
pub fn folder() -> PathBuf {
    std::env::var_os("SPARSESCOPE_GOLDEN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden"),
        PathBuf::from,
    )
}

pub struct Golden {
    pub model: Model,
    pub bases: Bases,
    pub examples: Examples,
    pub json: serde_json::Value,
    tensors: HashMap<String, Tensor>,
}

/// `attn_1` as a site.
pub fn site(name: &str) -> Site {
    name.replace('_', ".").parse().unwrap()
}

impl Golden {
    pub fn open() -> Self {
        let folder = folder();
        let json = std::fs::read(folder.join("sfc.json")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let model = Model::open(&folder.join("llama_a"), &Device::Cpu).unwrap();
        let tensors =
            candle_core::safetensors::load(folder.join("sfc.safetensors"), &Device::Cpu).unwrap();
        let mut golden =
            Self { model, bases: Bases::default(), examples: Examples::default(), json, tensors };
        let dictionaries: Dictionaries =
            golden.names().iter().map(|name| (site(name), Arc::new(golden.sae(name)))).collect();
        let sites: Vec<Site> = dictionaries.keys().copied().collect();
        golden.bases = Bases::new(&golden.model, &sites, &dictionaries).unwrap();
        let ids = |name: &str| -> Vec<u32> {
            golden.numbers(name).into_iter().map(|x| x as u32).collect()
        };
        let (clean, patch) = (ids("clean"), ids("patch"));
        // The reference's metric is logit[tok_a] − logit[tok_b]: high where it errs.
        let (wrong, right) = (ids("tok_a"), ids("tok_b"));
        let positions = golden.positions();
        golden.examples.kept = (0..right.len())
            .map(|row| Example {
                pair: row,
                clean: clean[row * positions..][..positions].to_vec(),
                patch: Some(patch[row * positions..][..positions].to_vec()),
                right: vec![right[row]],
                wrong: vec![wrong[row]],
                negate: false,
                case: String::new(),
            })
            .collect();
        golden
    }

    /// The sites by the reference's names.
    pub fn names(&self) -> Vec<String> {
        let names = self.json["submodules"].as_array().unwrap();
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    pub fn tensor(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    pub fn numbers(&self, name: &str) -> Vec<f64> {
        let tensor = self.tensor(name).to_dtype(DType::F64).unwrap();
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    pub fn positions(&self) -> usize {
        self.tensor("clean").dim(1).unwrap()
    }

    pub fn latents(&self) -> usize {
        self.json["n_features"].as_u64().unwrap() as usize
    }

    fn sae(&self, name: &str) -> Sae {
        let part = |part: &str| -> Vec<f32> {
            let tensor = self.tensor(&format!("sae.{name}.{part}"));
            tensor.flatten_all().unwrap().to_vec1().unwrap()
        };
        let matrix = |part_name: &str| {
            let (rows, cols) = self.tensor(&format!("sae.{name}.{part_name}")).dims2().unwrap();
            Matrix::new(rows, cols, part(part_name)).unwrap()
        };
        let sae = Sae {
            architecture: Architecture::Standard { penalty: L1Penalty::UnitNorm },
            encoder: matrix("W_enc"),
            b_enc: part("b_enc"),
            decoder: matrix("W_dec"),
            b_dec: part("b_dec"),
            extra: Extra::default(),
            wiring: Wiring::Centred,
            about: About::default(),
        };
        sae.validate().unwrap();
        sae
    }

    /// The pair `row` alone.
    pub fn pair(&self, row: usize) -> Examples {
        Examples { kept: vec![self.examples.kept[row].clone()], left_out: Vec::new() }
    }
}

/// Everything is kept, each position by itself.
pub fn everything(method: Method) -> FindSpec {
    FindSpec {
        method,
        aggregation: Aggregation::PerPosition,
        node_threshold: 0.0,
        edge_threshold: 0.0,
        most_nodes: usize::MAX,
        audit: 0,
        resamples: 0,
        ..FindSpec::default()
    }
}

pub fn found(golden: &Golden, examples: &Examples, spec: &FindSpec) -> Circuit {
    let ctx = JobContext::<()>::unwatched();
    find(&ctx, &golden.model, &golden.bases, examples, spec).unwrap()
}

/// The effect of each node.
pub fn effects(circuit: &Circuit) -> BTreeMap<Node, f64> {
    circuit.nodes.iter().map(|n| (n.node, n.effect.mean)).collect()
}

/// A node of the golden file: the error is the unit after the last latent.
pub fn node(site: Site, position: usize, unit: usize, latents: usize) -> Node {
    let unit = if unit == latents { Unit::Error } else { Unit::Latent(unit as u32) };
    Node { site, position: Some(position as u32), unit }
}

/// All numbers of a tensor.
pub fn numbers(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}
