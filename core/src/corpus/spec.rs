//! Which text to read, in one text form.

use super::{Documents, builtin::Builtin, jsonl::JsonLines, text::TextFile};
use crate::error::{Error, ErrorKind, Result};
use crate::world::Split;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Which text to read. Its text form is `builtin`, `builtin:SPLIT` or the path of a file.
///
/// A `.jsonl` file holds one JSON object a line, its text in the field `text`. Every other file is
/// plain UTF-8: its documents end at a line `<|endoftext|>` where the file has such a mark in its
/// first 16 MiB, else at a blank line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CorpusSpec {
    /// The built-in world: the name of a [`Split`], or none for [`Split::Train`].
    Builtin(Option<String>),
    /// A `.txt` or `.jsonl` file.
    File(PathBuf),
}

impl CorpusSpec {
    /// Opens it, at its first document. `seed` chooses the text of the built-in world, which is
    /// endless; a file is what it is.
    ///
    /// # Errors
    /// The file cannot be read, is no text, or holds no document; the split does not exist.
    pub fn open(&self, seed: u64) -> Result<Box<dyn Documents>> {
        let mut documents: Box<dyn Documents> = match self {
            Self::Builtin(split) => {
                let split = split.as_deref().map_or(Ok(Split::Train), str::parse)?;
                return Ok(Box::new(Builtin::new(split, seed)));
            }
            Self::File(path) => open_file(path)?,
        };
        if documents.next_document()?.is_none() {
            return Err(Error::format(
                format!("The corpus {self} is empty"),
                "it holds no character that is not a space",
                "Choose a file with text in it",
            ));
        }
        documents.rewind()?;
        Ok(documents)
    }

    /// Its name without the folders it lies in: what others may see of it.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path
                .file_name()
                .map_or_else(|| self.to_string(), |name| name.to_string_lossy().into_owned()),
            Self::Builtin(_) => self.to_string(),
        }
    }

    /// Whether it never ends, so that a job on it needs a number of tokens.
    pub fn is_endless(&self) -> bool {
        matches!(self, Self::Builtin(_))
    }
}

fn open_file(path: &Path) -> Result<Box<dyn Documents>> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    match extension.as_str() {
        "jsonl" | "ndjson" => Ok(Box::new(JsonLines::open(path)?)),
        "parquet" | "gz" | "zst" | "zip" | "json" | "csv" | "arrow" => Err(Error::new(
            ErrorKind::Format,
            format!("Could not read the corpus {}", path.display()),
            format!("Sparsescope reads no .{extension} files"),
            "Convert it to .txt, or to .jsonl with the text in the field \"text\"",
        )),
        _ => Ok(Box::new(TextFile::open(path)?)),
    }
}

impl fmt::Display for CorpusSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(None) => f.pad("builtin"),
            Self::Builtin(Some(split)) => f.pad(&format!("builtin:{split}")),
            Self::File(path) => f.pad(&path.to_string_lossy()),
        }
    }
}

impl FromStr for CorpusSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::setting(
                "No corpus is given",
                "the name is empty",
                "Write builtin, or the path of a .txt or .jsonl file",
            ));
        }
        if text == "builtin" {
            return Ok(Self::Builtin(None));
        }
        if let Some(split) = text.strip_prefix("builtin:") {
            split.parse::<Split>()?;
            return Ok(Self::Builtin(Some(split.to_owned())));
        }
        Ok(Self::File(PathBuf::from(text)))
    }
}

impl TryFrom<String> for CorpusSpec {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<CorpusSpec> for String {
    fn from(spec: CorpusSpec) -> Self {
        spec.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_round_trips() {
        for text in ["builtin", "builtin:balanced", "builtin:heldout", "a/b.jsonl", "builtin.txt"] {
            let spec: CorpusSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
            assert_eq!(spec.is_endless(), text.starts_with("builtin") && text != "builtin.txt");
        }
        assert!("".parse::<CorpusSpec>().is_err());
        let error = "builtin:nowhere".parse::<CorpusSpec>().unwrap_err();
        assert!(error.to_string().contains("balanced"), "{error}");
    }

    #[test]
    fn the_built_in_text_is_chosen_by_its_seed() {
        let read = |text: &str, seed: u64| {
            let mut documents = text.parse::<CorpusSpec>().unwrap().open(seed).unwrap();
            let mut read = || -> Vec<String> {
                (0..5).map(|_| documents.next_document().unwrap().unwrap()).collect()
            };
            let first = read();
            let second = read();
            documents.rewind().unwrap();
            assert_eq!(
                first,
                (0..5).map(|_| documents.next_document().unwrap().unwrap()).collect::<Vec<_>>()
            );
            assert_ne!(first, second);
            first
        };
        assert_eq!(read("builtin", 1), read("builtin:train", 1));
        assert_ne!(read("builtin", 1), read("builtin", 2));
        assert_ne!(read("builtin", 1), read("builtin:biased", 1));
    }
}
