//! A store holds what the stream gave, survives kills, and refuses what is not whole.

use super::testing::{stream, text_file, tiny_model};
use super::{CaptureOutcome, CaptureSpec, LiveSource, Position, Source, StoreDtype, StoreSource};
use super::{capture, tensor_file::TensorFile};
use crate::corpus::{CorpusSpec, Rows, encoder_of};
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{Plan, Tokens};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn go() -> Result<()> {
    Ok(())
}

fn spec(dir: &Path, out: &str) -> CaptureSpec {
    CaptureSpec {
        stream: stream(&text_file(dir, 30)),
        rows: None,
        dtype: StoreDtype::F32,
        chunk: Some(64),
        out: dir.join(out),
    }
}

fn run(spec: &CaptureSpec) -> Result<CaptureOutcome> {
    capture(&JobContext::<()>::unwatched(), &tiny_model(), spec)
}

fn read(source: &mut dyn Source, rows: u64) -> Vec<f32> {
    let mut out = Vec::new();
    source.read(&go, rows as usize, &mut out).unwrap();
    out
}

fn sorted(flat: &[f32]) -> Vec<Vec<f32>> {
    let mut rows: Vec<Vec<f32>> = flat.chunks(16).map(<[f32]>::to_vec).collect();
    rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
    rows
}

/// Every file of a folder but the lock.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap())
        .map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap()))
        .filter(|(name, _)| name != ".lock")
        .collect()
}

#[test]
fn a_store_gives_back_the_stream_with_its_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(dir.path(), "store");
    let outcome = run(&spec).unwrap();
    let model = tiny_model();
    let mut live = LiveSource::new(model.clone(), spec.stream.clone()).unwrap();
    let pass = read(&mut live, outcome.rows);
    let mut store = StoreSource::open(&spec.out, 3).unwrap();
    assert_eq!((store.rows(), store.width()), (outcome.rows, 16));
    let first = read(&mut store, outcome.rows);
    let second = read(&mut store, outcome.rows);
    assert_eq!(sorted(&first), sorted(&pass));
    assert_eq!(sorted(&second), sorted(&pass));
    assert_ne!(first, second);
    assert_eq!(store.provenance().model, live.provenance().model);
    assert_eq!(store.provenance().site, spec.stream.site);

    // The means.
    let mean: Vec<f64> = (0..16)
        .map(|j| pass.chunks(16).map(|r| f64::from(r[j])).sum::<f64>() / outcome.rows as f64)
        .collect();
    store.mean().iter().zip(&mean).for_each(|(a, b)| assert!((a - b).abs() < 1e-9));
    let square = pass.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / outcome.rows as f64;
    assert!((store.mean_square_norm() - square).abs() < 1e-9);

    // Each activation belongs to its token: look it up in the text and run its row alone.
    let documents = spec.stream.corpus.open(0).unwrap();
    let mut rows = Rows::new(documents, encoder_of(&model).unwrap(), spec.stream.rows).unwrap();
    let mut known: BTreeMap<(u64, u32, u32), Vec<f32>> = BTreeMap::new();
    while let Some(row) = rows.next_row().unwrap() {
        let plan = Plan { read: &[spec.stream.site], ..Plan::default() };
        let output = model.forward(&Tokens::row(&row.tokens).unwrap(), &plan).unwrap();
        let x = output.sites[&spec.stream.site].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for i in (0..row.len()).filter(|i| row.used[*i]) {
            let key = (row.document[i], row.position[i], row.tokens[i]);
            known.insert(key, x[i * 16..(i + 1) * 16].to_vec());
        }
    }
    let mut seen = 0;
    for i in 0..outcome.chunks {
        let mut file =
            TensorFile::open(&spec.out.join(format!("chunk-{i:08}.safetensors"))).unwrap();
        let (token, document) = (file.u32s("token_ids").unwrap(), file.u64s("doc_id").unwrap());
        let (position, x) = (file.u32s("position").unwrap(), file.f32s("activation").unwrap());
        for (n, row) in x.chunks(16).enumerate() {
            let wanted = &known[&(document[n], position[n], token[n])];
            assert!(row.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-4));
            seen += 1;
        }
    }
    assert_eq!(seen, known.len());
}

