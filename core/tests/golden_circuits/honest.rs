//! Effects against interventions, oracles of RelP, and what must not go wrong in silence.

use super::support::{Golden, TOLERANCE, effects, everything, found, numbers};
use candle_core::{DType, Tensor};
use sparsescope_core::circuits::{
    Aggregation, Bases, Change, Examples, FindSpec, Method, Metric, Node, Pool, Unit, connect, find,
};
use sparsescope_core::edits::{Dictionaries, Edit, Edits, Op, Positions};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Logits, Model, Plan, Rules, Site, Tokens, WhatGradients};
use sparsescope_core::sae::{Architecture, Sae};
use sparsescope_core::{Error, ErrorKind};
use std::collections::BTreeMap;
use std::sync::Arc;

fn dictionaries(golden: &Golden) -> Dictionaries {
    let sae = |site: &Site| Some((*site, golden.bases.sae(*site)?.clone()));
    golden.bases.sites.keys().filter_map(sae).collect()
}

/// F of the first pair under edits.
fn edited(golden: &Golden, edits: &[Edit]) -> f64 {
    let example = &golden.examples.kept[0];
    let edits = Edits::new(edits, &dictionaries(golden)).unwrap();
    let change = edits.changes();
    let plan = Plan { change: &change, logits: Logits::Last, ..Plan::default() };
    let tokens = Tokens::row(&example.clean).unwrap();
    let logits = numbers(&golden.model.forward(&tokens, &plan).unwrap().logits.unwrap());
    logits[example.right[0] as usize] - logits[example.wrong[0] as usize]
}

/// What the edit sets a latent to at a position.
fn patched(golden: &Golden, node: Node, latent: u32, position: usize) -> f32 {
    let name = node.site.to_string().replace('.', "_");
    let all = golden.numbers(&format!("patch.{name}.f"));
    all[position * golden.latents() + latent as usize] as f32
}

#[test]
fn exact_effects_are_those_of_edits() {
    let golden = Golden::open();
    let clean = edited(&golden, &[]);
    let spec = everything(Method::Exact);
    let cases = [
        FindSpec { aggregation: Aggregation::PerPosition, ..spec.clone() },
        FindSpec { aggregation: Aggregation::Summed, ..spec.clone() },
        FindSpec { aggregation: Aggregation::Summed, change: Change::Zero, ..spec.clone() },
        FindSpec {
            aggregation: Aggregation::PerPosition,
            change: Change::Zero,
            skip_positions: 2,
            ..spec
        },
    ];
    for spec in cases {
        let circuit = found(&golden, &golden.pair(0), &spec);
        let mut looked = 0;
        for kept in circuit.nodes.iter().step_by(7) {
            let Unit::Latent(latent) = kept.node.unit else { continue };
            let mut edits = Vec::new();
            for position in spec.skip_positions..golden.positions() {
                if kept.node.position.is_some_and(|p| p as usize != position) {
                    continue;
                }
                let op = match spec.change {
                    Change::Patch => Op::Set(patched(&golden, kept.node, latent, position)),
                    Change::Zero => Op::Ablate,
                };
                let positions = Positions::List(vec![position]);
                edits.push(Edit { site: kept.node.site, latent, positions, op });
            }
            let wanted = clean - edited(&golden, &edits);
            let far = (kept.effect.mean - wanted).abs();
            assert!(far < TOLERANCE, "{}: {} not {wanted}", kept.node, kept.effect.mean);
            looked += 1;
        }
        assert!(looked > 10, "{looked}");
    }
}

/// The audit of a node is the effect that exact patching gives it.
#[test]
fn the_audit_measures_the_greatest_nodes_exactly() {
    let golden = Golden::open();
    let exact = effects(&found(&golden, &golden.examples, &everything(Method::Exact)));
    let spec = FindSpec { audit: 15, ..everything(Method::Attribution) };
    let circuit = found(&golden, &golden.examples, &spec);
    let audited: Vec<_> = circuit.nodes.iter().filter(|n| n.exact.is_some()).collect();
    assert_eq!(audited.len(), 15);
    let least = audited.iter().map(|n| n.effect.mean.abs()).fold(f64::INFINITY, f64::min);
    for node in &circuit.nodes {
        assert!(node.exact.is_some() || node.effect.mean.abs() <= least);
        if let Some(found) = node.exact {
            assert!((found.mean - exact[&node.node]).abs() < TOLERANCE, "{}", node.node);
        }
    }
}

