//! Studies of SHIFT, each with everything that was asked for and everything that came of it.

use super::saes::{json, to_json};
use super::sqlite::Doing as _;
use super::{Workspace, now};
use crate::error::{Error, Result};
use crate::shift::{RowKind, Study};
use rusqlite::{OptionalExtension as _, Row, params};

/// Names a study within its workspace; never used twice.
pub type StudyId = i64;

/// What the workspace knows of a study, without the study.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyRecord {
    /// Names it in this workspace.
    pub id: StudyId,
    /// What it is called.
    pub name: String,
    /// Content hash of the model.
    pub model: String,
    /// Features judged.
    pub judged: usize,
    /// Features trimmed.
    pub trimmed: usize,
    /// Worst group of the original probe, if the table was made.
    pub original: Option<f64>,
    /// Worst group after SHIFT and retraining.
    pub retrained: Option<f64>,
    /// When it was saved last, seconds since 1970.
    pub updated: i64,
}

impl Workspace {
    /// Every study, the latest first.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn list_studies(&self) -> Result<Vec<StudyRecord>> {
        let what = "Could not list the studies";
        let sql = "SELECT id, name, model, judged, trimmed, original, retrained, updated
            FROM shift_studies ORDER BY id DESC";
        let mut query = self.db.prepare_cached(sql).doing(what)?;
        let rows = query.query_map([], record).doing(what)?;
        rows.collect::<rusqlite::Result<_>>().doing(what)
    }

    /// Keeps a study: as a new one, or in the place of `id`.
    ///
    /// # Errors
    /// It has no name; there is no study `id`; the workspace cannot be written.
    pub fn save_study(&self, study: &Study, id: Option<StudyId>) -> Result<StudyId> {
        let what = "Could not save the study";
        let name = study.name.trim();
        if name.is_empty() {
            return Err(Error::setting("The study was not saved", "it has no name", "Give it one"));
        }
        let worst = |kind| Some(study.row(kind)?.accuracies?.worst_group.mean);
        let values = params![
            name,
            study.model,
            study.judgements.all.len(),
            study.judgements.trimmed().len(),
            worst(RowKind::Original),
            worst(RowKind::ShiftRetrained),
            to_json(study)?,
            now(),
            id
        ];
        let Some(id) = id else {
            let sql = "INSERT INTO shift_studies
                (name, model, judged, trimmed, original, retrained, study, created, updated)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) RETURNING id";
            return self.db.query_row(sql, &values[..8], |row| row.get(0)).doing(what);
        };
        let sql = "UPDATE shift_studies SET name = ?1, model = ?2, judged = ?3, trimmed = ?4,
            original = ?5, retrained = ?6, study = ?7, updated = ?8 WHERE id = ?9";
        match self.db.execute(sql, values).doing(what)? {
            0 => Err(missing(id)),
            _ => Ok(id),
        }
    }

    /// The study `id`.
    ///
    /// # Errors
    /// There is none, or the workspace cannot be read.
    pub fn study(&self, id: StudyId) -> Result<Study> {
        let sql = "SELECT study FROM shift_studies WHERE id = ?1";
        let found = self.db.query_row(sql, [id], |row| json(row, 0)).optional();
        found.doing("Could not read a study")?.ok_or_else(|| missing(id))
    }

    /// Deletes the study `id`.
    ///
    /// # Errors
    /// There is none, or the workspace cannot be written.
    pub fn delete_study(&self, id: StudyId) -> Result<()> {
        let sql = "DELETE FROM shift_studies WHERE id = ?1";
        match self.db.execute(sql, [id]).doing("Could not delete the study")? {
            0 => Err(missing(id)),
            _ => Ok(()),
        }
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<StudyRecord> {
    Ok(StudyRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        model: row.get(2)?,
        judged: row.get(3)?,
        trimmed: row.get(4)?,
        original: row.get(5)?,
        retrained: row.get(6)?,
        updated: row.get(7)?,
    })
}

fn missing(id: StudyId) -> Error {
    Error::setting(
        format!("The workspace has no study {id}"),
        "it was deleted, or the number belongs to another workspace",
        "Choose one from the list",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shift::{Accuracies, Share, Table, TableRow};

    fn study() -> Study {
        let share = Share { mean: 1.0 / 3.0, low: 0.25, high: 0.5 };
        let row = TableRow {
            kind: RowKind::Original,
            made: "as it was".into(),
            trimmed: 0,
            accuracies: Some(Accuracies { worst_group: share, ..Accuracies::default() }),
            missing: None,
            train_accuracy: Some(0.1),
            words: Vec::new(),
        };
        Study {
            name: " nurses ".into(),
            model: "m".into(),
            table: Some(Table { rows: vec![row], definition: String::new() }),
            ..Study::default()
        }
    }

    #[test]
    fn a_study_survives_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let made = study();
        let id = {
            let db = Workspace::open(dir.path()).unwrap();
            db.save_study(&made, None).unwrap()
        };
        let db = Workspace::open(dir.path()).unwrap();
        assert_eq!(db.study(id).unwrap(), made);
        let record = &db.list_studies().unwrap()[0];
        assert_eq!((record.name.as_str(), record.judged), ("nurses", 0));
        assert_eq!((record.original, record.retrained), (Some(1.0 / 3.0), None));
        let judgements = crate::shift::Judgements::from_json(
            r#"{"resid.1/3": {"verdict": "trim", "note": "she"}, "mlp.0/7": {"verdict": "keep"}}"#,
        );
        let judged = Study { judgements: judgements.unwrap(), ..made };
        assert_eq!(db.save_study(&judged, Some(id)).unwrap(), id);
        let record = &db.list_studies().unwrap()[0];
        assert_eq!((record.judged, record.trimmed), (2, 1));
        assert_eq!(db.study(id).unwrap(), judged);
        db.delete_study(id).unwrap();
        assert!(db.list_studies().unwrap().is_empty());
        for error in [
            db.study(id).unwrap_err(),
            db.delete_study(id).unwrap_err(),
            db.save_study(&judged, Some(id)).unwrap_err(),
        ] {
            assert!(error.what.contains(&id.to_string()), "{error}");
        }
        let nameless = Study { name: " ".into(), ..judged };
        assert!(db.save_study(&nameless, None).unwrap_err().why.contains("name"));
    }
}
