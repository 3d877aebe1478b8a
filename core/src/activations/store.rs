//! Activations read back from a store.

use super::manifest::Manifest;
use super::tensor_file::{TensorFile, damaged, hash_of, to_f32s};
use super::{Position, Provenance, Source, StoreDtype};
use crate::error::{Error, Result};
use half::{bf16, f16};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};

/// An endless stream from a store that [`super::capture`] wrote; each pass over it takes the
/// files, and the rows within each, in another order.
///
/// A store is a folder with `manifest.json` (model hash, site, corpus, splitting and BOS mode,
/// number type, mean, E‖x‖², rows, SHA-256 of each file) and files `chunk-00000000.safetensors` …
/// with the tensors `activation` `[rows, width]` (f32, f16 or bf16), `token_ids` u32, `doc_id` u64,
/// `position` u32 and `outlier` u8 `[rows]`. One file is in memory at a time; it is checked against
/// its SHA-256 when it is read first.
pub struct StoreSource {
    dir: PathBuf,
    manifest: Manifest,
    seed: u64,
    /// Rows handed out.
    done: u64,
    checked: Vec<bool>,
    loaded: Option<Loaded>,
}

/// The chunk in memory.
struct Loaded {
    /// Row of the stream that it begins with.
    start: u64,
    order: Vec<u32>,
    activations: Vec<f32>,
}

impl StoreSource {
    /// Opens the store in `dir`; `seed` is that of the order.
    ///
    /// # Errors
    /// No store, one whose capture did not come to its end, files that are missing or of a wrong
    /// shape.
    pub fn open(dir: &Path, seed: u64) -> Result<Self> {
        let what = || format!("Could not read the activations in {}", dir.display());
        let manifest = Manifest::read(dir)?.ok_or_else(|| {
            Error::format(
                what(),
                "there is no manifest.json in it",
                "Choose a folder that the capture command wrote",
            )
        })?;
        if !manifest.complete {
            return Err(Error::format(
                what(),
                "its capture did not come to its end",
                "Run the capture again with the same settings: it goes on where it stopped",
            ));
        }
        if manifest.rows == 0 {
            return Err(damaged(dir, "it has no rows"));
        }
        for chunk in &manifest.chunks {
            shapes(&TensorFile::open(&dir.join(&chunk.file))?, &manifest, chunk.rows)?;
        }
        let checked = vec![false; manifest.chunks.len()];
        Ok(Self { dir: dir.to_owned(), manifest, seed, done: 0, checked, loaded: None })
    }

    /// Rows in the store.
    pub fn rows(&self) -> u64 {
        self.manifest.rows
    }

    /// Rows in it whose norm is an outlier's (none, if they were left out).
    pub fn outliers(&self) -> u64 {
        if self.manifest.stream.outliers.leave_out { 0 } else { self.manifest.outliers }
    }

    /// The mean row.
    pub fn mean(&self) -> &[f64] {
        &self.manifest.mean
    }

    /// E‖x‖².
    pub fn mean_square_norm(&self) -> f64 {
        self.manifest.mean_square_norm
    }

    /// Loads the chunk that holds the next row.
    fn load(&mut self, check: &dyn Fn() -> Result<()>) -> Result<()> {
        let pass = self.done / self.manifest.rows;
        let mut start = pass * self.manifest.rows;
        let mut order: Vec<usize> = (0..self.manifest.chunks.len()).collect();
        order.shuffle(&mut self.rng(pass, u64::MAX));
        let chunk = order
            .into_iter()
            .find(|i| {
                let rows = self.manifest.chunks[*i].rows as u64;
                let here = self.done < start + rows;
                if !here {
                    start += rows;
                }
                here
            })
            .ok_or_else(|| Error::internal("A store has no next row", "its rows do not add up"))?;
        self.loaded = None;
        let entry = &self.manifest.chunks[chunk];
        let path = self.dir.join(&entry.file);
        check()?;
        if !self.checked[chunk] {
            if hash_of(&path)? != entry.sha256 {
                return Err(damaged(&path, "its content is not what was written (SHA-256)"));
            }
            self.checked[chunk] = true;
        }
        check()?;
        let mut file = TensorFile::open(&path)?;
        shapes(&file, &self.manifest, entry.rows)?;
        let count = entry.rows * self.manifest.width;
        let bytes = file.bytes("activation", self.manifest.dtype.safetensors(), 0, count)?;
        let activations = decode(&bytes, self.manifest.dtype);
        if !activations.iter().all(|v| v.is_finite()) {
            return Err(damaged(&path, "it holds a NaN or an infinity"));
        }
        let mut order: Vec<u32> = (0..entry.rows as u32).collect();
        order.shuffle(&mut self.rng(pass, chunk as u64));
        self.loaded = Some(Loaded { start, order, activations });
        Ok(())
    }

    fn rng(&self, pass: u64, chunk: u64) -> ChaCha8Rng {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&pass.to_le_bytes());
        seed[16..24].copy_from_slice(&chunk.to_le_bytes());
        ChaCha8Rng::from_seed(seed)
    }
}

impl Source for StoreSource {
    fn width(&self) -> usize {
        self.manifest.width
    }

    fn read(
        &mut self,
        check: &dyn Fn() -> Result<()>,
        rows: usize,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        let width = self.manifest.width;
        let mut left = rows;
        while left > 0 {
            check()?;
            let rest = self.loaded.as_ref().and_then(|l| {
                let within = usize::try_from(self.done.checked_sub(l.start)?).ok()?;
                l.order.get(within..).filter(|rest| !rest.is_empty()).map(|rest| (l, rest))
            });
            let Some((loaded, rest)) = rest else {
                self.load(check)?;
                continue;
            };
            let taken = rest.len().min(left);
            for row in &rest[..taken] {
                let at = *row as usize * width;
                out.extend_from_slice(&loaded.activations[at..at + width]);
            }
            left -= taken;
            self.done += taken as u64;
        }
        Ok(())
    }

    fn position(&self) -> Position {
        Position { rows: self.done }
    }

    fn seek(&mut self, position: &Position) -> Result<()> {
        self.done = position.rows;
        Ok(())
    }

    fn provenance(&self) -> Provenance {
        Provenance { seed: self.seed, ..self.manifest.provenance.clone() }
    }
}

/// Whether a chunk's tensors have the shapes that the manifest says.
fn shapes(file: &TensorFile, manifest: &Manifest, rows: usize) -> Result<()> {
    let wanted = [
        ("activation", manifest.dtype.safetensors(), vec![rows, manifest.width]),
        ("token_ids", "U32", vec![rows]),
        ("doc_id", "U64", vec![rows]),
        ("position", "U32", vec![rows]),
        ("outlier", "U8", vec![rows]),
    ];
    for (name, dtype, shape) in wanted {
        let is = file.shape(name, dtype)?;
        if is != shape {
            return Err(file.damaged(&format!("{name} has shape {is:?} where {shape:?} is due")));
        }
    }
    Ok(())
}

fn decode(bytes: &[u8], dtype: StoreDtype) -> Vec<f32> {
    let pairs = bytes.as_chunks::<2>().0;
    match dtype {
        StoreDtype::F32 => to_f32s(bytes),
        StoreDtype::F16 => pairs.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        StoreDtype::Bf16 => pairs.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
    }
}
