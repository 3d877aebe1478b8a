//! The built program, from outside: exit codes, one JSON object on stdout, sentences on stderr.
// The helpers of a test fail it as the test itself does.
#![allow(clippy::unwrap_used)]

mod common;

use common::{fails, golden, sparsescope, works};
use std::fs;
use tempfile::tempdir;

#[test]
fn help_and_version_are_no_errors() {
    for args in [&["--help"][..], &["--version"], &["help"], &["inspect", "--help"]] {
        let ran = sparsescope(args);
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
        assert!(ran.out.contains("sparsescope"), "{args:?}: {}", ran.out);
    }
}

#[test]
fn arguments_that_make_no_sense_end_with_2() {
    fails(&["no-such-thing"], 2, &["no-such-thing"]);
    fails(&["inspect"], 2, &["PATH"]);
    fails(&["inspect", "builtin", "--device", "abacus"], 2, &["abacus", "cpu"]);
    fails(&["inspect", "builtin", "--threads", "0"], 2, &["threads"]);
    fails(&["bench", "capture", "--site", "head.3"], 2, &["head.3", "resid.L"]);
    fails(&["bench", "capture", "--reps", "0"], 2, &["at least 1"]);
    let far = ["bench", "capture", "--site", "resid.6", "--batch", "1", "--positions", "4"];
    fails(&far, 2, &["resid.6", "6 blocks"]);
}

#[test]
fn a_model_is_told_by_its_shape() {
    let path = golden("llama_a");
    let found = works(&["inspect", path.to_str().unwrap()]);
    assert_eq!(found["kind"], "model");
    assert_eq!(found["hash"].as_str().unwrap().len(), 64);
    let layers = found["config"]["layers"].as_u64().unwrap() as usize;
    assert_eq!(found["sites"].as_array().unwrap().len(), 3 * layers + 1);
    assert_eq!(found["sites"][0]["transformer_lens"], "hook_embed");
    // The file names the same model as its folder.
    let file = path.join("model.safetensors");
    assert_eq!(works(&["inspect", file.to_str().unwrap()])["hash"], found["hash"]);
    let plain = sparsescope(&["inspect", path.to_str().unwrap()]);
    assert!(plain.out.contains("parameters") && !plain.out.contains('\x1b'), "{}", plain.out);
    // It has no tokenizer.
    fails(&["inspect", path.to_str().unwrap(), "--text", "Hi"], 2, &["tokenizer"]);
}

#[test]
fn a_real_model_reads_a_text_as_its_reference_does() {
    let Some(real) = common::real("models/stories260K") else { return };
    let reference = fs::read(real.join("reference.json")).unwrap();
    let reference: serde_json::Value = serde_json::from_slice(&reference).unwrap();
    for case in reference["cases"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let found = works(&["inspect", real.to_str().unwrap(), "--text", text]);
        assert_eq!(found["text"]["ids"], case["ids"], "{text}");
        let logits = case["last_logits"].as_array().unwrap();
        let next = found["text"]["next"].as_array().unwrap();
        assert_eq!(next.len(), 10);
        for token in next {
            let id = token["id"].as_u64().unwrap() as usize;
            let difference = token["logit"].as_f64().unwrap() - logits[id].as_f64().unwrap();
            assert!(difference.abs() < 1e-3, "{text}: token {id} is off by {difference}");
        }
    }
}

#[test]
fn a_text_is_counted() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.txt");
    fs::write(&path, "One. Two.\n\nThree is here.\n").unwrap();
    let found = works(&["inspect", path.to_str().unwrap()]);
    assert_eq!((&found["kind"], &found["documents"]), (&"corpus".into(), &2.into()));
    assert_eq!(found["sentences"], 3);
}

