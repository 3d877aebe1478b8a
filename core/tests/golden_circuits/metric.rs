//! Metrics and their gradients, in f64 by finite differences.

use super::support::{folder, numbers};
use candle_core::{DType, Device, Tensor};
use sparsescope_core::circuits::{Example, Gauge, Metric, Pool};
use sparsescope_core::llama::{Logits, Model, Plan, Rules, Site, Start, Tokens};

const POSITIONS: usize = 5;

fn example(right: &[u32], wrong: &[u32], negate: bool) -> Example {
    Example {
        pair: 0,
        clean: vec![1; POSITIONS],
        patch: None,
        right: right.to_vec(),
        wrong: wrong.to_vec(),
        negate,
        case: String::new(),
    }
}

fn noise(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn model() -> Model {
    Model::open_as(&folder().join("llama_a"), DType::F64, &Device::Cpu).unwrap()
}

fn tensor(values: Vec<f64>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

#[test]
fn the_gradient_of_each_metric() {
    let model = model();
    let width = model.config().width;
    let examples = [example(&[3], &[7], false), example(&[5, 9, 11], &[7, 3], true)];
    let examples: Vec<&Example> = examples.iter().collect();
    let probe = |site, pool| Metric::Probe {
        site,
        weights: noise(1, width).into_iter().map(|w| w as f32).collect(),
        bias: 0.25,
        pool,
    };
    let metrics = [
        Metric::LogitDifference,
        Metric::LogProbability,
        probe(Site::Mlp(0), Pool::Mean),
        probe(Site::Resid(1), Pool::Last),
    ];
    for metric in metrics {
        let before = tensor(noise(2, 2 * 3 * width), &[2, 3, width]);
        let gauge = Gauge::new(&model, &metric, &examples).unwrap().behind(&before).unwrap();
        // Three rows, the second example twice.
        let of = [1, 0, 1];
        let shape = [3, POSITIONS, width];
        let x = noise(3, 3 * POSITIONS * width);
        let along = noise(4, x.len());
        let (values, gradient) =
            gauge.gradients(&tensor(x.clone(), &shape), &of, &Rules::default()).unwrap();
        assert_eq!(values, gauge.values(&tensor(x.clone(), &shape), &of).unwrap());
        let gradient = numbers(&gradient);
        let at = |row: usize, step: f64| {
            let moved = x.iter().zip(&along).map(|(x, d)| x + step * d).collect();
            gauge.values(&tensor(moved, &shape), &of).unwrap()[row]
        };
        let each = POSITIONS * width;
        for row in 0..3 {
            let numeric = (at(row, 1e-5) - at(row, -1e-5)) / 2e-5;
            let span = row * each..(row + 1) * each;
            let found: f64 =
                gradient[span.clone()].iter().zip(&along[span]).map(|(g, d)| g * d).sum();
            assert!((found - numeric).abs() < 1e-7, "{}: {found} not {numeric}", metric.name());
        }
    }
}

#[test]
fn values_are_those_of_the_logits() {
    let model = model();
    let (width, vocab) = (model.config().width, model.config().vocab);
    let x = tensor(noise(5, 2 * POSITIONS * width), &[2, POSITIONS, width]);
    let top = Site::Resid(model.config().layers - 1);
    let tokens = Tokens::new(vec![1; 2 * POSITIONS], 2, POSITIONS).unwrap();
    let start = Start { site: top, value: &x, beside: None };
    let plan = Plan { start: Some(start), logits: Logits::Last, ..Plan::default() };
    let logits = numbers(&model.forward(&tokens, &plan).unwrap().logits.unwrap());
    let examples = [example(&[3, 4], &[7], false), example(&[5], &[8, 9], false)];
    let examples: Vec<&Example> = examples.iter().collect();
    let together = |row: usize, ids: &mut dyn Iterator<Item = usize>| {
        ids.map(|i| logits[row * vocab + i].exp()).sum::<f64>().ln()
    };
    let gauge = Gauge::new(&model, &Metric::LogitDifference, &examples).unwrap();
    let found = gauge.values(&x, &[0, 1]).unwrap();
    let wanted = [
        together(0, &mut [3, 4].into_iter()) - logits[7],
        logits[vocab + 5] - together(1, &mut [8, 9].into_iter()),
    ];
    let probability = Gauge::new(&model, &Metric::LogProbability, &examples).unwrap();
    let logs = probability.values(&x, &[0, 1]).unwrap();
    for row in 0..2 {
        assert!((found[row] - wanted[row]).abs() < 1e-12);
        let right: Vec<usize> = examples[row].right.iter().map(|t| *t as usize).collect();
        let wanted = together(row, &mut right.into_iter()) - together(row, &mut (0..vocab));
        assert!((logs[row] - wanted).abs() < 1e-12);
    }
}

/// A probe that reads the mean takes the positions before those given into account; one whose
/// clean answer is `-` counts the other way.
#[test]
fn a_probe_of_the_mean_over_a_prefix() {
    let model = model();
    let width = model.config().width;
    let weights: Vec<f32> = noise(1, width).into_iter().map(|w| w as f32).collect();
    let metric =
        Metric::Probe { site: Site::Embed, weights: weights.clone(), bias: 0.5, pool: Pool::Mean };
    let examples = [example(&[], &[], false), example(&[], &[], true)];
    let examples: Vec<&Example> = examples.iter().collect();
    let all = noise(6, 2 * 4 * width);
    let whole = tensor(all.clone(), &[2, 4, width]);
    let (before, rest) =
        (whole.narrow(1, 0, 3).unwrap(), whole.narrow(1, 3, 1).unwrap().contiguous().unwrap());
    let gauge = Gauge::new(&model, &metric, &examples).unwrap();
    let found = gauge.values(&whole, &[0, 1]).unwrap();
    let behind = gauge.behind(&before).unwrap().values(&rest, &[0, 1]).unwrap();
    for (row, sign) in [(0, 1.0), (1, -1.0)] {
        let rows = all[row * 4 * width..][..4 * width].chunks(width);
        let sum: f64 =
            rows.map(|x| x.iter().zip(&weights).map(|(x, w)| x * f64::from(*w)).sum::<f64>()).sum();
        let wanted = sign * (sum / 4.0 + 0.5);
        assert!((found[row] - wanted).abs() < 1e-12 && (behind[row] - wanted).abs() < 1e-12);
    }
    let narrow =
        Metric::Probe { site: Site::Embed, weights: vec![1.0; 3], bias: 0.0, pool: Pool::Last };
    assert!(Gauge::new(&model, &narrow, &examples).is_err());
    assert!(Gauge::new(&model, &Metric::LogitDifference, &examples).is_err(), "no answers");
}