/// RelP by the other way round: from the logits down, with the same linearisation.
#[test]
fn relp_is_the_change_times_the_linearised_gradient() {
    let golden = Golden::open();
    let example = &golden.examples.kept[0];
    let circuit = found(&golden, &golden.pair(0), &everything(Method::Relp));
    let sites: Vec<Site> = golden.bases.sites.keys().copied().collect();
    let rules =
        Rules { freeze_norm: true, freeze_pattern: false, freeze_gate: true, halve_products: true };
    let run = |ids: &[u32]| {
        let plan = Plan { read: &sites, logits: Logits::Last, trace: true, ..Plan::default() };
        golden.model.forward(&Tokens::row(ids).unwrap(), &plan).unwrap()
    };
    let (clean, patch) = (run(&example.clean), run(example.patch.as_deref().unwrap()));
    let mut seed = vec![0f32; golden.model.config().vocab];
    seed[example.right[0] as usize] = 1.0;
    seed[example.wrong[0] as usize] = -1.0;
    let seed = Tensor::from_vec(seed, (1, golden.model.config().vocab), golden.model.device());
    let what = WhatGradients { sites: &sites, rules, ..WhatGradients::default() };
    let gradients = golden.model.backward(&clean, &seed.unwrap(), what).unwrap();
    let width = golden.model.config().width;
    let found = effects(&circuit);
    let mut total = 0.0;
    for site in sites {
        let sae = golden.bases.sae(site).unwrap();
        let x: Vec<f32> = numbers(&clean.sites[&site]).iter().map(|x| *x as f32).collect();
        let y: Vec<f32> = numbers(&patch.sites[&site]).iter().map(|x| *x as f32).collect();
        let g = numbers(&gradients.sites[&site]);
        let (f, f_patch) = (sae.encode(&x).unwrap(), sae.encode(&y).unwrap());
        let (made, made_patch) = (sae.decode(&f).unwrap(), sae.decode(&f_patch).unwrap());
        for position in 0..golden.positions() {
            let g = &g[position * width..][..width];
            let node = |unit| Node { site, position: Some(position as u32), unit };
            let check = |unit: Unit, wanted: f64| {
                let found = found.get(&node(unit)).copied().unwrap_or(0.0);
                assert!((found - wanted).abs() < TOLERANCE, "{}: {found} not {wanted}", node(unit));
            };
            for latent in 0..sae.latents() as u32 {
                let by = f.get(position, latent) - f_patch.get(position, latent);
                let along: f64 = sae
                    .direction(latent as usize)
                    .iter()
                    .zip(g)
                    .map(|(d, g)| f64::from(*d) * g)
                    .sum();
                check(Unit::Latent(latent), f64::from(by) * along);
            }
            let error: f64 = (0..width)
                .map(|c| {
                    let at = position * width + c;
                    let (e, e_patch) = (x[at] - made[at], y[at] - made_patch[at]);
                    f64::from(e - e_patch) * g[c]
                })
                .sum();
            check(Unit::Error, error);
            total += error.abs();
        }
    }
    assert!(total > 0.1);
}

/// Effects of all the nodes of a site add up to that of moving the site along the gradient.
#[test]
fn integrated_gradients_of_a_site_add_up_to_the_change_of_the_metric() {
    let golden = Golden::open();
    // With many steps the sum over all nodes of one site is F(clean) − F(that site patched); at the
    // embedding that is the whole patch prompt.
    let method = Method::IntegratedGradients { steps: 400 };
    let spec = FindSpec { method, ..everything(method) };
    for row in 0..2 {
        let circuit = found(&golden, &golden.pair(row), &spec);
        let sum: f64 = circuit
            .nodes
            .iter()
            .filter(|n| n.node.site == Site::Embed)
            .map(|n| n.effect.mean)
            .sum();
        let whole = circuit.clean.mean - circuit.patch.unwrap().mean;
        assert!((sum - whole).abs() < 0.02 * whole.abs().max(0.1), "{sum} not {whole}");
    }
}

