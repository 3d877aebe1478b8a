use super::*;
use crate::shift::testing::{alone, world};

/// A text's mean does not depend on whose company it is in.
#[test]
fn the_mean_of_a_padded_text_is_that_of_the_text_alone() {
    let w = world();
    let texts = &w.split.ambiguous;
    let lengths: std::collections::BTreeSet<usize> = texts.iter().map(|t| t.tokens.len()).collect();
    assert!(lengths.len() > 2, "texts of one length would show nothing");
    for site in ["embed", "attn.1", "resid.1"] {
        let site: Site = site.parse().unwrap();
        let found = pooled_at(&w.model, texts, site, &[], 24, &|| Ok(())).unwrap();
        for (i, text) in texts.iter().enumerate() {
            let rows = alone(&w.model, text, site, &[]);
            for k in 0..found.width() {
                let mean = rows.iter().map(|row| row[k]).sum::<f64>() / rows.len() as f64;
                assert!((found.row(i)[k] - mean).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn batches_hold_every_text_once_and_are_small_where_a_row_costs_much() {
    let w = world();
    let texts = &w.split.balanced_test;
    let once = |latents: usize| {
        let all = batches(&w.model, texts, latents).unwrap();
        let mut places: Vec<usize> = all.iter().flat_map(|b| b.places.clone()).collect();
        places.sort_unstable();
        assert_eq!(places, (0..texts.len()).collect::<Vec<_>>());
        all.len()
    };
    assert_eq!(once(24), 1);
    // 16 rows at once: a text a batch.
    assert!(once(usize::MAX >> 8) > texts.len() / 3);
}

#[test]
fn a_pass_stops_when_told() {
    let w = world();
    let stop = || Err(Error::cancelled("enough"));
    let found = pooled_at(&w.model, &w.split.ambiguous, Site::Resid(1), &[], 24, &stop);
    assert!(found.unwrap_err().is_cancelled());
}
