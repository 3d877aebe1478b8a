//! The evaluation against its definitions, row by row.

use super::{EvalSpec, LossProbe, LossRecovered, evaluate};
use crate::activations::testing::{text_file, tiny_model, tiny_sae};
use crate::activations::{LiveSource, Source, StreamSpec};
use crate::corpus::{Bos, CorpusSpec, Row, RowSpec, Rows, Split, encoder_of};
use crate::edits::{Splice, ZeroSite};
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::{Change, Logits, Model, Plan, Site, Tokens};
use crate::sae::Sae;
use std::path::Path;

const SITE: Site = Site::Resid(0);

fn go() -> Result<()> {
    Ok(())
}

fn spec(dir: &Path, split: Split, bos: Bos) -> EvalSpec {
    let corpus = CorpusSpec::File(text_file(dir, 60));
    let rows = RowSpec { split, bos, length: 16 };
    EvalSpec { site: Some(SITE), tokens: 700, batch: 100, ..EvalSpec::new(corpus, rows) }
}

fn sample(model: &Model, spec: &EvalSpec) -> Vec<Row> {
    let documents = spec.corpus.open(0).unwrap();
    let mut rows = Rows::new(documents, encoder_of(model).unwrap(), spec.rows).unwrap();
    let mut all = Vec::new();
    let mut used = 0;
    while used < spec.tokens {
        let Some(row) = rows.next_row().unwrap() else { break };
        used += row.used_tokens() as u64;
        all.push(row);
    }
    all
}

/// Mean −ln p of what follows, each row by itself, by softmax as it is written.
fn oracle_loss(model: &Model, rows: &[Row], sae: Option<&Sae>, zero: bool) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for row in rows {
        let used: Vec<usize> = (0..row.len()).filter(|i| row.used[*i]).collect();
        let splice = sae.map(|sae| Splice { sae, rows: Some(&used) });
        let nothing = ZeroSite { rows: Some(&used) };
        let mut change: Vec<(Site, &dyn Change)> = Vec::new();
        if let Some(splice) = &splice {
            change.push((SITE, splice));
        }
        if zero {
            change.push((SITE, &nothing));
        }
        let plan = Plan { change: &change, logits: Logits::All, ..Plan::default() };
        let pass = model.forward(&Tokens::row(&row.tokens).unwrap(), &plan).unwrap();
        let logits = pass.logits.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for i in used {
            let followed =
                i + 1 < row.len() && !row.is_bos[i + 1] && row.document[i] == row.document[i + 1];
            if !followed {
                continue;
            }
            let at: Vec<f64> = logits[i * 43..(i + 1) * 43].iter().map(|l| f64::from(*l)).collect();
            let total: f64 = at.iter().map(|l| l.exp()).sum();
            sum -= (at[row.tokens[i + 1] as usize].exp() / total).ln();
            count += 1;
        }
    }
    sum / f64::from(count)
}

#[test]
fn every_loss_is_that_of_the_rows_by_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 24]));
    for (split, bos) in
        [(Split::Sentences, Bos::Drop), (Split::Packed, Bos::Keep), (Split::Packed, Bos::None)]
    {
        let spec = spec(dir.path(), split, bos);
        let got = evaluate(&JobContext::<()>::unwatched(), &model, &sae, &spec).unwrap();
        let rows = sample(&model, &spec);
        let wanted = LossRecovered::new(
            oracle_loss(&model, &rows, None, false),
            oracle_loss(&model, &rows, Some(&sae), false),
            oracle_loss(&model, &rows, None, true),
        );
        let loss = got.loss.unwrap();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a} {b}");
        near(loss.model, wanted.model);
        near(loss.sae, wanted.sae);
        near(loss.zero, wanted.zero);
        assert_eq!(got.tokens as usize, rows.iter().map(Row::used_tokens).sum::<usize>());
        assert!((got.l0 - 4.0).abs() < 0.5, "{}", got.l0);

        let probe =
            LossProbe::new(&model, SITE, &spec.corpus, spec.rows, spec.tokens, 0, &go).unwrap();
        let quick = probe.evaluate(&sae, &go).unwrap();
        near(quick.sae, loss.sae);
        near(quick.recovered, loss.recovered);
        assert_eq!(quick, probe.evaluate(&sae, &go).unwrap());
    }
}

#[test]
fn skipping_looks_at_other_text_and_the_same_settings_at_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 24]));
    let mut spec = EvalSpec { tokens: 200, ..spec(dir.path(), Split::Packed, Bos::None) };
    let ctx = JobContext::<()>::unwatched();
    let first = evaluate(&ctx, &model, &sae, &spec).unwrap();
    assert_eq!(first, evaluate(&ctx, &model, &sae, &spec).unwrap());
    spec.skip = 200;
    let second = evaluate(&ctx, &model, &sae, &spec).unwrap();
    assert_ne!(first.mse, second.mse);
    spec.skip = 1 << 40;
    assert!(evaluate(&ctx, &model, &sae, &spec).unwrap_err().remedy.contains("less"));
}

#[test]
fn a_dictionary_from_elsewhere_is_refused_until_it_is_meant() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model();
    let mut sae = tiny_sae(&[16, 24]);
    let mut spec = spec(dir.path(), Split::Sentences, Bos::Drop);
    let ctx = JobContext::<()>::unwatched();
    let stream = StreamSpec::new(Site::Resid(1), spec.corpus.clone(), spec.rows, 16);
    let mut trained = LiveSource::new(model.clone(), stream).unwrap().provenance();
    sae.about.trained_on = Some(trained.clone());
    let error = evaluate(&ctx, &model, &sae, &spec).unwrap_err();
    assert!(error.why.contains("resid.1") && error.remedy.contains("foreign"), "{error}");
    trained.site = SITE;
    sae.about.trained_on = Some(trained.clone());
    spec.site = None;
    let home = evaluate(&ctx, &model, &sae, &spec).unwrap();
    trained.model = "f00d".to_owned();
    sae.about.trained_on = Some(trained);
    let error = evaluate(&ctx, &model, &sae, &spec).unwrap_err();
    assert!(error.why.contains("f00d") && error.why.contains("mean nothing"), "{error}");
    spec.allow_foreign = true;
    let mut abroad = evaluate(&ctx, &model, &sae, &spec).unwrap();
    let sample = abroad.sample.as_mut().unwrap();
    assert_eq!((sample.site, sample.allow_foreign), (Some(SITE), true));
    sample.allow_foreign = false;
    assert_eq!(abroad, home);

    sae.about.trained_on = None;
    assert!(evaluate(&ctx, &model, &sae, &spec).unwrap_err().remedy.contains("resid.2"));
    spec.site = Some(SITE);
    let error = evaluate(&ctx, &model, &tiny_sae(&[8, 24]), &spec).unwrap_err();
    assert!(error.why.contains("width 8"), "{error}");
}
