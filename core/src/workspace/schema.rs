//! The tables, and the steps from one version of them to the next.

use super::sqlite::Doing as _;
use crate::error::{Error, Result};
use rusqlite::{Connection, TransactionBehavior};

/// Marks an SQLite file as ours (`PRAGMA application_id`): "SPSC".
const APPLICATION: i64 = 0x5350_5343;

/// Step `i` leads from version `i` to `i + 1`. A step that was released is never changed.
const STEPS: &[&str] = &["
    CREATE TABLE models (
        hash TEXT PRIMARY KEY,
        path TEXT NOT NULL,
        name TEXT NOT NULL,
        seen INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE saes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        dir TEXT NOT NULL,
        architecture TEXT NOT NULL,
        latents INTEGER NOT NULL,
        width INTEGER NOT NULL,
        site TEXT NOT NULL,
        model TEXT NOT NULL,
        corpus TEXT NOT NULL,
        config TEXT NOT NULL,
        request TEXT NOT NULL,
        status TEXT NOT NULL,
        failure TEXT,
        tokens_done INTEGER NOT NULL,
        tokens_total INTEGER NOT NULL,
        evaluation TEXT,
        features TEXT,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE history (
        sae INTEGER NOT NULL REFERENCES saes(id) ON DELETE CASCADE,
        step INTEGER NOT NULL,
        point TEXT NOT NULL,
        PRIMARY KEY (sae, step)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE settings (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT;
"];

/// The version of the tables that this program writes.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Brings the tables to [`VERSION`]: makes them in an empty file, refuses a foreign or newer one.
pub(super) fn migrate(db: &mut Connection, what: &str) -> Result<()> {
    // Most openings find everything in place and need no lock on the file.
    if number(db, "application_id", what)? == APPLICATION
        && number(db, "user_version", what)? == VERSION
    {
        return Ok(());
    }
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate).doing(what)?;
    // Looked at again under the lock: another program may have been first.
    let version = number(&change, "user_version", what)?;
    let tables: i64 =
        change.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).doing(what)?;
    let application = number(&change, "application_id", what)?;
    let fresh = application == 0 && version == 0 && tables == 0;
    if !fresh && application != APPLICATION {
        return Err(Error::format(
            what,
            "the SQLite file there belongs to another program",
            "Choose another folder, or move the file away",
        ));
    }
    if version > VERSION {
        return Err(Error::format(
            what,
            format!(
                "it was written by a newer Sparsescope (tables {version}, this one knows {VERSION})"
            ),
            "Use that newer version, or choose another folder",
        ));
    }
    for step in &STEPS[version.max(0) as usize..] {
        change.execute_batch(step).doing(what)?;
    }
    change.pragma_update(None, "application_id", APPLICATION).doing(what)?;
    change.pragma_update(None, "user_version", VERSION).doing(what)?;
    change.commit().doing(what)
}

fn number(db: &Connection, pragma: &str, what: &str) -> Result<i64> {
    db.pragma_query_value(None, pragma, |row| row.get(0)).doing(what)
}
