//! Tensor files (safetensors), written whole or not at all, read with suspicion.

use crate::error::{Error, IoContext, Result};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The numbers of a tensor to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Numbers<'a> {
    F32(&'a [f32]),
    U64(&'a [u64]),
}

/// A tensor to be written.
#[derive(Debug, Clone)]
pub(crate) struct Tensor<'a> {
    pub name: String,
    pub shape: Vec<usize>,
    pub numbers: Numbers<'a>,
}

impl<'a> Tensor<'a> {
    pub(crate) fn f32(name: impl Into<String>, shape: &[usize], data: &'a [f32]) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), numbers: Numbers::F32(data) }
    }

    pub(crate) fn u64(name: impl Into<String>, data: &'a [u64]) -> Self {
        Self { name: name.into(), shape: vec![data.len()], numbers: Numbers::U64(data) }
    }

    fn bytes(&self) -> usize {
        match self.numbers {
            Numbers::F32(data) => size_of_val(data),
            Numbers::U64(data) => size_of_val(data),
        }
    }
}

/// Writes `bytes` beside `path` (see [`put_in_place`]).
pub(crate) fn write_beside_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write_beside(path, |file| file.write_all(bytes))
}

/// Writes a safetensors file beside `path` (see [`put_in_place`]); returns its SHA-256.
pub(crate) fn write_tensors_beside(
    path: &Path,
    tensors: &[Tensor<'_>],
    metadata: &[(&str, String)],
) -> Result<String> {
    let mut header = Map::new();
    if !metadata.is_empty() {
        let pairs = metadata.iter().map(|(k, v)| ((*k).to_owned(), Value::from(v.as_str())));
        header.insert("__metadata__".to_owned(), Value::Object(pairs.collect()));
    }
    let mut at = 0;
    for tensor in tensors {
        let dtype = match tensor.numbers {
            Numbers::F32(_) => "F32",
            Numbers::U64(_) => "U64",
        };
        let end = at + tensor.bytes();
        let entry = json!({ "dtype": dtype, "shape": tensor.shape, "data_offsets": [at, end] });
        header.insert(tensor.name.clone(), entry);
        at = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // The data begin at a multiple of 8, so that a reader may map them.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut hash = Sha256::new();
    write_beside(path, |file| {
        let mut file = BufWriter::with_capacity(1 << 16, file);
        let mut put = |bytes: &[u8]| {
            hash.update(bytes);
            file.write_all(bytes)
        };
        put(&(header.len() as u64).to_le_bytes())?;
        put(&header)?;
        let mut bytes = Vec::with_capacity(1 << 16);
        for tensor in tensors {
            match tensor.numbers {
                Numbers::F32(data) => data.chunks(1 << 14).try_for_each(|chunk| {
                    bytes.clear();
                    bytes.extend(chunk.iter().flat_map(|v| v.to_le_bytes()));
                    put(&bytes)
                })?,
                Numbers::U64(data) => data.chunks(1 << 13).try_for_each(|chunk| {
                    bytes.clear();
                    bytes.extend(chunk.iter().flat_map(|v| v.to_le_bytes()));
                    put(&bytes)
                })?,
            }
        }
        file.flush()
    })?;
    Ok(hex(&hash.finalize()))
}

/// Where a file waits until it is complete.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// Writes a file beside its name, for [`put_in_place`].
pub(crate) fn write_beside(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<()> {
    let new = beside(path);
    let result = File::create(&new).and_then(|mut file| {
        write(&mut file)?;
        file.sync_all()
    });
    if result.is_err() {
        // A half-written file is of no use, and on a full disk it is in the way.
        let _ = fs::remove_file(&new);
    }
    result.doing(|| format!("Could not write {}", path.display()))
}

/// Gives a file written beside its name, in one step.
pub(crate) fn put_in_place(path: &Path) -> Result<()> {
    fs::rename(beside(path), path).doing(|| format!("Could not write {}", path.display()))?;
    // The new name itself must survive a power cut; not every file system can say so.
    if let Some(folder) = path.parent().and_then(|p| File::open(p).ok()) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// What was read of a tensor file.
#[derive(Debug)]
pub(crate) struct Read {
    /// File it was read from, for messages.
    path: PathBuf,
    f32s: HashMap<String, (Vec<usize>, Vec<f32>)>,
    u64s: HashMap<String, Vec<u64>>,
    pub metadata: HashMap<String, String>,
    /// SHA-256 of the whole file.
    pub hash: String,
}

/// Reads a tensor file of our own making.
pub(crate) fn read_tensors(path: &Path) -> Result<Read> {
    let bytes = fs::read(path).doing(|| format!("Could not read {}", path.display()))?;
    let bad = |why: String| damaged(path, &why);
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(e.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
    let mut read = Read {
        path: path.to_owned(),
        f32s: HashMap::new(),
        u64s: HashMap::new(),
        metadata: header.metadata().clone().unwrap_or_default(),
        hash: hex(&Sha256::digest(&bytes)),
    };
    for (name, view) in file.iter() {
        match view.dtype() {
            Dtype::F32 => {
                let data = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
                read.f32s.insert(name.to_owned(), (view.shape().to_vec(), data.collect()));
            }
            Dtype::U64 => {
                let data = view.data().as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b));
                read.u64s.insert(name.to_owned(), data.collect());
            }
            other => return Err(bad(format!("the tensor {name} is of type {other:?}"))),
        }
    }
    Ok(read)
}

impl Read {
    /// Takes out a tensor of f32 with its shape.
    pub(crate) fn take(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        self.f32s
            .remove(name)
            .ok_or_else(|| damaged(&self.path, &format!("the tensor {name} is missing")))
    }

    /// Takes out a tensor of f32 that must have `shape`.
    pub(crate) fn take_shaped(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let (is, data) = self.take(name)?;
        if is != shape {
            let why = format!("the tensor {name} has shape {is:?} where {shape:?} is due");
            return Err(damaged(&self.path, &why));
        }
        Ok(data)
    }

    /// Takes out a tensor of `len` u64.
    pub(crate) fn take_u64(&mut self, name: &str, len: usize) -> Result<Vec<u64>> {
        let data = self
            .u64s
            .remove(name)
            .ok_or_else(|| damaged(&self.path, &format!("the tensor {name} is missing")))?;
        if data.len() != len {
            let why = format!("the tensor {name} has {} entries where {len} are due", data.len());
            return Err(damaged(&self.path, &why));
        }
        Ok(data)
    }
}

pub(crate) fn damaged(path: &Path, why: &str) -> Error {
    Error::format(
        format!("{} is damaged, or no file of this program", path.display()),
        why,
        "Take another copy of it, or train again",
    )
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
