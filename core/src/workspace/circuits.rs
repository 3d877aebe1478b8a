//! Circuits that were found, each with everything that made it and with how it is looked at.

use super::saes::{json, to_json};
use super::sqlite::Doing as _;
use super::{Workspace, now};
use crate::circuits::{Circuit, Task};
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension as _, Row, params};
use serde::{Serialize, de::DeserializeOwned};

/// Names a circuit within its workspace; never used twice.
pub type CircuitId = i64;

/// What the workspace knows of a circuit, without its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitRecord {
    /// Names it in this workspace.
    pub id: CircuitId,
    /// What it is called.
    pub name: String,
    /// Content hash of the model.
    pub model: String,
    /// What its task is called.
    pub task: String,
    /// How its effects were estimated: `ig`.
    pub method: String,
    /// Number of nodes.
    pub nodes: usize,
    /// Number of edges.
    pub edges: usize,
    /// When it was found, seconds since 1970.
    pub created: i64,
}

impl Workspace {
    /// Every circuit, the latest first.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn list_circuits(&self) -> Result<Vec<CircuitRecord>> {
        let what = "Could not list the circuits";
        let sql = "SELECT id, name, model, task, method, nodes, edges, created
            FROM circuits ORDER BY id DESC";
        let mut query = self.db.prepare_cached(sql).doing(what)?;
        let rows = query.query_map([], record).doing(what)?;
        rows.collect::<rusqlite::Result<_>>().doing(what)
    }

    /// Keeps a circuit, and the task that it was found on if that is at hand.
    ///
    /// # Errors
    /// The workspace cannot be written; then nothing is kept.
    pub fn save_circuit(
        &self,
        name: &str,
        circuit: &Circuit,
        task: Option<&Task>,
    ) -> Result<CircuitId> {
        let what = "Could not save the circuit";
        let c = &circuit.conventions;
        let text = to_json(circuit)?;
        // Rolled back when it is dropped before the end.
        let change = self.db.unchecked_transaction().doing(what)?;
        if let Some(task) = task {
            self.put_task(task, false)?;
        }
        let sql = "INSERT INTO circuits
            (name, model, task, task_hash, method, nodes, edges, circuit, created, updated)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)";
        let (nodes, edges) = (circuit.nodes.len(), circuit.edges.len());
        let method = c.spec.method.to_string();
        let values =
            params![name, c.model, c.task.name, c.task.hash, method, nodes, edges, text, now()];
        self.db.execute(sql, values).doing(what)?;
        let id = self.db.last_insert_rowid();
        change.commit().doing(what)?;
        Ok(id)
    }

    /// The circuit `id`.
    ///
    /// # Errors
    /// There is none, or the workspace cannot be read.
    pub fn circuit(&self, id: CircuitId) -> Result<Circuit> {
        let sql = "SELECT circuit FROM circuits WHERE id = ?1";
        let found = self.db.query_row(sql, [id], |row| json(row, 0)).optional();
        found.doing("Could not read a circuit")?.ok_or_else(|| missing(id))
    }

    /// How the circuit `id` was last looked at, in the form it was saved in; `None` if it never was.
    ///
    /// # Errors
    /// There is no such circuit, or the workspace cannot be read.
    pub fn circuit_view<V: DeserializeOwned>(&self, id: CircuitId) -> Result<Option<V>> {
        let sql = "SELECT view FROM circuits WHERE id = ?1";
        let found = self.db.query_row(sql, [id], |row| row.get::<_, Option<String>>(0)).optional();
        let text = found.doing("Could not read a circuit's view")?.ok_or_else(|| missing(id))?;
        // A view of another version is not worth refusing the circuit for.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Keeps how the circuit `id` is looked at.
    ///
    /// # Errors
    /// There is no such circuit, or the workspace cannot be written.
    pub fn save_circuit_view<V: Serialize>(&self, id: CircuitId, view: &V) -> Result<()> {
        self.change_circuit(id, "view", &to_json(view)?)
    }

    /// Calls the circuit `id` so.
    ///
    /// # Errors
    /// There is no such circuit, the name is empty, or the workspace cannot be written.
    pub fn rename_circuit(&self, id: CircuitId, name: &str) -> Result<()> {
        if name.trim().is_empty() {
            return Err(Error::setting(
                "The circuit was not renamed",
                "the name is empty",
                "Write a name, or leave the old one",
            ));
        }
        self.change_circuit(id, "name", name.trim())
    }

    /// Deletes the circuit `id`; its task goes with it unless it is listed or another circuit's.
    ///
    /// # Errors
    /// There is no such circuit, or the workspace cannot be written.
    pub fn delete_circuit(&self, id: CircuitId) -> Result<()> {
        let what = "Could not delete the circuit";
        match self.db.execute("DELETE FROM circuits WHERE id = ?1", [id]).doing(what)? {
            0 => Err(missing(id)),
            _ => self.drop_tasks(),
        }
    }

    fn change_circuit(&self, id: CircuitId, column: &str, value: &str) -> Result<()> {
        let sql = format!("UPDATE circuits SET {column} = ?2, updated = ?3 WHERE id = ?1");
        let changed =
            self.db.execute(&sql, params![id, value, now()]).doing("Could not save the circuit")?;
        if changed == 0 { Err(missing(id)) } else { Ok(()) }
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<CircuitRecord> {
    Ok(CircuitRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        model: row.get(2)?,
        task: row.get(3)?,
        method: row.get(4)?,
        nodes: row.get(5)?,
        edges: row.get(6)?,
        created: row.get(7)?,
    })
}

fn missing(id: CircuitId) -> Error {
    Error::setting(
        format!("The workspace has no circuit {id}"),
        "it was deleted, or the number belongs to another workspace",
        "Choose one from the list",
    )
}
