//! What a store says of itself.

use super::tensor_file::{damaged, write_atomically};
use super::{Provenance, StoreDtype, StreamSpec};
use crate::error::{Error, IoContext, Result};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

pub(super) const MANIFEST: &str = "manifest.json";
const FORMAT: &str = "sparsescope-activations";
const VERSION: u32 = 1;

/// What `manifest.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub format: String,
    pub version: u32,
    /// Whether the capture came to its end.
    pub complete: bool,
    /// Model hash, site, corpus, splitting and BOS mode in words, seed.
    pub provenance: Provenance,
    /// Every setting of the stream.
    pub stream: StreamSpec,
    /// Rows that were asked for; `None` for the whole corpus.
    pub wanted: Option<u64>,
    pub dtype: StoreDtype,
    pub width: usize,
    /// Rows of every chunk but the last.
    pub chunk_rows: usize,
    /// Rows in all chunks.
    pub rows: u64,
    /// Rows of outlier norm: flagged, or left out.
    pub outliers: u64,
    /// The median norm that outliers are measured by.
    pub median_norm: f32,
    /// Mean row; empty until complete.
    pub mean: Vec<f64>,
    /// E‖x‖²; 0 until complete.
    pub mean_square_norm: f64,
    pub chunks: Vec<Chunk>,
}

/// One file of a store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Chunk {
    pub file: String,
    pub rows: usize,
    pub bytes: u64,
    pub sha256: String,
    /// Where the stream stood after its last row.
    pub stream: u64,
    /// Rows of outlier norm that the stream passed meanwhile.
    pub outliers: u64,
}

/// The name of chunk `i`.
pub(super) fn chunk_name(i: usize) -> String {
    format!("chunk-{i:08}.safetensors")
}

impl Manifest {
    pub fn new(
        provenance: Provenance,
        stream: StreamSpec,
        wanted: Option<u64>,
        dtype: StoreDtype,
        width: usize,
        chunk_rows: usize,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            complete: false,
            provenance,
            stream,
            wanted,
            dtype,
            width,
            chunk_rows,
            rows: 0,
            outliers: 0,
            median_norm: 0.0,
            mean: Vec::new(),
            mean_square_norm: 0.0,
            chunks: Vec::new(),
        }
    }

    /// Reads the manifest in `dir`; `None` if there is none.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(MANIFEST);
        let text = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.doing(|| format!("Could not read {}", path.display()))?,
        };
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|e| damaged(&path, &e.to_string()))?;
        if manifest.format != FORMAT || manifest.version != VERSION {
            let why = format!(
                "it calls itself {} version {}, and this program reads {FORMAT} version {VERSION}",
                manifest.format, manifest.version
            );
            return Err(Error::format(
                format!("Could not read {}", path.display()),
                why,
                "Capture the activations again, or use the program that wrote them",
            ));
        }
        manifest.check(&path)?;
        Ok(Some(manifest))
    }

    /// Whether its numbers make sense together; the file may have been made by anybody.
    fn check(&self, path: &Path) -> Result<()> {
        let full = |(i, c): (usize, &Chunk)| {
            let last = i + 1 == self.chunks.len();
            let size = if last { 1..=self.chunk_rows } else { self.chunk_rows..=self.chunk_rows };
            // Names are ours, so that none can lead out of the folder.
            c.file == chunk_name(i) && size.contains(&c.rows)
        };
        let rows = self.chunks.iter().try_fold(0u64, |n, c| n.checked_add(c.rows as u64));
        let sizes = (1..=1 << 24).contains(&self.width) && (1..=1 << 32).contains(&self.chunk_rows);
        let mean = if self.complete { self.width } else { 0 };
        if !sizes
            || rows != Some(self.rows)
            || self.mean.len() != mean
            || !self.chunks.iter().enumerate().all(full)
        {
            return Err(damaged(path, "its numbers do not fit together"));
        }
        Ok(())
    }

    /// Writes it to `dir`, whole or not at all.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::internal("A manifest could not be written", e.to_string()))?;
        write_atomically(&dir.join(MANIFEST), |file| file.write_all(&text))
    }

    /// Bytes that a row takes on disk.
    pub fn row_bytes(&self) -> u64 {
        row_bytes(self.width, self.dtype)
    }
}

/// Bytes that a row takes on disk: its activation, token, document, position, flag.
pub(super) fn row_bytes(width: usize, dtype: StoreDtype) -> u64 {
    (width * dtype.bytes()) as u64 + 4 + 8 + 4 + 1
}
