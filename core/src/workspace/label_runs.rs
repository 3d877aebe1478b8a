//! Runs of labelling: what was confirmed, every request that was sent, every answer.

use super::saes::{json, to_json};
use super::sqlite::Doing as _;
use super::{SaeId, Workspace, now};
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension as _, Row, params};
use serde_json::Value;
use std::fs::{self, File};
use std::path::PathBuf;

/// Names a run of labelling within its workspace; never used twice.
pub type LabelRunId = i64;

/// A run of labelling.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelRun {
    /// Names it.
    pub id: LabelRunId,
    /// The dictionary.
    pub sae: SaeId,
    /// What it does, in the form of whoever began it.
    pub request: Value,
    /// What was confirmed, in the form of whoever confirmed it.
    pub confirmed: Value,
    /// Where it stands.
    pub status: LabelRunStatus,
    /// Why it broke off, if it did.
    pub failure: Option<String>,
    /// When it was begun, seconds since 1970.
    pub created: i64,
    /// When something of it last changed, seconds since 1970.
    pub updated: i64,
}

/// Where a run of labelling stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelRunStatus {
    /// A program works at it, or was killed while it did.
    Running,
    /// A batch was sent and is waited for.
    Waiting,
    /// Everything was asked.
    Done,
    /// It was stopped, or broke off; it can go on.
    Stopped,
}

impl LabelRunStatus {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Running, "running"),
        (Self::Waiting, "waiting"),
        (Self::Done, "done"),
        (Self::Stopped, "stopped"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(status, _)| *status == self).map_or("", |(_, name)| name)
    }
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    /// It was sent, or was about to be; no answer is known.
    Sent,
    /// It was answered, and the answer understood.
    Done,
    /// It was answered, and the answer is not what was asked for.
    Unparsed,
    /// It came to nothing: refused, expired, canceled, or nobody answered.
    Failed,
}

impl CallState {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Sent, "sent"),
        (Self::Done, "done"),
        (Self::Unparsed, "unparsed"),
        (Self::Failed, "failed"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }
}

/// A request of a run, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelCall {
    /// Names it within the run: `12-write`, `12-detect-0`.
    pub name: String,
    /// The latent it is about.
    pub latent: u32,
    /// Where it stands.
    pub state: CallState,
    /// What the right answer is, if it is a question to the judge.
    pub expected: Vec<bool>,
    /// The answer's text.
    pub reply: Option<String>,
    /// What went wrong, if something did.
    pub failure: Option<String>,
    /// Tokens that were read.
    pub input_tokens: u64,
    /// Tokens that were written.
    pub output_tokens: u64,
    /// The batch it was sent in.
    pub batch: Option<i64>,
}

/// A batch of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelBatch {
    /// Names it in this workspace.
    pub id: i64,
    /// The server's name of it; `None` if it is not known whether it arrived.
    pub remote: Option<String>,
    /// Whether its results were fetched.
    pub ended: bool,
    /// What the server last said of it: counts by state.
    pub counts: Option<Value>,
    /// When it was sent, seconds since 1970.
    pub created: i64,
}

const RUN: &str = "id, sae, request, confirmed, status, failure, created, updated";
const WHAT: &str = "Could not save a run of labelling";

impl Workspace {
    /// Begins a run.
    ///
    /// # Errors
    /// There is no such dictionary, or it could not be saved.
    pub fn begin_label_run(
        &mut self,
        sae: SaeId,
        request: &Value,
        confirmed: &Value,
    ) -> Result<LabelRunId> {
        self.sae(sae)?;
        let sql = "INSERT INTO label_runs
                   (sae, request, confirmed, status, created, updated) VALUES (?1,?2,?3,?4,?5,?5)";
        let status = LabelRunStatus::Stopped.name();
        let values = params![sae, to_json(request)?, to_json(confirmed)?, status, now()];
        self.db.execute(sql, values).doing(WHAT)?;
        Ok(self.db.last_insert_rowid())
    }

