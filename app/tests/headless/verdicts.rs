//! A verdict to draw.

use sparsescope::state::State;
use sparsescope::work::verdict::{Asked, Judged};
use sparsescope_core::circuits::{
    Accuracy, Circuit, CurvePoint, Cut, Estimate, JudgeSpec, PairVerdict, RandomPoint, Verdict,
};
use sparsescope_core::llama::NextToken;
use std::sync::Arc;
use std::time::Duration;

fn estimate(mean: f64, error: f64) -> Estimate {
    Estimate { mean, error }
}

fn next(list: &[(&str, f64)]) -> Vec<NextToken> {
    let token = |(i, (text, probability)): (usize, &(&str, f64))| NextToken {
        id: i as u32,
        text: (*text).to_owned(),
        logit: 9.0 + probability.ln() as f32,
        probability: *probability,
    };
    list.iter().enumerate().map(token).collect()
}

/// The verdict on `circuit`, without a cut.
pub fn judge(state: &mut State, circuit: &Circuit) {
    put(state, circuit, Vec::new());
}

/// The verdict with these cuts.
pub fn cut(state: &mut State, cuts: Vec<Cut>) {
    let circuit = state.circuit.circuit.clone().unwrap();
    put(state, &circuit, cuts);
}

fn put(state: &mut State, circuit: &Circuit, cuts: Vec<Cut>) {
    let bare = cuts.is_empty();
    let model = [(" are", 0.61), (" have", 0.14), (" were", 0.11), (" see", 0.03), (" is", 0.01)];
    let without = [(" is", 0.33), (" are", 0.27), (" has", 0.10), (" was", 0.09), (" were", 0.05)];
    let alone = [(" are", 0.44), (" were", 0.21), (" is", 0.07), (" have", 0.06), (" the", 0.02)];
    let pair = PairVerdict {
        pair: 3,
        model: 4.11,
        cut_model: if bare { 4.11 } else { -0.2 },
        circuit: if bare { 3.4 } else { 0.31 },
        next: next(&model),
        next_cut: next(if bare { &model } else { &without }),
        next_circuit: next(if bare { &alone } else { &without }),
    };
    let verdict = Verdict {
        nodes: circuit.nodes.len(),
        model: estimate(3.121, 0.112),
        cut_model: if bare { estimate(3.121, 0.112) } else { estimate(0.842, 0.204) },
        circuit: if bare { estimate(2.488, 0.131) } else { estimate(0.517, 0.188) },
        uncut_circuit: estimate(2.488, 0.131),
        empty: estimate(-0.194, 0.087),
        complement: estimate(0.356, 0.144),
        faithfulness: Some(if bare { estimate(0.81, 0.03) } else { estimate(0.21, 0.06) }),
        uncut_faithfulness: Some(estimate(0.81, 0.03)),
        completeness: Some(estimate(0.17, 0.05)),
        accuracy: Accuracy {
            model: 1.0,
            cut_model: if bare { 1.0 } else { 0.65 },
            circuit: if bare { 0.975 } else { 0.6 },
            uncut_circuit: 0.975,
            empty: 0.45,
        },
        pairs: vec![pair; 40],
        cuts: cuts.clone(),
    };
    let asked = Asked {
        version: state.circuit.version,
        spec: JudgeSpec::default(),
        nodes: circuit.nodes.iter().map(|node| node.node).collect(),
        cuts,
    };
    let prompt = ("The keys that the man saw".to_owned(), " are".to_owned());
    state.circuit.verdict.judged = Some(Arc::new(Judged {
        asked,
        verdict,
        prompts: vec![prompt; 40],
        held_out: true,
        doubts: Vec::new(),
        took: Duration::from_micros(21_400),
    }));
}

/// Curves of circuits of every size.
pub fn curves(state: &mut State) {
    let point = |n: usize, faithfulness: f64, completeness: f64| CurvePoint {
        nodes: n,
        value: estimate(3.0 * faithfulness, 0.1),
        faithfulness: Some(estimate(faithfulness, 0.04)),
        completeness: Some(estimate(completeness, 0.05)),
    };
    let sizes = [1usize, 2, 3, 5, 8, 13, 21, 34, 55, 90];
    let rising = |n: usize, half: f64| n as f64 / (n as f64 + half);
    let curves = &mut state.circuit.verdict.curves;
    curves.of = Some((state.circuit.version, JudgeSpec::default()));
    curves.features =
        sizes.iter().map(|n| point(*n, rising(*n, 9.0), 1.0 - rising(*n, 6.0))).collect();
    curves.neurons = sizes
        .iter()
        .chain(&[150, 260, 500, 1000])
        .map(|n| point(*n, rising(*n, 160.0), 1.0 - rising(*n, 120.0)))
        .collect();
    curves.random = [1usize, 3, 8, 21, 55, 90]
        .iter()
        .map(|n| RandomPoint {
            nodes: *n,
            draws: Vec::new(),
            faithfulness: Some(estimate(0.0008 * *n as f64, 0.02)),
        })
        .collect();
}