#[test]
fn what_cannot_be_read_is_named_with_cause_and_remedy() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fails(&["inspect", &path("nothing")], 1, &["nothing", "No such file", "Check the path"]);

    fs::create_dir(folder.path().join("empty")).unwrap();
    fails(&["inspect", &path("empty")], 1, &["empty", "neither a model"]);

    // Not a Llama: the architecture is named.
    fs::create_dir(folder.path().join("gpt2")).unwrap();
    let config = r#"{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 8}"#;
    fs::write(path("gpt2/config.json"), config).unwrap();
    fails(&["inspect", &path("gpt2")], 1, &["GPT2LMHeadModel"]);

    // A truncated and a hostile file.
    let good = fs::read(golden("llama_a").join("model.safetensors")).unwrap();
    let mut huge = good.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    for (name, bytes) in [("cut", &good[..good.len() / 2]), ("huge", &huge), ("none", &[])] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::copy(golden("llama_a").join("config.json"), path(&format!("{name}/config.json")))
            .unwrap();
        fs::write(path(&format!("{name}/model.safetensors")), bytes).unwrap();
        fails(&["inspect", &path(name)], 1, &["model.safetensors"]);
    }

    // Texts that are none.
    fs::write(path("latin1.txt"), b"caf\xe9 au lait").unwrap();
    fails(&["inspect", &path("latin1.txt")], 1, &["latin1.txt", "UTF-8"]);
    fs::write(path("empty.txt"), " \n\n ").unwrap();
    fails(&["inspect", &path("empty.txt")], 1, &["empty"]);
    fs::write(path("broken.jsonl"), "{\"text\": \"a\"}\n{\"text\": ").unwrap();
    fails(&["inspect", &path("broken.jsonl")], 1, &["broken.jsonl"]);

    // An SAE without its weights, and damaged.
    fs::create_dir(folder.path().join("sae")).unwrap();
    fs::write(path("sae/sae.json"), "{").unwrap();
    fs::write(path("sae/sae.safetensors"), "").unwrap();
    fails(&["inspect", &path("sae")], 1, &["sae"]);
}

