//! A circuit as an attribution graph.

use super::{ERROR, LATENT, LOGIT, METRIC_ID, SUMMED, cantor, id, layer, plain_name, rank};
use crate::circuits::{Aggregation, Circuit, CircuitNode, Node, Unit, View};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The attribution graph of a circuit, with the pins, supernodes and names of `view`. `labels` are
/// what latents are called where the view has no name for them.
pub fn to_graph_json(circuit: &Circuit, view: &View, labels: &BTreeMap<Node, String>) -> Value {
    let c = &circuit.conventions;
    let summed = c.spec.aggregation == Aggregation::Summed;
    let tokens: Vec<String> = match summed || c.task.tokens.is_empty() {
        true => vec![SUMMED.to_owned()],
        false => c.task.tokens.clone(),
    };
    let prompt = if summed { format!("{} (all positions)", c.task.name) } else { tokens.concat() };
    let influence = influence(circuit);
    let last = circuit.nodes.iter().filter_map(|n| n.node.site.layer()).max().unwrap_or(0);
    let mut nodes: Vec<Value> = circuit
        .nodes
        .iter()
        .zip(&influence)
        .map(|(node, influence)| one(node, *influence, view, labels))
        .collect();
    nodes.push(json!({
        "node_id": METRIC_ID,
        "feature": -1,
        "layer": (last + 1).to_string(),
        "ctx_idx": tokens.len().saturating_sub(1),
        "feature_type": LOGIT,
        "is_target_logit": true,
        "jsNodeId": format!("{METRIC_ID}-0"),
        "clerp": format!("F: {}", c.spec.metric.name()),
        "influence": null,
        "activation": finite(circuit.clean.mean),
    }));
    let ids: Vec<String> = circuit.nodes.iter().map(|n| id(n.node)).collect();
    let to = |place: Option<u32>| match place {
        None => Some(METRIC_ID),
        Some(place) => ids.get(place as usize).map(String::as_str),
    };
    let links: Vec<Value> = circuit
        .edges
        .iter()
        .filter(|e| e.weight.is_finite())
        .filter_map(|e| Some((ids.get(e.from as usize)?, to(e.to)?, e.weight)))
        .map(|(from, to, weight)| json!({ "source": from, "target": to, "weight": weight }))
        .collect();
    let supernodes: Vec<Vec<String>> = view
        .groups
        .iter()
        .map(|g| std::iter::once(g.name.clone()).chain(g.nodes.iter().map(|n| id(*n))).collect())
        .collect();
    let mut file = whole(circuit, view);
    file.insert("labels".to_owned(), json!(labels));
    json!({
        "metadata": {
            "slug": slug(&c.task.name),
            "scan": c.model_name,
            "prompt_tokens": tokens,
            "prompt": prompt,
            "node_threshold": 1.0,
            "schema_version": 1,
            "info": {
                "description": format!(
                    "Sparse feature circuit of {} on {} pairs by {}; effects are F(clean) − \
                     F(node changed), positive where a node supports the behaviour",
                    c.task.name,
                    c.task.used.len(),
                    c.spec.method
                ),
                "generator": { "name": "Sparsescope", "version": c.version },
            },
            "generation_settings": { "method": c.spec.method, "pairs": c.task.used.len() },
            "pruning_settings": {
                "node_threshold": c.spec.node_threshold,
                "edge_threshold": c.spec.edge_threshold,
            },
        },
        "qParams": {
            "pinnedIds": view.pinned.iter().map(|n| id(*n)).collect::<Vec<_>>(),
            "supernodes": supernodes,
            "linkType": "both",
            "clickedId": "",
            "sg_pos": "",
        },
        "nodes": nodes,
        "links": links,
        "sparsescope": file,
    })
}

/// What the format has no place for: the circuit without nodes and edges, and the view.
fn whole(circuit: &Circuit, view: &View) -> Map<String, Value> {
    let mut out = Map::new();
    let rest = Circuit { nodes: Vec::new(), edges: Vec::new(), ..circuit.clone() };
    out.insert("circuit".to_owned(), json!(rest));
    out.insert("view".to_owned(), json!(view));
    out
}

fn one(
    node: &CircuitNode,
    influence: Option<f64>,
    view: &View,
    labels: &BTreeMap<Node, String>,
) -> Value {
    let n = node.node;
    let (feature, kind) = match n.unit {
        Unit::Latent(latent) => (cantor(rank(n.site), u64::from(latent)) as i64, LATENT),
        Unit::Error => (-1, ERROR),
    };
    let name = view.names.get(&n).or_else(|| labels.get(&n));
    json!({
        "node_id": id(n),
        "feature": feature,
        "layer": layer(n.site),
        "ctx_idx": n.position.unwrap_or(0),
        "feature_type": kind,
        "jsNodeId": format!("{}-0", id(n)),
        "clerp": name.cloned().unwrap_or_else(|| plain_name(n)),
        "influence": influence,
        "activation": finite(f64::from(node.clean)),
        "sparsescope": node,
    })
}

/// For each node the share of Σ|effect| that it and all larger ones make up.
fn influence(circuit: &Circuit) -> Vec<Option<f64>> {
    let size = |i: usize| circuit.nodes[i].effect.mean.abs();
    let mut order: Vec<usize> = (0..circuit.nodes.len()).filter(|i| size(*i).is_finite()).collect();
    order.sort_by(|a, b| size(*b).total_cmp(&size(*a)).then(a.cmp(b)));
    let sum: f64 = order.iter().map(|i| size(*i)).sum();
    let mut out = vec![None; circuit.nodes.len()];
    let mut so_far = 0.0;
    for i in order {
        so_far += size(i);
        out[i] = Some(if sum > 0.0 { so_far / sum } else { 1.0 });
    }
    out
}

fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

/// Letters and digits with hyphens between them.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    let slug = words.collect::<Vec<_>>().join("-").to_lowercase();
    if slug.is_empty() { "circuit".to_owned() } else { slug }
}
