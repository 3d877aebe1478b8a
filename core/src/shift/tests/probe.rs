use super::*;
use crate::circuits::{Example, Gauge};
use crate::shift::testing::world;
use rand::Rng;

fn ctx() -> JobContext<()> {
    JobContext::unwatched()
}

/// Rows of which the first number tells the label.
fn rows(n: usize) -> (Pooled, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let labels: Vec<usize> = (0..n).map(|i| i % 2).collect();
    let values = labels
        .iter()
        .flat_map(|label| {
            let side = if *label == 0 { 1.0 } else { -1.0 };
            [side + rng.random_range(-0.5..0.5), rng.random_range(-1.0..1.0), 0.3]
        })
        .collect();
    (Pooled::new(3, values), labels)
}

/// AdamW as PyTorch's documentation writes it, one number after another.
#[test]
fn training_is_adamw() {
    let (x, labels) = rows(40);
    let spec =
        ProbeSpec { batch: 7, epochs: 3, weight_decay: 0.1, seed: 3, ..ProbeSpec::default() };
    let found = fit(&x, &labels, &spec, &|| Ok(())).unwrap();
    let mut theta = [0.0f64; 4];
    let (mut first, mut second) = ([0.0f64; 4], [0.0f64; 4]);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut order: Vec<usize> = (0..40).collect();
    let mut t = 0;
    for _ in 0..3 {
        order.shuffle(&mut rng);
        for batch in order.chunks(7) {
            t += 1;
            let gradient: Vec<f64> = (0..4)
                .map(|k| {
                    let each = batch.iter().map(|i| {
                        let row = [x.row(*i)[0], x.row(*i)[1], x.row(*i)[2], 1.0];
                        let z: f64 = (0..4).map(|j| row[j] * theta[j]).sum();
                        let y = if labels[*i] == 0 { 1.0 } else { 0.0 };
                        (1.0 / (1.0 + (-z).exp()) - y) * row[k]
                    });
                    each.sum::<f64>() / batch.len() as f64
                })
                .collect();
            for k in 0..4 {
                first[k] = 0.9 * first[k] + 0.1 * gradient[k];
                second[k] = 0.999 * second[k] + 0.001 * gradient[k] * gradient[k];
                let m = first[k] / (1.0 - 0.9f64.powi(t));
                let v = second[k] / (1.0 - 0.999f64.powi(t));
                theta[k] = theta[k] * (1.0 - 0.01 * 0.1) - 0.01 * m / (v.sqrt() + 1e-8);
            }
        }
    }
    for (found, wanted) in found.weights.iter().chain([&found.bias]).zip(theta) {
        assert!((found - wanted).abs() < 1e-10, "{found} {wanted}");
    }
}

#[test]
fn what_can_be_told_is_learnt() {
    let (x, labels) = rows(400);
    let texts: Vec<Text> = labels
        .iter()
        .map(|label| Text { item: 0, tokens: vec![1], label: *label, spurious: *label })
        .collect();
    let spec = ProbeSpec { epochs: 5, ..ProbeSpec::default() };
    let probe = Probe::train(&ctx(), &x, &texts, &spec).unwrap();
    assert_eq!((probe.train_accuracy, probe.texts, probe.steps), (1.0, 400, 65));
    assert!(probe.weights[0] > 2.0 * probe.weights[1].abs(), "{probe:?}");
    assert_eq!(probe.right(&x, &texts), vec![1.0; 400]);
    assert_eq!(Probe::train(&ctx(), &x, &texts, &spec).unwrap(), probe);
}

#[test]
fn its_log_odds_are_those_of_the_metric() {
    let w = world();
    let texts = &w.split.ambiguous;
    let spec = ProbeSpec { site: Site::Resid(1), epochs: 4, ..ProbeSpec::default() };
    let probe = train_probe(&ctx(), &w.model, &w.bases, texts, &[], &spec).unwrap();
    let x = pooled_at(&w.model, texts, probe.site, &[], 24, &|| Ok(())).unwrap();
    for (text, logit) in texts.iter().zip(probe.logits(&x)) {
        let negate = text.label == 1;
        let clean = text.tokens.clone();
        let example = Example {
            pair: 0,
            clean,
            patch: None,
            right: vec![],
            wrong: vec![],
            negate,
            case: String::new(),
        };
        let gauge = Gauge::new(&w.model, &probe.metric(), &[&example]).unwrap();
        let tokens = crate::llama::Tokens::row(&text.tokens).unwrap();
        let read = [probe.site];
        let plan = crate::llama::Plan { read: &read, ..Default::default() };
        let pass = w.model.forward(&tokens, &plan).unwrap();
        let value = gauge.values(&pass.sites[&probe.site], &[0]).unwrap()[0];
        let wanted = if negate { -logit } else { logit };
        assert!((value - wanted).abs() < 1e-5, "{value} {wanted}");
        assert_eq!(answer(logit) == text.label, value > 0.0);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (x, _) = rows(6);
    let said = |labels: &[usize], spec: &ProbeSpec| {
        fit(&x, labels, spec, &|| Ok(())).unwrap_err().to_string()
    };
    let good = [0, 1, 0, 1, 0, 1];
    assert!(said(&[0; 6], &ProbeSpec::default()).contains("classes"));
    for spec in [
        ProbeSpec { learning_rate: 0.0, ..ProbeSpec::default() },
        ProbeSpec { learning_rate: f64::NAN, ..ProbeSpec::default() },
        ProbeSpec { epochs: 0, ..ProbeSpec::default() },
        ProbeSpec { batch: 0, ..ProbeSpec::default() },
        ProbeSpec { weight_decay: -1.0, ..ProbeSpec::default() },
    ] {
        said(&good, &spec);
    }
    let wild = Pooled::new(1, vec![f64::NAN; 6]);
    let error = fit(&wild, &good, &ProbeSpec::default(), &|| Ok(())).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Numeric);
}

#[test]
fn no_weights_know_no_answer_but_give_one() {
    assert_eq!((answer(0.1), answer(0.0), answer(-0.1)), (0, 1, 1));
    // ln 2 where nothing is known; nothing overflows where much is.
    assert!((loss(0.0, 0) - 2f64.ln()).abs() < 1e-12);
    assert!((loss(800.0, 1) - 800.0).abs() < 1e-9 && loss(800.0, 0) < 1e-9);
}
