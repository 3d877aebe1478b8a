//! The dictionaries of a workspace: what is there, how far, how good.

use super::sqlite::Doing as _;
use super::{Workspace, now};
use crate::error::{Error, IoContext as _, Result};
use crate::evaluation::Evaluation;
use crate::features::{FeatureFile, FeatureTable};
use crate::llama::Site;
use crate::training::{TrainConfig, TrainPoint};
use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;
use std::fs;
use std::path::PathBuf;

/// Names a dictionary within its workspace; never used twice.
pub type SaeId = i64;

/// Where a training run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// A program trains it now.
    Training,
    /// Stopped on the way, by the user or a kill; can go on from its last checkpoint.
    Interrupted,
    /// Trained to the end.
    Done,
    /// Broke off with an error.
    Failed,
}

impl RunStatus {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Interrupted => "interrupted",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Training, Self::Interrupted, Self::Done, Self::Failed]
            .into_iter()
            .find(|s| s.name() == name)
    }
}

/// One dictionary of the workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct SaeRecord {
    /// Names it in this workspace.
    pub id: SaeId,
    /// Its folder: checkpoint, SAE, features.
    pub dir: PathBuf,
    /// Name of its architecture: `topk`.
    pub architecture: String,
    /// Number of latents, m.
    pub latents: usize,
    /// Width of the site, d.
    pub width: usize,
    /// The site it reads.
    pub site: Site,
    /// Content hash of the model.
    pub model: String,
    /// The corpus, in its text form.
    pub corpus: String,
    /// How it is trained; `None` if another version of the program wrote settings that this one
    /// does not know.
    pub config: Option<TrainConfig>,
    /// What the program that began it needs to go on (paths, row cutting, …), in its own form.
    pub request: serde_json::Value,
    /// Where it stands.
    pub status: RunStatus,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// Tokens trained on, as of the last recorded point.
    pub tokens_done: u64,
    /// Tokens to train on in all.
    pub tokens_total: u64,
    /// How good it is, if that was measured.
    pub evaluation: Option<Evaluation>,
    /// Whether its features were collected: see [`Workspace::load_features`].
    pub has_features: bool,
    /// When it was begun, seconds since 1970.
    pub created: i64,
    /// When something of it last changed, seconds since 1970.
    pub updated: i64,
}

impl SaeRecord {
    /// The file of its features.
    pub fn features_path(&self) -> PathBuf {
        self.dir.join(FEATURES)
    }
}

const COLUMNS: &str = "id, dir, architecture, latents, width, site, model, corpus, config, request,
    status, failure, tokens_done, tokens_total, evaluation, features, created, updated";

/// The file of the features within a dictionary's folder.
pub(crate) const FEATURES: &str = "features.safetensors";

impl Workspace {
    /// Every dictionary, the latest first. A run whose program is gone is found interrupted here.
    ///
    /// # Errors
    /// The workspace cannot be read or written.
    pub fn list_saes(&self) -> Result<Vec<SaeRecord>> {
        let what = "Could not list the SAEs";
        let sql = format!("SELECT {COLUMNS} FROM saes ORDER BY id DESC");
        let mut query = self.db.prepare_cached(&sql).doing(what)?;
        let rows = query.query_map([], |row| self.record(row)).doing(what)?;
        let mut saes: Vec<SaeRecord> = rows.collect::<rusqlite::Result<_>>().doing(what)?;
        for sae in saes.iter_mut().filter(|s| s.status == RunStatus::Training) {
            self.settle(sae)?;
        }
        Ok(saes)
    }

    /// The dictionary `id`.
    ///
    /// # Errors
    /// There is none, or the workspace cannot be read.
    pub fn sae(&self, id: SaeId) -> Result<SaeRecord> {
        let sql = format!("SELECT {COLUMNS} FROM saes WHERE id = ?1");
        self.db
            .query_row(&sql, [id], |row| self.record(row))
            .optional()
            .doing("Could not read an SAE's entry")?
            .ok_or_else(|| missing(id))
    }

    /// The folder of the dictionary `id`.
    ///
    /// # Errors
    /// As [`Workspace::sae`].
    pub fn sae_dir(&self, id: SaeId) -> Result<PathBuf> {
        self.sae(id).map(|record| record.dir)
    }

    /// Saves how good the dictionary is.
    ///
    /// # Errors
    /// There is no such dictionary, or it could not be saved.
    pub fn save_evaluation(&self, id: SaeId, evaluation: &Evaluation) -> Result<()> {
        let text = to_json(evaluation)?;
        self.change(id, "UPDATE saes SET evaluation = ?2, updated = ?3 WHERE id = ?1", &text)
    }

