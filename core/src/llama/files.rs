//! Safetensors files on disk or in memory: one or several shards under one set of names.

use super::Config;
use super::weights::{EMBED, HEAD, expected};
use crate::error::{Error, IoContext, Result};
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// An index or configuration larger than this is not one.
const LARGEST_JSON: u64 = 64 << 20;

enum Bytes {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

struct Place {
    shard: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    range: Range<usize>,
}

/// A tensor as it is stored.
pub(super) struct Stored<'a> {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub data: &'a [u8],
}

/// The weights of a model as they lie in its files, by their full Hugging Face names.
pub(super) struct Files {
    /// What to call them in a sentence: `model.safetensors`.
    pub name: String,
    shards: Vec<Bytes>,
    places: BTreeMap<String, Place>,
}

/// The folder a model lies in, for a path to the folder or to one of its files.
pub(super) fn folder(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Reads a small file; `None` if it is not there.
pub(super) fn read_small(path: &Path) -> Result<Option<Vec<u8>>> {
    let doing = || format!("Could not read {}", path.display());
    match fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(doing(), &e)),
        Ok(about) if about.len() > LARGEST_JSON => Err(Error::format(
            doing(),
            format!("it has {} bytes, too many for a file of its kind", about.len()),
            "Use the file that came with the model",
        )),
        Ok(_) => fs::read(path).doing(doing).map(Some),
    }
}

impl Files {
    /// Maps the weights of the model at `path`: its folder, or a safetensors file in it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let folder = folder(path);
        let named = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let index = folder.join(INDEX);
        let shard = named.contains("-of-") && index.exists();
        if path.is_file() && named.ends_with(".safetensors") && !shard {
            return Self::from_shards(named.to_owned(), vec![map(path)?], None);
        }
        if folder.join(SINGLE).exists() {
            return Self::from_shards(SINGLE.to_owned(), vec![map(&folder.join(SINGLE))?], None);
        }
        let Some(text) = read_small(&index)? else {
            return Err(no_weights(path, &folder));
        };
        let map_of_names = shard_names(&text)?;
        let files: BTreeSet<&String> = map_of_names.values().collect();
        let shards = files.iter().map(|f| map(&folder.join(f))).collect::<Result<Vec<_>>>()?;
        let order: Vec<&String> = files.into_iter().collect();
        let expected = map_of_names
            .iter()
            .map(|(name, file)| (name.as_str(), order.iter().position(|f| *f == file)))
            .collect();
        Self::from_shards(INDEX.to_owned(), shards, Some(expected))
    }

    /// Weights in memory, the content of one safetensors file.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::from_shards("the weights".to_owned(), vec![Bytes::Owned(bytes)], None)
    }

    fn from_shards(
        name: String,
        shards: Vec<Bytes>,
        index: Option<BTreeMap<&str, Option<usize>>>,
    ) -> Result<Self> {
        let mut places = BTreeMap::new();
        for (shard, bytes) in shards.iter().enumerate() {
            let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(&name, &e))?;
            for (stored_name, view) in file.tensors() {
                if let Some(index) = &index
                    && index.get(stored_name.as_str()) != Some(&Some(shard))
                {
                    return Err(unlisted(&stored_name));
                }
                let start = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
                let place = Place {
                    shard,
                    dtype: view.dtype(),
                    shape: view.shape().to_vec(),
                    range: start..start + view.data().len(),
                };
                if places.insert(full_name(&stored_name), place).is_some() {
                    return Err(twice(&stored_name));
                }
            }
        }
        if let Some(absent) =
            index.iter().flat_map(|i| i.keys()).find(|n| !places.contains_key(&full_name(n)))
        {
            return Err(Error::format(
                "The model is incomplete",
                format!("{INDEX} lists the tensor {absent}, and its file does not hold it"),
                "Download the model again, all of its files",
            ));
        }
        Ok(Self { name, shards, places })
    }

    /// The tensor of this full name.
    pub(super) fn get(&self, name: &str) -> Option<Stored<'_>> {
        let place = self.places.get(name)?;
        let data = self.shards.get(place.shard)?.get(place.range.clone())?;
        Some(Stored { dtype: place.dtype, shape: place.shape.clone(), data })
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.shards.iter().map(|s| s.len() as u64).sum()
    }

    /// The number types found, `BF16` or `BF16, F32`.
    pub(super) fn dtypes(&self) -> String {
        let all: BTreeSet<String> =
            self.places.values().map(|p| format!("{:?}", p.dtype)).collect();
        all.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// Settles whether the output matrix is the embedding's, whatever name it is stored under, and
    /// refuses tensors that the forward pass would pass over.
    pub(super) fn settle(&mut self, config: &mut Config) -> Result<()> {
        let (embed, head) = (self.places.contains_key(EMBED), self.places.contains_key(HEAD));
        let tied = match (config.tied, embed, head) {
            (None, true, false) | (None, false, true) => true,
            (tied, ..) => tied == Some(true),
        };
        config.tied = Some(tied);
        if tied && head {
            if embed && !self.same(EMBED, HEAD) {
                return Err(Error::format(
                    "The model contradicts itself",
                    format!("config.json says that {EMBED} and {HEAD} are one, and they differ"),
                    "Set tie_word_embeddings to false in its config.json if both are meant",
                ));
            }
            if let Some(place) = self.places.remove(HEAD) {
                self.places.entry(EMBED.to_owned()).or_insert(place);
            }
        }
        // Old checkpoints carry the rotary frequencies along; they follow from the configuration.
        self.places.retain(|name, _| !name.ends_with("rotary_emb.inv_freq"));
        let known: BTreeSet<String> = expected(config).into_iter().map(|(name, _)| name).collect();
        match self.places.keys().find(|name| !known.contains(*name)) {
            None => Ok(()),
            Some(extra) => Err(Error::format(
                "This model is no plain Llama",
                format!(
                    "{} holds the tensor {extra}, which the model of its config.json ({}, {} blocks) does not have",
                    self.name, config.architecture, config.layers
                ),
                "Use the config.json that belongs to these weights",
            )),
        }
    }

    fn same(&self, a: &str, b: &str) -> bool {
        match (self.get(a), self.get(b)) {
            (Some(a), Some(b)) => a.dtype == b.dtype && a.shape == b.shape && a.data == b.data,
            _ => false,
        }
    }
}

