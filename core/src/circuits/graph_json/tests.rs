use super::*;
use crate::circuits::{
    Aggregation, Circuit, CircuitEdge, CircuitNode, Cut, CutOp, Estimate, FindSpec, View,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const SCHEMA: &str = include_str!("../../../../tests/schema/graph-schema.json");

/// What of a value breaks a schema: the keywords of draft 7 that this one uses.
fn breaks(schema: &Value, value: &Value, at: &str, out: &mut Vec<String>) {
    let known = [
        "$id",
        "$schema",
        "title",
        "version",
        "description",
        "examples",
        "type",
        "properties",
        "required",
        "items",
        "minItems",
        "maxItems",
        "additionalProperties",
        "prefixItems",
    ];
    for keyword in schema.as_object().unwrap().keys() {
        assert!(known.contains(&keyword.as_str()), "the schema says {keyword}: check that too");
    }
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|v| v.fract() == 0.0)
        }
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("the schema has type {other}: check that too"),
    };
    let fits = match &schema["type"] {
        Value::Null => true,
        Value::String(one) => is(one),
        several => several.as_array().unwrap().iter().any(|t| is(t.as_str().unwrap())),
    };
    if !fits {
        out.push(format!("{at} is not {}", schema["type"]));
        return;
    }
    if let Some(object) = value.as_object() {
        let properties = schema["properties"].as_object();
        for name in schema["required"].as_array().into_iter().flatten() {
            if !object.contains_key(name.as_str().unwrap()) {
                out.push(format!("{at} lacks {name}"));
            }
        }
        for (name, value) in object {
            match properties.and_then(|p| p.get(name)) {
                Some(of) => breaks(of, value, &format!("{at}.{name}"), out),
                None if schema["additionalProperties"].is_object() => {
                    breaks(&schema["additionalProperties"], value, &format!("{at}.{name}"), out);
                }
                None => {}
            }
        }
    }
    if let Some(array) = value.as_array() {
        let count = array.len() as u64;
        let least = schema["minItems"].as_u64().unwrap_or(0);
        let most = schema["maxItems"].as_u64().unwrap_or(u64::MAX);
        if !(least..=most).contains(&count) {
            out.push(format!("{at} has {count} items"));
        }
        if schema["items"].is_object() {
            for (i, value) in array.iter().enumerate() {
                breaks(&schema["items"], value, &format!("{at}[{i}]"), out);
            }
        }
    }
}

fn broken(value: &Value) -> Vec<String> {
    let mut out = Vec::new();
    breaks(&serde_json::from_str(SCHEMA).unwrap(), value, "graph", &mut out);
    out
}

fn n(text: &str) -> Node {
    text.parse().unwrap()
}

/// With a latent of `attn.0` whose number is the layer of an error: the ids that collide there.
fn circuit(aggregation: Aggregation) -> Circuit {
    let at = |position: u32| match aggregation {
        Aggregation::Summed => String::new(),
        Aggregation::PerPosition => format!("@{position}"),
    };
    let node = |text: &str, position, mean, exact: Option<f64>| CircuitNode {
        node: n(&format!("{text}{}", at(position))),
        effect: Estimate { mean, error: mean.abs() / 7.0 },
        clean: 1.25,
        patch: 0.1,
        exact: exact.map(|mean| Estimate { mean, error: 0.03 }),
        stability: Some(0.93),
    };
    let mut circuit = Circuit {
        clean: Estimate { mean: 3.1, error: 0.2 },
        patch: Some(Estimate { mean: -2.9, error: 0.21 }),
        nodes: vec![
            node("embed/17", 1, 0.71, Some(0.69)),
            node("attn.0/1", 2, 0.1, None),
            node("mlp.0/1", 2, -0.33, None),
            node("resid.0/1", 2, 0.05, None),
            node("mlp.1/error", 2, 0.2, Some(0.1)),
            node("resid.3/1000000", 4, 1.0 / 3.0, None),
        ],
        candidates: 4711,
        edges: vec![
            CircuitEdge { from: 0, to: Some(1), weight: 0.1 },
            CircuitEdge { from: 1, to: Some(2), weight: -0.025 },
            CircuitEdge { from: 4, to: Some(5), weight: 0.3 },
            CircuitEdge { from: 5, to: None, weight: 0.33 },
        ],
        stability: Some(0.87),
        ..Circuit::default()
    };
    let c = &mut circuit.conventions;
    c.model = "3f9a".repeat(16);
    c.model_name = "Built-in world".into();
    c.saes.insert("mlp.0".parse().unwrap(), Some("ab12".into()));
    c.saes.insert("embed".parse().unwrap(), None);
    c.task.name = "Number agreement, across a relative clause".into();
    c.task.used = vec![0, 2, 3];
    c.task.pairs = 5;
    c.task.left_out.insert("lengths differ".into(), 2);
    c.task.positions = 5;
    c.task.tokens = ["<s>", " The", " keys", " that", " open"].map(str::to_owned).to_vec();
    c.spec = FindSpec { aggregation, skip_positions: 1, seed: 17, ..FindSpec::default() };
    c.version = "0.1.0".into();
    circuit
}

