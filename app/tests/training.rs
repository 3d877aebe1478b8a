//! Training from a terminal: what it makes, what it refuses, and that neither a kill nor Ctrl-C
//! changes the weights.
// The helpers of a test fail it as the test itself does.
#![allow(clippy::unwrap_used)]

mod common;

use common::{fails, object, program, sparsescope, works};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::tempdir;

/// A run of a few seconds with a checkpoint every few steps.
const SMALL: [&str; 19] = [
    "--latents",
    "64",
    "--k",
    "4",
    "--batch",
    "256",
    "--tokens",
    "12800",
    "--buffer",
    "1024",
    "--checkpoint-every",
    "512",
    "--evaluate-every",
    "0",
    "--row-length",
    "32",
    "--site",
    "resid.1",
    "--threads=2",
];

fn train<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "--out", out][..], &SMALL, more].concat()
}

fn weights(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("sae.safetensors")).unwrap()
}

/// Starts a run, waits until a checkpoint is there, and ends it with `signal`.
fn broken_off(out: &Path, signal: &str) -> common::Ran {
    let args = train(out.to_str().unwrap(), &["--json"]);
    let mut child = program(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let since = Instant::now();
    let is_there = || {
        fs::read_dir(out).is_ok_and(|mut files| {
            files.any(|f| f.unwrap().file_name().to_string_lossy().starts_with("checkpoint"))
        })
    };
    while !is_there() && child.try_wait().unwrap().is_none() {
        assert!(since.elapsed() < Duration::from_secs(120), "no checkpoint in two minutes");
        std::thread::sleep(Duration::from_millis(2));
    }
    let id = child.id().to_string();
    // A run that is over already is told apart by the caller.
    let _ = std::process::Command::new("kill").args([signal, &id]).status();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or(-1);
    common::Ran { code, out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn neither_a_kill_nor_ctrl_c_nor_the_threads_change_the_weights() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let whole = path("whole");
    let found = works(&train(whole.to_str().unwrap(), &[]));
    assert_eq!((&found["latents"], &found["config"]["seed"]), (&64.into(), &0.into()));
    let undisturbed = weights(&whole);

    let killed = path("killed");
    let ran = broken_off(&killed, "-KILL");
    assert_eq!((ran.code, ran.out.as_str()), (-1, ""), "it was killed on its way: {}", ran.err);
    assert!(!killed.join("sae.safetensors").exists());
    // Everything else is remembered.
    works(&["train", "--resume", "--out", killed.to_str().unwrap()]);
    assert!(weights(&killed) == undisturbed, "other weights after a kill");

    let stopped = path("stopped");
    let ran = broken_off(&stopped, "-INT");
    assert_eq!(ran.code, 1, "{}", ran.err);
    let error = &object(&ran.out)["error"];
    assert_eq!(error["kind"], "cancelled");
    assert!(error["remedy"].as_str().unwrap().contains("train --resume --out"), "{error}");
    // The whole command again says the same; other settings do not.
    let out = stopped.to_str().unwrap();
    fails(&train(out, &["--resume", "--lr", "0.5"]), 2, &["lr (0.5", "0.0032"]);
    fails(&train(out, &[]), 2, &["resume"]);
    works(&train(out, &["--resume"]));
    assert!(weights(&stopped) == undisturbed, "other weights after Ctrl-C");

    let one = path("one-thread");
    let mut args = train(one.to_str().unwrap(), &[]);
    args.iter_mut().for_each(|a| {
        if *a == "--threads=2" {
            *a = "--threads=1"
        }
    });
    works(&args);
    assert!(weights(&one) == undisturbed, "other weights with one thread");

    let seeded = path("seed");
    works(&train(seeded.to_str().unwrap(), &["--seed", "7"]));
    assert!(weights(&seeded) != undisturbed, "the seed changes nothing");

    // What is there is never trained over.
    fails(&train(whole.to_str().unwrap(), &[]), 2, &["finished dictionary"]);
    assert!(weights(&whole) == undisturbed);

    let whole = whole.to_str().unwrap();
    let found = works(&["inspect", whole]);
    assert_eq!((&found["kind"], &found["trained_on"]["site"]), (&"sae".into(), &"resid.1".into()));
    let found = works(&["eval", whole, "--tokens", "2000"]);
    assert!((0.0..=4.0).contains(&found["l0"].as_f64().unwrap()), "{found}");
    assert!(found["fvu"].as_f64().unwrap() < 1.0, "{found}");
    assert!(found["loss"]["recovered"].is_number(), "{found}");
    // The same sample gives the same numbers.
    assert_eq!(works(&["eval", whole, "--tokens", "2000"]), found);
}

#[test]
fn settings_that_make_no_sense_are_refused_before_any_work() {
    let folder = tempdir().unwrap();
    let out = folder.path().join("sae");
    let out = out.to_str().unwrap();
    let with = |more: &[&'static str]| [&["train", "--out", out][..], more].concat();
    fails(&["train"], 2, &["--out"]);
    fails(&with(&["--k", "2000", "--latents", "1000"]), 2, &["2000", "1000"]);
    fails(&with(&["--arch", "magic"]), 2, &["magic", "topk"]);
    fails(&with(&["--site", "resid.99"]), 2, &["resid.99"]);
    fails(&with(&["--site", "middle"]), 2, &["middle", "resid.L"]);
    fails(&with(&["--schedule", "wild"]), 2, &["wild", "cosine"]);
    fails(&with(&["--batch", "0"]), 2, &["batch"]);
    fails(&with(&["--latents", "0"]), 2, &["latents"]);
    fails(&with(&["--lr", "NaN"]), 2, &["lr", "above 0"]);
    fails(&with(&["--row-length", "100000"]), 2, &["100000"]);
    fails(&with(&["--corpus", "builtin:nowhere"]), 2, &["nowhere"]);
    fails(&with(&["--device", "abacus"]), 2, &["abacus"]);
    assert!(!Path::new(out).exists(), "a refused run leaves nothing");
}

#[test]
fn input_that_cannot_be_used_is_named() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let out = path("sae");
    fails(&["train", "--out", &out, "--corpus", &path("none.txt")], 1, &["none.txt"]);
    fails(&["train", "--out", &out, "--model", &path("none")], 1, &["none"]);
    fs::write(path("empty.txt"), "").unwrap();
    fails(&["train", "--out", &out, "--corpus", &path("empty.txt")], 1, &["empty"]);
    fs::write(path("latin1.txt"), b"caf\xe9").unwrap();
    fails(&["train", "--out", &out, "--corpus", &path("latin1.txt")], 1, &["UTF-8"]);
    // A file where a folder should be made.
    let inside = path("empty.txt/sae");
    fails(&train(&inside, &[]), 1, &["empty.txt/sae"]);
    fails(&["eval", &path("nothing")], 1, &["nothing"]);
    // More memory than any machine has.
    let more = ["train", "--out", &out, "--latents", "400000000"];
    fails(&more, 1, &["memory", "GB"]);
    assert!(!Path::new(&out).exists(), "a refused run leaves nothing");
    let ran = sparsescope(&["train", "--resume", "--out", &path("empty.txt")]);
    assert_ne!(ran.code, 0);
}