#[test]
fn the_same_bits_with_any_number_of_threads_and_pairs_in_a_batch_of_their_own() {
    let golden = Golden::open();
    for method in [Method::Attribution, Method::IntegratedGradients { steps: 4 }, Method::Exact] {
        let spec = FindSpec {
            aggregation: Aggregation::Summed,
            node_threshold: 0.01,
            audit: 5,
            resamples: 20,
            ..everything(method)
        };
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let ctx = JobContext::<()>::unwatched();
                let (model, bases) = (&golden.model, &golden.bases);
                let mut circuit = find(&ctx, model, bases, &golden.examples, &spec).unwrap();
                connect(&ctx, model, bases, &golden.examples, &mut circuit).unwrap();
                circuit
            })
        };
        let one = run(1);
        assert!(!one.nodes.is_empty() && !one.edges.is_empty());
        assert!(one.stability.is_some());
        assert_eq!(one, run(3));
    }
}

/// Every kind of metric and every architecture of dictionary goes through all methods; an error is
/// the whole change less what latents make of it, so that all effects of a site add up.
#[test]
fn other_metrics_and_dictionaries() {
    let mut golden = Golden::open();
    let width = golden.model.config().width;
    let probe = Metric::Probe {
        site: Site::Resid(0),
        weights: (0..width).map(|i| (i as f32 * 0.7).sin()).collect(),
        bias: 0.1,
        pool: Pool::Mean,
    };
    let architectures = [
        Architecture::TopK { k: 4 },
        Architecture::BatchTopK { k: 4 },
        Architecture::named("jumprelu", 4).unwrap(),
        Architecture::Gated,
    ];
    let plain = dictionaries(&golden);
    for architecture in architectures {
        let made: Dictionaries = plain
            .iter()
            .map(|(site, sae)| (*site, Arc::new(rebuilt(sae, &architecture))))
            .collect();
        let sites: Vec<Site> = made.keys().copied().collect();
        golden.bases = Bases::new(&golden.model, &sites, &made).unwrap();
        for metric in [Metric::LogProbability, probe.clone()] {
            let spec = FindSpec { metric, ..everything(Method::Attribution) };
            let mut circuit = found(&golden, &golden.examples, &spec);
            let ctx = JobContext::<()>::unwatched();
            connect(&ctx, &golden.model, &golden.bases, &golden.examples, &mut circuit).unwrap();
            assert!(circuit.edges.iter().any(|e| e.to.is_some()), "{}", architecture.name());
            let top = spec.metric.site(&golden.model);
            assert!(circuit.nodes.iter().all(|n| n.node.site <= top));
            // What reaches the metric from the last site is linear for a probe: exact.
            if top == Site::Resid(0) {
                let sum: f64 = circuit
                    .nodes
                    .iter()
                    .filter(|n| n.node.site == top)
                    .map(|n| n.effect.mean)
                    .sum();
                let whole = circuit.clean.mean - circuit.patch.unwrap().mean;
                assert!((sum - whole).abs() < TOLERANCE, "{sum} not {whole}");
                let edges: f64 = circuit
                    .edges
                    .iter()
                    .filter(|e| e.to.is_none())
                    .map(|e| f64::from(e.weight))
                    .sum();
                assert!((edges - whole).abs() < TOLERANCE);
            }
        }
    }
}

fn rebuilt(sae: &Sae, architecture: &Architecture) -> Sae {
    let mut sae = Sae { architecture: architecture.clone(), ..sae.clone() };
    let m = sae.latents();
    match architecture {
        Architecture::BatchTopK { .. } => sae.extra.threshold = vec![0.2],
        Architecture::JumpRelu { .. } => sae.extra.threshold = vec![0.1; m],
        Architecture::Gated => {
            sae.extra.r_mag = (0..m).map(|i| 0.3 * (i as f32).sin()).collect();
            sae.extra.b_mag = vec![0.02; m];
        }
        _ => (),
    }
    sae.validate().unwrap();
    sae
}

