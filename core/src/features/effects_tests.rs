//! Effects and prompt readings against the slow and obvious.

use super::{PromptSpec, logit_effects, read_latent, read_prompt};
use crate::activations::site_output;
use crate::activations::testing::{tiny_model, tiny_sae};
use crate::edits::{Replace, Shift};
use crate::error::ErrorKind;
use crate::llama::{Change, Logits, Model, Plan, Site, Tokens, next_token_nll};
use crate::sae::Sae;
use candle_core::{DType, Tensor};
use std::sync::Arc;

const SITE: Site = Site::Resid(0);

fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{a} is not {b}");
}

fn values(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// W_U (γ ⊙ d) by two loops in f64.
fn unembedded(model: &Model, d: &[f32]) -> Vec<f64> {
    let weights = model.weights().unwrap();
    let norm = values(&weights["model.norm.weight"]);
    let head = values(&weights["model.embed_tokens.weight"]);
    head.chunks(norm.len())
        .map(|row| row.iter().zip(&norm).zip(d).map(|((w, g), d)| w * g * f64::from(*d)).sum())
        .collect()
}

#[test]
fn logit_effects_are_those_of_the_full_product() {
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 24]));
    for latent in 0..24 {
        let (activation, scale) = (1.5, 0.7);
        let got = logit_effects(&model, &sae, latent, activation, scale, 43).unwrap();
        let raw = unembedded(&model, sae.direction(latent as usize));
        let mean = raw.iter().sum::<f64>() / raw.len() as f64;
        let want: Vec<f64> =
            raw.iter().map(|v| (v - mean) * f64::from(activation) * f64::from(scale)).collect();
        let mut order: Vec<u32> = (0..43).collect();
        order.sort_by(|a, b| want[*b as usize].total_cmp(&want[*a as usize]));
        assert_eq!(got.promoted.iter().map(|t| t.id).collect::<Vec<_>>(), order);
        assert_eq!(
            got.suppressed.iter().map(|t| t.id).collect::<Vec<_>>(),
            order.iter().rev().copied().collect::<Vec<_>>()
        );
        for token in &got.promoted {
            near(f64::from(token.effect), want[token.id as usize], 1e-5);
        }
        assert_eq!(got.counts.iter().sum::<u64>(), 43);
        assert_eq!((got.promoted[0].effect, got.suppressed[0].effect), (got.range.1, got.range.0));
        assert!(got.counts[0] > 0 && got.counts[got.counts.len() - 1] > 0);
    }
    let few = logit_effects(&model, &sae, 3, 1.0, 1.0, 5).unwrap();
    assert_eq!((few.promoted.len(), few.suppressed.len()), (5, 5));
}

/// −log p of the next tokens with `change` at the site, every logit at once.
fn nll(model: &Model, row: &[u32], change: Option<&dyn Change>) -> Vec<f64> {
    let tokens = Tokens::row(row).unwrap();
    let changes: Vec<(Site, &dyn Change)> = change.into_iter().map(|c| (SITE, c)).collect();
    let plan = Plan { change: &changes, logits: Logits::All, ..Plan::default() };
    let pass = model.forward(&tokens, &plan).unwrap();
    next_token_nll(&pass.logits.unwrap(), &tokens).unwrap()
}

fn site(model: &Model, row: &[u32]) -> Vec<f32> {
    let plan = Plan { read: &[SITE], ..Plan::default() };
    site_output(&model.forward(&Tokens::row(row).unwrap(), &plan).unwrap(), SITE).unwrap()
}

#[test]
fn what_follows_is_judged_by_taking_the_latent_away() {
    let (model, sae) = (tiny_model(), Arc::new(tiny_sae(&[16, 24])));
    let rows: Vec<Vec<u32>> =
        vec![vec![0, 5, 9, 14, 3, 22], vec![0, 7], vec![], vec![0, 30, 31, 32, 33, 34, 35, 36]];
    let mut fired = 0;
    for latent in 0..24 {
        let mut got = Vec::new();
        read_latent(&model, &sae, SITE, latent, &rows, &|| Ok(()), &mut |i, reading| {
            assert_eq!(i, got.len());
            got.push(reading);
        })
        .unwrap();
        assert_eq!(got.len(), rows.len());
        for (row, reading) in rows.iter().zip(&got).filter(|(row, _)| !row.is_empty()) {
            let mut x = site(&model, row);
            let dense = sae.encode(&x).unwrap().to_dense();
            let f: Vec<f32> = dense.chunks(24).map(|f| f[latent as usize]).collect();
            assert_eq!(reading.activations, f);
            fired += usize::from(f.iter().any(|f| *f > 0.0));
            for (x, f) in x.chunks_mut(16).zip(&f) {
                let d = sae.direction(latent as usize);
                x.iter_mut().zip(d).for_each(|(x, d)| *x -= f * d);
            }
            let x = Tensor::from_vec(x, (1, row.len(), 16), model.device()).unwrap();
            let (clean, cut) = (nll(&model, row, None), nll(&model, row, Some(&Replace(x))));
            assert_eq!(reading.next.len(), row.len() - 1);
            for ((got, clean), cut) in reading.next.iter().zip(clean).zip(cut) {
                near(f64::from(*got), cut - clean, 1e-4);
            }
        }
    }
    assert!(fired > 10, "only {fired} latents fired somewhere");
}

