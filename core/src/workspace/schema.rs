//! The tables, and the steps from one version of them to the next.

use super::sqlite::Doing as _;
use crate::error::{Error, Result};
use rusqlite::{Connection, TransactionBehavior};

/// Marks an SQLite file as ours (`PRAGMA application_id`): "SPSC".
const APPLICATION: i64 = 0x5350_5343;

/// Step `i` leads from version `i` to `i + 1`. A step that was released is never changed.
const STEPS: &[&str] = &[
    "
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
",
    "
    CREATE TABLE labels (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sae INTEGER NOT NULL REFERENCES saes(id) ON DELETE CASCADE,
        latent INTEGER NOT NULL,
        text TEXT NOT NULL,
        source TEXT NOT NULL,
        scores TEXT,
        current INTEGER NOT NULL,
        created INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX labels_of_latent ON labels (sae, latent);
    CREATE UNIQUE INDEX shown_label ON labels (sae, latent) WHERE current = 1;
    CREATE VIRTUAL TABLE label_search USING fts5 (
        text, content = 'labels', content_rowid = 'id', prefix = '1 2 3',
        tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE TRIGGER label_shown AFTER UPDATE OF current ON labels WHEN new.current > old.current
    BEGIN
        INSERT INTO label_search (rowid, text) VALUES (new.id, new.text);
    END;
    CREATE TRIGGER label_hidden AFTER UPDATE OF current ON labels WHEN new.current < old.current
    BEGIN
        INSERT INTO label_search (label_search, rowid, text) VALUES ('delete', old.id, old.text);
    END;
    CREATE TRIGGER label_gone AFTER DELETE ON labels WHEN old.current = 1
    BEGIN
        INSERT INTO label_search (label_search, rowid, text) VALUES ('delete', old.id, old.text);
    END;
    CREATE TABLE label_runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sae INTEGER NOT NULL REFERENCES saes(id) ON DELETE CASCADE,
        request TEXT NOT NULL,
        confirmed TEXT NOT NULL,
        status TEXT NOT NULL,
        failure TEXT,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE label_batches (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run INTEGER NOT NULL REFERENCES label_runs(id) ON DELETE CASCADE,
        remote TEXT,
        state TEXT NOT NULL,
        counts TEXT,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE label_calls (
        run INTEGER NOT NULL REFERENCES label_runs(id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        latent INTEGER NOT NULL,
        state TEXT NOT NULL,
        expected TEXT NOT NULL,
        reply TEXT,
        failure TEXT,
        input_tokens INTEGER,
        output_tokens INTEGER,
        batch INTEGER,
        updated INTEGER NOT NULL,
        PRIMARY KEY (run, name)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE tasks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        hash TEXT NOT NULL UNIQUE,
        pairs INTEGER NOT NULL,
        task TEXT NOT NULL,
        listed INTEGER NOT NULL,
        created INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE circuits (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        model TEXT NOT NULL,
        task TEXT NOT NULL,
        task_hash TEXT NOT NULL,
        method TEXT NOT NULL,
        nodes INTEGER NOT NULL,
        edges INTEGER NOT NULL,
        circuit TEXT NOT NULL,
        view TEXT,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE edit_sets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        model TEXT NOT NULL,
        sites TEXT NOT NULL,
        edits INTEGER NOT NULL,
        edit_set TEXT NOT NULL,
        created INTEGER NOT NULL,
        UNIQUE (name, model)
    ) STRICT;
    CREATE TABLE shift_studies (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        model TEXT NOT NULL,
        judged INTEGER NOT NULL,
        trimmed INTEGER NOT NULL,
        original REAL,
        retrained REAL,
        study TEXT NOT NULL,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL
    ) STRICT;
",
];

/// The version of the tables that this program writes.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Brings the tables to [`VERSION`]: makes them in an empty file, refuses a foreign or newer one.
pub(super) fn migrate(db: &mut Connection, what: &str) -> Result<()> {
    migrate_to(db, VERSION, what)
}

/// Brings the tables to version `to`.
pub(super) fn migrate_to(db: &mut Connection, to: i64, what: &str) -> Result<()> {
    // Most openings find everything in place and need no lock on the file.
    if number(db, "application_id", what)? == APPLICATION && number(db, "user_version", what)? == to
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
    if version > to {
        return Err(Error::format(
            what,
            format!(
                "it was written by a newer Sparsescope (tables {version}, this one knows {VERSION})"
            ),
            "Use that newer version, or choose another folder",
        ));
    }
    for step in &STEPS[version.max(0) as usize..to as usize] {
        change.execute_batch(step).doing(what)?;
    }
    change.pragma_update(None, "application_id", APPLICATION).doing(what)?;
    change.pragma_update(None, "user_version", to).doing(what)?;
    change.commit().doing(what)
}

fn number(db: &Connection, pragma: &str, what: &str) -> Result<i64> {
    db.pragma_query_value(None, pragma, |row| row.get(0)).doing(what)
}
