//! A model small enough to be run hundreds of times in a test, and text for it.

use super::StreamSpec;
use crate::corpus::{CorpusSpec, RowSpec};
use crate::llama::{Config, Model, Site, TokenizerHandle, expected_weights};
use crate::sae::{About, Architecture, Extra, Matrix, Sae, Wiring};
use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Words of the test language; token ids start at 3.
const WORDS: u32 = 40;

/// Two blocks of width 16, random weights, one token a word.
pub fn tiny_model() -> Model {
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 43,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "bos_token_id": 0, "tie_word_embeddings": true
    });
    let config = Config::from_json(config.to_string().as_bytes()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let weights = expected_weights(&config)
        .into_iter()
        .map(|(name, shape)| {
            let size: usize = shape.iter().product();
            let spread = if shape.len() == 1 { 0.0 } else { 0.4 };
            let base = if shape.len() == 1 { 1.0 } else { 0.0 };
            let values: Vec<f32> =
                (0..size).map(|_| base + spread * rng.random_range(-1.0f32..1.0)).collect();
            (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
        })
        .collect();
    Model::from_weights(config, &weights, Some(Arc::new(tiny_tokenizer()))).unwrap()
}

/// A word a token, and a full stop.
pub fn tiny_tokenizer() -> TokenizerHandle {
    let mut vocab = serde_json::Map::new();
    for (id, token) in ["<s>", "<unk>", "."].iter().enumerate() {
        vocab.insert((*token).to_owned(), id.into());
    }
    for word in 0..WORDS {
        vocab.insert(format!("w{word}"), (word + 3).into());
    }
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
        "decoder": null, "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}
    });
    TokenizerHandle::from_bytes(json.to_string().as_bytes(), None, Some(0), 43).unwrap()
}

/// `documents` documents of random sentences.
pub fn text(documents: usize) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut text = String::new();
    for _ in 0..documents {
        for _ in 0..rng.random_range(1..5) {
            for i in 0..rng.random_range(2..12) {
                let word = rng.random_range(0..WORDS);
                text.push_str(&if i == 0 { format!("w{word}") } else { format!(" w{word}") });
            }
            text.push_str(" .\nW ");
        }
        text.push_str("\n\n");
    }
    text
}

/// A file of such text.
pub fn text_file(dir: &Path, documents: usize) -> PathBuf {
    let path = dir.join("text.txt");
    std::fs::write(&path, text(documents)).unwrap();
    path
}

/// A stream over such a file, with a buffer that the file fills several times.
pub fn stream(corpus: &Path) -> StreamSpec {
    let rows = RowSpec { length: 16, ..RowSpec::default() };
    let corpus = CorpusSpec::File(corpus.to_owned());
    StreamSpec {
        buffer: 50,
        batch: 64,
        seed: 5,
        ..StreamSpec::new(Site::Resid(0), corpus, rows, 16)
    }
}

/// A random TopK dictionary of width `shape[0]` with `shape[1]` latents, k 4.
pub fn tiny_sae(shape: &[usize; 2]) -> Sae {
    let [d, m] = *shape;
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let mut draw = |n: usize, spread: f32| -> Vec<f32> {
        (0..n).map(|_| spread * rng.random_range(-1.0f32..1.0)).collect()
    };
    let decoder = draw(m * d, 0.4);
    Sae {
        architecture: Architecture::TopK { k: 4 },
        encoder: Matrix::new(m, d, decoder.clone()).unwrap(),
        b_enc: draw(m, 0.1),
        decoder: Matrix::new(m, d, decoder).unwrap(),
        b_dec: draw(d, 0.1),
        extra: Extra::default(),
        wiring: Wiring::Centred,
        about: About::default(),
    }
}
