//! Circuits handed to other programs and drawn from a terminal, and brought back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod common;
mod headless;

use common::{fails, works};
use headless::circuits::circuit;
use sparsescope_core::circuits::{Aggregation, CircuitNode, View, from_json, to_json};
use std::fs;

#[test]
fn a_circuit_is_exported_drawn_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let circuit = circuit(60, 150, Aggregation::PerPosition);
    let mut view = View { node_threshold: 0.05, ..View::default() };
    view.group("the first two", &[circuit.nodes[0].node, circuit.nodes[1].node]);
    view.pin(&[circuit.nodes[2].node]);
    let size = |n: &&CircuitNode| n.effect.mean.abs();
    let strongest = circuit.nodes.iter().max_by(|a, b| size(a).total_cmp(&size(b))).unwrap();
    view.name(strongest.node, "a name & more");
    fs::write(at("circuit.json"), to_json(&circuit, &view).unwrap()).unwrap();

    let graph = at("circuit.graph.json");
    let export = ["circuit", "export", &at("circuit.json"), "--format"];
    let said = works(&[&export[..], &["graph-json", "--out", &graph]].concat());
    assert_eq!(said["nodes"], circuit.nodes.len());
    assert!(said["nodes_shown"].as_u64().unwrap() < circuit.nodes.len() as u64);
    let back = at("back.json");
    let said = works(&["circuit", "import", &graph, "--out", &back]);
    assert_eq!(said["notes"].as_array().unwrap().len(), 0);
    let read = from_json(&fs::read_to_string(&back).unwrap()).unwrap();
    assert_eq!(read, (circuit.clone(), view));

    for (format, name) in [("svg", "figure.svg"), ("png", "figure.png")] {
        let more = ["--title", "A figure", "--size", "900x700", "--most-nodes", "30"];
        works(&[&export[..], &[format, "--out", &at(name)], &more[..]].concat());
    }
    let svg = fs::read_to_string(at("figure.svg")).unwrap();
    assert!(svg.contains("width=\"900\" height=\"700\""));
    for word in [
        "A figure",
        "supports the behaviour",
        "F(clean) − F(node changed)",
        "logit difference",
        "a name &amp; more",
    ] {
        assert!(svg.contains(word), "{word}");
    }
    assert!(svg.contains("<circle") && svg.contains("<path d=\"M"), "discs and curves");
    let png = image::open(at("figure.png")).unwrap();
    assert_eq!((png.width(), png.height()), (1800, 1400));
    if let Some(to) = std::env::var_os("SPARSESCOPE_PICTURE") {
        let to = std::path::Path::new(&to);
        fs::copy(at("figure.png"), to.join("figure.png")).unwrap();
        fs::copy(at("figure.svg"), to.join("figure.svg")).unwrap();
    }

    let name = at("figure.svg");
    let wrong = [&export[..], &["png", "--out", &name]].concat();
    fails(&wrong, 2, &["ends in .png"]);
    fails(&["circuit", "import", &at("figure.svg"), "--out", &back], 2, &["no attribution graph"]);
    fails(&["circuit", "import", &at("none"), "--out", &back], 1, &["none"]);
}

#[test]
fn a_frame_of_the_graph_is_measured() {
    let bench = works(&["bench", "graph", "--nodes", "60", "--edges", "200", "--frames", "3"]);
    for doing in ["hovering", "moving", "zooming"] {
        assert!(bench[doing]["median_ms"].as_f64().unwrap() > 0.0);
    }
}

/// A circuit is found, connected, judged and compared, each by its subcommand.
#[test]
fn a_circuit_goes_through_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (task, found, other) = (at("task.jsonl"), at("found.json"), at("other.json"));
    works(&["circuit", "tasks", "world:simple", "--pairs", "40", "--out", &task]);
    let find = ["circuit", "find", "--task", &task, "--pairs", "12", "--audit", "2"];
    let quick = ["--resamples", "10", "--nodes", "0.1", "--out"];
    works(&[&find[..], &quick[..], &[&found, "--method", "atp", "--edges", "0.01"]].concat());
    works(&[&find[..], &quick[..], &[&other, "--method", "relp"]].concat());
    let circuit = from_json(&fs::read_to_string(&found).unwrap()).unwrap().0;
    assert!(!circuit.edges.is_empty() && circuit.nodes.len() > 20, "{}", circuit.nodes.len());

    let eval = ["circuit", "eval", &found, "--task", &task];
    let cut = format!("{} zero", circuit.nodes[0].node);
    let said = works(&[&eval[..], &["--cut", &cut, "--curve", "3"]].concat());
    assert_eq!(said["held_out"], true);
    let verdict = &said["verdict"];
    assert!(verdict["model"]["mean"].as_f64().unwrap() > 3.0, "{verdict}");
    assert!(verdict["faithfulness"]["mean"].is_number() && verdict["cuts"][0] == cut.as_str());
    assert_eq!(said["curve"]["points"].as_array().unwrap().len(), 3);
    fails(&[&eval[..], &["--cut", "resid.0/99999 zero"]].concat(), 2, &["resid.0/99999"]);

    let said = works(&["circuit", "compare", &found, &other]);
    assert!(said["all"]["both"].as_u64().unwrap() > 10, "{said}");
    assert!(said["all"]["correlation"].as_f64().unwrap() > 0.3, "{said}");
}
