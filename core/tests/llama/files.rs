//! Checkpoints in every form they come in, and in forms they should not.

use crate::support::{distance, golden, numbers, open, real};
use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use serde_json::{Value, json};
use sparsescope_core::llama::{Config, Logits, Model, Plan, Rope, Tokens};
use std::collections::HashMap;
use std::path::Path;
use tempfile::TempDir;

type Tensors = HashMap<String, Tensor>;

fn config(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden().join(name).join("config.json")).unwrap())
        .unwrap()
}

fn tensors(name: &str) -> Tensors {
    let path = golden().join(name).join("model.safetensors");
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn folder(config: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

fn write(config: &Value, tensors: &Tensors) -> TempDir {
    let folder = folder(config);
    candle_core::safetensors::save(tensors, folder.path().join("model.safetensors")).unwrap();
    folder
}

fn at(path: &Path) -> Result<Model, String> {
    Model::open(path, &Device::Cpu).map_err(|e| e.to_string())
}

fn logits(model: &Model) -> Tensor {
    let tokens = Tokens::row(&[1, 5, 9, 2, 100, 7]).unwrap();
    let plan = Plan { logits: Logits::All, ..Plan::default() };
    model.forward(&tokens, &plan).unwrap().logits.unwrap()
}

/// In two shards with an index.
fn shard(folder: &Path, tensors: &Tensors) -> Value {
    let mut names: Vec<&String> = tensors.keys().collect();
    names.sort();
    let mut map = serde_json::Map::new();
    for (i, part) in names.chunks(names.len().div_ceil(2)).enumerate() {
        let file = format!("model-0000{}-of-00002.safetensors", i + 1);
        let part: Tensors = part.iter().map(|n| ((*n).clone(), tensors[*n].clone())).collect();
        candle_core::safetensors::save(&part, folder.join(&file)).unwrap();
        map.extend(part.keys().map(|n| (n.clone(), Value::from(file.clone()))));
    }
    let index = json!({"metadata": {"total_size": 1}, "weight_map": map});
    std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
    index
}

#[test]
fn shards_are_one_model() {
    let whole = open("llama_a");
    let folder = folder(&config("llama_a"));
    shard(folder.path(), &tensors("llama_a"));
    for path in ["", "model-00001-of-00002.safetensors", "config.json"] {
        let model = at(&folder.path().join(path)).unwrap();
        assert_eq!(distance(&logits(&model), &logits(&whole)), 0.0);
        assert_eq!(model.hash(), whole.hash());
    }
}

#[test]
fn names_without_the_prefix() {
    let whole = open("llama_a");
    let short = tensors("llama_a")
        .into_iter()
        .map(|(n, t)| (n.strip_prefix("model.").unwrap_or(&n).to_owned(), t))
        .collect();
    let folder = write(&config("llama_a"), &short);
    let model = at(folder.path()).unwrap();
    assert_eq!(distance(&logits(&model), &logits(&whole)), 0.0);
    assert_eq!(model.hash(), whole.hash());
}

#[test]
fn half_precision_on_disk() {
    let whole = open("llama_a");
    for (dtype, name) in [(DType::F16, "F16"), (DType::BF16, "BF16"), (DType::F64, "F64")] {
        let stored: Tensors =
            tensors("llama_a").into_iter().map(|(n, t)| (n, t.to_dtype(dtype).unwrap())).collect();
        let folder = write(&config("llama_a"), &stored);
        let model = at(folder.path()).unwrap();
        assert_eq!(model.stored().dtype, name);
        assert_eq!(model.dtype(), DType::F32);
        // Exactly the model whose weights were rounded so.
        let rounded =
            stored.into_iter().map(|(n, t)| (n, t.to_dtype(DType::F32).unwrap())).collect();
        let rounded = Model::from_weights(whole.config().clone(), &rounded, None).unwrap();
        assert_eq!(distance(&logits(&model), &logits(&rounded)), 0.0);
        assert!(distance(&logits(&model), &logits(&whole)) < 0.1);
        assert_ne!(model.hash(), whole.hash());
    }
}

#[test]
fn tied_weights_under_either_name() {
    let whole = open("llama_b");
    assert_eq!(whole.config().tied, Some(true));
    let (config, mut tensors) = (config("llama_b"), tensors("llama_b"));
    assert!(!tensors.contains_key("lm_head.weight"));
    let embed = tensors["model.embed_tokens.weight"].clone();

    tensors.insert("lm_head.weight".to_owned(), embed);
    let both = write(&config, &tensors);
    tensors.remove("model.embed_tokens.weight");
    let head = write(&config, &tensors);
    let mut silent = config.clone();
    silent.as_object_mut().unwrap().remove("tie_word_embeddings");
    let unsaid = write(&silent, &tensors);
    for folder in [both, head, unsaid] {
        let model = at(folder.path()).unwrap();
        assert_eq!(distance(&logits(&model), &logits(&whole)), 0.0);
        assert_eq!(model.hash(), whole.hash());
        assert_eq!(model.config().parameters(), whole.config().parameters());
    }
    // Two that differ although the configuration says one: neither choice would be right.
    tensors = crate::files::tensors("llama_b");
    let other = (&tensors["model.embed_tokens.weight"] * 2.0).unwrap();
    tensors.insert("lm_head.weight".to_owned(), other);
    let folder = write(&config, &tensors);
    assert!(at(folder.path()).unwrap_err().contains("they differ"));
}

#[test]
fn an_untied_model_needs_its_output_matrix() {
    let mut tensors = tensors("llama_a");
    tensors.remove("lm_head.weight");
    let folder = write(&config("llama_a"), &tensors);
    assert!(at(folder.path()).unwrap_err().contains("lm_head.weight is missing"));
}

#[test]
fn weights_go_out_and_come_back() {
    for name in ["llama_a", "llama_b"] {
        let model = open(name);
        let again =
            Model::from_weights(model.config().clone(), &model.weights().unwrap(), None).unwrap();
        assert_eq!(distance(&logits(&again), &logits(&model)), 0.0);
        assert_eq!(again.hash(), model.hash(), "{name}");
        for (name, stored) in tensors(name) {
            assert_eq!(distance(&model.weights().unwrap()[&name], &stored), 0.0);
        }
        let json = model.config().to_json("float32").to_string();
        assert_eq!(Config::from_json(json.as_bytes()).unwrap(), *model.config());
    }
}

#[test]
fn the_hash_knows_every_weight_and_setting() {
    let model = open("llama_a");
    let mut seen = vec![model.hash().to_owned()];
    for name in model.weights().unwrap().keys() {
        let mut weights = model.weights().unwrap();
        let moved = (&weights[name] + 1e-3).unwrap();
        weights.insert(name.clone(), moved);
        let other = Model::from_weights(model.config().clone(), &weights, None).unwrap();
        seen.push(other.hash().to_owned());
    }
    let mut config = model.config().clone();
    config.norm_eps *= 2.0;
    let other = Model::from_weights(config, &model.weights().unwrap(), None).unwrap();
    seen.push(other.hash().to_owned());
    let different: std::collections::HashSet<&String> = seen.iter().collect();
    assert_eq!(different.len(), seen.len());
}

#[test]
fn damaged_weights_are_named() {
    let (config, good) = (config("llama_a"), tensors("llama_a"));
    let name = "model.layers.1.self_attn.k_proj.weight";
    let error = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = good.clone();
        change(&mut tensors);
        at(write(&config, &tensors).path()).unwrap_err()
    };
    let put = |tensors: &mut Tensors, name: &str, t: Tensor| tensors.insert(name.to_owned(), t);

    let missing = error(&|t| drop(t.remove(name)));
    assert!(missing.contains(name) && missing.contains("missing"), "{missing}");
    let shape = error(&|t| drop(put(t, name, good[name].narrow(1, 0, 31).unwrap())));
    assert!(shape.contains("[16, 31]") && shape.contains("[16, 32]"), "{shape}");
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let broken = error(&|t| {
            let mut values = good[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
            values[77] = bad;
            put(t, name, Tensor::from_vec(values, (16, 32), &Device::Cpu).unwrap());
        });
        assert!(broken.contains(name) && broken.contains("not a number"), "{broken}");
    }
    let whole = error(&|t| drop(put(t, name, good[name].to_dtype(DType::U32).unwrap())));
    assert!(whole.contains("U32"), "{whole}");
    let bias = "model.layers.0.self_attn.q_proj.bias";
    let extra = error(&|t| drop(put(t, bias, Tensor::new(&[0f32; 32], &Device::Cpu).unwrap())));
    assert!(extra.contains(bias), "{extra}");
    let block = "model.layers.2.mlp.up_proj.weight";
    let deeper = error(&|t| drop(put(t, block, good["model.layers.1.mlp.up_proj.weight"].clone())));
    assert!(deeper.contains(block) && deeper.contains("2 blocks"), "{deeper}");
    // What old checkpoints carry along does no harm.
    let mut old = good.clone();
    let frequencies = Tensor::new(&[1f32, 0.1, 0.01, 0.001], &Device::Cpu).unwrap();
    put(&mut old, "model.layers.0.self_attn.rotary_emb.inv_freq", frequencies);
    assert_eq!(at(write(&config, &old).path()).unwrap().hash(), open("llama_a").hash());
}

#[test]
fn what_is_no_model_is_said() {
    let empty = tempfile::tempdir().unwrap();
    assert!(at(&empty.path().join("nowhere")).unwrap_err().contains("nowhere"));
    assert!(at(empty.path()).unwrap_err().contains("config.json"));
    let bare = folder(&config("llama_a"));
    assert!(at(bare.path()).unwrap_err().contains("model.safetensors"));
    std::fs::write(bare.path().join("model-q4.gguf"), b"GGUF").unwrap();
    assert!(at(bare.path()).unwrap_err().contains("GGUF"));
    // A model that is no Llama is named even where its weights are missing.
    let other = folder(&json!({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}));
    assert!(at(other.path()).unwrap_err().contains("GPT2LMHeadModel"));
}

#[test]
fn an_index_that_leads_astray_is_refused() {
    let folder = folder(&config("llama_a"));
    let good = shard(folder.path(), &tensors("llama_a"));
    let error = |change: &dyn Fn(&mut Value)| {
        let mut index = good.clone();
        change(&mut index);
        let path = folder.path().join("model.safetensors.index.json");
        std::fs::write(path, index.to_string()).unwrap();
        at(folder.path()).unwrap_err()
    };
    let name = "model.norm.weight";
    assert!(error(&|i| i["weight_map"][name] = "../../etc/passwd".into()).contains("passwd"));
    assert!(error(&|i| i["weight_map"][name] = "/etc/passwd".into()).contains("passwd"));
    assert!(error(&|i| i["weight_map"][name] = "gone.safetensors".into()).contains("gone"));
    assert!(
        error(&|i| i["weight_map"]["model.ghost"] = i["weight_map"][name].clone())
            .contains("ghost")
    );
    let swapped = "model-00001-of-00002.safetensors";
    assert!(error(&|i| i["weight_map"][name] = swapped.into()).contains(name));
    assert!(error(&|i| i["weight_map"] = json!({})).contains("no tensors"));
    assert!(error(&|i| *i = json!([])).contains("index"));
}

fn bytes() -> Vec<u8> {
    std::fs::read(golden().join("llama_a/model.safetensors")).unwrap()
}

fn from_bytes(weights: Vec<u8>) -> Result<Model, String> {
    let config = std::fs::read(golden().join("llama_a/config.json")).unwrap();
    Model::from_bytes(&config, weights, None, &Device::Cpu).map_err(|e| e.to_string())
}

/// A safetensors file of this header, followed by `data` bytes of zeros.
fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.resize(file.len() + data, 0);
    file
}