#[test]
fn capture_is_measured() {
    let folder = tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let shape = ["--batch", "2", "--positions", "8", "--passes", "1", "--reps", "3", "--dir", dir];
    let args = [&["bench", "capture", "--threads", "1"][..], &shape].concat();
    let found = works(&args);
    assert_eq!((&found["bench"], &found["threads"]), (&"capture".into(), &1.into()));
    assert!(found["figures"]["tokens_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the file is deleted");
    let missing = folder.path().join("nowhere");
    let args = ["bench", "capture", "--dir", missing.to_str().unwrap(), "--batch", "1"];
    fails(&args, 1, &["nowhere"]);
}

/// A dictionary on disk: `latents` random directions, `turn` places further.
fn dictionary(folder: &std::path::Path, latents: usize, turn: usize) {
    use sparsescope_core::sae::{About, Architecture, Extra, Matrix, Sae, Wiring};
    let d = 12;
    let number = |i: usize| ((i * 7919 + 13) % 997) as f32 / 498.5 - 1.0;
    let row = |i: usize| (0..d).map(move |c| number((i + turn) % latents * d + c));
    let sae = Sae {
        architecture: Architecture::TopK { k: 4 },
        encoder: Matrix::zeros(latents, d),
        b_enc: vec![0.0; latents],
        decoder: Matrix::new(latents, d, (0..latents).flat_map(row).collect()).unwrap(),
        b_dec: vec![0.0; d],
        extra: Extra::default(),
        wiring: Wiring::Centred,
        about: About::default(),
    };
    sae.save(folder).unwrap();
}

#[test]
fn directions_are_mapped_and_two_dictionaries_compared() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    dictionary(&dir.path().join("a"), 40, 0);
    dictionary(&dir.path().join("b"), 40, 9);
    let (a, b) = (at("a"), at("b"));
    for (method, out) in [("pca", "map.svg"), ("tsne", "map.png"), ("tsne", "map.json")] {
        let map = works(&["directions", "--sae", &a, "--method", method, "--out", &at(out)]);
        assert_eq!(map["points"].as_array().unwrap().len(), 40);
        assert_eq!(map["method"], method);
        assert!(fs::metadata(at(out)).unwrap().len() > 500);
    }
    let svg = fs::read_to_string(at("map.svg")).unwrap();
    assert_eq!(svg.matches("<circle").count(), 40);
    assert!(dir.path().join("a/directions.safetensors").exists(), "a t-SNE map is kept");
    let found = works(&["compare", &a, &b]);
    assert_eq!(found["mutual_best_pairs"], 40);
    for pair in found["pairs"].as_array().unwrap() {
        let place = (pair["b"].as_u64().unwrap() + 9) % 40;
        assert_eq!(pair["a"].as_u64().unwrap(), place);
    }
    assert!(found["only_in_a"].as_array().unwrap().is_empty());
    assert!(sparsescope(&["compare", &a, &b]).out.contains("mean max cosine"));
    fails(&["directions", "--sae", &at("none")], 1, &["none"]);
    let bench = works(&["bench", "map", "--points", "2000", "--frames", "3"]);
    assert!(bench["moving"]["median_ms"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_probe_is_freed_of_what_it_should_not_lean_on() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (saes, csv, page, judged) = (at("saes"), at("t.csv"), at("p.html"), at("j.json"));
    let train = ["--tokens", "20000", "--batch", "512", "--split", "packed", "--out", &saes];
    let sweep =
        ["sweep", "--site", "embed,mlp.0", "--arch", "topk", "--l0", "8", "--latents", "64"];
    works(&[&sweep[..], &train[..]].concat());
    let texts = ["--texts", "400", "--ambiguous", "60", "--balanced-train", "20"];
    let small = ["--balanced-test", "20", "--circuit-texts", "10", "--method", "atp"];
    let probe = ["--site", "mlp.0", "--threshold", "0.001", "--random-draws", "1"];
    let shift = [&["shift", "--dictionaries", &saes][..], &texts, &small, &probe].concat();
    let files = ["--csv", &csv, "--page", &page, "--write-judgements", &judged];
    let found = works(&[&shift[..], &files].concat());
    assert_eq!(found["table"]["rows"].as_array().unwrap().len(), 13);
    assert_eq!(found["data"]["split"]["balanced_test"], 80);
    let original = &found["table"]["rows"][0]["accuracies"]["label"];
    assert!(original["low"].as_f64().unwrap() <= original["mean"].as_f64().unwrap());
    assert!(found["pronouns"]["all"]["places"].as_u64().unwrap() > 50);
    assert_eq!(fs::read_to_string(&csv).unwrap().lines().count(), 14);
    let page = fs::read_to_string(&page).unwrap();
    assert!(page.contains("It does not take a bias out") && !page.contains("<script"));
    // Judged from the file that was written: the same table, whatever the number of threads.
    let again = works(&[&shift[..], &["--judge", &judged, "--threads", "1"]].concat());
    assert_eq!(again["table"], found["table"]);
    assert_eq!(again["judged_by"], judged.as_str());
    let sites = works(&[&["shift", "--compare-sites"][..], &texts, &small[..2]].concat());
    assert_eq!(sites["sites"].as_array().unwrap().len(), 13);
    let plain = sparsescope(&[&shift[..], &["--no-pronouns"]].concat());
    assert!(plain.out.contains("SHIFT + retrain") && plain.out.contains("worst group"));

    fails(&["shift"], 2, &["--dictionaries"]);
    fails(&[&shift[..], &["--labels", "nurse,wizard"]].concat(), 2, &["wizard", "poet"]);
    fails(&[&shift[..], &["--labels", "nurse"]].concat(), 2, &["--labels"]);
    fs::write(at("t.csv"), "text,label,spurious\na,b,c\nd,e\n").unwrap();
    fails(&[&shift[..], &["--data", &csv]].concat(), 1, &["t.csv", "line 3"]);
    fails(&[&shift[..], &["--judge", &at("none.json")]].concat(), 1, &["none.json"]);
}
