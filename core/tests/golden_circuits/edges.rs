//! Edges.

use super::support::{Golden, TOLERANCE, effects, everything, found, node, site};
use sparsescope_core::circuits::{
    Aggregation, Bases, Circuit, Examples, FindSpec, Method, Node, Unit, connect,
};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Site;
use std::collections::BTreeMap;

/// The circuit of everything, with all its edges.
fn connected(golden: &Golden, examples: &Examples, spec: &FindSpec) -> Circuit {
    let mut circuit = found(golden, examples, spec);
    let ctx = JobContext::<()>::unwatched();
    connect(&ctx, &golden.model, &golden.bases, examples, &mut circuit).unwrap();
    circuit
}

fn weights(circuit: &Circuit) -> BTreeMap<(Node, Option<Node>), f64> {
    let node = |place: u32| circuit.nodes[place as usize].node;
    let edge = |e: &sparsescope_core::circuits::CircuitEdge| {
        ((node(e.from), e.to.map(node)), f64::from(e.weight))
    };
    circuit.edges.iter().map(edge).collect()
}

const IG: Method = Method::IntegratedGradients { steps: 10 };

/// Every edge into every node that the reference looked at, from latents and from errors.
#[test]
fn edges_are_those_of_the_definition() {
    let golden = Golden::open();
    let (positions, latents) = (golden.positions(), golden.latents());
    let pairs = golden.json["edge_pairs"].as_array().unwrap();
    let (mut compared, mut from_error, mut to_error) = (0, 0, 0);
    for row in 0..golden.examples.kept.len() {
        let circuit = connected(&golden, &golden.pair(row), &everything(IG));
        let found = weights(&circuit);
        for pair in pairs {
            let (up, down) = (pair["up"].as_str().unwrap(), pair["down"].as_str().unwrap());
            let name = format!("edge.{up}->{down}");
            let places = golden.numbers(&format!("{name}.down_idx"));
            let all = golden.numbers(&format!("{name}.w"));
            let each = golden.examples.kept.len() * positions * (latents + 1);
            for (place, all) in places.chunks(3).zip(all.chunks(each)) {
                if place[0] as usize != row {
                    continue;
                }
                let to = node(site(down), place[1] as usize, place[2] as usize, latents);
                for (at, wanted) in all.iter().enumerate() {
                    let (from_row, rest) =
                        (at / (positions * (latents + 1)), at % (positions * (latents + 1)));
                    let from = node(site(up), rest / (latents + 1), rest % (latents + 1), latents);
                    let found = match from_row == row {
                        true => found.get(&(from, Some(to))).copied().unwrap_or(0.0),
                        // One pair has no edge to another.
                        false => 0.0,
                    };
                    let far = (found - wanted).abs();
                    assert!(far < TOLERANCE, "{from} -> {to} of pair {row}: off by {far:e}");
                    if wanted.abs() > 100.0 * TOLERANCE {
                        compared += 1;
                        from_error += usize::from(from.unit == Unit::Error);
                        to_error += usize::from(to.unit == Unit::Error);
                    }
                }
            }
        }
    }
    assert!(
        compared > 1000 && from_error > 50 && to_error > 50,
        "{compared} {from_error} {to_error}"
    );
}

/// The residual stream is the sum of what comes before it. Edges into a latent there that is active
/// on both prompts add up to its effect.
#[test]
fn edges_into_a_latent_of_the_residual_stream_add_up_to_its_effect() {
    let golden = Golden::open();
    for (aggregation, least) in [(Aggregation::PerPosition, 10), (Aggregation::Summed, 2)] {
        let spec = FindSpec { aggregation, ..everything(IG) };
        let circuit = connected(&golden, &golden.pair(0), &spec);
        let mut sums = BTreeMap::<Node, f64>::new();
        for ((_, to), weight) in weights(&circuit) {
            if let Some(to) = to {
                *sums.entry(to).or_default() += weight;
            }
        }
        let mut looked = 0;
        for kept in &circuit.nodes {
            let resid = matches!(kept.node.site, Site::Resid(_));
            if resid && kept.node.unit != Unit::Error && always_active(&golden, kept.node) {
                let sum = sums.get(&kept.node).copied().unwrap_or(0.0);
                let far = (sum - kept.effect.mean).abs();
                assert!(far < 2.0 * TOLERANCE, "{}: {sum} not {}", kept.node, kept.effect.mean);
                looked += 1;
            }
        }
        assert!(looked >= least, "{looked} were looked at");
    }
}

