//! The words of the contexts that latents fire in, indexed for search.
//!
//! An SQLite file of its own beside the features it is made from: it can be made anew at any time,
//! in the background, and the workspace's own file stays small. It is written beside and renamed,
//! so that a search finds the old one or the new one.

use crate::error::{Error, ErrorKind, IoContext as _, Result};
use crate::features::Context;
use crate::jobs::JobContext;
use crate::workspace::{SaeId, Workspace};
use rusqlite::{Connection, OpenFlags, params};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Contexts indexed of each latent: the strongest ones.
const KEPT: usize = 6;

/// Row of the index = latent · ROWS + number of the context; more than [`KEPT`], for later.
pub(super) const ROWS: i64 = 16;

/// Version of the index; one of another version is made anew.
const VERSION: &str = "1";

/// Name of the index in the dictionary's folder.
const FILE: &str = "search.sqlite";

/// An index that was made, or was found up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexed {
    /// Contexts in it.
    pub contexts: u64,
    /// Whether it was made now.
    pub made: bool,
}

/// Makes the index of the contexts of the dictionary `sae`, unless it is up to date. A dictionary
/// whose features were not collected has nothing to index.
///
/// # Errors
/// There is no such dictionary, its features cannot be read, the index cannot be written, or the
/// job was stopped; the index that was there stays.
pub fn index_contexts<E>(
    ctx: &JobContext<E>,
    workspace: &Workspace,
    sae: SaeId,
) -> Result<Indexed> {
    let dir = workspace.sae_dir(sae)?;
    let Some(mut features) = workspace.open_features(sae)? else {
        return Ok(Indexed { contexts: 0, made: false });
    };
    let stamp = stamp(&dir)?;
    if let Some(index) = open(&dir, &stamp) {
        return Ok(Indexed { contexts: number(&index, "contexts").unwrap_or(0), made: false });
    }
    let latents = features.table()?.latents;
    ctx.progress().stage("Indexing contexts", "latents", 0, latents.len() as u64);
    let path = dir.join(FILE);
    let beside = dir.join(format!("{FILE}.{}.part", std::process::id()));
    let made = (|| {
        let mut index = begin(&beside)?;
        let what = || failed(&path);
        let change = index.transaction().map_err(|e| what()(&e))?;
        let mut count = 0;
        {
            let sql = "INSERT INTO contexts (rowid, peak, text) VALUES (?1, ?2, ?3)";
            let mut insert = change.prepare(sql).map_err(|e| what()(&e))?;
            for (place, summary) in latents.iter().enumerate() {
                ctx.check()?;
                let latent = i64::from(summary.index);
                if summary.fired == 0 {
                    ctx.progress().add(1);
                    continue;
                }
                for (i, context) in features.detail(place)?.top().iter().take(KEPT).enumerate() {
                    let row = params![
                        latent * ROWS + i as i64,
                        peak_word(context),
                        context.tokens.concat()
                    ];
                    insert.execute(row).map_err(|e| what()(&e))?;
                    count += 1;
                }
                ctx.progress().add(1);
            }
            let sql = "INSERT INTO about VALUES (?1, ?2)";
            for (key, value) in
                [("version", VERSION), ("stamp", &stamp), ("contexts", &count.to_string())]
            {
                change.execute(sql, [key, value]).map_err(|e| what()(&e))?;
            }
        }
        change.commit().map_err(|e| what()(&e))?;
        drop(index);
        let io = || format!("Could not write {}", path.display());
        File::open(&beside).and_then(|file| file.sync_all()).doing(io)?;
        fs::rename(&beside, &path).doing(io)?;
        Ok(Indexed { contexts: count, made: true })
    })();
    if made.is_err() {
        let _ = fs::remove_file(&beside);
    }
    made
}

/// Whether the contexts of `sae` are indexed as they are now, or there are none.
///
/// # Errors
/// There is no such dictionary, or the workspace cannot be read.
pub fn is_indexed(workspace: &Workspace, sae: SaeId) -> Result<bool> {
    let record = workspace.sae(sae)?;
    Ok(!record.has_features || stamp(&record.dir).is_ok_and(|s| open(&record.dir, &s).is_some()))
}

/// The index in `dir`, whether or not it is up to date; `None` if there is none that can be read.
pub(super) fn open_any(dir: &Path) -> Option<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let index = Connection::open_with_flags(dir.join(FILE), flags).ok()?;
    (about(&index, "version")? == VERSION).then_some(index)
}

fn open(dir: &Path, stamp: &str) -> Option<Connection> {
    open_any(dir).filter(|index| about(index, "stamp").as_deref() == Some(stamp))
}

fn about(index: &Connection, key: &str) -> Option<String> {
    index.query_row("SELECT value FROM about WHERE key = ?1", [key], |row| row.get(0)).ok()
}

fn number(index: &Connection, key: &str) -> Option<u64> {
    about(index, key)?.parse().ok()
}

/// What tells one features file from the next.
fn stamp(dir: &Path) -> Result<String> {
    let path: PathBuf = dir.join(crate::workspace::FEATURES);
    let what = || format!("Could not read {}", path.display());
    let file = fs::metadata(&path).doing(what)?;
    let time = file.modified().doing(what)?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{}-{}", file.len(), time.as_nanos()))
}

fn begin(path: &Path) -> Result<Connection> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io(format!("Could not write {}", path.display()), &e));
        }
        _ => {}
    }
    let made = Connection::open(path).and_then(|index| {
        // The file is put in its place only once it is whole and synced.
        index.execute_batch(
            "PRAGMA journal_mode = OFF;
             PRAGMA synchronous = OFF;
             CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
             CREATE VIRTUAL TABLE contexts USING fts5 (
                 peak, text, prefix = '2 3', tokenize = 'unicode61 remove_diacritics 2'
             );",
        )?;
        Ok(index)
    });
    made.map_err(|e| failed(path)(&e))
}

fn failed(path: &Path) -> impl Fn(&rusqlite::Error) -> Error {
    move |error| {
        let remedy = match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => "Free some disk space",
            _ => "Look whether the disk is full or failing; then open the features again",
        };
        Error::new(
            ErrorKind::Io,
            format!("Could not index the contexts in {}", path.display()),
            error.to_string(),
            remedy,
        )
    }
}

/// The word that holds the strongest token: tokens are often parts of words.
fn peak_word(context: &Context) -> String {
    let tokens = &context.tokens;
    if context.peak >= tokens.len() {
        return String::new();
    }
    let starts = |token: &str| token.starts_with(char::is_whitespace);
    let ends = |token: &str| token.ends_with(char::is_whitespace);
    let mut first = context.peak;
    while first > 0 && !starts(&tokens[first]) && !ends(&tokens[first - 1]) {
        first -= 1;
    }
    let mut end = context.peak + 1;
    while end < tokens.len() && !starts(&tokens[end]) && !ends(&tokens[end - 1]) {
        end += 1;
    }
    tokens[first..end].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_whole_word_around_the_strongest_token() {
        let word = |tokens: &[&str], peak| {
            let tokens = tokens.iter().map(|t| (*t).to_owned()).collect();
            peak_word(&Context { tokens, peak, ..Context::default() })
        };
        assert_eq!(word(&["the", " gar", "den", "er", " is"], 2), " gardener");
        assert_eq!(word(&["the", " gar", "den"], 0), "the");
        assert_eq!(word(&["the", "\n", "den"], 2), "den");
        assert_eq!(word(&[], 0), "");
        assert_eq!(word(&["a"], 7), "");
    }
}
