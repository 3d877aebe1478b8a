//! From a dictionary's features to the questions: with a model, exactly as the window does it.

use super::super::pool::Pool;
use super::*;
use crate::ErrorKind;
use crate::activations::read_rows;
use crate::activations::testing::{text_file, tiny_model, tiny_sae};
use crate::corpus::{Bos, CorpusSpec, Row, RowSpec, Split as Cut};
use crate::evaluation::Sample;
use crate::features::{CollectSpec, collect};
use crate::llama::{Model, Site};
use crate::sae::Sae;
use std::path::Path;

const SITE: Site = Site::Resid(0);

fn spec(dir: &Path) -> CollectSpec {
    let rows = RowSpec { split: Cut::Sentences, bos: Bos::Drop, length: 16 };
    CollectSpec {
        site: Some(SITE),
        tokens: 600,
        contexts_per_latent: 12,
        window: 8,
        batch: 100,
        allow_foreign: true,
        ..CollectSpec::new(CorpusSpec::File(text_file(dir, 50)), rows)
    }
}

fn all_rows(model: &Model, spec: &CollectSpec) -> Vec<Row> {
    let mut sample =
        Sample::open(model, &spec.corpus, spec.rows, spec.tokens, 0, spec.seed).unwrap();
    let mut all = Vec::new();
    while let Some(rows) = sample.next(100, &|| Ok(())).unwrap() {
        all.extend(rows);
    }
    all
}

#[test]
fn silent_contexts_are_silent_and_from_the_sample() {
    let dir = tempfile::tempdir().unwrap();
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 40]));
    let spec = spec(dir.path());
    let source = Source { model: &model, sae: &sae, allow_foreign: true };
    let ctx = JobContext::<()>::unwatched();
    let pool = Pool::read(&ctx, &source, &spec, 40).unwrap();
    let rows = all_rows(&model, &spec);
    let mut looked = 0;
    for latent in 0..sae.latents() as u32 {
        for context in pool.silent(latent) {
            let row = &rows[context.row as usize];
            let end = context.first + context.tokens.len();
            assert_eq!(row.tokens[context.first..end], context.ids);
            assert_eq!(row.document[context.first], context.document);
            let x = read_rows(&model, SITE, std::slice::from_ref(row), 100, &|| Ok(())).unwrap();
            let used: Vec<usize> = (0..row.len()).filter(|i| row.used[*i]).collect();
            for (at, i) in used.iter().enumerate() {
                let dense = sae.encode(&x[at * 16..(at + 1) * 16]).unwrap().to_dense();
                let value = dense[latent as usize];
                assert!(value <= 0.0 || !(context.first..end).contains(i), "latent {latent} fires");
            }
            looked += 1;
        }
    }
    assert!(looked > 20, "{looked} contexts were looked at");
}

#[test]
fn a_plan_is_what_is_sent_and_leaves_out_what_it_cannot_ask() {
    let mut bench = Bench::new();
    let (model, sae): (Model, Sae) = (tiny_model(), tiny_sae(&[16, 40]));
    let spec = spec(bench.folder.path());
    let out = bench.workspace.sae(bench.sae).unwrap().features_path();
    let ctx = JobContext::<()>::unwatched();
    let source = Source { model: &model, sae: &sae, allow_foreign: true };
    let latents: Vec<u32> = (0..sae.latents() as u32).chain([60]).collect();
    let mut request = bench.request(Protocol::OpenAi, "http://127.0.0.1:1", &latents);
    let error = plan(&ctx, &bench.workspace, &source, &request).unwrap_err();
    assert!(error.why.contains("not collected"), "{error}");

    let table = collect(&ctx, &model, &sae, &spec, &out).unwrap();
    bench.workspace.keep_features(bench.sae).unwrap();
    let prepared = plan(&ctx, &bench.workspace, &source, &request).unwrap();
    let e = prepared.estimate();
    assert!(e.skipped.iter().any(|(latent, why)| *latent == 60 && why.contains("no such latent")));
    for (latent, _) in e.skipped.iter().filter(|(l, _)| *l != 60) {
        assert!(table.latents[*latent as usize].fired < 12, "latent {latent} has contexts");
    }
    assert_eq!(e.latents + e.skipped.len(), latents.len());
    assert!(e.requests > e.latents as u64 && e.input_tokens > 0 && e.output_tokens > 0);
    assert!(prepared.sample().unwrap().contains('«'));
    let again = plan(&ctx, &bench.workspace, &source, &request).unwrap();
    assert_eq!(again.estimate(), e, "the same question has the same answer");

    // What is sent is what was estimated.
    let server = Server::new(|asked, _| {
        let text = server::perfect(&asked.body);
        server::Answer::json(&server::message(&asked.body, &text, (1, 1)))
    });
    request.endpoint.url = server.url();
    request.limits.tokens_a_minute = u64::MAX;
    let prepared = plan(&ctx, &bench.workspace, &source, &request).unwrap();
    let confirmed = prepared.estimate().confirm(Agreed::Amount(0.0)).unwrap();
    let id = begin(&mut bench.workspace, &prepared, &confirmed).unwrap();
    bench.run(id).unwrap();
    assert_eq!(server.count() as u64, prepared.estimate().requests);

    // Without judging there is one request a latent.
    request.judge = false;
    let prepared = plan(&ctx, &bench.workspace, &source, &request).unwrap();
    assert_eq!(prepared.estimate().requests, prepared.estimate().latents as u64);
    request.delivery = Delivery::Batch;
    let error = plan(&ctx, &bench.workspace, &source, &request).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Setting);
}