/// Whether a latent is active on both prompts of the first pair, wherever the node stands.
fn always_active(golden: &Golden, node: Node) -> bool {
    let Unit::Latent(latent) = node.unit else { return false };
    let name = node.site.to_string().replace('.', "_");
    let positions = golden.positions();
    let active = |which: &str, position: usize| {
        let all = golden.numbers(&format!("{which}.{name}.f"));
        all[position * golden.latents() + latent as usize] > 0.0
    };
    // Where the prompts are still the same nothing changes.
    let example = &golden.examples.kept[0];
    let first = example.first_difference().unwrap();
    let mut at = match node.position {
        Some(position) => (position as usize)..(position as usize + 1),
        None => first..positions,
    };
    at.all(|position| active("clean", position) && active("patch", position))
}

/// With nodes at a single site nothing lies between them and the metric: their direct effects on it
/// are their effects.
#[test]
fn past_no_nodes_the_direct_effect_is_the_effect() {
    for name in ["embed", "attn.0", "resid.0"] {
        let mut golden = Golden::open();
        let only: Site = name.parse().unwrap();
        golden.bases.sites.retain(|site, _| *site == only);
        let circuit = connected(&golden, &golden.examples, &everything(Method::Attribution));
        let found = weights(&circuit);
        assert!(found.keys().all(|(_, to)| to.is_none()));
        let effects = effects(&circuit);
        assert!(effects.len() > 20, "{}", effects.len());
        for (node, effect) in effects {
            let weight = found.get(&(node, None)).copied().unwrap_or(0.0);
            assert!((weight - effect).abs() < 1e-6, "{node}: {weight} not {effect}");
        }
    }
}

/// With the coordinates as nodes, an edge is a product of two derivatives and a change; summed over
/// all the sites that feed the residual stream they too are the effect.
#[test]
fn edges_between_coordinates_add_up() {
    let mut golden = Golden::open();
    golden.bases = Bases::neurons(&golden.model);
    let circuit = connected(&golden, &golden.pair(1), &everything(Method::Attribution));
    let mut sums = BTreeMap::<Node, f64>::new();
    for ((_, to), weight) in weights(&circuit) {
        if let Some(to) = to {
            *sums.entry(to).or_default() += weight;
        }
    }
    let mut looked = 0;
    for kept in &circuit.nodes {
        assert!(kept.node.unit != Unit::Error, "coordinates leave no error");
        if matches!(kept.node.site, Site::Resid(_)) {
            let sum = sums.get(&kept.node).copied().unwrap_or(0.0);
            assert!((sum - kept.effect.mean).abs() < TOLERANCE, "{}", kept.node);
            looked += 1;
        }
    }
    assert!(looked > 100);
}

#[test]
fn edges_of_another_task_or_other_dictionaries_are_refused() {
    let mut golden = Golden::open();
    let mut circuit = found(&golden, &golden.examples, &everything(Method::Attribution));
    let ctx = JobContext::<()>::unwatched();
    let other = golden.pair(0);
    let error = connect(&ctx, &golden.model, &golden.bases, &other, &mut circuit).unwrap_err();
    assert!(error.why.contains("pairs"), "{error}");
    golden.bases.sites.remove(&Site::Mlp(0));
    let error = connect(&ctx, &golden.model, &golden.bases, &golden.examples, &mut circuit);
    assert!(error.unwrap_err().why.contains("mlp.0"));
}