    /// Forgets a run, with the answers that are kept of it; labels stay.
    ///
    /// # Errors
    /// It could not be saved, or its folder not deleted.
    pub fn forget_label_run(&self, id: LabelRunId) -> Result<()> {
        match fs::remove_dir_all(self.label_run_dir(id)?) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("Could not delete a run of labelling", &e));
            }
            _ => {}
        }
        self.db.execute("DELETE FROM label_runs WHERE id = ?1", [id]).doing(WHAT)?;
        Ok(())
    }

    /// The runs of one dictionary or of all, the latest first.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn label_runs(&self, sae: Option<SaeId>) -> Result<Vec<LabelRun>> {
        let what = "Could not read the runs of labelling";
        let sql =
            format!("SELECT {RUN} FROM label_runs WHERE ?1 IS NULL OR sae = ?1 ORDER BY id DESC");
        let mut query = self.db.prepare_cached(&sql).doing(what)?;
        let rows = query.query_map([sae], run).doing(what)?;
        rows.collect::<rusqlite::Result<_>>().doing(what)
    }

    /// A run.
    ///
    /// # Errors
    /// There is none, or the workspace cannot be read.
    pub fn label_run(&self, id: LabelRunId) -> Result<LabelRun> {
        self.db
            .query_row(&format!("SELECT {RUN} FROM label_runs WHERE id = ?1"), [id], run)
            .optional()
            .doing("Could not read a run of labelling")?
            .ok_or_else(|| {
                Error::setting(
                    format!("The workspace has no run of labelling {id}"),
                    "it was forgotten, or belongs to another workspace",
                    "Choose one from the list",
                )
            })
    }

    /// The folder of a run, beside the features of its dictionary.
    ///
    /// # Errors
    /// As [`Workspace::label_run`].
    pub fn label_run_dir(&self, id: LabelRunId) -> Result<PathBuf> {
        Ok(self.sae_dir(self.label_run(id)?.sae)?.join(format!("labels-{id:04}")))
    }

    /// Takes the right to work at a run: while the file lives, no other program sends for it.
    ///
    /// # Errors
    /// Another program works at it, or its folder cannot be written.
    pub fn hold_label_run(&self, id: LabelRunId) -> Result<Option<File>> {
        super::runs::lock(&self.label_run_dir(id)?).map_err(|e| match e.kind {
            crate::ErrorKind::Setting => Error::setting(
                format!("The run of labelling {id} is in use"),
                "another program, or another job of this one, works at it now",
                "Wait for its end, or stop it there",
            ),
            _ => e,
        })
    }

    /// Saves where a run stands.
    ///
    /// # Errors
    /// It could not be saved.
    pub fn set_label_run(
        &self,
        id: LabelRunId,
        status: LabelRunStatus,
        failure: Option<&str>,
    ) -> Result<()> {
        let sql = "UPDATE label_runs SET status = ?2, failure = ?3, updated = ?4 WHERE id = ?1";
        self.db.execute(sql, params![id, status.name(), failure, now()]).doing(WHAT)?;
        Ok(())
    }

    /// The requests of a run, in order of their names.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn label_calls(&self, id: LabelRunId) -> Result<Vec<LabelCall>> {
        let what = "Could not read the answers of a run of labelling";
        let sql = "SELECT name, latent, state, expected, reply, failure, input_tokens,
                   output_tokens, batch FROM label_calls WHERE run = ?1 ORDER BY name";
        let mut query = self.db.prepare_cached(sql).doing(what)?;
        let rows = query.query_map([id], call).doing(what)?;
        rows.collect::<rusqlite::Result<_>>().doing(what)
    }

    /// Saves requests of a run and what came of them, all or none.
    ///
    /// # Errors
    /// They could not be saved.
    pub fn save_label_calls(&mut self, id: LabelRunId, calls: &[LabelCall]) -> Result<()> {
        let change = self.db.transaction().doing(WHAT)?;
        put(&change, id, calls)?;
        change.commit().doing(WHAT)
    }

    /// Notes that a batch of requests is about to be sent.
    ///
    /// # Errors
    /// It could not be saved: then it must not be sent.
    pub fn begin_label_batch(&mut self, id: LabelRunId, calls: &mut [LabelCall]) -> Result<i64> {
        let change = self.db.transaction().doing(WHAT)?;
        let sql = "INSERT INTO label_batches (run, state, created, updated)
                   VALUES (?1, 'open', ?2, ?2)";
        change.execute(sql, params![id, now()]).doing(WHAT)?;
        let batch = change.last_insert_rowid();
        calls.iter_mut().for_each(|call| call.batch = Some(batch));
        put(&change, id, calls)?;
        change.commit().doing(WHAT)?;
        Ok(batch)
    }

    /// Saves what the server says of a batch: its name there, its counts, whether its results
    /// were fetched.
    ///
    /// # Errors
    /// It could not be saved.
    pub fn set_label_batch(&self, batch: &LabelBatch) -> Result<()> {
        let state = if batch.ended { "ended" } else { "open" };
        let counts = batch.counts.as_ref().map(to_json).transpose()?;
        let sql = "UPDATE label_batches SET remote = ?2, state = ?3, counts = ?4, updated = ?5
                   WHERE id = ?1";
        self.db.execute(sql, params![batch.id, batch.remote, state, counts, now()]).doing(WHAT)?;
        Ok(())
    }

    /// Forgets a batch that the server never saw.
    ///
    /// # Errors
    /// It could not be saved.
    pub fn forget_label_batch(&mut self, batch: i64) -> Result<()> {
        let change = self.db.transaction().doing(WHAT)?;
        change.execute("DELETE FROM label_calls WHERE batch = ?1", [batch]).doing(WHAT)?;
        change.execute("DELETE FROM label_batches WHERE id = ?1", [batch]).doing(WHAT)?;
        change.commit().doing(WHAT)
    }

    /// The batches of a run, in the order they were sent.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn label_batches(&self, id: LabelRunId) -> Result<Vec<LabelBatch>> {
        let what = "Could not read the batches of a run of labelling";
        let sql = "SELECT id, remote, state, counts, created FROM label_batches
                   WHERE run = ?1 ORDER BY id";
        let mut query = self.db.prepare_cached(sql).doing(what)?;
        let rows = query
            .query_map([id], |row| {
                Ok(LabelBatch {
                    id: row.get(0)?,
                    remote: row.get(1)?,
                    ended: row.get::<_, String>(2)? == "ended",
                    counts: row
                        .get::<_, Option<String>>(3)?
                        .and_then(|text| serde_json::from_str(&text).ok()),
                    created: row.get(4)?,
                })
            })
            .doing(what)?;
        rows.collect::<rusqlite::Result<_>>().doing(what)
    }
}

