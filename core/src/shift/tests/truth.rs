use super::*;
use crate::shift::testing::{alone, world};
use proptest::prelude::*;

proptest! {
    #[test]
    fn the_auc_is_that_of_all_pairs(values in prop::collection::vec((0..5u8, any::<bool>()), 0..30)) {
        let found = auc(
            &values.iter().map(|(v, _)| f64::from(*v)).collect::<Vec<_>>(),
            values.iter().map(|(_, is)| *is),
        );
        let (mut wins, mut pairs) = (0.0, 0.0);
        for (a, _) in values.iter().filter(|(_, is)| *is) {
            for (b, _) in values.iter().filter(|(_, is)| !*is) {
                pairs += 1.0;
                wins += if a > b { 1.0 } else if a == b { 0.5 } else { 0.0 };
            }
        }
        let wanted = if pairs == 0.0 { 0.5 } else { wins / pairs };
        prop_assert!((found - wanted).abs() < 1e-12);
    }
}

#[test]
fn means_are_those_of_each_text_alone() {
    let w = world();
    let texts = &w.split.balanced_train;
    let node: Node = "resid.0/5".parse().unwrap();
    let error: Node = "resid.0/error".parse().unwrap();
    let ctx = JobContext::<()>::unwatched();
    let found = tellings(&ctx, &w.model, &w.bases, &[error, node], texts).unwrap();
    assert_eq!(found.len(), 1);
    let sae = w.bases.sae(node.site).unwrap();
    let mean = |text: &Text| {
        let rows = alone(&w.model, text, node.site, &[]);
        let x: Vec<f32> = rows.iter().flatten().map(|x| *x as f32).collect();
        let latents = sae.encode(&x).unwrap();
        let sum: f64 = (0..rows.len()).map(|i| f64::from(latents.get(i, 5))).sum();
        sum / rows.len() as f64
    };
    for label in 0..2 {
        for spurious in 0..2 {
            let group = texts.iter().filter(|t| (t.label, t.spurious) == (label, spurious));
            let means: Vec<f64> = group.map(mean).collect();
            let wanted = means.iter().sum::<f64>() / means.len() as f64;
            assert!((found[0].means[label][spurious] - wanted).abs() < 1e-6);
        }
    }
    let fires = texts.iter().filter(|t| mean(t) > 0.0).count() as f64 / texts.len() as f64;
    assert!((found[0].fires - fires).abs() < 1e-12 && fires > 0.0);
}

#[test]
fn a_feature_goes_that_tells_the_spurious_value_better() {
    let told = |label_auc: f64, spurious_auc: f64| {
        let node = "embed/1".parse().unwrap();
        let t = Telling { node, label_auc, spurious_auc, means: [[0.0; 2]; 2], fires: 1.0 };
        (t.verdict(), t.note("profession", "gender"))
    };
    assert_eq!(told(0.6, 0.1), (Verdict::Trim, "tells gender 0.90, profession 0.60".to_owned()));
    assert_eq!(told(0.1, 0.6).0, Verdict::Keep);
    // It tells neither.
    assert_eq!(told(0.5, 0.5).0, Verdict::Keep);
}
