//! Safetensors files in columns: written whole or not at all, read in parts, with suspicion.

use crate::error::{Error, IoContext, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// No header of ours comes near it; a hostile one may ask for anything.
const LONGEST_HEADER: u64 = 16 << 20;

/// A tensor to be written: its bytes in little-endian order.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub name: &'static str,
    pub dtype: &'static str,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Column {
    pub fn u32(name: &'static str, values: impl IntoIterator<Item = u32>) -> Self {
        Self::flat(name, "U32", 4, values.into_iter().flat_map(u32::to_le_bytes).collect())
    }

    pub fn u64(name: &'static str, values: impl IntoIterator<Item = u64>) -> Self {
        Self::flat(name, "U64", 8, values.into_iter().flat_map(u64::to_le_bytes).collect())
    }

    pub fn f32(name: &'static str, values: impl IntoIterator<Item = f32>) -> Self {
        Self::flat(name, "F32", 4, values.into_iter().flat_map(f32::to_le_bytes).collect())
    }

    pub fn f64(name: &'static str, values: impl IntoIterator<Item = f64>) -> Self {
        Self::flat(name, "F64", 8, values.into_iter().flat_map(f64::to_le_bytes).collect())
    }

    pub fn u8(name: &'static str, bytes: Vec<u8>) -> Self {
        Self::flat(name, "U8", 1, bytes)
    }

    fn flat(name: &'static str, dtype: &'static str, size: usize, bytes: Vec<u8>) -> Self {
        Self { name, dtype, shape: vec![bytes.len() / size], bytes }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// Writes `columns` to `path`, beside it first; returns the file's SHA-256 and its size.
pub(crate) fn write(path: &Path, columns: &[Column]) -> Result<(String, u64)> {
    let described =
        columns.iter().map(|c| (c.name, c.dtype, c.shape.clone(), c.bytes.len() as u64));
    let (header, at) = header(described)?;
    let mut hash = Sha256::new();
    let length = (header.len() as u64).to_le_bytes();
    write_atomically(path, |file| {
        let data = columns.iter().map(|c| c.bytes.as_slice());
        for part in [length.as_slice(), &header].into_iter().chain(data) {
            hash.update(part);
            file.write_all(part)?;
        }
        Ok(())
    })?;
    Ok((hex(&hash.finalize()), 8 + header.len() as u64 + at))
}

/// The header of a file of such tensors (name, type, shape, bytes), and the bytes of them all.
fn header(
    tensors: impl Iterator<Item = (&'static str, &'static str, Vec<usize>, u64)>,
) -> Result<(Vec<u8>, u64)> {
    let mut entries = BTreeMap::new();
    let mut at = 0;
    for (name, dtype, shape, bytes) in tensors {
        let (dtype, end) = (dtype.to_owned(), at + bytes);
        entries.insert(name, Entry { dtype, shape, data_offsets: (at, end) });
        at = end;
    }
    let mut header = serde_json::to_vec(&entries)
        .map_err(|e| Error::internal("A tensor file could not be described", e.to_string()))?;
    // The data begin at a multiple of 8, so that a reader may map them.
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok((header, at))
}

/// What writes the bytes of a tensor.
pub(crate) type Writes<'a> = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + 'a>;

/// A tensor that is never in memory as a whole.
pub(crate) struct Stream<'a> {
    pub name: &'static str,
    pub dtype: &'static str,
    pub shape: Vec<usize>,
    /// Writes its bytes.
    pub write: Writes<'a>,
}

impl<'a> Stream<'a> {
    /// Numbers, each given as its bytes.
    pub fn numbers<const N: usize>(
        name: &'static str,
        dtype: &'static str,
        shape: Vec<usize>,
        values: impl Iterator<Item = [u8; N]> + 'a,
    ) -> Self {
        let write = move |out: &mut dyn Write| {
            for value in values {
                out.write_all(&value)?;
            }
            Ok(())
        };
        Self { name, dtype, shape, write: Box::new(write) }
    }
}

/// Writes `streams` to `path`, beside it first, asking `check` on the way.
pub(crate) fn write_streams(
    path: &Path,
    streams: Vec<Stream<'_>>,
    check: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let size = |s: &Stream<'_>| s.shape.iter().product::<usize>() as u64 * size_of_dtype(s.dtype);
    let described = streams.iter().map(|s| (s.name, s.dtype, s.shape.clone(), size(s)));
    let (header, _) = header(described)?;
    let mut stopped = None;
    let written = write_atomically(path, |file| {
        let mut out = Counted { inner: io::BufWriter::with_capacity(1 << 20, file), bytes: 0 };
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for stream in streams {
            if let Err(error) = check() {
                stopped = Some(error);
                return Err(io::Error::other("stopped"));
            }
            let (name, end) = (stream.name, out.bytes + size(&stream));
            (stream.write)(&mut out)?;
            if out.bytes != end {
                return Err(io::Error::other(format!("{name} is not of the size it should have")));
            }
        }
        out.flush()
    });
    stopped.map_or(written, Err)
}

struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(data)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes a file beside its name, brings it safely to the disk and gives it its name in one step.
pub(crate) fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let result = File::create(&beside).and_then(|mut file| {
        write(&mut file)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    if result.is_err() {
        // A half-written file is of no use, and on a full disk it is in the way.
        let _ = fs::remove_file(&beside);
    }
    result.doing(|| format!("Could not write {}", path.display()))?;
    // The new name itself must survive a power cut; not every file system can say so.
    if let Some(folder) = path.parent().and_then(|p| File::open(p).ok()) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// A tensor file that is open for reading.
#[derive(Debug)]
pub(crate) struct TensorFile {
    path: PathBuf,
    file: File,
    entries: BTreeMap<String, Entry>,
    /// Where in the file the data begin.
    data: u64,
    /// Bytes of tensors that were read.
    read: u64,
}

impl TensorFile {
    /// Opens `path` and checks that its header fits its size.
    pub fn open(path: &Path) -> Result<Self> {
        let what = || format!("Could not read {}", path.display());
        let mut file = File::open(path).doing(what)?;
        let size = file.metadata().doing(what)?.len();
        let mut length = [0; 8];
        let short = |e: io::Error| match e.kind() {
            io::ErrorKind::UnexpectedEof => damaged(path, "it ends within its header"),
            _ => Error::io(what(), &e),
        };
        file.read_exact(&mut length).map_err(short)?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST_HEADER || length + 8 > size {
            return Err(damaged(path, "its header is longer than it can be"));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(short)?;
        let mut json: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header)
            .map_err(|e| damaged(path, &format!("its header is no JSON ({e})")))?;
        json.remove("__metadata__");
        let data = 8 + length;
        let mut entries = BTreeMap::new();
        for (name, value) in json {
            let entry: Entry = serde_json::from_value(value)
                .map_err(|e| damaged(path, &format!("its tensor {name} is not described ({e})")))?;
            let bytes = entry
                .shape
                .iter()
                .try_fold(size_of_dtype(&entry.dtype), |n, d| n.checked_mul(*d as u64));
            let (start, end) = entry.data_offsets;
            let fits = start <= end && end <= size - data && bytes == Some(end - start);
            if !fits || size_of_dtype(&entry.dtype) == 0 {
                return Err(damaged(path, &format!("its tensor {name} lies outside the file")));
            }
            entries.insert(name, entry);
        }
        Ok(Self { path: path.to_owned(), file, entries, data, read: 0 })
    }

    /// The shape of a tensor that must be of type `dtype`.
    pub fn shape(&self, name: &str, dtype: &str) -> Result<&[usize]> {
        Ok(&self.entry(name, dtype)?.shape)
    }

    fn entry(&self, name: &str, dtype: &str) -> Result<&Entry> {
        let entry = self
            .entries
            .get(name)
            .ok_or_else(|| damaged(&self.path, &format!("it has no tensor {name}")))?;
        if entry.dtype != dtype {
            let why = format!("its tensor {name} is {} where {dtype} is due", entry.dtype);
            return Err(damaged(&self.path, &why));
        }
        Ok(entry)
    }

    /// Bytes of `count` numbers of a tensor from number `first` on.
    pub fn bytes(&mut self, name: &str, dtype: &str, first: u64, count: usize) -> Result<Vec<u8>> {
        let size = size_of_dtype(dtype);
        let (start, end) = self.entry(name, dtype)?.data_offsets;
        let from = first.checked_mul(size).and_then(|b| b.checked_add(start));
        let length = (count as u64).checked_mul(size);
        let from = from
            .zip(length)
            .filter(|(from, length)| from.checked_add(*length).is_some_and(|to| to <= end))
            .map(|(from, _)| from)
            .ok_or_else(|| damaged(&self.path, &format!("its tensor {name} is too short")))?;
        let mut bytes = vec![0; count * size as usize];
        let what = || format!("Could not read {}", self.path.display());
        self.file.seek(SeekFrom::Start(self.data + from)).doing(what)?;
        self.file.read_exact(&mut bytes).doing(what)?;
        self.read += bytes.len() as u64;
        Ok(bytes)
    }

    /// Bytes of tensors that were read so far.
    #[cfg(test)]
    pub fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// All numbers of a tensor of one dimension.
    fn column(&mut self, name: &str, dtype: &str) -> Result<Vec<u8>> {
        let count = self.entry(name, dtype)?.shape.iter().product();
        self.bytes(name, dtype, 0, count)
    }

    pub fn u8s(&mut self, name: &str) -> Result<Vec<u8>> {
        self.column(name, "U8")
    }

    pub fn u32s(&mut self, name: &str) -> Result<Vec<u32>> {
        Ok(to_u32s(&self.column(name, "U32")?))
    }

    pub fn u64s(&mut self, name: &str) -> Result<Vec<u64>> {
        let bytes = self.column(name, "U64")?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect())
    }

    pub fn f32s(&mut self, name: &str) -> Result<Vec<f32>> {
        Ok(to_f32s(&self.column(name, "F32")?))
    }

    pub fn f64s(&mut self, name: &str) -> Result<Vec<f64>> {
        let bytes = self.column(name, "F64")?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
    }

    /// An error about this file.
    pub fn damaged(&self, why: &str) -> Error {
        damaged(&self.path, why)
    }
}

/// SHA-256 of a file.
pub(crate) fn hash_of(path: &Path) -> Result<String> {
    let what = || format!("Could not read {}", path.display());
    let mut file = File::open(path).doing(what)?;
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut hash).doing(what)?;
    Ok(hex(&hash.finalize()))
}

pub(crate) fn to_u32s(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
}

pub(crate) fn to_f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// Bytes of one number; 0 for a type that is not known here.
fn size_of_dtype(dtype: &str) -> u64 {
    match dtype {
        "U8" | "I8" | "BOOL" => 1,
        "F16" | "BF16" | "I16" | "U16" => 2,
        "F32" | "I32" | "U32" => 4,
        "F64" | "I64" | "U64" => 8,
        _ => 0,
    }
}

pub(crate) fn damaged(path: &Path, why: &str) -> Error {
    Error::format(
        format!("{} is damaged, or no file of this program", path.display()),
        why,
        "Take another copy of it, or make it again",
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn columns() -> Vec<Column> {
        vec![
            Column::u32("a", [1, 2, 3]),
            Column::f64("b", [0.1, -0.0]),
            Column::u8("c", b"hello".to_vec()),
            Column { shape: vec![2, 2], ..Column::f32("d", [1.5, f32::MIN, 0.0, -2.0]) },
            Column::u64("e", []),
        ]
    }

    /// A file of ours, made once: bringing it to the disk takes its time.
    fn sample() -> (tempfile::TempDir, Vec<u8>) {
        static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let dir = tempfile::tempdir().unwrap();
        let bytes = BYTES.get_or_init(|| {
            let path = dir.path().join("sample");
            write(&path, &columns()).unwrap();
            fs::read(&path).unwrap()
        });
        (dir, bytes.clone())
    }

    #[test]
    fn what_is_written_is_read_and_other_readers_read_it_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let (hash, size) = write(&path, &columns()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), size);
        assert_eq!(hash_of(&path).unwrap(), hash);
        let mut file = TensorFile::open(&path).unwrap();
        assert_eq!(file.u32s("a").unwrap(), [1, 2, 3]);
        assert_eq!(file.f64s("b").unwrap(), [0.1, -0.0]);
        assert_eq!(file.u8s("c").unwrap(), b"hello");
        assert_eq!(file.f32s("d").unwrap(), [1.5, f32::MIN, 0.0, -2.0]);
        assert_eq!(file.u64s("e").unwrap(), [0u64; 0]);
        assert_eq!(file.shape("d", "F32").unwrap(), [2, 2]);
        assert_eq!(to_f32s(&file.bytes("d", "F32", 2, 2).unwrap()), [0.0, -2.0]);
        assert!(file.bytes("d", "F32", 3, 2).is_err());
        assert!(file.bytes("d", "F32", u64::MAX, 1).is_err());
        assert!(file.f32s("a").unwrap_err().why.contains("F32"));
        assert!(file.u32s("z").unwrap_err().why.contains("no tensor z"));
        let bytes = fs::read(&path).unwrap();
        let foreign = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(foreign.tensor("d").unwrap().shape(), [2, 2]);
        assert_eq!(foreign.tensor("c").unwrap().data(), b"hello");
    }

    proptest! {
        #[test]
        fn no_file_whatever_is_in_it_makes_it_panic(at in 0usize..600, byte: u8, keep in 0usize..700) {
            let (dir, mut bytes) = sample();
            let path = dir.path().join("x.safetensors");
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(keep.max(1));
            fs::write(&path, &bytes).unwrap();
            if let Ok(mut file) = TensorFile::open(&path) {
                let _ = file.u32s("a");
                let _ = file.f32s("d");
                let _ = file.u8s("c");
            }
        }
    }
}
