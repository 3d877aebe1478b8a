//! Collection against brute force, and the table on disk.

use super::{CollectSpec, Context, FeatureFile, FeatureTable, LatentSummary, collect};
use crate::activations::read_rows;
use crate::activations::testing::{text_file, tiny_model, tiny_sae};
use crate::corpus::{Bos, CorpusSpec, Row, RowSpec, Split};
use crate::error::ErrorKind;
use crate::evaluation::Sample;
use crate::jobs::JobContext;
use crate::llama::{Model, Site};
use crate::sae::Sae;
use std::path::Path;

const SITE: Site = Site::Resid(0);

fn spec(dir: &Path, split: Split, bos: Bos) -> CollectSpec {
    let corpus = CorpusSpec::File(text_file(dir, 50));
    let rows = RowSpec { split, bos, length: 16 };
    CollectSpec {
        site: Some(SITE),
        tokens: 600,
        contexts_per_latent: 4,
        window: 5,
        batch: 100,
        ..CollectSpec::new(corpus, rows)
    }
}

/// Dense activations, everything kept and sorted. The rows go through the model in the company that
/// they have in the collection, since rows that begin alike tie but for the last bits; that company
/// changes nothing more is shown where the rows are read.
fn oracle(model: &Model, sae: &Sae, spec: &CollectSpec) -> FeatureTable {
    let (corpus, seed) = (&spec.corpus, spec.seed);
    let mut sample = Sample::open(model, corpus, spec.rows, spec.tokens, 0, seed).unwrap();
    let mut all: Vec<(Row, Vec<usize>, Vec<f32>)> = Vec::new();
    let mut tokens = 0;
    while let Some(rows) = sample.next(spec.batch, &|| Ok(())).unwrap() {
        let x = read_rows(model, SITE, &rows, spec.batch, &|| Ok(())).unwrap();
        let mut x = x.as_slice();
        for row in rows {
            let used: Vec<usize> = (0..row.len()).filter(|i| row.used[*i]).collect();
            let (mine, rest) = x.split_at(used.len() * 16);
            x = rest;
            tokens += used.len() as u64;
            all.push((row, used, sae.encode(mine).unwrap().to_dense()));
        }
    }
    let m = sae.latents();
    let tokenizer = model.tokenizer().unwrap();
    let latent = |l: usize| {
        let mut firing: Vec<f32> = Vec::new();
        let mut peaks: Vec<(f32, usize, usize)> = Vec::new();
        for (r, (_, used, dense)) in all.iter().enumerate() {
            let values: Vec<f32> = (0..used.len()).map(|i| dense[i * m + l]).collect();
            firing.extend(values.iter().filter(|v| **v > 0.0));
            let most = values.iter().copied().fold(0.0, f32::max);
            if most > 0.0 {
                peaks.push((most, r, values.iter().position(|v| *v == most).unwrap()));
            }
        }
        peaks.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let contexts = peaks.iter().take(spec.contexts_per_latent).map(|(_, r, at)| {
            let (row, used, dense) = &all[*r];
            let fits = |span: &std::ops::Range<usize>| {
                span.contains(at)
                    && span.clone().all(|i| row.document[used[i]] == row.document[used[*at]])
            };
            // Of all spans of the greatest length, the one with the peak nearest its middle.
            let span = (0..used.len())
                .flat_map(|a| (a + 1..=used.len()).map(move |b| a..b))
                .filter(|s| s.len() <= spec.window && fits(s))
                .max_by_key(|s| (s.len(), -((at - s.start) as i64 - 2).abs()))
                .unwrap();
            Context {
                document: row.document[used[span.start]],
                start: row.position[used[span.start]],
                tokens: span
                    .clone()
                    .map(|i| tokenizer.token_text(row.tokens[used[i]]).to_owned())
                    .collect(),
                activations: span.clone().map(|i| dense[i * m + l]).collect(),
                peak: at - span.start,
            }
        });
        LatentSummary {
            index: l as u32,
            density: firing.len() as f32 / tokens as f32,
            mean: if firing.is_empty() {
                0.0
            } else {
                (firing.iter().map(|v| f64::from(*v)).sum::<f64>() / firing.len() as f64) as f32
            },
            max: firing.iter().copied().fold(0.0, f32::max),
            contexts: contexts.collect(),
        }
    };
    let latents = (0..m).map(latent).collect();
    FeatureTable { corpus: spec.corpus.to_string(), tokens, latents }
}

