//! What an edit must do, checked against the words of its definition.

use super::{
    Dictionaries, Edit, Edits, Op, Reconstruct, Replace, RowEdits, Shift, Splice, ZeroSite,
};
use crate::activations::testing::{tiny_model, tiny_sae};
use crate::llama::{Change, Logits, Model, Plan, Site, Tokens};
use crate::sae::{Architecture, Extra, L0Loss, L1Penalty, Sae};
use candle_core::Tensor;
use std::str::FromStr as _;
use std::sync::Arc;

const SITE: Site = Site::Resid(0);

fn tokens() -> Tokens {
    Tokens::rows(&[[0u32, 5, 9, 17, 30, 8], [0, 40, 3, 22, 11, 12]]).unwrap()
}

/// The site's output and the logits under `change`.
fn run(model: &Model, change: &[(Site, &dyn Change)]) -> (Vec<f32>, Vec<f32>) {
    let plan = Plan { read: &[SITE], change, logits: Logits::All, ..Plan::default() };
    let pass = model.forward(&tokens(), &plan).unwrap();
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    (flat(&pass.sites[&SITE]), flat(pass.logits.as_ref().unwrap()))
}

fn edited(model: &Model, sae: &Arc<Sae>, edits: &[&str]) -> (Vec<f32>, Vec<f32>) {
    let edits: Vec<Edit> = edits.iter().map(|e| e.parse().unwrap()).collect();
    let dictionaries = Dictionaries::from([(SITE, sae.clone())]);
    let edits = Edits::new(&edits, &dictionaries).unwrap();
    run(model, &edits.changes())
}

/// A latent that is active at some position of `x` but not at all.
fn active_latent(sae: &Sae, x: &[f32]) -> (u32, usize) {
    let latents = sae.encode(x).unwrap();
    (0..latents.rows())
        .skip(2)
        .find_map(|row| latents.row(row).0.first().map(|latent| (*latent, row)))
        .unwrap()
}

#[test]
fn editing_nothing_changes_no_bit() {
    let (model, sae) = (tiny_model(), Arc::new(tiny_sae(&[16, 24])));
    let plain = run(&model, &[]);
    assert_eq!(edited(&model, &sae, &[]), plain);
    let (latent, _) = active_latent(&sae, &plain.0);
    let silent = (0..24).find(|l| {
        let latents = sae.encode(&plain.0).unwrap();
        (0..12).all(|row| latents.get(row, *l) == 0.0)
    });
    for edit in [format!("resid.0/{latent} scale 1"), format!("resid.0/{latent} add 0")] {
        assert_eq!(edited(&model, &sae, &[&edit]), plain, "{edit}");
    }
    if let Some(silent) = silent {
        assert_eq!(edited(&model, &sae, &[&format!("resid.0/{silent} ablate")]), plain);
    }
    let beyond = format!("resid.0/{latent} set 9 @ 6..");
    assert_eq!(edited(&model, &sae, &[&beyond]), plain);
}

#[test]
fn an_ablated_latent_leaves_what_the_hand_computes_and_the_error_term_stays() {
    let (model, sae) = (tiny_model(), Arc::new(tiny_sae(&[16, 24])));
    let (x, logits) = run(&model, &[]);
    let latents = sae.encode(&x).unwrap();
    let (latent, row) = active_latent(&sae, &x);
    let f = latents.get(row, latent);
    let mut wanted = x.clone();
    for i in 0..12 {
        let f = latents.get(i, latent);
        for (w, d) in wanted[i * 16..(i + 1) * 16].iter_mut().zip(sae.direction(latent as usize)) {
            *w -= f * d;
        }
    }
    let (got, new_logits) = edited(&model, &sae, &[&format!("resid.0/{latent} ablate")]);
    assert!(f > 0.0 && got != x && new_logits != logits);
    close(&got, &wanted, 1e-6);
    // x − x̂(f) = x' − x̂(f'), with f' written by hand: the error is untouched.
    let mut ablated = latents.to_dense();
    ablated.chunks_mut(24).for_each(|row| row[latent as usize] = 0.0);
    let error = |x: &[f32], dense: &[f32]| -> Vec<f32> {
        let mut out = Vec::new();
        for (x, f) in x.chunks(16).zip(dense.chunks(24)) {
            for (j, x) in x.iter().enumerate() {
                let decoded: f32 = (0..24).map(|i| f[i] * sae.direction(i)[j]).sum();
                out.push(x - decoded - sae.b_dec[j]);
            }
        }
        out
    };
    close(&error(&got, &ablated), &error(&x, &latents.to_dense()), 1e-5);
}

