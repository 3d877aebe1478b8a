//! Opening a workspace's folder.

use super::sqlite::Doing as _;
use super::{DATABASE, Workspace, schema};
use crate::error::{Error, ErrorKind, IoContext as _, Result};
use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::path::Path;
use std::time::Duration;

impl Workspace {
    /// Opens the workspace in `folder`, making both if they are not there.
    ///
    /// # Errors
    /// The folder cannot be made or written to; the database there is damaged, read-only, another
    /// program's, or a newer Sparsescope's.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::open_and(folder, check)
    }

    /// As [`Workspace::open`], without reading the whole database for damage, which takes a tenth of
    /// a second where it holds a hundred thousand labels: for short looks at a workspace that this
    /// program has opened before.
    ///
    /// # Errors
    /// As there; damage shows only where it is met.
    pub fn look(folder: &Path) -> Result<Self> {
        Self::open_and(folder, |_, _| Ok(()))
    }

    fn open_and(folder: &Path, check: impl Fn(&Connection, &str) -> Result<()>) -> Result<Self> {
        let what = format!("Could not open the workspace {}", folder.display());
        fs::create_dir_all(folder).doing(|| what.clone())?;
        // Runs keep absolute folders: the program may change its own later.
        let root = folder.canonicalize().doing(|| what.clone())?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(root.join(DATABASE), flags).doing(&what)?;
        db.busy_timeout(Duration::from_secs(10)).doing(&what)?;
        if db.is_readonly("main").doing(&what)? {
            return Err(Error::new(
                ErrorKind::Io,
                what,
                format!("{DATABASE} in it can be read but not written"),
                "Give yourself permission to write to it, or choose another folder",
            ));
        }
        schema::migrate(&mut db, &what)?;
        check(&db, &what)?;
        use_log(&db, &what)?;
        db.pragma_update(None, "synchronous", "FULL").doing(&what)?;
        db.pragma_update(None, "foreign_keys", "ON").doing(&what)?;
        Ok(Self { root, db })
    }
}

/// Refuses a damaged file at once rather than in the middle of a run.
fn check(db: &Connection, what: &str) -> Result<()> {
    let verdict: String =
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).doing(what)?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(Error::format(
        what,
        format!("{DATABASE} in it is damaged ({verdict})"),
        format!(
            "Move {DATABASE} away and open the folder again; the SAE folders beside it are untouched"
        ),
    ))
}

/// Switches to the write-ahead log, in which readers and a writer do not wait for one another.
/// A file system that cannot share its memory (some network ones) keeps the slower journal.
fn use_log(db: &Connection, what: &str) -> Result<()> {
    let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0)).doing(what)?;
    if mode.eq_ignore_ascii_case("wal") {
        return Ok(());
    }
    let switched = db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()));
    match switched.map_err(|e| (e.sqlite_error_code(), e)) {
        // Another program opens it just now and switches too, or will at its next opening.
        Err((Some(rusqlite::ErrorCode::DatabaseBusy), _)) => Ok(()),
        Err((_, e)) => Err(e).doing(what),
        Ok(()) => Ok(()),
    }
}
