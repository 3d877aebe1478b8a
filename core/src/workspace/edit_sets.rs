//! Sets of edits that a person keeps under a name.

use super::saes::{json, to_json};
use super::sqlite::Doing as _;
use super::{Workspace, now};
use crate::error::{Error, Result};
use crate::llama::Site;
use crate::steering::EditSet;
use rusqlite::{OptionalExtension as _, Row, params};

/// Names a set of edits within its workspace; never used twice.
pub type EditSetId = i64;

/// What the workspace knows of a set of edits, without these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditSetRecord {
    /// Names it in this workspace.
    pub id: EditSetId,
    /// What it is called; no other set of this model is called so.
    pub name: String,
    /// Content hash of the model; empty where unknown.
    pub model: String,
    /// Sites that are edited, in the order of the forward pass.
    pub sites: Vec<Site>,
    /// Number of edits.
    pub edits: usize,
    /// When it was saved, seconds since 1970.
    pub created: i64,
}

impl Workspace {
    /// The sets of edits, in order of their names.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn list_edit_sets(&self) -> Result<Vec<EditSetRecord>> {
        let what = "Could not list the sets of edits";
        let sql = "SELECT id, name, model, sites, edits, created FROM edit_sets
            ORDER BY name, id";
        let mut query = self.db.prepare_cached(sql).doing(what)?;
        let rows = query.query_map([], record).doing(what)?;
        rows.collect::<rusqlite::Result<_>>().doing(what)
    }

    /// Keeps a set of edits under its name, in the place of one of the same model that is called so
    /// already.
    ///
    /// # Errors
    /// It has no name or no edits; the workspace cannot be written.
    pub fn save_edit_set(&self, set: &EditSet) -> Result<EditSetId> {
        let name = set.name.trim();
        let refuse = |why: &str, remedy: &str| {
            Err(Error::setting("The edits were not saved", why.to_owned(), remedy))
        };
        if name.is_empty() {
            return refuse("they have no name", "Give them one");
        }
        if set.edits.is_empty() {
            return refuse("there are none", "Make an edit first");
        }
        let sql = "INSERT INTO edit_sets (name, model, sites, edits, edit_set, created)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT (name, model) DO UPDATE SET sites = excluded.sites,
                edits = excluded.edits, edit_set = excluded.edit_set, created = excluded.created
            RETURNING id";
        let text = to_json(&EditSet { name: name.to_owned(), ..set.clone() })?;
        let mut sites: Vec<Site> = set.edits.iter().map(|e| e.site).collect();
        sites.sort_unstable();
        sites.dedup();
        let values = params![name, set.model, to_json(&sites)?, set.edits.len(), text, now()];
        self.db.query_row(sql, values, |row| row.get(0)).doing("Could not save the edits")
    }

    /// The set of edits `id`.
    ///
    /// # Errors
    /// There is none, or the workspace cannot be read.
    pub fn edit_set(&self, id: EditSetId) -> Result<EditSet> {
        let sql = "SELECT edit_set FROM edit_sets WHERE id = ?1";
        let found = self.db.query_row(sql, [id], |row| json(row, 0)).optional();
        found.doing("Could not read a set of edits")?.ok_or_else(|| missing(id))
    }

    /// Deletes the set of edits `id`.
    ///
    /// # Errors
    /// There is none, or the workspace cannot be written.
    pub fn delete_edit_set(&self, id: EditSetId) -> Result<()> {
        let sql = "DELETE FROM edit_sets WHERE id = ?1";
        match self.db.execute(sql, [id]).doing("Could not delete the edits")? {
            0 => Err(missing(id)),
            _ => Ok(()),
        }
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<EditSetRecord> {
    Ok(EditSetRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        model: row.get(2)?,
        sites: json(row, 3)?,
        edits: row.get(4)?,
        created: row.get(5)?,
    })
}

fn missing(id: EditSetId) -> Error {
    Error::setting(
        format!("The workspace has no set of edits {id}"),
        "it was deleted, or the number belongs to another workspace",
        "Choose one from the list",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, edits: &str) -> EditSet {
        let set = EditSet::parse(name, edits).unwrap();
        EditSet { model: "m".to_owned(), note: "why".to_owned(), ..set }
    }

    #[test]
    fn sets_of_edits_survive_the_program_under_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let joy = set("joy", "resid.0/3 add 0.1 @ generated\nmlp.1/7 ablate");
        let id = {
            let db = Workspace::open(dir.path()).unwrap();
            db.save_edit_set(&set("anger", "resid.0/9 ablate")).unwrap();
            db.save_edit_set(&joy).unwrap()
        };
        let db = Workspace::open(dir.path()).unwrap();
        assert_eq!(db.edit_set(id).unwrap(), joy);
        let names = |db: &Workspace| -> Vec<(String, usize)> {
            db.list_edit_sets().unwrap().into_iter().map(|r| (r.name, r.edits)).collect()
        };
        assert_eq!(names(&db), [("anger".to_owned(), 1), ("joy".to_owned(), 2)]);
        // Saved once more under its name, it takes its own place.
        let changed = set(" joy ", "resid.0/3 add 5");
        assert_eq!(db.save_edit_set(&changed).unwrap(), id);
        assert_eq!(db.edit_set(id).unwrap(), EditSet { name: "joy".to_owned(), ..changed });
        assert_eq!(names(&db).len(), 2);
        // One of another model may be called the same.
        let foreign = EditSet { model: "n".to_owned(), ..joy.clone() };
        let other = db.save_edit_set(&foreign).unwrap();
        assert_ne!(other, id);
        let record = db.list_edit_sets().unwrap().into_iter().find(|r| r.id == other).unwrap();
        assert_eq!(record.sites, [Site::Resid(0), Site::Mlp(1)]);
        db.delete_edit_set(other).unwrap();
        db.delete_edit_set(id).unwrap();
        assert_eq!(names(&db), [("anger".to_owned(), 1)]);
        assert!(db.edit_set(id).unwrap_err().to_string().contains("no set of edits"));
        assert!(db.delete_edit_set(id).is_err());
        assert!(db.save_edit_set(&set(" ", "resid.0/3 ablate")).is_err());
        assert!(db.save_edit_set(&EditSet { edits: Vec::new(), ..joy }).is_err());
    }
}