#[test]
fn set_add_and_scale_act_on_their_positions_only_and_in_turn() {
    let (model, sae) = (tiny_model(), Arc::new(tiny_sae(&[16, 24])));
    let (x, _) = run(&model, &[]);
    let (latent, _) = active_latent(&sae, &x);
    let latents = sae.encode(&x).unwrap();
    let edits = [
        format!("resid.0/{latent} set 2 @ 1..3"),
        format!("resid.0/{latent} scale 3 @ 2,4"),
        "resid.0/7 add -0.5 @ 4..".to_owned(),
    ];
    let edits: Vec<&str> = edits.iter().map(String::as_str).collect();
    let (got, _) = edited(&model, &sae, &edits);
    let mut wanted = x.clone();
    for i in 0..12 {
        let f = latents.get(i, latent);
        let g = latents.get(i, 7);
        let new = match i % 6 {
            1 => 2.0,
            2 => 6.0,
            4 => 3.0 * f,
            _ => f,
        };
        let mut add = |latent: u32, by: f32| {
            for (w, d) in
                wanted[i * 16..(i + 1) * 16].iter_mut().zip(sae.direction(latent as usize))
            {
                *w += by * d;
            }
        };
        if latent == 7 {
            add(7, new - f - if i % 6 >= 4 { 0.5 } else { 0.0 });
        } else {
            add(latent, new - f);
            add(7, if i % 6 >= 4 { g - 0.5 - g } else { 0.0 });
        }
    }
    close(&got, &wanted, 1e-5);
    assert_eq!(got[..16], x[..16], "a position without an edit keeps its bits");
}

#[test]
fn positions_count_from_the_beginning_of_the_text() {
    let sae = Arc::new(tiny_sae(&[16, 24]));
    let dictionaries = Dictionaries::from([(SITE, sae)]);
    let edits = Edits::new(&["resid.0/3 set 4 @ 5".parse().unwrap()], &dictionaries).unwrap();
    let x = Tensor::zeros((1, 2, 16), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
    let (_, change) = edits.changes()[0];
    let changed = |first: usize, row: usize| {
        let new = change.apply(&x, first).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        new[row * 16..(row + 1) * 16].iter().any(|v| *v != 0.0)
    };
    assert!(changed(4, 1) && !changed(4, 0) && changed(5, 0) && !changed(6, 0) && !changed(0, 1));
}

#[test]
fn whole_sites_are_replaced() {
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 24]));
    let (x, logits) = run(&model, &[]);
    let splice = Splice { sae: &sae, rows: None };
    let decoded = sae.decode(&sae.encode(&x).unwrap()).unwrap();
    assert_eq!(run(&model, &[(SITE, &splice)]).0, decoded);
    let whole = Reconstruct::new(Arc::new(sae.clone()));
    assert_eq!(run(&model, &[(SITE, &whole)]), run(&model, &[(SITE, &splice)]));
    let rows = [1, 8];
    let (some, _) = run(&model, &[(SITE, &Splice { sae: &sae, rows: Some(&rows) })]);
    let (zero, _) = run(&model, &[(SITE, &ZeroSite { rows: Some(&rows) })]);
    for i in 0..12 {
        let span = i * 16..(i + 1) * 16;
        let spliced = rows.contains(&i);
        assert_eq!(some[span.clone()], if spliced { &decoded } else { &x }[span.clone()]);
        assert_eq!(zero[span.clone()].iter().all(|v| *v == 0.0), spliced);
    }
    assert!(run(&model, &[(SITE, &ZeroSite::default())]).0.iter().all(|v| *v == 0.0));
    let same = Tensor::from_vec(x.clone(), (2, 6, 16), model.device()).unwrap();
    assert_eq!(run(&model, &[(SITE, &Replace(same))]), (x, logits));
}