    /// Keeps the features that [`crate::features::collect`] has left in
    /// [`SaeRecord::features_path`].
    ///
    /// # Errors
    /// There is no such dictionary, it has no such file, or that cannot be noted.
    pub fn keep_features(&self, id: SaeId) -> Result<()> {
        FeatureFile::open(&self.sae(id)?.features_path())?;
        self.change(id, "UPDATE saes SET features = ?2, updated = ?3 WHERE id = ?1", FEATURES)
    }

    /// The features that were kept, if any were: opened, and read as they are asked for.
    ///
    /// # Errors
    /// There is no such dictionary, or the file is missing or damaged.
    pub fn open_features(&self, id: SaeId) -> Result<Option<FeatureFile>> {
        let record = self.sae(id)?;
        if !record.has_features {
            return Ok(None);
        }
        FeatureFile::open(&record.features_path()).map(Some)
    }

    /// The table of the features that were kept, if any were.
    ///
    /// # Errors
    /// As [`Workspace::open_features`].
    pub fn load_features(&self, id: SaeId) -> Result<Option<FeatureTable>> {
        self.open_features(id)?.map(|mut file| file.table()).transpose()
    }

    /// The dictionaries whose features were collected, and their folders: all, or `only` one.
    pub(crate) fn searchable(&self, only: Option<SaeId>) -> Result<Vec<(SaeId, PathBuf)>> {
        let what = "Could not list the SAEs";
        let sql = "SELECT id, dir FROM saes
                   WHERE features IS NOT NULL AND (?1 IS NULL OR id = ?1) ORDER BY id DESC";
        let mut query = self.db.prepare_cached(sql).doing(what)?;
        let rows = query
            .query_map([only], |row| Ok((row.get(0)?, self.root.join(row.get::<_, String>(1)?))))
            .doing(what)?;
        rows.collect::<rusqlite::Result<_>>().doing(what)
    }

    /// The curves of the run, in order of steps.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn history(&self, id: SaeId) -> Result<Vec<TrainPoint>> {
        let what = "Could not read a run's curves";
        let sql = "SELECT point FROM history WHERE sae = ?1 ORDER BY step";
        let mut query = self.db.prepare_cached(sql).doing(what)?;
        let rows = query.query_map([id], |row| json(row, 0)).doing(what)?;
        rows.collect::<rusqlite::Result<_>>().doing(what)
    }

    /// Forgets the dictionary and deletes its folder; its labels, those written by hand included,
    /// and what language models answered about it go with it. Whoever offers this says so first.
    ///
    /// # Errors
    /// A program trains it now, there is no such dictionary, or its folder cannot be deleted.
    pub fn delete_sae(&self, id: SaeId) -> Result<()> {
        let dir = self.sae_dir(id)?;
        let lock = super::runs::lock(&dir)?;
        drop(lock);
        match fs::remove_dir_all(&dir) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => (),
            other => other.doing(|| format!("Could not delete {}", dir.display()))?,
        }
        self.db.execute("DELETE FROM saes WHERE id = ?1", [id]).doing("Could not forget an SAE")?;
        Ok(())
    }

    /// Runs `sql` with (id, value, now); it must change one row.
    pub(super) fn change(&self, id: SaeId, sql: &str, value: &str) -> Result<()> {
        let changed = self.db.execute(sql, params![id, value, now()]).doing("Could not save")?;
        if changed == 0 { Err(missing(id)) } else { Ok(()) }
    }

    fn record(&self, row: &Row<'_>) -> rusqlite::Result<SaeRecord> {
        let config: String = row.get(8)?;
        let evaluation: Option<String> = row.get(14)?;
        Ok(SaeRecord {
            id: row.get(0)?,
            dir: self.root.join(row.get::<_, String>(1)?),
            architecture: row.get(2)?,
            latents: row.get(3)?,
            width: row.get(4)?,
            site: text(row, 5, |t| t.parse().ok())?,
            model: row.get(6)?,
            corpus: row.get(7)?,
            config: serde_json::from_str(&config).ok(),
            request: json(row, 9)?,
            status: text(row, 10, RunStatus::named)?,
            failure: row.get(11)?,
            tokens_done: row.get(12)?,
            tokens_total: row.get(13)?,
            evaluation: evaluation.and_then(|t| serde_json::from_str(&t).ok()),
            has_features: row.get::<_, Option<String>>(15)?.is_some(),
            created: row.get(16)?,
            updated: row.get(17)?,
        })
    }
}

pub(super) fn missing(id: SaeId) -> Error {
    Error::setting(
        format!("The workspace has no SAE {id}"),
        "it was deleted, or the number belongs to another workspace",
        "Choose one from the list",
    )
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal("Could not save", e.to_string()))
}

pub(super) fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    text(row, column, |t| serde_json::from_str(t).ok())
}

fn text<T>(row: &Row<'_>, column: usize, read: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    read(&text).ok_or_else(|| {
        let why = format!("{text:?} is not understood");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why.into())
    })
}