fn view(circuit: &Circuit) -> View {
    let of = |i: usize| circuit.nodes[i].node;
    let mut view = View { node_threshold: 0.04, most_nodes: Some(50), ..View::default() };
    view.pin(&[of(0), of(5)]);
    view.group("the subject", &[of(0), of(1)]);
    view.group("what is left", &[of(4)]);
    view.groups[1].open = true;
    view.name(of(2), "is not plural");
    view.note(of(2), "fires on every noun that is singular");
    view.cut(&[of(3)], CutOp::Scale(0.5));
    view
}

#[test]
fn what_is_written_fits_the_schema_and_comes_back_whole() {
    for aggregation in [Aggregation::Summed, Aggregation::PerPosition] {
        let circuit = circuit(aggregation);
        let view = view(&circuit);
        let labels = BTreeMap::from([(circuit.nodes[0].node, "a plural noun".to_owned())]);
        let graph = to_graph_json(&circuit, &view, &labels);
        assert_eq!(broken(&graph), [] as [String; 0]);
        let ids: BTreeSet<&str> = graph["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n["node_id"].as_str().unwrap())
            .collect();
        assert_eq!(ids.len(), circuit.nodes.len() + 1, "every id names one node");
        for link in graph["links"].as_array().unwrap() {
            assert!(ids.contains(link["source"].as_str().unwrap()));
            assert!(ids.contains(link["target"].as_str().unwrap()));
        }
        let read = from_graph_json(&graph.to_string()).unwrap();
        assert_eq!(read.circuit, circuit);
        assert_eq!(read.view, view);
        assert_eq!(read.labels, labels);
        assert!(read.notes.is_empty());
    }
}

#[test]
fn viewers_are_told_what_they_expect() {
    let circuit = circuit(Aggregation::PerPosition);
    let graph = to_graph_json(&circuit, &view(&circuit), &BTreeMap::new());
    let nodes = graph["nodes"].as_array().unwrap();
    let features: BTreeSet<i64> =
        nodes.iter().map(|n| n["feature"].as_i64().unwrap()).filter(|f| *f >= 0).collect();
    assert_eq!(features.len(), 5, "latent 1 of three sites of block 0 is three features");
    assert_eq!(nodes[0]["layer"], "E");
    assert_eq!(nodes[2]["layer"], "0");
    assert_eq!(nodes[2]["clerp"], "is not plural");
    assert_eq!(nodes[4]["feature_type"], "mlp reconstruction error");
    // The largest effect first, all of them together 1.
    assert_eq!(nodes[3]["influence"], 1.0);
    let first = nodes[0]["influence"].as_f64().unwrap();
    assert!((first - 0.71 / (0.71 + 0.1 + 0.33 + 0.05 + 0.2 + 1.0 / 3.0)).abs() < 1e-12);
    assert_eq!(graph["qParams"]["supernodes"][0][0], "the subject");
    assert_eq!(graph["metadata"]["slug"], "number-agreement-across-a-relative-clause");
}

#[test]
fn pins_groups_and_names_of_another_program_are_taken_over() {
    let circuit = circuit(Aggregation::Summed);
    let mut graph = to_graph_json(&circuit, &view(&circuit), &BTreeMap::new());
    graph["qParams"]["pinnedIds"] = json!(["mlp.0_1_all", "what is that"]);
    graph["qParams"]["supernodes"] = json!([["renamed", "embed_17_all", "mlp.1_error_all"], []]);
    graph["nodes"][0]["clerp"] = json!("keys");
    graph["nodes"].as_array_mut().unwrap().push(json!({
        "node_id": "new", "feature": 1, "layer": "0", "ctx_idx": 0,
        "feature_type": "cross layer transcoder", "jsNodeId": "new-0", "clerp": "",
    }));
    let read = from_graph_json(&graph.to_string()).unwrap();
    assert_eq!(read.view.pinned, BTreeSet::from([n("mlp.0/1")]));
    assert_eq!(read.view.groups.len(), 1);
    assert_eq!(read.view.groups[0].nodes, [n("embed/17"), n("mlp.1/error")]);
    assert_eq!(read.view.names[&n("embed/17")], "keys");
    assert_eq!(read.view.cuts, [Cut { nodes: vec![n("resid.0/1")], op: CutOp::Scale(0.5) }]);
    assert!(read.notes[0].starts_with("1 nodes and 0 links"), "{:?}", read.notes);
}

/// As circuit-tracer writes it: the error of layer 3 at position 1 and latent 3 of layer 0 there
/// have one id.
fn tracer() -> Value {
    let node =
        |id: &str, feature: i64, layer: &str, at: i64, kind: &str, clerp: &str, more: Value| {
            let mut node = json!({
                "node_id": id, "feature": feature, "layer": layer, "ctx_idx": at,
                "feature_type": kind, "token_prob": 0.0, "is_target_logit": false, "run_idx": 0,
                "reverse_ctx_idx": 0, "jsNodeId": format!("{id}-0"), "clerp": clerp,
            });
            node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            node
        };
    let (latent, error) = ("cross layer transcoder", "mlp reconstruction error");
    json!({
        "metadata": {
            "slug": "dallas-austin", "scan": "gemma-2-2b", "transcoder_list": [],
            "prompt_tokens": ["<bos>", " Dallas"], "prompt": "<bos> Dallas",
            "node_threshold": 0.8, "schema_version": 1,
        },
        "qParams": {
            "pinnedIds": ["0_7_1", "27_99_1", "0_3_1"],
            "supernodes": [["Texas", "0_7_1", "4_11_1"]],
            "linkType": "both", "clickedId": "", "sg_pos": "",
        },
        "nodes": [
            node("0_3_1", 9, "0", 1, latent, "", json!({"influence": 0.7, "activation": 2.5})),
            node("0_7_1", 35, "0", 1, latent, "Texas", json!({"influence": 0.3, "activation": 9.0})),
            node("4_11_1", 131, "4", 1, latent, "capitals", json!({"influence": 0.55, "activation": 1.0})),
            node("0_3_1", -1, "3", 1, error, "Err: mlp \" Dallas\"", json!({"influence": 0.78, "activation": null})),
            node("E_532_1", 532, "E", 1, "embedding", "Emb: \" Dallas\"", json!({"influence": null, "activation": null})),
            node("27_99_1", 99, "27", 1, "logit", "Output \" Austin\" (p=0.41)", json!({"token_prob": 0.41, "is_target_logit": true})),
            node("27_12_1", 12, "27", 1, "logit", "Output \" Dallas\" (p=0.2)", json!({"token_prob": 0.2, "is_target_logit": true})),
        ],
        "links": [
            {"source": "E_532_1", "target": "0_7_1", "weight": 4.0},
            {"source": "E_532_1", "target": "0_3_1", "weight": 1.5},
            {"source": "0_7_1", "target": "4_11_1", "weight": 3.25},
            {"source": "0_3_1", "target": "4_11_1", "weight": 0.25},
            {"source": "4_11_1", "target": "27_99_1", "weight": 5.0},
            {"source": "4_11_1", "target": "27_12_1", "weight": -1.0},
            {"source": "9_9_9", "target": "27_99_1", "weight": 1.0},
        ],
    })
}

#[test]
fn a_graph_of_circuit_tracer_is_read_and_what_is_lost_is_said() {
    let graph = tracer();
    assert_eq!(broken(&graph), [] as [String; 0]);
    let read = from_graph_json(&graph.to_string()).unwrap();
    let c = &read.circuit;
    let nodes: Vec<String> = c.nodes.iter().map(|n| n.node.to_string()).collect();
    assert_eq!(nodes, ["embed/532@1", "mlp.0/3@1", "mlp.0/7@1", "mlp.3/error@1", "mlp.4/11@1"]);
    let edges: Vec<_> = c.edges.iter().map(|e| (e.from, e.to, e.weight)).collect();
    // The link into the doubtful id is the latent's; the one out of it could be either's.
    let wanted = [(0, Some(2), 4.0), (0, Some(1), 1.5), (2, Some(4), 3.25), (4, None, 5.0)];
    assert_eq!(edges, wanted);
    let effect = |i: usize| (c.nodes[i].effect.mean * 100.0).round();
    assert_eq!([2, 4, 1, 3, 0].map(effect), [30.0, 25.0, 15.0, 8.0, 0.0]);
    assert_eq!(c.conventions.task.tokens, ["<bos>", " Dallas"]);
    assert_eq!(read.labels[&n("mlp.0/7@1")], "Texas");
    assert_eq!(read.view.pinned, BTreeSet::from([n("mlp.0/7@1")]), "a doubtful pin is none");
    assert_eq!(read.view.groups[0].nodes, [n("mlp.0/7@1"), n("mlp.4/11@1")]);
    let said = read.notes.join("\n");
    for word in
        ["2 outputs", "Austin", "1 ids name two", "1 links that could", "no sign", "1 links lead"]
    {
        assert!(said.contains(word), "{word:?} in {said}");
    }
}

#[test]
fn what_is_no_graph_is_refused() {
    for text in ["", "[]", "{}", r#"{"metadata":{"slug":"a"},"nodes":[{}],"links":[]}"#] {
        let error = from_graph_json(text).unwrap_err();
        assert!(error.to_string().contains("no attribution graph"), "{error}");
    }
    let empty = r#"{"metadata":{"slug":"a"},"nodes":[],"links":[]}"#;
    assert!(from_graph_json(empty).unwrap().circuit.nodes.is_empty());
}
