//! Models that were opened before.

use super::sqlite::Doing as _;
use super::{Workspace, now};
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension as _, Row, params};
use std::path::{Path, PathBuf};

/// A model that was opened before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownModel {
    /// Content hash that names it.
    pub hash: String,
    /// Where it was last found.
    pub path: PathBuf,
    /// What to call it on screen.
    pub name: String,
    /// When it was last opened, seconds since 1970.
    pub seen: i64,
}

impl Workspace {
    /// Remembers that the model named `hash` was opened from `path`.
    ///
    /// # Errors
    /// It could not be saved, or the path is not UTF-8.
    pub fn remember_model(&self, hash: &str, path: &Path, name: &str) -> Result<()> {
        let what = "Could not remember the model";
        let path = path.to_str().ok_or_else(|| {
            Error::setting(
                what,
                format!("its path {} is not UTF-8", path.display()),
                "Rename its folder",
            )
        })?;
        let sql = "INSERT INTO models VALUES (?1, ?2, ?3, ?4) ON CONFLICT (hash)
                   DO UPDATE SET path = excluded.path, name = excluded.name, seen = excluded.seen";
        self.db.execute(sql, params![hash, path, name, now()]).doing(what)?;
        Ok(())
    }

    /// The models opened before, the latest first, at most `limit`.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn recent_models(&self, limit: usize) -> Result<Vec<KnownModel>> {
        let what = "Could not list the models";
        let sql =
            "SELECT hash, path, name, seen FROM models ORDER BY seen DESC, rowid DESC LIMIT ?1";
        let mut query = self.db.prepare_cached(sql).doing(what)?;
        let rows =
            query.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], known).doing(what)?;
        rows.collect::<rusqlite::Result<_>>().doing(what)
    }

    /// The model named `hash`, if it was opened before.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn known_model(&self, hash: &str) -> Result<Option<KnownModel>> {
        let sql = "SELECT hash, path, name, seen FROM models WHERE hash = ?1";
        self.db.query_row(sql, [hash], known).optional().doing("Could not look for the model")
    }
}

fn known(row: &Row<'_>) -> rusqlite::Result<KnownModel> {
    Ok(KnownModel {
        hash: row.get(0)?,
        path: PathBuf::from(row.get::<_, String>(1)?),
        name: row.get(2)?,
        seen: row.get(3)?,
    })
}
