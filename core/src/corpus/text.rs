//! Documents of a plain text file.

use super::lines::Lines;
use super::{Documents, LONGEST_DOCUMENT};
use crate::error::{IoContext, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The mark between documents that TinyStories and GPT-2's data use.
const MARK: &str = "<|endoftext|>";

/// How much of a file is searched for the mark.
const SEARCHED: u64 = 16 << 20;

/// A plain text file: documents end at [`MARK`] if the file has it, else at a blank line.
pub(super) struct TextFile {
    lines: Lines,
    marked: bool,
    /// Text of the document being read.
    current: String,
    /// Whether the last piece was the beginning of a line that goes on.
    inside_line: bool,
    /// Text after a mark in the middle of a line.
    rest: Option<String>,
    cut: u64,
}

impl TextFile {
    pub fn open(path: &Path) -> Result<Self> {
        let lines = Lines::open(path, LONGEST_DOCUMENT / 4)?;
        let marked = contains_mark(path)?;
        Ok(Self { lines, marked, current: String::new(), inside_line: false, rest: None, cut: 0 })
    }

    /// The document read so far, if there is any text in it.
    fn take(&mut self) -> Option<String> {
        let document = std::mem::take(&mut self.current);
        let trimmed = document.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    /// Adds a line; true if the document is complete.
    fn add(&mut self, text: String, ends_line: bool) -> bool {
        let fresh_line = !self.inside_line;
        self.inside_line = !ends_line;
        if self.marked {
            if let Some((before, after)) = text.split_once(MARK) {
                self.current.push_str(before);
                self.rest = Some(after.to_owned());
                return true;
            }
        } else if fresh_line && ends_line && text.trim().is_empty() {
            return true;
        }
        self.current.push_str(&text);
        if ends_line {
            self.current.push('\n');
        }
        if self.current.len() >= LONGEST_DOCUMENT {
            self.cut += 1;
            return true;
        }
        false
    }
}

impl Documents for TextFile {
    fn next_document(&mut self) -> Result<Option<String>> {
        loop {
            let (text, ends_line) = match self.rest.take() {
                Some(rest) => (rest, !self.inside_line),
                None => match self.lines.next_piece()? {
                    Some(piece) => (piece.text, piece.ends_line),
                    None => return Ok(self.take()),
                },
            };
            if self.add(text, ends_line)
                && let Some(document) = self.take()
            {
                return Ok(Some(document));
            }
        }
    }

    fn rewind(&mut self) -> Result<()> {
        self.current.clear();
        self.inside_line = false;
        self.rest = None;
        self.cut = 0;
        self.lines.rewind()
    }

    fn note(&self) -> Option<String> {
        (self.cut > 0).then(|| {
            format!(
                "Text without an end of document was cut at {} KiB, {} times",
                LONGEST_DOCUMENT / 1024,
                self.cut
            )
        })
    }
}

fn contains_mark(path: &Path) -> Result<bool> {
    let what = || format!("Could not read the corpus {}", path.display());
    let mut file = File::open(path).doing(what)?.take(SEARCHED);
    let mut buffer = vec![0; 1 << 16];
    let mut kept = 0;
    loop {
        let read = file.read(&mut buffer[kept..]).doing(what)?;
        if read == 0 {
            return Ok(false);
        }
        let filled = kept + read;
        if buffer[..filled].windows(MARK.len()).any(|w| w == MARK.as_bytes()) {
            return Ok(true);
        }
        // A mark may straddle two reads.
        let tail = filled.min(MARK.len() - 1);
        buffer.copy_within(filled - tail..filled, 0);
        kept = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::CorpusSpec;
    use crate::corpus::testing::{all_documents, file};

    fn read(content: &str) -> Vec<String> {
        let (_dir, path) = file("a.txt", content.as_bytes());
        let mut documents = CorpusSpec::File(path).open(0).unwrap();
        let first = all_documents(documents.as_mut());
        documents.rewind().unwrap();
        assert_eq!(first, all_documents(documents.as_mut()), "reading again");
        first
    }

    #[test]
    fn blank_lines_end_documents() {
        assert_eq!(read("\n\na\nb\n\n \n\nc"), ["a\nb", "c"]);
        assert_eq!(read("a\r\n\r\nb\r\n"), ["a", "b"]);
    }

    #[test]
    fn a_mark_takes_the_place_of_blank_lines() {
        assert_eq!(
            read("a\n\nb\n<|endoftext|>\nc\n<|endoftext|>\n<|endoftext|>\n"),
            ["a\n\nb", "c"]
        );
        assert_eq!(read("a<|endoftext|>b<|endoftext|> <|endoftext|>c"), ["a", "b", "c"]);
    }

    #[test]
    fn a_file_without_an_end_is_cut_and_that_is_said() {
        let content = "word ".repeat(LONGEST_DOCUMENT / 2);
        let (_dir, path) = file("a.txt", content.as_bytes());
        let mut documents = TextFile::open(&path).unwrap();
        let all = all_documents(&mut documents);
        assert_eq!(all.join(" "), content.trim());
        assert!(all.len() >= 2 && all.iter().all(|d| d.len() <= LONGEST_DOCUMENT * 5 / 4));
        assert!(documents.note().unwrap().contains("cut"));
    }

    #[test]
    fn an_empty_file_is_an_error() {
        for content in ["", "\n \n\n\t"] {
            let (_dir, path) = file("a.txt", content.as_bytes());
            let error = CorpusSpec::File(path).open(0).err().unwrap();
            assert!(error.what.contains("empty"), "{error}");
        }
    }

    #[test]
    fn what_is_no_corpus_is_named() {
        let (dir, _) = file("a.txt", b"x");
        let open = |p: &Path| CorpusSpec::File(p.to_owned()).open(0).err().unwrap();
        assert!(open(dir.path()).why.contains("folder"));
        assert!(open(&dir.path().join("none.txt")).what.contains("none.txt"));
        assert!(open(&dir.path().join("a.parquet")).why.contains(".parquet"));
    }
}