fn put(change: &rusqlite::Transaction<'_>, id: LabelRunId, calls: &[LabelCall]) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO label_calls (run, name, latent, state, expected, reply,
               failure, input_tokens, output_tokens, batch, updated)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let mut insert = change.prepare_cached(sql).doing(WHAT)?;
    for call in calls {
        let values = params![
            id,
            call.name,
            call.latent,
            call.state.name(),
            to_json(&call.expected)?,
            call.reply,
            call.failure,
            call.input_tokens,
            call.output_tokens,
            call.batch,
            now()
        ];
        insert.execute(values).doing(WHAT)?;
    }
    Ok(())
}

fn run(row: &Row<'_>) -> rusqlite::Result<LabelRun> {
    let status: String = row.get(4)?;
    let known = LabelRunStatus::ALL.iter().find(|(_, name)| *name == status);
    Ok(LabelRun {
        id: row.get(0)?,
        sae: row.get(1)?,
        request: json(row, 2)?,
        confirmed: json(row, 3)?,
        status: known.map_or(LabelRunStatus::Stopped, |(status, _)| *status),
        failure: row.get(5)?,
        created: row.get(6)?,
        updated: row.get(7)?,
    })
}

fn call(row: &Row<'_>) -> rusqlite::Result<LabelCall> {
    let state: String = row.get(2)?;
    let known = CallState::ALL.iter().find(|(_, name)| *name == state);
    Ok(LabelCall {
        name: row.get(0)?,
        latent: row.get(1)?,
        state: known.map_or(CallState::Failed, |(state, _)| *state),
        expected: json(row, 3)?,
        reply: row.get(4)?,
        failure: row.get(5)?,
        input_tokens: row.get::<_, Option<u64>>(6)?.unwrap_or(0),
        output_tokens: row.get::<_, Option<u64>>(7)?.unwrap_or(0),
        batch: row.get(8)?,
    })
}
