//! Streaming, storing, evaluating and collecting on a real model and real text.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use sparsescope_core::activations::{
    CaptureSpec, LiveSource, Position, Source, StoreDtype, StoreSource, StreamSpec, capture,
};
use sparsescope_core::corpus::{Bos, CorpusSpec, RowSpec, Split};
use sparsescope_core::device;
use sparsescope_core::edits::{Dictionaries, Edit, Edits};
use sparsescope_core::evaluation::{EvalSpec, LossProbe, evaluate};
use sparsescope_core::features::{CollectSpec, FeatureFile, collect};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Logits, Model, Plan, Site, Tokens};
use sparsescope_core::sae::{About, Architecture, Extra, Matrix, Sae, Wiring};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// The real model and text, if the folder with them is named.
fn real() -> Option<(Model, CorpusSpec)> {
    let Ok(folder) = std::env::var("SPARSESCOPE_REAL") else {
        println!("skipped: SPARSESCOPE_REAL names no folder with real models and text");
        return None;
    };
    let folder = PathBuf::from(folder);
    let cpu = device::choose("cpu").unwrap();
    let model = Model::open(&folder.join("models/stories260K"), &cpu).unwrap();
    let text = folder.join("data/text/tinystories/tinystories_2MiB.txt");
    Some((model, CorpusSpec::File(text)))
}

fn stream(corpus: &CorpusSpec, split: Split, width: usize) -> StreamSpec {
    let rows = RowSpec { split, bos: Bos::Drop, length: 128 };
    let spec = StreamSpec::new(Site::Resid(2), corpus.clone(), rows, width);
    StreamSpec { buffer: 8192, ..spec }
}

/// A dictionary that reconstructs every row exactly: x = Σ relu(±x_j) (±e_j).
fn both_signs(width: usize) -> Sae {
    let mut weights = vec![0.0; 2 * width * width];
    for j in 0..width {
        weights[2 * j * width + j] = 1.0;
        weights[(2 * j + 1) * width + j] = -1.0;
    }
    let matrix = Matrix::new(2 * width, width, weights).unwrap();
    Sae {
        architecture: Architecture::named("standard", 0).unwrap(),
        encoder: matrix.clone(),
        b_enc: vec![0.0; 2 * width],
        decoder: matrix,
        b_dec: vec![0.0; width],
        extra: Extra::default(),
        wiring: Wiring::Centred,
        about: About::default(),
    }
}

#[test]
fn a_stream_and_a_store_of_real_text() {
    let Some((model, corpus)) = real() else { return };
    let width = model.config().width;
    for split in [Split::Sentences, Split::Packed] {
        let spec = stream(&corpus, split, width);
        let mut source = LiveSource::new(model.clone(), spec.clone()).unwrap();
        let mut rows = Vec::new();
        let since = Instant::now();
        source.read(&|| Ok(()), 20_000, &mut rows).unwrap();
        let rate = 24_576.0 / since.elapsed().as_secs_f64();
        println!("{split}: {rate:.0} tokens a second, {:?}", source.seen());
        let mut again = LiveSource::new(model.clone(), spec.clone()).unwrap();
        again.seek(&Position { rows: 19_000 }).unwrap();
        let mut tail = Vec::new();
        again.read(&|| Ok(()), 1000, &mut tail).unwrap();
        assert!(tail == rows[19_000 * width..]);

        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("store");
        let dtype = StoreDtype::Bf16;
        let spec = CaptureSpec { stream: spec, rows: Some(10_000), dtype, chunk: Some(4096), out };
        let outcome = capture(&JobContext::<()>::unwatched(), &model, &spec).unwrap();
        assert_eq!((outcome.rows, outcome.chunks), (10_000, 3));
        let mut store = StoreSource::open(&spec.out, 0).unwrap();
        let mut stored = Vec::new();
        store.read(&|| Ok(()), 10_000, &mut stored).unwrap();
        let square =
            |rows: &[f32]| rows.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 10_000.0;
        let (live, kept) = (square(&rows[..10_000 * width]), square(&stored));
        assert!((live - kept).abs() < 0.01 * live, "{live} {kept}");
        assert!((store.mean_square_norm() - kept).abs() < 1e-6 * kept);
    }
}

