//! States and node effects.

use super::support::{Golden, TOLERANCE, effects, everything, found, node, site};
use sparsescope_core::activations::numbers;
use sparsescope_core::circuits::{Aggregation, FindSpec, Method, Node};
use sparsescope_core::llama::{Plan, Site, Tokens};

#[test]
fn latents_and_errors_of_both_prompts() {
    let golden = Golden::open();
    let sites = Site::all(golden.model.config().layers);
    let clean: Vec<&[u32]> = golden.examples.kept.iter().map(|e| &e.clean[..]).collect();
    let patch: Vec<&[u32]> =
        golden.examples.kept.iter().map(|e| e.patch.as_deref().unwrap()).collect();
    for (which, rows) in [("clean", clean), ("patch", patch)] {
        let plan = Plan { read: &sites, ..Plan::default() };
        let pass = golden.model.forward(&Tokens::rows(&rows).unwrap(), &plan).unwrap();
        for name in golden.names() {
            let x = numbers(&pass.sites[&site(&name)]).unwrap();
            let sae = golden.bases.sae(site(&name)).unwrap();
            let latents = sae.encode(&x).unwrap();
            let made = sae.decode(&latents).unwrap();
            let error: Vec<f32> = x.iter().zip(&made).map(|(x, m)| x - m).collect();
            for (part, found) in [("f", latents.to_dense()), ("err", error)] {
                let wanted = golden.numbers(&format!("{which}.{name}.{part}"));
                assert_eq!(found.len(), wanted.len());
                for (found, wanted) in found.iter().zip(wanted) {
                    let far = (f64::from(*found) - wanted).abs();
                    assert!(far < TOLERANCE, "{which} {name} {part}: off by {far:e}");
                }
            }
        }
    }
}

/// Every latent and every error at every position, of both pairs.
fn compare(method: Method, name: &str) {
    let golden = Golden::open();
    let (positions, latents) = (golden.positions(), golden.latents());
    for row in 0..golden.examples.kept.len() {
        let circuit = found(&golden, &golden.pair(row), &everything(method));
        let clean = golden.numbers("metric_clean")[row];
        let patch = golden.numbers("metric_patch")[row];
        assert!((circuit.clean.mean + clean).abs() < TOLERANCE);
        assert!((circuit.patch.unwrap().mean + patch).abs() < TOLERANCE);
        let found = effects(&circuit);
        let mut seen = 0;
        for sub in golden.names() {
            let act = golden.numbers(&format!("{name}.{sub}.act"));
            let err = golden.numbers(&format!("{name}.{sub}.err"));
            for position in 0..positions {
                for unit in 0..=latents {
                    let place = row * positions + position;
                    let wanted =
                        if unit == latents { err[place] } else { act[place * latents + unit] };
                    let node = node(site(&sub), position, unit, latents);
                    let found = found.get(&node).copied();
                    seen += usize::from(found.is_some());
                    let far = (found.unwrap_or(0.0) - wanted).abs();
                    assert!(far < TOLERANCE, "{name} {node} of pair {row}: off by {far:e}");
                }
            }
        }
        assert_eq!(seen, found.len());
        assert!(seen > 300, "{seen} nodes have an effect");
    }
}

#[test]
fn attribution_patching() {
    compare(Method::Attribution, "attrib");
}

#[test]
fn integrated_gradients() {
    compare(Method::IntegratedGradients { steps: 10 }, "ig");
}

#[test]
fn exact_patching() {
    compare(Method::Exact, "exact");
}

/// Summed over positions and averaged over the pairs: sums and means of the same numbers.
#[test]
fn summed_and_averaged() {
    let golden = Golden::open();
    let (positions, latents) = (golden.positions(), golden.latents());
    let method = Method::IntegratedGradients { steps: 10 };
    let all = found(&golden, &golden.examples, &everything(method));
    let spec = FindSpec { aggregation: Aggregation::Summed, ..everything(method) };
    let summed = found(&golden, &golden.examples, &spec);
    let pairs = golden.examples.kept.len() as f64;
    for sub in golden.names() {
        let act = golden.numbers(&format!("ig.{sub}.act"));
        let err = golden.numbers(&format!("ig.{sub}.err"));
        for unit in 0..=latents {
            let value = |row: usize, position: usize| {
                let place = row * positions + position;
                if unit == latents { err[place] } else { act[place * latents + unit] }
            };
            let rows = 0..golden.examples.kept.len();
            let mut total = 0.0;
            for position in 0..positions {
                let mean: f64 = rows.clone().map(|row| value(row, position)).sum::<f64>() / pairs;
                total += mean;
                let node = node(site(&sub), position, unit, latents);
                let found = effects(&all).get(&node).copied().unwrap_or(0.0);
                assert!((found - mean).abs() < TOLERANCE, "{node}");
            }
            let node = Node { position: None, ..node(site(&sub), 0, unit, latents) };
            let found = summed.nodes.iter().find(|n| n.node == node);
            let estimate = found.map(|n| n.effect).unwrap_or_default();
            assert!((estimate.mean - total).abs() < TOLERANCE, "{node}");
            // Of two numbers the standard error of the mean is half of their distance.
            let sums: Vec<f64> =
                rows.map(|row| (0..positions).map(|p| value(row, p)).sum()).collect();
            let error = (sums[0] - sums[1]).abs() / 2.0;
            assert!((estimate.error - error).abs() < 2.0 * TOLERANCE, "{node}");
        }
    }
}
