//! What to stream or to store.

use crate::corpus::{CorpusSpec, RowSpec};
use crate::error::{Error, Result};
use crate::llama::Site;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A stream of activations: with the model, these settings determine every row of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamSpec {
    /// The site to read.
    pub site: Site,
    /// The text.
    pub corpus: CorpusSpec,
    /// How it is cut into rows.
    pub rows: RowSpec,
    /// Rows of the shuffle buffer.
    pub buffer: usize,
    /// What happens with tokens of outlier norm.
    pub outliers: Outliers,
    /// Seed of the shuffle, and of the text of the built-in corpus.
    pub seed: u64,
    /// Tokens in one forward pass, about.
    pub batch: usize,
}

impl StreamSpec {
    /// The usual settings for activations of `width`: a buffer of 65,536 rows, or of as many as fit
    /// into 512 MiB.
    pub fn new(site: Site, corpus: CorpusSpec, rows: RowSpec, width: usize) -> Self {
        let fits = (512 << 20) / (4 * width.max(1));
        Self {
            site,
            corpus,
            rows,
            buffer: fits.clamp(1024, 65_536),
            outliers: Outliers::default(),
            seed: 0,
            batch: 4096,
        }
    }
}

/// What happens with tokens whose activation is far longer than others (attention sinks).
///
/// A token counts as one if ‖x‖ is over `multiple` times the median of the first rows of the
/// stream (4,096, or all there are).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Outliers {
    /// How many times the median norm is too long.
    pub multiple: f32,
    /// Whether to leave them out; if not they are only counted.
    pub leave_out: bool,
}

impl Default for Outliers {
    fn default() -> Self {
        Self { multiple: 10.0, leave_out: false }
    }
}

/// A store to write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureSpec {
    /// What to store: one pass over the corpus, in the order of the shuffle.
    pub stream: StreamSpec,
    /// Rows to store; `None` for the whole corpus (which must end).
    pub rows: Option<u64>,
    /// Number type of the stored activations.
    pub dtype: StoreDtype,
    /// Rows of one file; `None` for about 64 MiB.
    pub chunk: Option<usize>,
    /// The folder to write, new or one that this very capture began.
    pub out: PathBuf,
}

/// Number type of stored activations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreDtype {
    /// 32 bits: what the model computed.
    #[default]
    F32,
    /// 16 bits, finer, up to 65,504.
    F16,
    /// 16 bits, coarser, with the range of 32.
    Bf16,
}

impl StoreDtype {
    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        if self == Self::F32 { 4 } else { 2 }
    }

    /// Its name in a safetensors file.
    pub(super) fn safetensors(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }
}

impl fmt::Display for StoreDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for StoreDtype {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            _ => Err(Error::setting(
                format!("Activations cannot be stored as {text:?}"),
                "the number types are f32, f16 and bf16",
                "Choose one of these",
            )),
        }
    }
}

/// What a capture wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureOutcome {
    /// The folder.
    pub out: PathBuf,
    /// Rows in it.
    pub rows: u64,
    /// Files they are in.
    pub chunks: usize,
    /// Bytes of these files.
    pub bytes: u64,
    /// Rows of outlier norm: flagged, or left out if that was asked for.
    pub outliers: u64,
    /// Rows that were there already, from before the capture was stopped.
    pub resumed_from: u64,
    /// What was done to the text on the way and ought to be known.
    pub notes: Vec<String>,
}