#[test]
fn what_cannot_be_edited_is_named() {
    let dictionaries = Dictionaries::from([(SITE, Arc::new(tiny_sae(&[16, 24])))]);
    let why =
        |edit: &str| Edits::new(&[edit.parse().unwrap()], &dictionaries).unwrap_err().to_string();
    assert!(why("resid.1/3 ablate").contains("no dictionary for resid.1"));
    assert!(why("resid.0/24 ablate").contains("0 to 23"));
    assert!(why("resid.0/2 ablate @ generated").contains("no text is written"));
    let endless =
        Edit { op: Op::Add(f32::INFINITY), ..Edit::from_str("resid.0/2 ablate").unwrap() };
    assert!(Edits::new(&[endless], &dictionaries).unwrap_err().to_string().contains("no strength"));
    let narrow = tiny_sae(&[8, 24]);
    let model = tiny_model();
    let splice = Splice { sae: &narrow, rows: None };
    let plan = Plan { change: &[(SITE, &splice)], ..Plan::default() };
    let error = model.forward(&tokens(), &plan).unwrap_err();
    assert!(error.why.contains("width 8"), "{error}");
}

fn close(a: &[f32], b: &[f32], within: f32) {
    assert_eq!(a.len(), b.len());
    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= within, "{worst}");
}

#[test]
fn edits_of_single_rows_are_those_of_positions() {
    let (model, sae) = (tiny_model(), Arc::new(tiny_sae(&[16, 24])));
    let plain = run(&model, &[]);
    let (latent, row) = active_latent(&sae, &plain.0);
    let (text, position) = (row / 6, row % 6);
    // The edit by positions changes both texts there, that by rows only one.
    let by_position = edited(&model, &sae, &[&format!("resid.0/{latent} ablate @ {position}")]);
    let ops = [(latent, Op::Ablate)];
    let change = RowEdits { sae: &sae, rows: vec![(row, &ops)] };
    let by_row = run(&model, &[(SITE, &change)]);
    let of = |values: &[f32], text: usize| {
        let each = values.len() / 2;
        values[text * each..][..each].to_vec()
    };
    assert_eq!(of(&by_row.1, text), of(&by_position.1, text));
    assert_ne!(of(&by_row.1, text), of(&plain.1, text));
    assert_eq!(of(&by_row.1, 1 - text), of(&plain.1, 1 - text));
    let beyond = RowEdits { sae: &sae, rows: vec![(12, &ops)] };
    let plan = Plan { change: &[(SITE, &beyond)], ..Plan::default() };
    assert!(model.forward(&tokens(), &plan).is_err());
}

#[test]
fn a_shift_is_added_to_its_rows_alone() {
    let model = tiny_model();
    let plain = run(&model, &[]);
    let width = plain.0.len() / 12;
    let by: Vec<f32> = (0..width).map(|i| i as f32 / 8.0).collect();
    let change = Shift { rows: vec![(7, by.clone())] };
    let shifted = run(&model, &[(SITE, &change)]);
    for row in 0..12 {
        let (old, new) = (&plain.0[row * width..][..width], &shifted.0[row * width..][..width]);
        let want: Vec<f32> = old.iter().zip(&by).map(|(x, b)| x + b).collect();
        assert_eq!(new, if row == 7 { &want[..] } else { old });
    }
    let narrow = Shift { rows: vec![(7, vec![0.0; width - 1])] };
    let plan = Plan { change: &[(SITE, &narrow)], ..Plan::default() };
    assert!(model.forward(&tokens(), &plan).is_err());
}