#[test]
fn hostile_headers() {
    assert!(from_bytes(bytes()).is_ok());
    for claimed in [u64::MAX, 1 << 40, 99_999_999, 0] {
        let mut file = bytes();
        file[..8].copy_from_slice(&claimed.to_le_bytes());
        assert!(from_bytes(file).is_err());
    }
    let entry = |shape: &str, from: u64, to: u64| {
        format!(
            r#"{{"model.norm.weight":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}}}"#
        )
    };
    let huge = u64::MAX;
    for (shape, from, to) in [
        ("[32]", 0, huge),
        ("[32]", huge - 128, huge),
        ("[32]", 128, 0),
        ("[18446744073709551615,18446744073709551615]", 0, 128),
        ("[4611686018427387904,4]", 0, 0),
        ("[33]", 0, 128),
        ("[32]", 64, 192),
    ] {
        assert!(from_bytes(with_header(&entry(shape, from, to), 128)).is_err(), "{shape}");
    }
    let overlapping = r#"{"model.norm.weight":{"dtype":"F32","shape":[32],"data_offsets":[0,128]},"lm_head.weight":{"dtype":"F32","shape":[32],"data_offsets":[64,192]}}"#;
    assert!(from_bytes(with_header(overlapping, 192)).is_err());
    for header in ["", "{}", "[]", "{", "null", "\u{0}", r#"{"a":1}"#] {
        assert!(from_bytes(with_header(header, 0)).is_err());
    }
    assert!(from_bytes(Vec::new()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_truncated_file_is_refused(keep in 0usize..102_328) {
        let mut file = bytes();
        file.truncate(keep % file.len());
        prop_assert!(from_bytes(file).is_err());
    }

    #[test]
    fn flipped_header_bytes_do_not_panic(at in 0usize..2600, to in any::<u8>()) {
        let mut file = bytes();
        file[at] = to;
        let _ = from_bytes(file);
    }

    #[test]
    fn any_bytes_do_not_panic(file in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(from_bytes(file).is_err());
    }

    #[test]
    fn any_sizes_are_refused_or_make_sense(
        key in prop::sample::select(vec![
            "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim",
            "intermediate_size", "vocab_size", "num_hidden_layers", "max_position_embeddings",
            "rms_norm_eps", "rope_theta", "eos_token_id", "tie_word_embeddings", "sliding_window",
        ]),
        value in prop_oneof![
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            (0u64..64).prop_map(Value::from),
            Just(Value::Null), Just(json!("7")), Just(json!([])), Just(json!({})), Just(json!(true)),
        ],
    ) {
        let mut json = config("llama_a");
        json[key] = value;
        if let Ok(config) = Config::from_json(json.to_string().as_bytes()) {
            prop_assert!(config.parameters() > 0);
            prop_assert_eq!(config.heads % config.kv_heads, 0);
            // The weights are those of another shape, or the model runs.
            if let Ok(model) = Model::from_bytes(json.to_string().as_bytes(), bytes(), None, &Device::Cpu) {
                let short = config.context < 6;
                prop_assert!(short || numbers(&logits(&model)).len() == 6 * 101);
                let six = Tokens::row(&[1; 6]).unwrap();
                prop_assert_eq!(model.forward(&six, &Plan::default()).is_err(), short);
            }
        }
    }
}

#[test]
fn configurations_that_would_be_silently_wrong() {
    let error = |changes: &[(&str, Value)]| {
        let mut json = config("llama_a");
        for (key, value) in changes {
            json[*key] = value.clone();
        }
        Config::from_json(json.to_string().as_bytes()).unwrap_err().to_string()
    };
    let cases: &[(&str, Value, &str)] = &[
        ("architectures", json!(["Qwen2ForCausalLM"]), "Qwen2ForCausalLM"),
        (
            "architectures",
            json!(["LlamaForSequenceClassification"]),
            "LlamaForSequenceClassification",
        ),
        ("model_type", json!("gemma"), "gemma"),
        ("attention_bias", json!(true), "attention_bias"),
        ("mlp_bias", json!(true), "mlp_bias"),
        ("hidden_act", json!("gelu"), "gelu"),
        ("quantization_config", json!({"bits": 4}), "quantized"),
        ("rope_parameters", json!({"rope_type": "yarn", "factor": 4.0}), "yarn"),
        ("rope_parameters", json!({"rope_type": "dynamic", "factor": 4.0}), "dynamic"),
        ("rope_parameters", json!({"rope_type": "llama3", "factor": 4.0}), "low_freq_factor"),
        ("rope_parameters", json!({"partial_rotary_factor": 0.5}), "partial_rotary_factor"),
        ("num_hidden_layers", json!(0), "num_hidden_layers"),
        ("num_key_value_heads", json!(3), "evenly"),
        ("head_dim", json!(7), "even"),
        ("vocab_size", json!(u64::MAX), "vocab_size"),
        ("rms_norm_eps", json!(0.0), "rms_norm_eps"),
    ];
    for (key, value, named) in cases {
        let error = error(&[(key, value.clone())]);
        assert!(error.contains(named), "{key}: {error}");
    }
    let odd = error(&[("head_dim", Value::Null), ("num_attention_heads", json!(5))]);
    assert!(odd.contains("divided"), "{odd}");
    assert!(Config::from_json(b"\xff\xfe").is_err());
    assert!(Config::from_json(b"[]").is_err());
}

#[test]
fn old_and_new_names_of_the_rotary_settings() {
    let read = |rope: Value| {
        let mut json = config("llama_a");
        json.as_object_mut().unwrap().remove("rope_parameters");
        for (key, value) in rope.as_object().unwrap() {
            json[key] = value.clone();
        }
        let config = Config::from_json(json.to_string().as_bytes()).unwrap();
        (config.rope_theta, config.rope)
    };
    assert_eq!(read(json!({})), (1e4, Rope::Default));
    assert_eq!(read(json!({"rope_theta": 500_000})), (5e5, Rope::Default));
    assert_eq!(read(json!({"rope_theta": 5e5, "rope_scaling": null})), (5e5, Rope::Default));
    let linear = json!({"rope_scaling": {"type": "linear", "factor": 4.0}});
    assert_eq!(read(linear), (1e4, Rope::Linear { factor: 4.0 }));
    let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 32, "rope_theta": 5e5});
    let golden = open("llama_b").config().rope;
    assert_eq!(read(json!({"rope_parameters": llama3})), (5e5, golden));
    assert_eq!(read(json!({"rope_theta": 7.0, "rope_scaling": llama3})), (5e5, golden));
}

