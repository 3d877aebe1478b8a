//! Tasks that a person keeps, and those that kept circuits were found on.

use super::saes::{json, to_json};
use super::sqlite::Doing as _;
use super::{Workspace, now};
use crate::circuits::Task;
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension as _, Row, params};

/// Names a task within its workspace; never used twice.
pub type TaskId = i64;

/// What the workspace knows of a task, without its pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRecord {
    /// Names it in this workspace.
    pub id: TaskId,
    /// What it is called.
    pub name: String,
    /// Content hash of its pairs.
    pub hash: String,
    /// Number of pairs.
    pub pairs: usize,
}

impl Workspace {
    /// The tasks that a person keeps, in order of their names.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn list_tasks(&self) -> Result<Vec<TaskRecord>> {
        let what = "Could not list the tasks";
        let sql = "SELECT id, name, hash, pairs FROM tasks WHERE listed = 1 ORDER BY name, id";
        let mut query = self.db.prepare_cached(sql).doing(what)?;
        let rows = query.query_map([], record).doing(what)?;
        rows.collect::<rusqlite::Result<_>>().doing(what)
    }

    /// Keeps a task, listed for a person. The same pairs are kept once: a second saving gives them
    /// the new name.
    ///
    /// # Errors
    /// The workspace cannot be written.
    pub fn save_task(&self, task: &Task) -> Result<TaskId> {
        self.put_task(task, true)
    }

    pub(super) fn put_task(&self, task: &Task, listed: bool) -> Result<TaskId> {
        let what = "Could not save the task";
        let sql = "INSERT INTO tasks (name, hash, pairs, task, listed, created)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT (hash) DO UPDATE SET
                name = CASE WHEN excluded.listed THEN excluded.name ELSE name END,
                listed = max(listed, excluded.listed)
            RETURNING id";
        let text = to_json(task)?;
        let values = params![task.name, task.hash(), task.pairs.len(), text, listed, now()];
        self.db.query_row(sql, values, |row| row.get(0)).doing(what)
    }

    /// The task `id`.
    ///
    /// # Errors
    /// There is none, or the workspace cannot be read.
    pub fn task(&self, id: TaskId) -> Result<Task> {
        let sql = "SELECT name, task FROM tasks WHERE id = ?1";
        let found = self.db.query_row(sql, [id], task).optional().doing("Could not read a task")?;
        found.ok_or_else(|| {
            Error::setting(
                format!("The workspace has no task {id}"),
                "it was taken off the list, or the number belongs to another workspace",
                "Choose one from the list",
            )
        })
    }

    /// The task whose pairs have this content hash, listed or not.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn task_of(&self, hash: &str) -> Result<Option<Task>> {
        let sql = "SELECT name, task FROM tasks WHERE hash = ?1";
        self.db.query_row(sql, [hash], task).optional().doing("Could not read a task")
    }

    /// Takes a task off the list, and forgets it unless a circuit was found on it.
    ///
    /// # Errors
    /// The workspace cannot be written.
    pub fn delete_task(&self, id: TaskId) -> Result<()> {
        let what = "Could not delete the task";
        self.db.execute("UPDATE tasks SET listed = 0 WHERE id = ?1", [id]).doing(what)?;
        self.drop_tasks()
    }

    /// Forgets tasks that are neither listed nor a circuit's.
    pub(super) fn drop_tasks(&self) -> Result<()> {
        let sql = "DELETE FROM tasks WHERE listed = 0
            AND hash NOT IN (SELECT task_hash FROM circuits)";
        self.db.execute(sql, []).doing("Could not forget a task")?;
        Ok(())
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<TaskRecord> {
    Ok(TaskRecord { id: row.get(0)?, name: row.get(1)?, hash: row.get(2)?, pairs: row.get(3)? })
}

fn task(row: &Row<'_>) -> rusqlite::Result<Task> {
    let task: Task = json(row, 1)?;
    Ok(Task { name: row.get(0)?, ..task })
}