#[test]
fn looking_at_the_edited_latents_alone_finds_the_same() {
    let model = tiny_model();
    let ops = [(3, Op::Scale(2.0)), (3, Op::Add(0.5)), (9, Op::Ablate), (17, Op::Set(1.0))];
    let jump = Architecture::JumpRelu { loss: L0Loss::Step, bandwidth: 0.05 };
    let thresholds = |n: usize| Extra {
        threshold: (0..n).map(|i| 0.1 + 0.02 * i as f32).collect(),
        ..Extra::default()
    };
    let gated = Extra { r_mag: vec![0.3; 24], b_mag: vec![0.1; 24], ..Extra::default() };
    for (architecture, extra) in [
        (Architecture::Standard { penalty: L1Penalty::UnitNorm }, Extra::default()),
        (jump, thresholds(24)),
        (Architecture::BatchTopK { k: 4 }, thresholds(1)),
        (Architecture::Gated, gated),
        (Architecture::TopK { k: 4 }, Extra::default()),
    ] {
        let name = architecture.name();
        let sae = Arc::new(Sae { architecture, extra, ..tiny_sae(&[16, 24]) });
        let plain = run(&model, &[]).0;
        let rows = (0..12).map(|row| (row, &ops[..])).collect();
        let wanted = run(&model, &[(SITE, &RowEdits { sae: &sae, rows })]);
        let texts =
            ["resid.0/3 scale 2", "resid.0/3 add 0.5", "resid.0/9 ablate", "resid.0/17 set 1"];
        let found = edited(&model, &sae, &texts);
        assert!(found == wanted && found.0 != plain, "{name}");
        // What is only added to is not looked at.
        let found = edited(&model, &sae, &["resid.0/5 add 0.75", "resid.0/5 add -0.5"]).0;
        for (row, (new, old)) in found.chunks(16).zip(plain.chunks(16)).enumerate() {
            let moved: Vec<f32> =
                old.iter().zip(sae.direction(5)).map(|(x, d)| x + 0.25 * d).collect();
            close(new, &moved, 1e-6);
            assert_ne!(new, old, "{row}");
        }
    }
}

#[test]
fn what_would_overflow_is_refused_and_strengths_are_bounded() {
    let (model, sae) = (tiny_model(), Arc::new(tiny_sae(&[16, 24])));
    let dictionaries = Dictionaries::from([(SITE, sae.clone())]);
    let edit: Edit = "resid.0/3 add 3e38".parse().unwrap();
    let fails = |edits: &[Edit]| {
        let edits = Edits::new(edits, &dictionaries).unwrap();
        let changes = edits.changes();
        let plan = Plan { change: &changes, logits: Logits::All, ..Plan::default() };
        model.forward(&tokens(), &plan).is_err()
    };
    assert!(fails(std::slice::from_ref(&edit)));
    let bounded = edit.bounded(&dictionaries);
    assert_ne!(bounded, edit);
    assert!(!fails(std::slice::from_ref(&bounded)));
    let (_, logits) = edited(&model, &sae, &[&bounded.to_string()]);
    assert!(logits.iter().all(|x| x.is_finite()));
    assert_eq!(bounded.bounded(&dictionaries), bounded);
    let usual: Edit = "resid.0/3 set -4".parse().unwrap();
    assert_eq!(usual.bounded(&dictionaries), usual);
    let ops = [(3, Op::Add(3e38))];
    let rows = RowEdits { sae: &sae, rows: vec![(2, &ops)] };
    let change: [(Site, &dyn Change); 1] = [(SITE, &rows)];
    let plan = Plan { change: &change, logits: Logits::All, ..Plan::default() };
    assert!(model.forward(&tokens(), &plan).is_err());
}
