//! Documents of a JSON Lines file.

use super::lines::Lines;
use super::{Documents, LONGEST_DOCUMENT};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// The longest line that is read, in bytes.
const LONGEST_LINE: usize = 64 << 20;

#[derive(Deserialize)]
struct Line {
    text: String,
}

/// A JSON Lines file with the text in the field `text`.
pub(super) struct JsonLines {
    path: PathBuf,
    lines: Lines,
    line: u64,
    /// Parts of a document that was too long.
    queue: VecDeque<String>,
    cut: u64,
}

impl JsonLines {
    pub fn open(path: &Path) -> Result<Self> {
        let lines = Lines::open(path, LONGEST_LINE)?;
        Ok(Self { path: path.to_owned(), lines, line: 0, queue: VecDeque::new(), cut: 0 })
    }

    fn wrong(&self, why: impl Into<String>) -> Error {
        Error::format(
            format!("Could not read line {} of the corpus {}", self.line, self.path.display()),
            why,
            "Each line must be one JSON object with the text in the field \"text\", \
             as in {\"text\": \"Once upon a time\"}",
        )
    }
}

impl Documents for JsonLines {
    fn next_document(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(document) = self.queue.pop_front() {
                return Ok(Some(document));
            }
            let Some(piece) = self.lines.next_piece()? else { return Ok(None) };
            self.line += 1;
            if !piece.ends_line {
                return Err(self.wrong(format!("it is longer than {} MiB", LONGEST_LINE >> 20)));
            }
            if piece.text.trim().is_empty() {
                continue;
            }
            let line: Line =
                serde_json::from_str(&piece.text).map_err(|e| self.wrong(e.to_string()))?;
            let mut text = line.text.trim();
            while text.len() > LONGEST_DOCUMENT {
                let at = text.floor_char_boundary(LONGEST_DOCUMENT);
                let at = text[..at].rfind(char::is_whitespace).filter(|i| *i > 0).unwrap_or(at);
                self.queue.push_back(text[..at].to_owned());
                text = text[at..].trim_start();
                self.cut += 1;
            }
            if !text.is_empty() {
                self.queue.push_back(text.to_owned());
            }
        }
    }

    fn rewind(&mut self) -> Result<()> {
        self.line = 0;
        self.queue.clear();
        self.cut = 0;
        self.lines.rewind()
    }

    fn note(&self) -> Option<String> {
        (self.cut > 0).then(|| {
            format!(
                "Long documents were cut at {} KiB, {} times",
                LONGEST_DOCUMENT / 1024,
                self.cut
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::CorpusSpec;
    use crate::corpus::testing::{all_documents, file};

    #[test]
    fn the_field_text_is_the_document() {
        let content =
            "{\"text\": \"one\\ntwo\", \"id\": 3}\n\n{\"text\": \" \"}\n{\"text\":\"\u{1F388}\"}";
        let (_dir, path) = file("a.jsonl", content.as_bytes());
        let mut documents = CorpusSpec::File(path).open(0).unwrap();
        assert_eq!(all_documents(documents.as_mut()), ["one\ntwo", "\u{1F388}"]);
        documents.rewind().unwrap();
        assert_eq!(all_documents(documents.as_mut()).len(), 2);
    }

    #[test]
    fn a_line_that_is_no_record_is_named() {
        for (content, word) in [
            ("{\"text\": \"a\"}\nnonsense", "line 2"),
            ("{\"text\": \"a\"}\n{\"body\": \"a\"}", "text"),
            ("{\"text\": \"a\"}\n{\"text\": 3}", "line 2"),
        ] {
            let (_dir, path) = file("a.jsonl", content.as_bytes());
            let mut documents = CorpusSpec::File(path).open(0).unwrap();
            documents.next_document().unwrap();
            let error = documents.next_document().unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn a_long_document_is_cut_and_that_is_said() {
        let text = "wörd ".repeat(LONGEST_DOCUMENT / 3);
        let (_dir, path) = file("a.jsonl", format!("{{\"text\":\"{text}\"}}").as_bytes());
        let mut documents = JsonLines::open(&path).unwrap();
        let all = all_documents(&mut documents);
        assert_eq!(all.join(" "), text.trim());
        assert!(all.len() > 1 && documents.note().is_some());
    }
}
