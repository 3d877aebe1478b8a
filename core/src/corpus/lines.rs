//! Lines of a UTF-8 file, with constant memory whatever their length.

use crate::error::{Error, IoContext, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A whole line, or a part of one that is too long to hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its text, without the line's end.
    pub text: String,
    /// Whether the line ends here.
    pub ends_line: bool,
}

/// Reads pieces of at most `longest` bytes.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    longest: usize,
    /// Bytes of a character, or of a word, that the last piece was too short for.
    carried: Vec<u8>,
    /// Where in the file the next byte to hand out stands.
    offset: u64,
}

impl Lines {
    pub fn open(path: &Path, longest: usize) -> Result<Self> {
        let what = || format!("Could not read the corpus {}", path.display());
        if path.is_dir() {
            return Err(Error::format(
                what(),
                "it is a folder",
                "Choose a .txt or .jsonl file in it",
            ));
        }
        let reader = BufReader::with_capacity(1 << 16, File::open(path).doing(what)?);
        let mut lines =
            Self { path: path.to_owned(), reader, longest, carried: Vec::new(), offset: 0 };
        lines.rewind()?;
        Ok(lines)
    }

    pub fn rewind(&mut self) -> Result<()> {
        let what = || format!("Could not read the corpus {}", self.path.display());
        self.reader.seek(SeekFrom::Start(0)).doing(what)?;
        self.carried.clear();
        self.offset = 0;
        // Windows editors put a byte-order mark in front; it is no part of the text.
        if self.reader.fill_buf().doing(what)?.starts_with(b"\xEF\xBB\xBF") {
            self.reader.consume(3);
            self.offset = 3;
        }
        Ok(())
    }

    /// The next piece; `None` at the end of the file.
    pub fn next_piece(&mut self) -> Result<Option<Piece>> {
        let mut bytes = std::mem::take(&mut self.carried);
        let room = self.longest.saturating_sub(bytes.len()).max(4) as u64;
        let what = || format!("Could not read the corpus {}", self.path.display());
        (&mut self.reader).take(room).read_until(b'\n', &mut bytes).doing(what)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let ends_line = bytes.ends_with(b"\n");
        let more = !ends_line && !self.reader.fill_buf().doing(what)?.is_empty();
        let start = self.offset;
        if more {
            self.carried = bytes.split_off(cut(&bytes));
        }
        self.offset += bytes.len() as u64;
        if ends_line {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        let text = String::from_utf8(bytes).map_err(|e| {
            let at = start + e.utf8_error().valid_up_to() as u64;
            Error::format(
                what(),
                format!("it is not UTF-8: the byte at offset {at} is no part of a character"),
                "Convert it, for example with: iconv -f LATIN1 -t UTF-8 OLD > NEW",
            )
        })?;
        Ok(Some(Piece { text, ends_line: !more }))
    }
}

/// Where to cut a piece that goes on: after the last space of its second half, else before a
/// character that is not whole.
fn cut(bytes: &[u8]) -> usize {
    let half = bytes.len() / 2;
    if let Some(space) = bytes[half..].iter().rposition(|b| *b == b' ') {
        return half + space + 1;
    }
    match std::str::from_utf8(bytes) {
        Err(e) if e.error_len().is_none() && e.valid_up_to() > 0 => e.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::testing::file;

    fn pieces(content: &[u8], longest: usize) -> Result<Vec<Piece>> {
        let (_dir, path) = file("a.txt", content);
        let mut lines = Lines::open(&path, longest)?;
        let mut all = Vec::new();
        while let Some(piece) = lines.next_piece()? {
            all.push(piece);
        }
        Ok(all)
    }

    #[test]
    fn line_ends_and_marks_are_no_text() {
        let all = pieces(b"\xEF\xBB\xBFone\r\n\ntwo", 100).unwrap();
        let texts: Vec<_> = all.iter().map(|p| p.text.as_str()).collect();
        assert_eq!(texts, ["one", "", "two"]);
        assert!(all.iter().all(|p| p.ends_line));
    }

    #[test]
    fn a_long_line_comes_in_pieces_that_join_to_it() {
        let line = "한국어 wörds 🎈and a_very_long_word_without_any_space_in_it".repeat(20);
        for longest in [5, 16, 33, 100, 5000] {
            let all = pieces(line.as_bytes(), longest).unwrap();
            let joined: String = all.iter().map(|p| p.text.as_str()).collect();
            assert_eq!(joined, line, "{longest}");
            assert!(all.last().unwrap().ends_line);
            assert!(all.iter().all(|p| p.text.len() <= longest.max(4) + 4));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_found() {
        for longest in [4, 8, 100] {
            let error = pieces(b"fine line\nbad \xFF\xFE here", longest).unwrap_err();
            assert!(error.why.contains("offset 14"), "{error}");
        }
        // A character cut off by the end of the file.
        let error = pieces(b"abc\xE2\x82", 100).unwrap_err();
        assert!(error.why.contains("offset 3"), "{error}");
    }
}
