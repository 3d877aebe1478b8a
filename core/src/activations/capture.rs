//! The capture job: a stream written to disk.

use super::disk::check_room;
use super::manifest::{Chunk, Manifest, chunk_name};
use super::tensor_file::{Column, TensorFile, write};
use super::{CaptureOutcome, CaptureSpec, LiveSource, Position, Source, StoreDtype, check_of};
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::jobs::JobContext;
use crate::llama::{Model, memory};
use half::{bf16, f16};
use std::fs::{self, File, TryLockError};
use std::path::Path;

/// Rows with all that is known of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    /// `[n, width]`.
    pub activations: Vec<f32>,
    pub token: Vec<u32>,
    pub document: Vec<u64>,
    pub position: Vec<u32>,
    /// 1 for a row of outlier norm.
    pub outlier: Vec<u8>,
}

/// Writes a stream of `model`'s activations to the folder `spec.out`: one pass over the corpus, in
/// the order of the shuffle, in files of equal numbers of rows.
///
/// A capture that was stopped, or killed, goes on after its last complete file when the same is
/// asked again, and ends with the same bytes as one that was not. Memory does not grow with the
/// corpus. The format is told in [`super::StoreSource`].
///
/// # Errors
/// A folder that holds something else, too little room on disk or in memory, text that cannot be
/// read, a NaN, a number too great for f16, cancelled.
pub fn capture<E>(
    ctx: &JobContext<E>,
    model: &Model,
    spec: &CaptureSpec,
) -> Result<CaptureOutcome> {
    let check = check_of(ctx);
    if spec.rows.is_none() && spec.stream.corpus.is_endless() {
        return Err(Error::setting(
            "The whole of the built-in corpus cannot be stored",
            "it never ends",
            "Say how many tokens to store",
        ));
    }
    let width = model.config().width;
    let per_row = super::manifest::row_bytes(width, spec.dtype);
    let chunk = spec.chunk.unwrap_or((64 << 20) / per_row as usize).max(1);
    let held = (chunk as u64).saturating_mul(per_row + 8 * width as u64 + 24);
    let needed = LiveSource::memory(model, &spec.stream).saturating_add(held);
    memory::check_fits("store activations", needed, model.device())?;
    let mut source = LiveSource::new(model.clone(), spec.stream.clone())?;
    fs::create_dir_all(&spec.out)
        .doing(|| format!("Could not make the folder {}", spec.out.display()))?;
    let _lock = lock(&spec.out)?;
    let provenance = source.provenance();
    let fresh = Manifest::new(provenance, spec.stream.clone(), spec.rows, spec.dtype, width, chunk);
    let mut manifest = begun(&spec.out, fresh)?;
    let resumed_from = manifest.rows;
    if !manifest.complete {
        let total = match spec.rows {
            Some(rows) => rows,
            None => {
                ctx.progress().stage("Counting tokens", "tokens", 0, 0);
                source.count_pass(&check)?
            }
        };
        let left = total.saturating_sub(manifest.rows);
        check_room(&spec.out, left.saturating_mul(manifest.row_bytes()))?;
        ctx.progress().stage("Storing activations", "tokens", manifest.rows, total);
        let stands = manifest.chunks.last().map_or(0, |c| c.stream);
        source.seek(&Position { rows: stands })?;
        store(ctx, &mut source, &spec.out, total, &mut manifest)?;
    }
    Ok(CaptureOutcome {
        out: spec.out.clone(),
        rows: manifest.rows,
        chunks: manifest.chunks.len(),
        bytes: manifest.chunks.iter().map(|c| c.bytes).sum(),
        outliers: manifest.outliers,
        resumed_from,
        notes: source.note().into_iter().collect(),
    })
}

/// Holds the folder against a second capture; the system lets go of it if the program dies.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(".lock");
    let what = || format!("Could not write to {}", dir.display());
    let file = File::create(&path).doing(what)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::setting(
            what(),
            "another capture is writing to it now",
            "Wait for its end, or choose another folder",
        )),
        // A file system without locks is no reason not to write.
        _ => Ok(file),
    }
}

/// The manifest of this very capture in `dir`, or `fresh` if the folder is new.
fn begun(dir: &Path, fresh: Manifest) -> Result<Manifest> {
    let what = || format!("Could not store activations in {}", dir.display());
    let Some(found) = Manifest::read(dir)? else {
        let strange = fs::read_dir(dir)
            .doing(what)?
            .filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned()))
            .find(|name| name != ".lock" && !name.starts_with("chunk-") && !name.ends_with(".new"));
        return match strange {
            None => Ok(fresh),
            Some(name) => Err(Error::setting(
                what(),
                format!("the folder holds other things ({name})"),
                "Choose a new or an empty folder",
            )),
        };
    };
    let same = Manifest {
        complete: false,
        rows: 0,
        outliers: 0,
        median_norm: 0.0,
        mean: Vec::new(),
        mean_square_norm: 0.0,
        chunks: Vec::new(),
        ..found.clone()
    };
    if same != fresh {
        return Err(Error::setting(
            what(),
            "it holds a capture with other settings, or of another model",
            "Give the same settings to go on with it, or choose another folder",
        ));
    }
    for chunk in &found.chunks {
        let path = dir.join(&chunk.file);
        let size = fs::metadata(&path).doing(|| format!("Could not read {}", path.display()))?;
        if size.len() != chunk.bytes {
            return Err(super::tensor_file::damaged(
                &path,
                "it has another size than when it was \
                                                           written",
            ));
        }
    }
    Ok(found)
}