/// Checkpoints saved from the inner model lack `model.` in front.
fn full_name(name: &str) -> String {
    let inner = ["layers.", "embed_tokens.", "norm."].iter().any(|start| name.starts_with(start));
    if inner { format!("model.{name}") } else { name.to_owned() }
}

#[allow(unsafe_code)]
fn map(path: &Path) -> Result<Bytes> {
    let doing = || format!("Could not open {}", path.display());
    let file = File::open(path).doing(doing)?;
    // SAFETY: the mapping is private and read only, and bytes of it are only ever read as plain
    // numbers; another process that shortens the file while it loads ends this one, as with every
    // program that maps its input.
    let map = unsafe { memmap2::MmapOptions::new().map_copy_read_only(&file) }.doing(doing)?;
    Ok(Bytes::Mapped(map))
}

/// Tensor name to file name, from an index file.
fn shard_names(text: &[u8]) -> Result<BTreeMap<String, String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let bad = |why: String| {
        Error::format(format!("{INDEX} cannot be read"), why, "Download the model again")
    };
    let index: Index = serde_json::from_slice(text).map_err(|e| bad(e.to_string()))?;
    if index.weight_map.is_empty() {
        return Err(bad("it lists no tensors".to_owned()));
    }
    for file in index.weight_map.values() {
        let plain = Path::new(file).file_name().and_then(|n| n.to_str()) == Some(file);
        if !plain {
            return Err(bad(format!("{file:?} is not the name of a file beside it")));
        }
    }
    Ok(index.weight_map)
}

fn no_weights(path: &Path, folder: &Path) -> Error {
    let names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .collect();
    let other = |end: &str| names.iter().find(|n| n.ends_with(end));
    let why = match (other(".gguf"), other(".bin").or_else(|| other(".pth"))) {
        (Some(file), _) => format!("it holds {file}, and GGUF files are not read"),
        (_, Some(file)) => format!("it holds {file}, and only safetensors files are read"),
        _ if !folder.exists() => "there is no such folder".to_owned(),
        _ => format!("there is neither {SINGLE} nor {INDEX}"),
    };
    Error::format(
        format!("No model was found in {}", path.display()),
        why,
        "Give a Hugging Face folder with config.json and model.safetensors",
    )
}

fn damaged(name: &str, error: &safetensors::SafeTensorError) -> Error {
    Error::format(
        format!("{name} cannot be read"),
        format!("it is not a whole safetensors file ({error})"),
        "Download it again: it may have been cut off",
    )
}

fn unlisted(name: &str) -> Error {
    Error::format(
        "The model's files contradict one another",
        format!("the tensor {name} is not where {INDEX} says"),
        "Download the model again, all of its files",
    )
}

fn twice(name: &str) -> Error {
    Error::format(
        "The model's files contradict one another",
        format!("the tensor {name} is stored twice"),
        "Download the model again",
    )
}