#[test]
fn a_stopped_capture_ends_with_the_bytes_of_one_that_was_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut whole = spec(dir.path(), "whole");
    whole.stream.outliers.multiple = 1.3;
    for leave_out in [false, true] {
        whole.stream.outliers.leave_out = leave_out;
        whole.out = dir.path().join(format!("whole-{leave_out}"));
        let outcome = run(&whole).unwrap();
        assert!(outcome.outliers > 0 && outcome.chunks > 3, "{outcome:?}");
        let wanted = files(&whole.out);
        for killed_after in 0..outcome.chunks {
            // What a kill leaves: some chunks, the manifest of then, half a file.
            let part = CaptureSpec {
                out: dir.path().join(format!("{leave_out}-{killed_after}")),
                ..whole.clone()
            };
            let ctx = JobContext::<()>::unwatched();
            let copy = CaptureSpec { rows: Some((killed_after as u64 + 1) * 64), ..part.clone() };
            // The same capture, cut short by the number of rows, has the same chunks so far.
            if killed_after > 0 {
                capture(
                    &ctx,
                    &tiny_model(),
                    &CaptureSpec { rows: Some(killed_after as u64 * 64), ..copy },
                )
                .unwrap();
                let text = fs::read_to_string(part.out.join("manifest.json")).unwrap();
                let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
                json["complete"] = false.into();
                json["wanted"] = serde_json::Value::Null;
                json["mean"] = serde_json::json!([]);
                json["mean_square_norm"] = serde_json::json!(0.0);
                fs::write(part.out.join("manifest.json"), json.to_string()).unwrap();
            } else {
                fs::create_dir_all(&part.out).unwrap();
            }
            let next = format!("chunk-{killed_after:08}.safetensors");
            fs::write(part.out.join(format!("{next}.new")), b"half").unwrap();
            fs::write(part.out.join(next), b"written, but not in the manifest").unwrap();
            assert!(StoreSource::open(&part.out, 0).is_err());
            let resumed = run(&part).unwrap();
            assert_eq!(resumed.resumed_from, killed_after as u64 * 64);
            assert_eq!((resumed.rows, resumed.outliers), (outcome.rows, outcome.outliers));
            assert!(files(&part.out) == wanted, "killed after {killed_after}");
        }
    }
    // Asked again, a finished capture does nothing.
    assert_eq!(run(&whole).unwrap().resumed_from, run(&whole).unwrap().rows);
}

#[test]
fn a_cancelled_capture_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(dir.path(), "store");
    let ctx = JobContext::<()>::unwatched();
    ctx.cancel("test");
    assert!(capture(&ctx, &tiny_model(), &spec).unwrap_err().is_cancelled());
    run(&spec).unwrap();
    StoreSource::open(&spec.out, 0).unwrap();
}

#[test]
fn a_seek_gives_the_same_bits_as_reading_on() {
    let dir = tempfile::tempdir().unwrap();
    for dtype in [StoreDtype::F32, StoreDtype::F16, StoreDtype::Bf16] {
        let mut spec = spec(dir.path(), &format!("store-{dtype}"));
        spec.dtype = dtype;
        spec.rows = Some(200);
        assert_eq!(run(&spec).unwrap().rows, 200);
        let stream = read(&mut StoreSource::open(&spec.out, 9).unwrap(), 700);
        for at in [0, 1, 63, 64, 199, 200, 201, 555] {
            let mut source = StoreSource::open(&spec.out, 9).unwrap();
            source.seek(&Position { rows: at }).unwrap();
            let wanted = &stream[at as usize * 16..(at as usize + 90) * 16];
            assert!(read(&mut source, 90) == *wanted, "{dtype} from {at}");
            assert_eq!(source.position().rows, at + 90);
        }
        let mut live = LiveSource::new(tiny_model(), spec.stream.clone()).unwrap();
        let exact = read(&mut live, 200);
        let near = if dtype == StoreDtype::Bf16 { 1e-2 } else { 1e-3 };
        let stored = sorted(&stream[..3200]);
        let nearest = |row: &[f32]| {
            let apart = |other: &Vec<f32>| -> f32 {
                row.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            };
            stored.iter().map(apart).fold(f32::MAX, f32::min)
        };
        assert!(exact.chunks(16).all(|row| nearest(row) < near * 4.0), "{dtype}");
    }
}