/// Writes what is missing.
fn store<E>(
    ctx: &JobContext<E>,
    source: &mut LiveSource,
    dir: &Path,
    total: u64,
    manifest: &mut Manifest,
) -> Result<()> {
    let check = check_of(ctx);
    while manifest.rows < total {
        let before = source.seen();
        let rows = (total - manifest.rows).min(manifest.chunk_rows as u64) as usize;
        let mut columns = Columns::default();
        source.read_columns(&check, rows, &mut columns)?;
        let rows = columns.token.len();
        if rows == 0 {
            break;
        }
        let file = chunk_name(manifest.chunks.len());
        let parts = parts(columns, manifest)?;
        let (sha256, bytes) = write(&dir.join(&file), &parts)?;
        let outliers = source.seen().outliers - before.outliers;
        let stream = source.position().rows;
        manifest.chunks.push(Chunk { file, rows, bytes, sha256, stream, outliers });
        manifest.rows += rows as u64;
        manifest.outliers += outliers;
        manifest.median_norm = source.seen().median;
        manifest.write(dir)?;
        ctx.progress().set(manifest.rows);
    }
    if manifest.rows == 0 {
        return Err(Error::setting(
            "There are no activations to store",
            "no rows were asked for, or all were left out",
            "Ask for more rows",
        ));
    }
    finish(dir, manifest)
}

/// The tensors of a chunk: the rows, and the sums that the manifest's means are made of.
fn parts(columns: Columns, manifest: &Manifest) -> Result<Vec<Column>> {
    let width = manifest.width;
    let (bytes, stored) = encode(&columns.activations, manifest.dtype)?;
    let mut sum = vec![0.0f64; width];
    let mut squares = 0.0f64;
    for row in stored.chunks_exact(width) {
        for (s, x) in sum.iter_mut().zip(row) {
            *s += f64::from(*x);
            squares += f64::from(*x).powi(2);
        }
    }
    let dtype = manifest.dtype.safetensors();
    let rows = columns.token.len();
    Ok(vec![
        Column { name: "activation", dtype, shape: vec![rows, width], bytes },
        Column::f64("activation_sum", sum),
        Column::f64("activation_square_sum", [squares]),
        Column::u64("doc_id", columns.document),
        Column::u32("token_ids", columns.token),
        Column::u32("position", columns.position),
        Column::u8("outlier", columns.outlier),
    ])
}

/// The numbers as they are stored: their bytes, and what these read back as.
fn encode(x: &[f32], dtype: StoreDtype) -> Result<(Vec<u8>, Vec<f32>)> {
    match dtype {
        StoreDtype::F32 => Ok((x.iter().flat_map(|v| v.to_le_bytes()).collect(), x.to_vec())),
        StoreDtype::Bf16 => {
            let half: Vec<bf16> = x.iter().map(|v| bf16::from_f32(*v)).collect();
            let bytes = half.iter().flat_map(|v| v.to_le_bytes()).collect();
            Ok((bytes, half.iter().map(|v| v.to_f32()).collect()))
        }
        StoreDtype::F16 => {
            let half: Vec<f16> = x.iter().map(|v| f16::from_f32(*v)).collect();
            if let Some(at) = half.iter().position(|v| !v.is_finite()) {
                return Err(Error::new(
                    ErrorKind::Numeric,
                    "The activations cannot be stored as f16",
                    format!("one of them is {}, and f16 ends at 65504", x[at]),
                    "Store them as bf16 or f32",
                ));
            }
            let bytes = half.iter().flat_map(|v| v.to_le_bytes()).collect();
            Ok((bytes, half.iter().map(|v| v.to_f32()).collect()))
        }
    }
}

/// Sums up the chunks' sums, in their order, and says that the store is complete.
fn finish(dir: &Path, manifest: &mut Manifest) -> Result<()> {
    let mut mean = vec![0.0f64; manifest.width];
    let mut squares = 0.0;
    for chunk in &manifest.chunks {
        let mut file = TensorFile::open(&dir.join(&chunk.file))?;
        let sum = file.f64s("activation_sum")?;
        let square = file.f64s("activation_square_sum")?;
        if sum.len() != mean.len() || square.len() != 1 {
            return Err(file.damaged("its sums have another width"));
        }
        mean.iter_mut().zip(sum).for_each(|(m, s)| *m += s);
        squares += square[0];
    }
    let rows = manifest.rows as f64;
    mean.iter_mut().for_each(|m| *m /= rows);
    manifest.mean = mean;
    manifest.mean_square_norm = squares / rows;
    manifest.complete = true;
    manifest.write(dir)
}
