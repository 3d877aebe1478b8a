//! Real models against values of Hugging Face transformers, `reference.json` beside each.

use crate::support::real;
use candle_core::Device;
use serde_json::Value;
use sparsescope_core::llama::{Generation, Logits, Model, Plan, Site, Tokens, inspect};

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect()
}

fn near(what: &str, found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (f, w) in found.iter().zip(wanted) {
        assert!((f - w).abs() <= tolerance * w.abs().max(1.0), "{what}: {f} instead of {w}");
    }
}

#[test]
fn reference_values() {
    let Some(folder) = real("reference_values") else { return };
    for name in ["stories260K", "aidreams260K"] {
        let folder = folder.join("models").join(name);
        let model = Model::open(&folder, &Device::Cpu).unwrap();
        let text = std::fs::read(folder.join("reference.json")).unwrap();
        let reference: Value = serde_json::from_slice(&text).unwrap();
        for case in reference["cases"].as_array().unwrap() {
            check(&model, case);
        }
    }
}

fn check(model: &Model, case: &Value) {
    let tokenizer = model.tokenizer().unwrap();
    let text = case["text"].as_str().unwrap();
    let wanted_ids = ids(&case["ids"]);
    assert_eq!(tokenizer.encode(text, true).unwrap(), wanted_ids);
    assert_eq!(tokenizer.encode(text, false).unwrap(), wanted_ids[1..]);

    let layers = model.config().layers;
    let sites = Site::all(layers);
    let plan = Plan { read: &sites, logits: Logits::All, ..Plan::default() };
    let tokens = Tokens::row(&wanted_ids).unwrap();
    let pass = model.forward(&tokens, &plan).unwrap();
    let logits = pass.logits.unwrap().get(0).unwrap().to_vec2::<f32>().unwrap();
    let last: Vec<f64> = logits.last().unwrap().iter().map(|x| f64::from(*x)).collect();
    // The reference is rounded to six decimals; logits reach 14.
    near("logits", &last, &floats(&case["last_logits"]), 2e-5);

    for (row, wanted) in logits.iter().zip(case["top5_per_pos"].as_array().unwrap()) {
        let found: Vec<u32> = model.likeliest(row, 5).iter().map(|t| t.id).collect();
        assert_eq!(found, ids(wanted));
    }
    let nll = model.mean_nll(&wanted_ids).unwrap().unwrap();
    near("loss", &[nll], &[case["loss"].as_f64().unwrap()], 2e-5);

    // Index 0 is the embedding, i the stream after block i − 1; the last one is after the final
    // norm, which is no site.
    let norms = case["hidden_state_norms"].as_array().unwrap();
    let last_rows = case["hidden_last_pos_layers"].as_array().unwrap();
    for i in 0..layers {
        let site = if i == 0 { Site::Embed } else { Site::Resid(i - 1) };
        let x = pass.sites[&site].get(0).unwrap().to_vec2::<f32>().unwrap();
        let norm = |row: &Vec<f32>| row.iter().map(|v| f64::from(v * v)).sum::<f64>().sqrt();
        let found: Vec<f64> = x.iter().map(norm).collect();
        near(&format!("norms at {site}"), &found, &floats(&norms[i]), 2e-5);
        let row: Vec<f64> = x.last().unwrap().iter().map(|v| f64::from(*v)).collect();
        let wanted = floats(&last_rows[i]);
        near(&format!("{site}"), &row[..wanted.len()], &wanted, 2e-5);
    }

    let greedy = ids(&case["greedy_ids"]);
    let how = Generation { tokens: greedy.len() - wanted_ids.len(), ..Generation::default() };
    let mut streamed = Vec::new();
    let written = model
        .generate(&wanted_ids, &how, &mut |id| {
            streamed.push(id);
            Ok(())
        })
        .unwrap();
    assert_eq!(written, greedy[wanted_ids.len()..]);
    assert_eq!(streamed, written);
    let whole = tokenizer.decode(&greedy).unwrap();
    assert_eq!(whole, case["greedy_text"].as_str().unwrap());
}

#[test]
fn inspection() {
    let Some(folder) = real("inspection") else { return };
    let folder = folder.join("models/stories260K");
    let found = inspect(&folder.join("model.safetensors"), Some("Once upon a time")).unwrap();
    assert_eq!(found.config.layers, 5);
    assert_eq!(found.sites.len(), 16);
    assert_eq!(found.hash.len(), 64);
    assert_eq!(found.disk_bytes, 1_044_992);
    assert_eq!(found.parameters * 4, found.memory_bytes);
    let text = found.text.unwrap();
    assert_eq!(text.tokens, ["<s>", " Once", " upon", " a", " time"].map(str::to_owned));
    assert_eq!(text.next.len(), 10);
    assert_eq!(text.next[0].text, ",");
    assert!(text.next.is_sorted_by(|a, b| a.logit >= b.logit));
    assert!(text.next.iter().map(|t| t.probability).sum::<f64>() <= 1.0 + 1e-9);
}

#[test]
fn tokenizers_of_llama_2_and_3() {
    let Some(folder) = real("tokenizers_of_llama_2_and_3") else { return };
    for (name, bos, vocab) in [("llama2", 1, 32_000), ("llama3", 128_000, 128_256)] {
        let folder = folder.join("tokenizers").join(name);
        let json = std::fs::read(folder.join("tokenizer.json")).unwrap();
        let tokenizer =
            sparsescope_core::llama::TokenizerHandle::from_bytes(&json, None, Some(bos), vocab)
                .unwrap();
        let text = std::fs::read(folder.join("reference_encodings.json")).unwrap();
        let reference: Value = serde_json::from_slice(&text).unwrap();
        let cases = reference["cases"].as_array().unwrap();
        for case in cases {
            let wanted = ids(&case["ids"]);
            let found = tokenizer.encode(case["text"].as_str().unwrap(), true).unwrap();
            assert_eq!(found, wanted, "{name}: {case}");
        }
        assert!(cases.len() > 10);
        for (token, drawn) in
            [("▁the", " the"), ("Ġthe", " the"), ("<0x0A>", "↵"), ("<0xE2>", "⟨E2⟩"), ("Ċ", "↵")]
        {
            if let Some(id) = tokenizer.token_id(token) {
                assert_eq!(tokenizer.token_text(id), drawn);
            }
        }
        let refused = sparsescope_core::llama::TokenizerHandle::from_bytes(&json, None, None, 1000);
        assert!(refused.unwrap_err().to_string().contains("1000 tokens"));
    }
}
