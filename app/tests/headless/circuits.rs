//! Circuits to draw: plausible ones, the same on every machine.

use super::fixture;
use sparsescope::state::{Other, State};
use sparsescope_core::circuits::{
    Aggregation, Circuit, CircuitEdge, CircuitNode, Estimate, Node, Unit,
};
use sparsescope_core::llama::Site;
use sparsescope_core::workspace::CircuitRecord;
use std::collections::BTreeSet;
use std::sync::Arc;

const TOKENS: [&str; 8] = ["<s>", "The", " keys", " that", " the", " man", " saw", " near"];

/// Numbers in [0, 1) that are the same on every machine.
fn noise(i: usize, salt: u64) -> f64 {
    let mut x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ salt.wrapping_mul(0xd1b5_4a32_d192_ed03);
    for _ in 0..2 {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 27;
    }
    (x >> 40) as f64 / (1u64 << 24) as f64
}

/// A circuit of about this many nodes and edges over 13 sites.
pub fn circuit(nodes: usize, edges: usize, aggregation: Aggregation) -> Circuit {
    let sites = Site::all(4);
    let mut seen = BTreeSet::new();
    let mut found: Vec<CircuitNode> = Vec::new();
    for i in 0..nodes {
        let site = sites[(noise(i, 1) * 13.0) as usize];
        // What matters moves from the subject to the last position.
        let depth = site.layer().map_or(0.0, |l| (l + 1) as f64 / 4.0);
        let position = match noise(i, 2) {
            x if x < 0.45 => 2 + (depth * 5.0 * noise(i, 3)) as u32,
            x if x < 0.8 => 7 - ((1.0 - depth) * 4.0 * noise(i, 3)) as u32,
            _ => 1 + (noise(i, 3) * 7.0) as u32,
        };
        let unit = match noise(i, 4) < 0.09 {
            true => Unit::Error,
            false => Unit::Latent((noise(i, 5) * 1024.0) as u32),
        };
        let summed = aggregation == Aggregation::Summed;
        let node = Node { site, position: (!summed).then_some(position), unit };
        if !seen.insert(node) {
            continue;
        }
        let sign = if noise(i, 6) < 0.24 { -1.0 } else { 1.0 };
        let mean = sign * (1.9 * noise(i, 7).powi(7) + 0.012 + 0.05 * noise(i, 8));
        let clean = (0.2 + 4.0 * noise(i, 9)) as f32;
        let error = 0.004 + mean.abs() * (0.05 + 0.2 * noise(i, 10));
        found.push(CircuitNode {
            node,
            effect: Estimate { mean, error },
            clean,
            patch: clean * noise(i, 11) as f32,
            exact: (mean.abs() > 0.3).then_some(Estimate { mean: mean * 0.94, error: error * 1.1 }),
            stability: Some((0.5 + 0.5 * mean.abs().min(1.0)) as f32),
        });
    }
    found.sort_by_key(|n| n.node);
    let mut out = Circuit {
        clean: Estimate { mean: 3.12, error: 0.11 },
        patch: Some(Estimate { mean: -2.87, error: 0.12 }),
        candidates: 18_442,
        edges: links(&found, edges),
        nodes: found,
        stability: Some(0.91),
        ..Circuit::default()
    };
    let c = &mut out.conventions;
    c.model = "3f9a".into();
    c.model_name = "Built-in world".into();
    c.saes = sites.iter().map(|s| (*s, Some(format!("{s} hash")))).collect();
    c.task.name = "Agreement across a relative clause".into();
    c.task.pairs = 120;
    c.task.used = (0..100).collect();
    c.task.positions = 8;
    if aggregation == Aggregation::PerPosition {
        c.task.tokens = TOKENS.map(str::to_owned).to_vec();
    }
    c.spec.aggregation = aggregation;
    c.version = "0.1.0".into();
    out
}

/// Edges from lower to higher nodes, strong where both ends are.
fn links(nodes: &[CircuitNode], count: usize) -> Vec<CircuitEdge> {
    let mut edges = Vec::new();
    let mut seen = BTreeSet::new();
    let n = nodes.len();
    for i in 0..count * 12 {
        if edges.len() >= count || n < 2 {
            break;
        }
        let from = (noise(i, 21) * n as f64) as usize;
        let to = (noise(i, 22) * (n as f64 + n as f64 / 12.0)) as usize;
        let (low, high) = (&nodes[from], nodes.get(to));
        let later = |a: Option<u32>, b: Option<u32>| a <= b;
        let fits = match high {
            Some(high) => {
                let near =
                    high.node.site.layer().unwrap_or(0) <= low.node.site.layer().unwrap_or(0) + 1;
                low.node.site < high.node.site
                    && near
                    && later(low.node.position, high.node.position)
            }
            None => low.node.site >= Site::Attn(3),
        };
        if !fits || !seen.insert((from, to.min(n))) {
            continue;
        }
        let ends = low.effect.mean * high.map_or(1.0, |h| h.effect.mean.abs()).sqrt();
        let weight = (ends * (0.25 + 0.75 * noise(i, 23))) as f32;
        edges.push(CircuitEdge {
            from: from as u32,
            to: high.map(|_| to as u32),
            weight: if noise(i, 24) < 0.15 { -weight } else { weight },
        });
    }
    edges.sort_by_key(|e| (e.from, e.to));
    edges
}

/// The circuit screen with this circuit open.
pub fn open(state: &mut State, circuit: Circuit) {
    fixture::model(state);
    let meanings = [
        "plural noun",
        "singular noun",
        "relative clause opens",
        "the",
        "verb: sees",
        "animate",
        "number of the subject",
        "end of a clause",
        "preposition",
        "a person",
    ];
    let graph = &mut state.circuit.graph;
    for (i, node) in circuit.nodes.iter().enumerate() {
        if let Unit::Latent(latent) = node.node.unit {
            if i % 3 != 1 {
                let text = meanings[(latent as usize) % meanings.len()].to_owned();
                graph.labels.insert((node.node.site, latent), text);
            }
            graph
                .cards
                .insert((node.node.site, latent), Some(fixture::detail(latent as usize % 60)));
        }
        graph.saes.insert(node.node.site, 3);
    }
    state.circuit.version += 1;
    graph.known = Some(state.circuit.version);
    graph.known_with = state.model.facts.as_ref().map(|f| f.hash.clone());
    super::verdicts::judge(state, &circuit);
    state.circuit.circuit = Some(Arc::new(circuit));
}

/// Another circuit beside the open one.
pub fn other(state: &mut State) {
    let open = state.circuit.circuit.clone().unwrap();
    let mut circuit = circuit(90, 200, open.conventions.spec.aggregation);
    circuit.edges.clear();
    let mut i = 0;
    circuit.nodes.retain_mut(|node| {
        i += 1;
        node.effect.mean *= 0.6 + 0.8 * noise(i, 32);
        if let (Unit::Latent(latent), true) = (&mut node.node.unit, i % 4 == 2) {
            *latent += 1;
        }
        i % 9 != 5
    });
    let hash = Some("trained again".to_owned());
    circuit.conventions.saes.insert(Site::Mlp(2), hash);
    let record = CircuitRecord {
        id: 7,
        name: "Agreement, attribution patching".into(),
        model: "3f9a".into(),
        task: "Agreement across a relative clause".into(),
        method: "atp".into(),
        nodes: circuit.nodes.len(),
        edges: 0,
        created: 0,
    };
    state.circuit.graph.other =
        Some(Other { name: record.name.clone(), circuit: Arc::new(circuit) });
    state.circuit.graph.circuits = vec![record];
}