#[test]
fn configurations_of_well_known_models() {
    let Some(folder) = real("configurations_of_well_known_models") else { return };
    // Parameters as the models' makers count them, in millions.
    let known = HashMap::from([
        ("llama2_7b", 6738),
        ("llama2_13b", 13016),
        ("llama2_70b", 68977),
        ("llama3_1_8b", 8030),
        ("llama3_1_70b", 70554),
        ("llama3_2_1b", 1236),
        ("llama3_2_3b", 3213),
        ("mistral_7b", 7242),
        ("smollm_135m", 135),
        ("smollm2_360m", 362),
        ("tinyllama_1b_chat_v1.0", 1100),
        ("codellama_7b", 6739),
        ("codellama_34b", 33744),
    ]);
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.join("configs/mlc_presets")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let config = Config::from_json(&std::fs::read(&path).unwrap()).unwrap();
        if let Some(millions) = known.get(name.as_str()) {
            assert_eq!((config.parameters() + 500_000) / 1_000_000, *millions, "{name}");
            seen += 1;
        }
        if name == "mistral_7b" {
            assert_eq!(config.context, 4096, "no further than its sliding window");
        }
    }
    assert_eq!(seen, known.len());
}

#[test]
fn a_tokenizer_that_does_not_fit_is_refused() {
    let tokenizer = json!({"version": "1.0", "added_tokens": [], "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 101}, "unk_token": "a"}});
    let config = std::fs::read(golden().join("llama_a/config.json")).unwrap();
    let open = |tokenizer: &str| {
        Model::from_bytes(&config, bytes(), Some(tokenizer.as_bytes()), &Device::Cpu)
    };
    let error = open(&tokenizer.to_string()).unwrap_err().to_string();
    assert!(error.contains("101"), "{error}");
    let fits = tokenizer.to_string().replace("101", "100");
    let model = open(&fits).unwrap();
    assert_eq!(model.need_tokenizer().unwrap().encode("b", true).unwrap(), [1, 100]);
    assert!(open("{").unwrap_err().to_string().contains("tokenizer.json"));
    assert!(crate::support::open("llama_a").need_tokenizer().is_err());
}
