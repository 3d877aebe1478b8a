//! What was trained is read from a terminal: features, prompts, directions, pages for others.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod common;

use common::{fails, sparsescope, works};
use std::fs;
use std::path::Path;

/// A small dictionary of the built-in model.
fn trained(folder: &Path) -> String {
    let out = folder.join("sae").to_str().unwrap().to_owned();
    let size = ["--latents", "64", "--k", "4", "--tokens", "8192", "--batch", "512"];
    let train = ["train", "--site", "resid.1", "--evaluate-every", "0", "--out", &out];
    works(&[&train[..], &size].concat());
    out
}

#[test]
fn a_dictionary_is_read_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let sae = trained(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();

    let found = works(&["features", &sae, "--tokens", "4000", "--top", "64"]);
    let features = found["features"].as_array().unwrap();
    assert_eq!(features.len(), 64);
    let strongest = features
        .iter()
        .max_by(|a, b| a["max"].as_f64().unwrap().total_cmp(&b["max"].as_f64().unwrap()));
    let latent = strongest.unwrap()["index"].to_string();
    // Read again from the file, and alone.
    let kept = fs::read(path("sae/features.safetensors")).unwrap();
    let one = works(&["features", &sae, "--tokens", "4000", "--latent", &latent]);
    assert!(one.to_string().contains("coactive"));
    // Other settings do not take the place of what was collected, unless they are told to.
    let other = ["features", &sae, "--tokens", "5000"];
    fails(&other, 2, &["4,0", "--again"]);
    assert_eq!(fs::read(path("sae/features.safetensors")).unwrap(), kept);
    let again = works(&[&other[..], &["--again"]].concat());
    assert!(again["tokens"].as_u64().unwrap() >= 5000);

    let prompt = ["prompt", &sae, "The old keys are on the table", "--rank", "direct"];
    let reading = works(&prompt);
    assert_eq!(reading["first"], 1);
    assert!(!reading["fired"].as_array().unwrap().is_empty());
    assert!(sparsescope(&prompt).out.contains("attribution"));
    let compared = ["prompt", &sae, "The pilots near the old house", "--next", " are"];
    let reading = works(&[&compared[..], &["--against", " is"]].concat());
    assert_eq!(
        (&reading["target"]["text"], &reading["against"]["text"]),
        (&" are".into(), &" is".into())
    );
    fails(&["prompt", &sae, "The", "--next", "no single token at all"], 2, &["one"]);
    fails(&["prompt", &sae, ""], 2, &["no tokens"]);

    let map = path("map.svg");
    works(&["directions", "--sae", &sae, "--out", &map]);
    assert!(fs::read_to_string(&map).unwrap().contains("</svg>"));
    let same = works(&["compare", &sae, &sae]);
    assert!(same.to_string().contains("mutual"));

    let page = path("page.html");
    works(&["export", "--sae", &sae, "--latent", &latent, "--format", "html", "--out", &page]);
    assert!(fs::read_to_string(&page).unwrap().contains(&format!("Latent {latent}")));
    let json = path("json");
    works(&["export", "--sae", &sae, "--format", "neuronpedia", "--out", &json]);
    assert!(fs::read_dir(&json).unwrap().count() > 0);
}