/// Equal but for the last bits of the activations, which depend on the company in a batch.
fn assert_close(got: &FeatureTable, want: &FeatureTable) {
    let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-4, "{a} {b}");
    assert_eq!((got.tokens, &got.corpus), (want.tokens, &want.corpus));
    assert_eq!(got.latents.len(), want.latents.len());
    for (a, b) in got.latents.iter().zip(&want.latents) {
        assert_eq!(a.index, b.index);
        near(a.density, b.density);
        near(a.mean, b.mean);
        near(a.max, b.max);
        assert_eq!(a.contexts.len(), b.contexts.len());
        for (x, y) in a.contexts.iter().zip(&b.contexts) {
            let place = |c: &Context| (c.document, c.start, c.peak, c.tokens.clone());
            assert_eq!(place(x), place(y), "latent {}", a.index);
            x.activations.iter().zip(&y.activations).for_each(|(x, y)| near(*x, *y));
        }
    }
}

#[test]
fn the_table_is_that_of_brute_force() {
    let dir = tempfile::tempdir().unwrap();
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 24]));
    for (split, bos) in
        [(Split::Sentences, Bos::Drop), (Split::Packed, Bos::Keep), (Split::Packed, Bos::None)]
    {
        let spec = spec(dir.path(), split, bos);
        let got = collect(&JobContext::<()>::unwatched(), &model, &sae, &spec).unwrap();
        assert_close(&got, &oracle(&model, &sae, &spec));
        assert!(got.latents.iter().any(|l| l.contexts.len() == 4));
        assert_eq!(got, collect(&JobContext::<()>::unwatched(), &model, &sae, &spec).unwrap());
    }
}

#[test]
fn the_table_survives_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 300]));
    let mut spec = spec(dir.path(), Split::Sentences, Bos::Drop);
    spec.tokens = 60;
    let table = collect(&JobContext::<()>::unwatched(), &model, &sae, &spec).unwrap();
    assert!(table.latents.iter().any(|l| l.contexts.is_empty()));
    let path = dir.path().join("features.safetensors");
    FeatureFile::save(&path, &table).unwrap();
    let mut file = FeatureFile::open(&path).unwrap();
    for (i, latent) in table.latents.iter().enumerate() {
        assert_eq!(file.contexts(i).unwrap(), latent.contexts);
        let summary = LatentSummary { contexts: Vec::new(), ..latent.clone() };
        assert_eq!(file.summaries().latents[i], summary);
    }
    assert!(file.contexts(300).is_err());
    assert_eq!(file.into_table().unwrap(), table);
    FeatureFile::save(&path, &FeatureTable::default()).unwrap();
    assert_eq!(FeatureFile::open(&path).unwrap().into_table().unwrap(), FeatureTable::default());
}

#[test]
fn damaged_tables_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let context = Context {
        tokens: vec!["a".into(), "b".into()],
        activations: vec![0.0, 1.0],
        peak: 1,
        ..Context::default()
    };
    let latents = vec![LatentSummary { contexts: vec![context], ..LatentSummary::default() }];
    let table = FeatureTable { corpus: "c".into(), tokens: 2, latents };
    let path = dir.path().join("features.safetensors");
    FeatureFile::save(&path, &table).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        std::fs::write(&path, &bytes).unwrap();
        // Wrong or right, but never a panic.
        if let Ok(file) = FeatureFile::open(&path) {
            let _ = file.into_table();
        }
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(FeatureFile::open(&path).is_err(), "cut at {at}");
    }
}

#[test]
fn what_cannot_be_collected_is_refused_with_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 24]));
    let ctx = JobContext::<()>::unwatched();
    let mut wrong = spec(dir.path(), Split::Sentences, Bos::Drop);
    wrong.contexts_per_latent = 1 << 40;
    assert_eq!(collect(&ctx, &model, &sae, &wrong).unwrap_err().kind, ErrorKind::Memory);
    let mut wrong = spec(dir.path(), Split::Sentences, Bos::Drop);
    wrong.window = 0;
    assert_eq!(collect(&ctx, &model, &sae, &wrong).unwrap_err().kind, ErrorKind::Setting);
    ctx.cancel("test");
    let spec = spec(dir.path(), Split::Sentences, Bos::Drop);
    assert!(collect(&ctx, &model, &sae, &spec).unwrap_err().is_cancelled());
}
