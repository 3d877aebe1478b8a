//! Tasks as JSON Lines: one pair a line, in the form of the published agreement files.

use super::{Pair, Task};
use crate::error::{Error, IoContext, Result};
use crate::sae::tensors::{hex, put_in_place, write_beside};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 256 << 20;
const REMEDY: &str = "Each line must be one JSON object with clean_prefix and clean_answer, and \
     patch_prefix and patch_answer where there is a contrast, as in {\"clean_prefix\": \"The \
     pilots\", \"patch_prefix\": \"The pilot\", \"clean_answer\": \" are\", \"patch_answer\": \
     \" is\", \"case\": \"plural\"}";

impl Task {
    /// The task in the JSON Lines file at `path`, called as the file without its extension.
    ///
    /// # Errors
    /// No file there, a line that is no pair (named with its number), no pairs, more than 256 MiB.
    pub fn read(path: &Path) -> Result<Self> {
        let what = || format!("Could not read the task {}", path.display());
        let file = fs::File::open(path).doing(what)?;
        if file.metadata().doing(what)?.is_dir() {
            return Err(Error::format(what(), "it is a folder", "Choose a .jsonl file in it"));
        }
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes).doing(what)?;
        if bytes.len() as u64 > LARGEST {
            let why = format!("it is larger than {} MiB", LARGEST >> 20);
            return Err(Error::format(what(), why, "Cut it into smaller tasks"));
        }
        let text = String::from_utf8(bytes)
            .map_err(|e| Error::format(what(), e.to_string(), "Save it as UTF-8"))?;
        let name = path.file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Self::parse(&name, &text).map_err(|e| Error { what: what(), ..e })
    }

    /// The task called `name` whose pairs are the lines of `text`; empty lines are passed over.
    ///
    /// # Errors
    /// A line that is no pair, named with its number; no pairs.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let what = || format!("Could not read the task {name:?}");
        // Windows editors put a byte-order mark in front; it is no part of the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut pairs = Vec::new();
        for (i, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let pair: Pair = serde_json::from_str(line).map_err(|e| {
                Error::format(what(), format!("line {} is no pair: {e}", i + 1), REMEDY)
            })?;
            if pair.clean_answer.all().is_empty()
                || pair.patch_answer.as_ref().is_some_and(|a| a.all().is_empty())
            {
                let why = format!("line {} has an empty list of answers", i + 1);
                return Err(Error::format(what(), why, REMEDY));
            }
            pairs.push(pair);
        }
        if pairs.is_empty() {
            return Err(Error::format(what(), "it has no pairs", REMEDY));
        }
        Ok(Self { name: name.to_owned(), pairs })
    }

    /// Its pairs, one JSON object a line.
    pub fn lines(&self) -> String {
        let mut out = String::new();
        for pair in &self.pairs {
            // Strings and lists of strings: nothing that JSON could not say.
            out.push_str(&serde_json::to_string(pair).unwrap_or_default());
            out.push('\n');
        }
        out
    }

    /// Writes its pairs to `path`, in the place of what is there.
    ///
    /// # Errors
    /// The file cannot be written; what was there then stays as it was.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_beside(path, |file| file.write_all(self.lines().as_bytes()))?;
        put_in_place(path)
    }

    /// A content hash of its pairs, 64 hexadecimal digits; its name plays no part.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        hash.update("sparsescope task 1\n");
        hash.update(self.lines());
        hex(&hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Answers;
    use super::*;

    const TWO: &str = concat!(
        "{\"clean_prefix\": \"The pilots\", \"patch_prefix\": \"The pilot\", ",
        "\"clean_answer\": \" are\", \"patch_answer\": \" is\", \"case\": \"plural\"}\n\n",
        "{\"clean_prefix\": \"Once\", \"clean_answer\": [\" upon\", \" there\"]}\r\n",
    );

    #[test]
    fn pairs_prompts_alone_and_sets_of_answers_are_read() {
        let task = Task::parse("mine", &format!("\u{feff}{TWO}")).unwrap();
        assert_eq!((task.name.as_str(), task.pairs.len()), ("mine", 2));
        assert_eq!(task.pairs[0].patch_answer, Some(Answers::One(" is".into())));
        assert_eq!(task.pairs[1].clean_answer.all(), [" upon", " there"]);
        assert_eq!(task.pairs[1].patch_prefix, None);
        let again = Task::parse("other", &task.lines()).unwrap();
        assert_eq!(again.pairs, task.pairs);
        assert_eq!(again.hash(), task.hash());
        let mut changed = again;
        changed.pairs[0].clean_answer = Answers::One(" were".into());
        assert_ne!(changed.hash(), task.hash());
    }

    #[test]
    fn what_is_no_pair_is_named_with_its_line() {
        for (text, word) in [
            (format!("{TWO}nonsense"), "line 4"),
            (format!("{TWO}{{\"clean_prefix\": \"a\"}}"), "clean_answer"),
            ("{\"clean_prefix\": 3, \"clean_answer\": \"a\"}".to_owned(), "line 1"),
            ("{\"clean_prefix\": \"a\", \"clean_answer\": []}".to_owned(), "line 1"),
            (" \n".to_owned(), "no pairs"),
        ] {
            let error = Task::parse("t", &text).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn a_file_comes_back_and_a_bad_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pilots.jsonl");
        let task = Task::parse("pilots", TWO).unwrap();
        task.write(&path).unwrap();
        assert_eq!(Task::read(&path).unwrap(), task);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        fs::write(&path, b"\xff\xfe").unwrap();
        let error = Task::read(&path).unwrap_err().to_string();
        assert!(error.contains("pilots.jsonl") && error.contains("UTF-8"), "{error}");
        assert!(Task::read(dir.path()).is_err());
        assert!(Task::read(&dir.path().join("none")).is_err());
    }
}