#[test]
fn what_is_not_whole_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(dir.path(), "store");
    spec.rows = Some(100);
    run(&spec).unwrap();
    let whole = files(&spec.out);
    type Files = BTreeMap<String, Vec<u8>>;
    let why = |change: &dyn Fn(&mut Files)| -> Error {
        let mut changed = whole.clone();
        change(&mut changed);
        let out = dir.path().join("damaged");
        fs::create_dir_all(&out).unwrap();
        whole.keys().for_each(|name| drop(fs::remove_file(out.join(name))));
        changed.iter().for_each(|(name, bytes)| fs::write(out.join(name), bytes).unwrap());
        let mut source = match StoreSource::open(&out, 0) {
            Ok(source) => source,
            Err(error) => return error,
        };
        source.read(&go, 100, &mut Vec::new()).unwrap_err()
    };
    let chunk = "chunk-00000001.safetensors";
    let get = |files: &mut BTreeMap<String, Vec<u8>>, name: &str| files.remove(name).unwrap();
    assert!(why(&|f| drop(get(f, "manifest.json"))).why.contains("no manifest"));
    assert!(why(&|f| drop(get(f, chunk))).what.contains(chunk));
    assert!(why(&|f| f.get_mut(chunk).unwrap().truncate(900)).what.contains(chunk));
    let flip =
        |f: &mut BTreeMap<String, Vec<u8>>| *f.get_mut(chunk).unwrap().last_mut().unwrap() ^= 1;
    assert!(why(&flip).why.contains("SHA-256"));
    let edit = |from: &'static str, to: &'static str| {
        move |f: &mut BTreeMap<String, Vec<u8>>| {
            let text = String::from_utf8(get(f, "manifest.json")).unwrap();
            assert!(text.contains(from), "{from}");
            f.insert("manifest.json".into(), text.replace(from, to).into_bytes());
        }
    };
    assert!(why(&edit("\"version\": 1", "\"version\": 9")).why.contains("version 9"));
    assert!(why(&edit("\"width\": 16", "\"width\": 17")).why.contains("fit"));
    assert!(why(&edit("chunk-00000000", "../chunk-00000000")).why.contains("fit"));
    assert!(why(&edit("\"rows\": 36", "\"rows\": 18446744073709551615")).what.contains("damaged"));
    assert!(why(&edit("{", "[")).what.contains("damaged"));
}

#[test]
fn what_cannot_be_stored_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let good = CaptureSpec { rows: Some(100), ..spec(dir.path(), "store") };
    run(&good).unwrap();
    let why = |spec: &CaptureSpec| run(spec).unwrap_err().to_string();
    let other = CaptureSpec { rows: Some(120), ..good.clone() };
    assert!(why(&other).contains("other settings"));
    let strange = CaptureSpec { out: dir.path().to_owned(), ..good.clone() };
    assert!(why(&strange).contains("other things"));
    let mut endless = CaptureSpec { rows: None, out: dir.path().join("endless"), ..good.clone() };
    endless.stream.corpus = CorpusSpec::Builtin(None);
    assert!(why(&endless).contains("never ends"));
    let lot = CaptureSpec { rows: Some(1 << 50), out: dir.path().join("lot"), ..good.clone() };
    if cfg!(unix) {
        assert!(why(&lot).contains("are free"), "{}", why(&lot));
    }
    let file = CaptureSpec { out: dir.path().join("text.txt"), ..good };
    assert!(why(&file).contains("text.txt"));
}
