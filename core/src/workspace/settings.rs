//! Settings: a key and any value that serde knows.

use super::Workspace;
use super::sqlite::Doing as _;
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

impl Workspace {
    /// Saves `value` under `key`.
    ///
    /// # Errors
    /// It could not be saved.
    pub fn set_setting<T: Serialize>(&self, key: &str, value: &T) -> Result<()> {
        let what = "Could not save a setting";
        let text = serde_json::to_string(value)
            .map_err(|e| Error::internal(what, format!("{key}: {e}")))?;
        let sql = "INSERT INTO settings VALUES (?1, ?2)
                   ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.db.execute(sql, params![key, text]).doing(what)?;
        Ok(())
    }

    /// What was last saved under `key`; `None` if nothing was, or if this version of the program
    /// no longer understands it.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn setting<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let sql = "SELECT value FROM settings WHERE key = ?1";
        let text: Option<String> = self
            .db
            .query_row(sql, [key], |row| row.get(0))
            .optional()
            .doing("Could not read a setting")?;
        Ok(text.and_then(|t| serde_json::from_str(&t).ok()))
    }
}
