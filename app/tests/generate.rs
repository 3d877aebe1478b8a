//! `generate` and `contrast` of the built program, from outside.
#![allow(clippy::unwrap_used)]

mod common;

use common::{fails, program, sparsescope, works};
use serde_json::Value;
use sparsescope_core::activations::Provenance;
use sparsescope_core::llama::Site;
use sparsescope_core::sae::{About, Architecture, Extra, Matrix, Sae, Wiring};
use std::fs;
use std::path::Path;
use tempfile::tempdir;

const PROMPT: &str = "The pilots near the old house";

/// A dictionary of 64 directions for a site of the built-in model, whose hash is `model`.
fn dictionary(folder: &Path, model: &str, site: Site) {
    let (d, latents) = (128, 64);
    let number = |i: usize| ((i * 7919 + 13) % 997) as f32 / 498.5 - 1.0;
    let decoder: Vec<f32> = (0..latents * d).map(|i| 0.3 * number(i)).collect();
    let trained_on = Provenance {
        model: model.to_owned(),
        site,
        target: None,
        corpus: "builtin".to_owned(),
        rows: String::new(),
        seed: 0,
    };
    let sae = Sae {
        architecture: Architecture::TopK { k: 8 },
        encoder: Matrix::new(latents, d, decoder.clone()).unwrap(),
        b_enc: vec![0.0; latents],
        decoder: Matrix::new(latents, d, decoder).unwrap(),
        b_dec: vec![0.0; d],
        extra: Extra::default(),
        wiring: Wiring::Centred,
        about: About { trained_on: Some(trained_on), ..About::default() },
    };
    sae.save(folder).unwrap();
}

/// Dictionaries of `resid.1` and `mlp.2` in a folder.
fn dictionaries(dir: &Path) -> String {
    let model = works(&["inspect", "builtin"])["hash"].as_str().unwrap().to_owned();
    let saes = dir.join("saes");
    dictionary(&saes.join("a"), &model, Site::Resid(1));
    dictionary(&saes.join("b"), &model, Site::Mlp(2));
    saes.to_str().unwrap().to_owned()
}

fn ids(stream: &Value) -> Vec<u64> {
    let written = stream["written"].as_array().unwrap();
    written.iter().map(|w| w["id"].as_u64().unwrap()).collect()
}

#[test]
fn streams_are_written_side_by_side() {
    let dir = tempdir().unwrap();
    let saes = dictionaries(dir.path());
    let plain = works(&["generate", PROMPT, "--tokens", "20"]);
    assert_eq!(plain["streams"].as_array().unwrap().len(), 1);
    assert_eq!(plain["streams"][0]["stream"], "unsteered");
    let alone = ids(&plain["streams"][0]);
    assert!((1..=20).contains(&alone.len()));

    let base = ["generate", PROMPT, "--tokens", "20", "--saes", &saes];
    let same = works(&[&base[..], &["--edit", "resid.1/3 add 0"]].concat());
    assert_eq!(ids(&same["streams"][0]), alone);
    assert_eq!(ids(&same["streams"][1]), alone);
    assert_eq!(same["streams"][1]["parts_at"], Value::Null);

    let edits = ["--edit", "resid.1/3 add 40 @ generated", "--edit", "mlp.2/5 set 9"];
    let splice = ["--splice", "resid.1"];
    let sampler = ["--temperature", "1", "--top-p", "0.9", "--top-k", "50", "--seed", "7"];
    let args = [&base[..], &edits, &splice, &sampler, &["--repetition-penalty", "1.1"]].concat();
    let found = works(&args);
    let streams = found["streams"].as_array().unwrap();
    let names: Vec<&str> = streams.iter().map(|s| s["stream"].as_str().unwrap()).collect();
    assert_eq!(names, ["unsteered", "steered", "spliced"]);
    for stream in streams {
        assert!(stream["perplexity"].as_f64().unwrap() >= 1.0);
        for w in stream["written"].as_array().unwrap() {
            for of in ["own", "unsteered"] {
                assert!((0.0..=1.0).contains(&w[of].as_f64().unwrap()));
            }
        }
    }
    assert_ne!(ids(&streams[0]), ids(&streams[1]));
    assert_eq!(works(&args)["streams"], found["streams"], "the same seed, the same text");
    assert_eq!(found["spec"]["edits"][1], "mlp.2/5 set 9");

    let ran = sparsescope(&[&args[..], &["--probabilities"]].concat());
    for word in [PROMPT, "steered: ", "perplexity", "from token", "tokens a second", "change"] {
        assert!(ran.out.contains(word), "{word}: {}", ran.out);
    }
    // So strong that it must be bounded, which is said.
    let strong = [&base[..], &["--edit", "resid.1/3 add 3e38"]].concat();
    assert_eq!(works(&strong)["bounded"].as_array().unwrap().len(), 1);
    assert!(sparsescope(&strong).out.contains("was bounded"));
}