/// The metric with `by` times latent `latent` added at `position` of the site.
fn metric(
    model: &Model,
    sae: &Sae,
    ids: &[u32],
    latent: u32,
    position: usize,
    by: f32,
) -> Vec<f64> {
    let add = sae.direction(latent as usize).iter().map(|d| by * d).collect();
    let shift = Shift { rows: vec![(position, add)] };
    let changes: [(Site, &dyn Change); 1] = [(SITE, &shift)];
    let plan = Plan { change: &changes, logits: Logits::All, ..Plan::default() };
    let pass = model.forward(&Tokens::row(ids).unwrap(), &plan).unwrap();
    values(&pass.logits.unwrap())
}

#[test]
fn attribution_is_the_slope_of_the_metric() {
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 24]));
    let text = "w4 w11 w25 w3 w17 w39".to_owned();
    for (position, target, against) in
        [(None, None, None), (Some(3), Some(9), Some(30)), (Some(5), Some(2), None)]
    {
        let spec = PromptSpec { text: text.clone(), position, target, against };
        let got = read_prompt(&model, &sae, SITE, &spec, &|| Ok(())).unwrap();
        let ids: Vec<u32> = got.tokens.iter().map(|t| t.0).collect();
        assert_eq!(ids, [0, 7, 14, 28, 6, 20, 42]);
        assert_eq!((got.first, got.cut, got.position), (1, 0, position.unwrap_or(6)));
        let of = |logits: Vec<f64>| {
            let row = &logits[got.position * 43..][..43];
            let other = match against {
                Some(id) => row[id as usize],
                None => row.iter().sum::<f64>() / 43.0,
            };
            row[got.target.id as usize] - other
        };
        near(f64::from(got.metric), of(metric(&model, &sae, &ids, 0, 1, 0.0)), 1e-5);
        let dense = sae.encode(&site(&model, &ids)).unwrap().to_dense();
        let active = dense[24..].iter().filter(|f| **f != 0.0).count();
        assert_eq!(got.fired.len(), active, "every latent but BOS's is counted");
        let mut moved = 0;
        for fired in &got.fired {
            let (at, latent) = (fired.position as usize, fired.latent);
            assert_eq!(fired.activation, dense[at * 24 + latent as usize]);
            let h = 0.02;
            let more = of(metric(&model, &sae, &ids, latent, at, fired.activation * h));
            let less = of(metric(&model, &sae, &ids, latent, at, -fired.activation * h));
            let slope = (more - less) / (2.0 * f64::from(h));
            near(f64::from(fired.attribution), slope, 3e-3);
            moved += usize::from(slope.abs() > 0.01);
            assert!(at <= got.position || fired.attribution == 0.0);
        }
        assert!(moved > 5);
    }
}

#[test]
fn the_direct_effect_is_the_path_past_all_later_blocks() {
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 24]));
    let spec = PromptSpec { text: "w4 w11 w25".to_owned(), ..PromptSpec::default() };
    let got = read_prompt(&model, &sae, SITE, &spec, &|| Ok(())).unwrap();
    let ids: Vec<u32> = got.tokens.iter().map(|t| t.0).collect();
    let last = [Site::Resid(1)];
    let plan = Plan { read: &last, ..Plan::default() };
    let pass = model.forward(&Tokens::row(&ids).unwrap(), &plan).unwrap();
    let x = values(&pass.sites[&Site::Resid(1)]);
    let row = &x[got.position * 16..][..16];
    let rms = (row.iter().map(|v| v * v).sum::<f64>() / 16.0 + 1e-5).sqrt();
    let mut seen = 0;
    for fired in &got.fired {
        let raw = unembedded(&model, sae.direction(fired.latent as usize));
        let mean = raw.iter().sum::<f64>() / 43.0;
        let direct = f64::from(fired.activation) * (raw[got.target.id as usize] - mean) / rms;
        let want = if fired.position as usize == got.position { direct } else { 0.0 };
        near(f64::from(fired.direct), want, 1e-4);
        seen += usize::from(want != 0.0);
    }
    assert!(seen > 0);
}

#[test]
fn prompts_that_cannot_be_read_say_why_and_long_ones_say_what_was_cut() {
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 24]));
    let read = |spec: &PromptSpec| read_prompt(&model, &sae, SITE, spec, &|| Ok(()));
    assert_eq!(read(&PromptSpec::default()).unwrap_err().kind, ErrorKind::Setting);
    let long = PromptSpec { text: "w1 ".repeat(100), ..PromptSpec::default() };
    let got = read(&long).unwrap();
    assert_eq!((got.tokens.len(), got.cut), (64, 37));
    let foreign = PromptSpec { text: "w1".into(), target: Some(43), ..PromptSpec::default() };
    assert!(read(&foreign).unwrap_err().why.contains("43"));
    let beyond = PromptSpec { text: "w1 w2".into(), position: Some(99), ..PromptSpec::default() };
    assert_eq!(read(&beyond).unwrap().position, 2);
}