/// For each architecture the edges into a latent are a finite difference of its encoder: the sum of
/// those into the residual stream's latents, where neither prompt changes which are active, is the
/// effect.
#[test]
fn encoders_of_every_architecture_are_differentiated() {
    let mut golden = Golden::open();
    let plain = dictionaries(&golden);
    for architecture in [
        Architecture::TopK { k: 6 },
        Architecture::named("jumprelu", 4).unwrap(),
        Architecture::Gated,
    ] {
        let made: Dictionaries = plain
            .iter()
            .map(|(site, sae)| (*site, Arc::new(rebuilt(sae, &architecture))))
            .collect();
        let sites: Vec<Site> = made.keys().copied().collect();
        golden.bases = Bases::new(&golden.model, &sites, &made).unwrap();
        let mut looked = 0;
        for row in 0..2 {
            let pair = golden.pair(row);
            let mut circuit = found(&golden, &pair, &everything(Method::Attribution));
            let ctx = JobContext::<()>::unwatched();
            connect(&ctx, &golden.model, &golden.bases, &pair, &mut circuit).unwrap();
            let mut sums = BTreeMap::<u32, f64>::new();
            for edge in &circuit.edges {
                if let Some(to) = edge.to {
                    *sums.entry(to).or_default() += f64::from(edge.weight);
                }
            }
            for (place, kept) in circuit.nodes.iter().enumerate() {
                let both = kept.clean > 0.0 && kept.patch > 0.0;
                let resid = matches!(kept.node.site, Site::Resid(_));
                if resid && both && kept.node.unit != Unit::Error {
                    let sum = sums.get(&(place as u32)).copied().unwrap_or(0.0);
                    let far = (sum - kept.effect.mean).abs();
                    assert!(far < 2.0 * TOLERANCE, "{}: {sum} not {}", kept.node, kept.effect.mean);
                    looked += 1;
                }
            }
        }
        assert!(looked > 3, "{}: {looked}", architecture.name());
    }
}

fn failed(model: &Model, golden: &Golden) -> Error {
    let ctx = JobContext::<()>::unwatched();
    let spec = everything(Method::Attribution);
    find(&ctx, model, &golden.bases, &golden.examples, &spec).unwrap_err()
}

#[test]
fn a_nan_is_named_with_the_site_where_it_arises() {
    let golden = Golden::open();
    let weights = golden.model.weights().unwrap();
    for (name, site) in [
        ("model.layers.1.self_attn.o_proj.weight", "attn.1"),
        ("model.layers.0.mlp.down_proj.weight", "mlp.0"),
    ] {
        let mut broken = weights.clone();
        let nan = Tensor::full(f32::NAN, weights[name].dims(), golden.model.device()).unwrap();
        broken.insert(name.to_owned(), nan);
        let config = golden.model.config().clone();
        let model = Model::from_weights(config, &broken, None).unwrap();
        let error = failed(&model, &golden);
        assert_eq!(error.kind, ErrorKind::Numeric);
        assert!(error.what.contains(site), "{error}");
    }
}

#[test]
fn a_job_that_was_stopped_ends() {
    let golden = Golden::open();
    let ctx = JobContext::<()>::unwatched();
    let (model, bases, examples) = (&golden.model, &golden.bases, &golden.examples);
    let spec = everything(Method::Attribution);
    let mut circuit = find(&ctx, model, bases, examples, &spec).unwrap();
    ctx.cancel("enough");
    assert!(find(&ctx, model, bases, examples, &spec).unwrap_err().is_cancelled());
    assert!(connect(&ctx, model, bases, examples, &mut circuit).unwrap_err().is_cancelled());
}

#[test]
fn settings_without_sense_are_refused() {
    let golden = Golden::open();
    let ctx = JobContext::<()>::unwatched();
    let run = |bases: &Bases, examples: &Examples, spec: &FindSpec| {
        find(&ctx, &golden.model, bases, examples, spec).unwrap_err()
    };
    let spec = everything(Method::Attribution);
    let nan = FindSpec { node_threshold: f32::NAN, ..spec.clone() };
    assert!(run(&golden.bases, &golden.examples, &nan).why.contains("NaN"));
    assert!(run(&golden.bases, &Examples::default(), &spec).what.contains("No pair"));
    assert!(run(&Bases::default(), &golden.examples, &spec).what.contains("no nodes"));
}

#[test]
fn circuits_in_double_precision_are_those_in_single() {
    let golden = Golden::open();
    let folder = super::support::folder().join("llama_a");
    let double = Model::open_as(&folder, DType::F64, golden.model.device()).unwrap();
    let ctx = JobContext::<()>::unwatched();
    let spec = everything(Method::IntegratedGradients { steps: 3 });
    let narrow = effects(&found(&golden, &golden.examples, &spec));
    let wide = find(&ctx, &double, &golden.bases, &golden.examples, &spec).unwrap();
    for (node, effect) in effects(&wide) {
        let other = narrow.get(&node).copied().unwrap_or(0.0);
        assert!((effect - other).abs() < TOLERANCE, "{node}");
    }
}