#[test]
fn edits_come_from_a_file_that_belongs_to_these_dictionaries() {
    let dir = tempdir().unwrap();
    let saes = dictionaries(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let base = ["generate", PROMPT, "--tokens", "8", "--saes", &saes, "--edit"];
    fs::write(at("lines.txt"), "# calm\nresid.1/3 add 40\nmlp.2/5 ablate # so\n").unwrap();
    let lines = works(&[&base[..], &[&at("lines.txt")]].concat());
    assert_eq!(lines["spec"]["edits"].as_array().unwrap().len(), 2);
    let by_hand = works(&[&base[..], &["resid.1/3 add 40", "--edit", "mlp.2/5 ablate"]].concat());
    assert_eq!(by_hand["streams"], lines["streams"]);

    let json = |hash: &str| {
        format!(
            "{{\"format\": \"sparsescope edits 1\", \"name\": \"calm\", \"dictionaries\": \
             {{\"resid.1\": \"{hash}\"}},\n \"edits\": [\"resid.1/3 add 40\"]}}"
        )
    };
    fs::write(at("other.json"), json(&"0".repeat(64))).unwrap();
    let other = at("other.json");
    fails(&[&base[..], &[&other]].concat(), 2, &["calm", "resid.1", "--allow-foreign"]);
    works(&[&base[..], &[&other, "--allow-foreign"]].concat());
    fs::write(at("broken.txt"), "resid.1/3 add 40\nresid.1/3 ad 4\n").unwrap();
    fails(&[&base[..], &[&at("broken.txt")]].concat(), 1, &["line 2", "broken.txt"]);
    fails(&[&base[..], &[&at("nowhere.json")]].concat(), 1, &["nowhere.json"]);
}

#[test]
fn what_makes_no_sense_is_named() {
    let dir = tempdir().unwrap();
    let saes = dictionaries(dir.path());
    let with = |args: &[&str], words: &[&str]| {
        fails(&[&["generate", PROMPT, "--saes", &saes], args].concat(), 2, words);
    };
    fails(&["generate", ""], 2, &["no prompt"]);
    fails(&["generate", &"The pilots ".repeat(200)], 2, &["256 positions"]);
    fails(&["generate", PROMPT, "--edit", "resid.1/3 add 1"], 2, &["no dictionary for resid.1"]);
    with(&["--edit", "resid.1/64 ablate"], &["0 to 63"]);
    with(&["--edit", "resid.1/3 ad 1"], &["resid.1/3 ad 1", "no edit"]);
    with(&["--splice", "embed"], &["no dictionary", "embed"]);
    with(&["--top-p", "1.5"], &["top-p of 1.5"]);
    with(&["--top-k", "0"], &["top-k of 0"]);
    with(&["--temperature", "-1"], &["-1"]);
    with(&["--repetition-penalty", "0"], &["penalty of 0"]);
    with(&["--tokens", "0"], &["number of tokens is 0"]);
    with(&["--chat"], &["no chat template"]);
    with(&["--system", "Be brief"], &["--chat"]);
}

#[test]
fn a_conversation_is_written_by_the_models_template() {
    let dir = tempdir().unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/assets/demo");
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(demo.join(file), dir.path().join(file)).unwrap();
    }
    let model = dir.path().to_str().unwrap();
    let template = "{{ bos_token }}{% for m in messages %}{{ m.content | trim }} {% endfor %}";
    let settings = serde_json::json!({"bos_token": "<s>", "chat_template": template});
    fs::write(dir.path().join("tokenizer_config.json"), settings.to_string()).unwrap();
    let args = ["generate", "near the old house ", "--model", model, "--chat", "--system"];
    let found = works(&[&args[..], &["The pilots", "--tokens", "5"]].concat());
    let text = found["prompt"]["text"].as_str().unwrap();
    assert!(text.ends_with("The pilots near the old house "), "{text}");
    let tokens = found["prompt"]["tokens"].as_array().unwrap();
    let begins = tokens.iter().filter(|t| t[0] == 1).count();
    assert!(begins <= 1, "BOS stands once: {tokens:?}");
    // The file beside it goes first, and what does not render is told with its line.
    fs::write(dir.path().join("chat_template.jinja"), "\n{{ raise_exception('not so') }}").unwrap();
    fails(&["generate", "Hi", "--model", model, "--chat"], 1, &["line 2", "not so"]);
}

#[test]
fn contrasted_prompts_name_latents() {
    let dir = tempdir().unwrap();
    let saes = dictionaries(dir.path());
    let base =
        ["contrast", "--toward", "She is a nurse", "--away", "He is a nurse", "--saes", &saes];
    let found = works(&[&base[..], &["--site", "resid.1", "--pool", "mean"]].concat());
    let latents = found["latents"].as_array().unwrap();
    assert_eq!(latents.len(), 64);
    assert!(latents[0]["difference"].as_f64().unwrap() != 0.0);
    assert_eq!(found["vector"].as_array().unwrap().len(), 128);
    assert!(sparsescope(&[&base[..], &["--site", "resid.1"]].concat()).out.contains("cosine"));
    fails(&[&base[..], &["--site", "embed"]].concat(), 2, &["no dictionary for embed"]);
    let same = ["contrast", "--toward", "A", "--away", "A", "--saes", &saes, "--site", "resid.1"];
    fails(&same, 2, &["are the same"]);
}

#[test]
fn writing_is_measured() {
    let bench = works(&["bench", "generate", "--tokens", "5", "--rounds", "1", "--latents", "32"]);
    let cases = bench["figures"]["cases"].as_array().unwrap();
    assert!(cases.len() >= 6);
    assert!(cases.iter().all(|c| c["tokens_per_second"].as_f64().unwrap() > 0.0));
}

#[cfg(unix)]
#[test]
fn an_interrupted_text_is_kept() {
    use std::io::Read as _;
    use std::process::Stdio;
    // A text so long that it is not done before it is interrupted would need a slower model; what
    // counts is that an interrupt at any time leaves one object and no panic.
    let args = ["generate", PROMPT, "--tokens", "240", "--json", "--temperature", "1"];
    let mut child = program(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(30));
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.is_ok());
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    child.wait().unwrap();
    assert!(!err.contains("panicked"), "{err}");
    if !out.is_empty() {
        let found = common::object(&out);
        assert!(found["streams"].is_array() || found["error"].is_object(), "{out}");
    }
}
