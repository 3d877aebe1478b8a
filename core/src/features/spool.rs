//! The rows of the sample on disk: written once as text goes by, read one at a time.
//!
//! Three files, or tensors of the same names in a feature file. `tokens`: the ids of all rows.
//! `rows`: for each row the number of its first token and of its first run, and one entry more.
//! `runs`: stretches of tokens that follow each other in one document: index in the row, position
//! in the document, the document's number in two halves, flags.

use crate::corpus::Row;
use crate::error::{Error, IoContext, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Numbers of an entry of `runs`.
pub(super) const RUN: usize = 5;
const USED: u32 = 1;
const BOS: u32 = 2;

/// How much was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Extent {
    pub rows: u64,
    pub tokens: u64,
    pub runs: u64,
}

/// Writes rows to a folder.
pub(super) struct Spool {
    folder: PathBuf,
    tokens: BufWriter<File>,
    rows: BufWriter<File>,
    runs: BufWriter<File>,
    extent: Extent,
}

impl Spool {
    /// Goes on after `extent` in `folder`; what lies beyond is cut off.
    pub fn open(folder: &Path, extent: Extent) -> Result<Self> {
        let part = |name: &str, bytes: u64| -> Result<BufWriter<File>> {
            let path = folder.join(name);
            let what = || format!("Could not write {}", path.display());
            let mut file = OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(false)
                .open(&path)
                .doing(what)?;
            if file.metadata().doing(what)?.len() < bytes {
                return Err(Error::format(
                    format!("{} is shorter than it was left", path.display()),
                    "the collection cannot go on from it",
                    "Collect again",
                ));
            }
            file.set_len(bytes).doing(what)?;
            io::Seek::seek(&mut file, io::SeekFrom::End(0)).doing(what)?;
            Ok(BufWriter::with_capacity(1 << 18, file))
        };
        Ok(Self {
            folder: folder.to_owned(),
            tokens: part("tokens", extent.tokens * 4)?,
            rows: part("rows", extent.rows * 16)?,
            runs: part("runs", extent.runs * 4 * RUN as u64)?,
            extent,
        })
    }

    /// Appends a row.
    pub fn push(&mut self, row: &Row) -> Result<()> {
        let runs = runs(row);
        let what = || "Could not keep the rows of the sample".to_owned();
        (|| {
            self.rows.write_all(&self.extent.tokens.to_le_bytes())?;
            self.rows.write_all(&self.extent.runs.to_le_bytes())?;
            for number in runs.iter().flatten() {
                self.runs.write_all(&number.to_le_bytes())?;
            }
            row.tokens.iter().try_for_each(|t| self.tokens.write_all(&t.to_le_bytes()))
        })()
        .doing(what)?;
        self.extent.rows += 1;
        self.extent.tokens += row.len() as u64;
        self.extent.runs += runs.len() as u64;
        Ok(())
    }

    /// How much was written.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// Brings what was written to the files, and to the disk if `sync`.
    pub fn flush(&mut self, sync: bool) -> Result<Extent> {
        for part in [&mut self.tokens, &mut self.rows, &mut self.runs] {
            part.flush()
                .and_then(|()| if sync { part.get_ref().sync_data() } else { Ok(()) })
                .doing(|| "Could not keep the rows of the sample".to_owned())?;
        }
        Ok(self.extent)
    }

    /// Copies one of the files; `rows` gets its last entry.
    pub fn copy(folder: &Path, extent: Extent, name: &str, out: &mut dyn Write) -> io::Result<()> {
        io::copy(&mut File::open(folder.join(name))?, out)?;
        if name == "rows" {
            out.write_all(&extent.tokens.to_le_bytes())?;
            out.write_all(&extent.runs.to_le_bytes())?;
        }
        Ok(())
    }

    /// Deletes the folder.
    pub fn remove(self) -> Result<()> {
        let folder = self.folder.clone();
        drop(self);
        fs::remove_dir_all(&folder).doing(|| format!("Could not delete {}", folder.display()))
    }
}

/// The runs of a row.
fn runs(row: &Row) -> Vec<[u32; RUN]> {
    let flags = |i: usize| u32::from(row.used[i]) * USED + u32::from(row.is_bos[i]) * BOS;
    let mut runs: Vec<[u32; RUN]> = Vec::new();
    for i in 0..row.len() {
        let goes_on = i > 0
            && row.document[i] == row.document[i - 1]
            && row.position[i - 1].checked_add(1) == Some(row.position[i])
            && flags(i) == flags(i - 1);
        if !goes_on {
            let document = row.document[i];
            let halves = [document as u32, (document >> 32) as u32];
            runs.push([i as u32, row.position[i], halves[0], halves[1], flags(i)]);
        }
    }
    runs
}

/// A row from its tokens and runs; `None` if they are damaged.
pub(super) fn row(tokens: Vec<u32>, runs: &[[u32; RUN]]) -> Option<Row> {
    let mut row = Row::default();
    for (r, [at, position, low, high, flags]) in runs.iter().enumerate() {
        let end = runs.get(r + 1).map_or(tokens.len(), |next| next[0] as usize);
        let (at, document) = (*at as usize, u64::from(*high) << 32 | u64::from(*low));
        if at != row.document.len() || end < at || end > tokens.len() {
            return None;
        }
        for i in at..end {
            row.document.push(document);
            row.position.push(position.checked_add((i - at) as u32)?);
            row.used.push(flags & USED != 0);
            row.is_bos.push(flags & BOS != 0);
        }
    }
    row.tokens = tokens;
    (row.document.len() == row.tokens.len()).then_some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_written() {
        let packed = Row {
            tokens: vec![0, 5, 6, 0, 7],
            document: vec![1 << 40, 1 << 40, 1 << 40, 3, 3],
            position: vec![8, 8, 9, 0, 0],
            is_bos: vec![true, false, false, true, false],
            used: vec![false, true, true, true, true],
        };
        for one in [packed, Row::default()] {
            assert_eq!(row(one.tokens.clone(), &runs(&one)), Some(one));
        }
        assert_eq!(row(vec![1], &[[1, 0, 0, 0, 1]]), None);
        assert_eq!(row(vec![1, 2], &[[0, 0, 0, 0, 1], [5, 0, 0, 0, 1]]), None);
        assert_eq!(row(vec![1], &[]), None);
    }
}