#[test]
fn an_exact_dictionary_recovers_all_of_the_loss() {
    let Some((model, corpus)) = real() else { return };
    let sae = both_signs(model.config().width);
    let rows = RowSpec { split: Split::Sentences, bos: Bos::Drop, length: 128 };
    let spec = EvalSpec {
        site: Some(Site::Resid(2)),
        tokens: 5000,
        ..EvalSpec::new(corpus.clone(), rows)
    };
    let found = evaluate(&JobContext::<()>::unwatched(), &model, &sae, &spec).unwrap();
    let loss = found.loss.unwrap();
    println!("{loss:?}");
    assert!(found.fvu < 1e-10 && (found.gamma - 1.0).abs() < 1e-6);
    assert!((loss.recovered - 1.0).abs() < 1e-6);
    // stories260K on its own kind of text: far better than guessing among 512 tokens.
    assert!(loss.model > 0.5 && loss.model < 3.0 && loss.zero > loss.model + 1.0);
    let probe = LossProbe::new(&model, Site::Resid(2), &corpus, rows, 5000, 0, &|| Ok(())).unwrap();
    let quick = probe.evaluate(&sae, &|| Ok(())).unwrap();
    assert!((quick.model - loss.model).abs() < 1e-5 && (quick.zero - loss.zero).abs() < 1e-5);

    // Ablating every latent is not zeroing the site only by b_dec, which is 0 here.
    let edits: Vec<Edit> =
        (0..sae.latents()).map(|l| format!("resid.2/{l} ablate").parse().unwrap()).collect();
    let dictionaries = Dictionaries::from([(Site::Resid(2), Arc::new(sae))]);
    let edits = Edits::new(&edits, &dictionaries).unwrap();
    let ids = model.tokenizer().unwrap().encode("Once upon a time", true).unwrap();
    let plan = Plan {
        read: &[Site::Resid(2)],
        change: &edits.changes(),
        logits: Logits::Last,
        ..Plan::default()
    };
    let pass = model.forward(&Tokens::row(&ids).unwrap(), &plan).unwrap();
    let left = pass.sites[&Site::Resid(2)].flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(left.iter().all(|v| v.abs() < 1e-5));
}

#[test]
fn features_of_real_text() {
    let Some((model, corpus)) = real() else { return };
    let sae = both_signs(model.config().width);
    let rows = RowSpec { split: Split::Packed, bos: Bos::Drop, length: 128 };
    let spec = CollectSpec {
        site: Some(Site::Resid(2)),
        tokens: 30_000,
        contexts_per_latent: 10,
        ..CollectSpec::new(corpus.clone(), rows)
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("features.safetensors");
    let since = Instant::now();
    let table = collect(&JobContext::<()>::unwatched(), &model, &sae, &spec, &path).unwrap();
    println!("{:.0} tokens a second", table.tokens as f64 / since.elapsed().as_secs_f64());
    assert_eq!(table.latents.len(), sae.latents());
    let mut file = FeatureFile::open(&path).unwrap();
    assert_eq!(file.table().unwrap(), table);
    for (place, latent) in table.latents.iter().enumerate() {
        let detail = file.detail(place).unwrap();
        let top = detail.top();
        assert!(top.is_sorted_by(|a, b| { a.activations[a.peak] >= b.activations[b.peak] }));
        if let Some(best) = top.first() {
            assert_eq!(best.activations[best.peak], latent.max);
            assert_eq!(best.tokens.len(), best.activations.len());
        }
    }
    // Each of a pair fires where the other does not.
    for pair in table.latents.chunks(2) {
        assert!((pair[0].density + pair[1].density - 1.0).abs() < 1e-3);
    }
}
