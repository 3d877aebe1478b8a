use super::*;
use crate::shift::testing::{World, alone, world};
use crate::shift::{ProbeSpec, train_probe};

fn ctx() -> JobContext<()> {
    JobContext::unwatched()
}

fn probe(w: &World, site: &str) -> Probe {
    let spec = ProbeSpec { site: site.parse().unwrap(), epochs: 3, ..ProbeSpec::default() };
    train_probe(&ctx(), &w.model, &w.bases, &w.split.ambiguous, &[], &spec).unwrap()
}

fn edits(texts: &[&str]) -> Vec<Edit> {
    texts.iter().map(|text| format!("{text} ablate").parse().unwrap()).collect()
}

/// Latents that fire often enough to matter, at every site.
fn some(w: &World) -> Vec<Edit> {
    let mut out = Vec::new();
    for site in w.bases.sites.keys() {
        for latent in [0, 3, 5, 9, 14] {
            out.push(format!("{site}/{latent} ablate").parse().unwrap());
        }
    }
    out
}

/// Each text alone, from the tokens, with the edits of the one forward pass.
#[test]
fn a_trim_is_the_model_under_its_edits() {
    let w = world();
    let edits = some(&w);
    for site in ["embed", "mlp.0", "attn.1", "resid.1"] {
        let probe = probe(&w, site);
        let texts = w.split.balanced_test.clone();
        let mut measurer =
            Measurer::new(&w.model, &w.bases, texts.clone(), probe.clone(), 0).unwrap();
        let found = measurer.pooled(&ctx(), &edits).unwrap().clone();
        let upto: Vec<Edit> = edits.iter().filter(|e| e.site <= probe.site).cloned().collect();
        let ready = Edits::new(&upto, &dictionaries(&w.bases)).unwrap();
        let mut right = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            let rows = alone(&w.model, text, probe.site, &ready.changes());
            let mean: Vec<f64> = (0..16)
                .map(|k| rows.iter().map(|row| row[k]).sum::<f64>() / rows.len() as f64)
                .collect();
            for (found, mean) in found.row(i).iter().zip(&mean) {
                assert!((found - mean).abs() < 1e-5, "{site}: {found} {mean}");
            }
            let logit: f64 = mean.iter().zip(&probe.weights).map(|(x, w)| x * f64::from(*w)).sum();
            let said = usize::from(logit + f64::from(probe.bias) <= 0.0);
            right.push(if said == text.label { 1.0 } else { 0.0 });
        }
        let accuracies = measurer.trimmed(&ctx(), &edits).unwrap();
        assert_eq!(accuracies, Accuracies::new(&texts, &right, 0));
        assert_ne!(measurer.pooled(&ctx(), &[]).unwrap(), &found, "{site}: the trim does nothing");
    }
}

/// Whatever was measured before, the outcome is that of a fresh measurer, bit for bit.
#[test]
fn what_is_kept_changes_nothing() {
    let w = world();
    let probe = probe(&w, "resid.1");
    let texts = w.split.test_sample(24);
    let all = some(&w);
    let mut measurer = Measurer::new(&w.model, &w.bases, texts.clone(), probe.clone(), 0).unwrap();
    let steps: Vec<Vec<Edit>> = vec![
        vec![],
        edits(&["resid.0/3"]),
        edits(&["resid.0/3", "mlp.0/5"]),
        edits(&["mlp.0/5"]),
        all.clone(),
        all[3..].to_vec(),
        all.iter().rev().cloned().collect(),
        edits(&["embed/9", "embed/0"]),
        edits(&["embed/9"]),
        vec![],
    ];
    for edits in steps {
        let found = measurer.pooled(&ctx(), &edits).unwrap().clone();
        let mut fresh = Measurer::new(&w.model, &w.bases, texts.clone(), probe.clone(), 0).unwrap();
        assert_eq!(&found, fresh.pooled(&ctx(), &edits).unwrap());
    }
}

#[test]
fn after_an_error_it_goes_on_as_if_new() {
    let w = world();
    let probe = probe(&w, "resid.1");
    let texts = w.split.test_sample(8);
    let mut measurer = Measurer::new(&w.model, &w.bases, texts, probe, 0).unwrap();
    let before = measurer.original(&ctx()).unwrap();
    let stopped = ctx();
    stopped.cancel("enough");
    let error = measurer.trimmed(&stopped, &edits(&["embed/3"])).unwrap_err();
    assert!(error.is_cancelled());
    assert_eq!(measurer.original(&ctx()).unwrap(), before);
    let unknown = measurer.trimmed(&ctx(), &edits(&["embed/999"])).unwrap_err();
    assert!(unknown.what.contains("embed/999"));
    assert_eq!(measurer.original(&ctx()).unwrap(), before);
}

#[test]
fn what_does_not_fit_is_refused() {
    let w = world();
    let probe = probe(&w, "resid.1");
    let texts = w.split.test_sample(8);
    let narrow = Probe { weights: vec![0.0; 3], ..probe.clone() };
    assert!(Measurer::new(&w.model, &w.bases, texts.clone(), narrow, 0).is_err());
    let far = Probe { site: Site::Resid(7), ..probe.clone() };
    assert!(Measurer::new(&w.model, &w.bases, texts, far, 0).is_err());
    assert!(Measurer::new(&w.model, &w.bases, Vec::new(), probe, 0).is_err());
}
