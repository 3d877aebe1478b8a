//! Labels of latents: what each is said to stand for, who said so, and what was said before.
//!
//! A label is never overwritten: a new one stands in its place, and taking the new one away
//! ([`Workspace::undo_label`]) brings the old one back. What a person wrote is not displaced by a
//! machine: a label from elsewhere is then kept beside it and shown only when it is chosen.

use super::saes::{json, missing, to_json};
use super::sqlite::Doing as _;
use super::{SaeId, Workspace, now};
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Names a label within its workspace; never used twice.
pub type LabelId = i64;

/// Where a label is from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum LabelSource {
    /// A person wrote it here.
    Hand,
    /// A language model wrote it.
    Model {
        /// Address of the server: `https://api.anthropic.com`.
        endpoint: String,
        /// Name of the model, as the server was asked for it.
        model: String,
    },
    /// The truth of the built-in world.
    Truth {
        /// F1 of the latent alone against that truth, on documents it was not chosen on.
        f1: f64,
        /// How that was computed.
        definition: String,
    },
    /// A file of labels.
    Import {
        /// The file, or whatever it says of its origin.
        file: String,
    },
}

impl Judged {
    /// Mean of the share found of the places where it fires and of those where it does not: 0.5
    /// for a judge that always says the same, or that guesses. `None` without places of each kind
    /// that were answered.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        Some((self.recall()? + self.specificity()?) / 2.0)
    }

    /// Where the balanced accuracy lies with 95 % confidence, were there no end of such examples:
    /// Wilson's intervals of the two shares, joined as those of a mean of independent shares are
    /// (Newcombe's way).
    pub fn interval(&self) -> Option<(f64, f64)> {
        let (a, b) = (self.recall()?, self.specificity()?);
        let (a_low, a_high) = wilson(self.true_positives, self.false_negatives);
        let (b_low, b_high) = wilson(self.true_negatives, self.false_positives);
        let middle = (a + b) / 2.0;
        let (down, up) = ((a - a_low).hypot(b - b_low), (a_high - a).hypot(b_high - b));
        Some((middle - down / 2.0, middle + up / 2.0))
    }

    /// Share found of the places where it fires: TP / (TP + FN).
    pub fn recall(&self) -> Option<f64> {
        share(self.true_positives, self.false_negatives)
    }

    /// Share found of the places where it does not fire: TN / (TN + FP).
    pub fn specificity(&self) -> Option<f64> {
        share(self.true_negatives, self.false_positives)
    }

    /// Share of the places said to fire where it does: TP / (TP + FP).
    pub fn precision(&self) -> Option<f64> {
        share(self.true_positives, self.false_positives)
    }

    /// 2 TP / (2 TP + FP + FN): harmonic mean of precision and recall.
    pub fn f1(&self) -> Option<f64> {
        let wrong = u64::from(self.false_positives) + u64::from(self.false_negatives);
        let right = 2 * u64::from(self.true_positives);
        (right + wrong > 0).then(|| right as f64 / (right + wrong) as f64)
    }

    /// Places that were answered.
    pub fn answered(&self) -> u32 {
        self.true_positives + self.false_negatives + self.true_negatives + self.false_positives
    }

    /// The two together.
    pub fn add(&mut self, other: &Self) {
        self.true_positives += other.true_positives;
        self.false_negatives += other.false_negatives;
        self.true_negatives += other.true_negatives;
        self.false_positives += other.false_positives;
        self.unparsed += other.unparsed;
    }
}

/// Wilson's 95 % interval of a share.
fn wilson(of: u32, rest: u32) -> (f64, f64) {
    let n = f64::from(of) + f64::from(rest);
    let (p, z) = (f64::from(of) / n, 1.959_963_985);
    let scale = 1.0 + z * z / n;
    let middle = (p + z * z / (2.0 * n)) / scale;
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / scale;
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

fn share(of: u32, rest: u32) -> Option<f64> {
    let all = u64::from(of) + u64::from(rest);
    (all > 0).then(|| f64::from(of) / all as f64)
}

impl LabelSource {
    /// In a word or two: "by hand", "claude-x", "truth".
    pub fn short(&self) -> &str {
        match self {
            Self::Hand => "by hand",
            Self::Model { model, .. } => model,
            Self::Truth { .. } => "truth",
            Self::Import { .. } => "imported",
        }
    }
}

/// How often a judge was right, of places where the latent fires and of places where it does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Fires, and said to fire.
    pub true_positives: u32,
    /// Fires, and said not to.
    pub false_negatives: u32,
    /// Does not fire, and said not to.
    pub true_negatives: u32,
    /// Does not fire, and said to.
    pub false_positives: u32,
    /// Places whose answer could not be read.
    pub unparsed: u32,
}

/// How well a label tells where its latent fires, judged on examples that its writer was not shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LabelScores {
    /// From the label alone: does the latent fire in this text?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detection: Option<Judged>,
    /// From the label alone: are these the tokens it fires on?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuzzing: Option<Judged>,
    /// The judge: name of the model.
    #[serde(default)]
    pub judge: String,
}

/// What a latent is said to stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// Names it.
    pub id: LabelId,
    /// The dictionary.
    pub sae: SaeId,
    /// The latent.
    pub latent: u32,
    /// What it is said to stand for; one line, not empty.
    pub text: String,
    /// Who says so.
    pub source: LabelSource,
    /// How well it tells where the latent fires, if that was judged.
    pub scores: Option<LabelScores>,
    /// Whether it is the one that is shown.
    pub current: bool,
    /// When it was written, seconds since 1970.
    pub created: i64,
}

/// A label that is yet to be saved.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLabel {
    /// The latent.
    pub latent: u32,
    /// What it is said to stand for. Runs of white space become one space each.
    pub text: String,
    /// Who says so.
    pub source: LabelSource,
    /// How well it tells where the latent fires, if that was judged.
    pub scores: Option<LabelScores>,
}

impl NewLabel {
    /// A label that a person wrote.
    pub fn by_hand(latent: u32, text: impl Into<String>) -> Self {
        Self { latent, text: text.into(), source: LabelSource::Hand, scores: None }
    }
}

/// Characters of a label at most; the rest is cut off.
pub const LONGEST_LABEL: usize = 2000;

/// Labels looked at for one query.
const SCANNED: u32 = 2000;

const COLUMNS: &str = "id, sae, latent, text, source, scores, current, created";

impl Workspace {
    /// Saves labels of the dictionary `sae`, all of them or none. Each becomes the one that is
    /// shown for its latent, unless a person wrote the one shown now and no person wrote the new
    /// one. A label that says again what the shown one says, with the same source and scores, is
    /// not saved twice. Returns the ids, those of the labels that stood already included.
    ///
    /// # Errors
    /// There is no such dictionary or latent, a text is empty, or they could not be saved.
    pub fn add_labels(&mut self, sae: SaeId, labels: &[NewLabel]) -> Result<Vec<LabelId>> {
        let what = "Could not save the labels";
        let change = self.db.transaction().doing(what)?;
        let ids = add(&change, sae, labels)?;
        change.commit().doing(what)?;
        Ok(ids)
    }

    /// Saves one label: see [`Workspace::add_labels`].
    ///
    /// # Errors
    /// As there.
    pub fn add_label(&mut self, sae: SaeId, label: NewLabel) -> Result<LabelId> {
        let ids = self.add_labels(sae, std::slice::from_ref(&label))?;
        ids.first().copied().ok_or_else(|| Error::internal("Could not save the label", "no id"))
    }

    /// Replaces the scores of a label.
    ///
    /// # Errors
    /// There is no such label, or they could not be saved.
    pub fn score_label(&self, id: LabelId, scores: &LabelScores) -> Result<()> {
        let what = "Could not save a label's scores";
        let sql = "UPDATE labels SET scores = ?2 WHERE id = ?1";
        let changed = self.db.execute(sql, params![id, to_json(scores)?]).doing(what)?;
        if changed == 0 { Err(no_label(id)) } else { Ok(()) }
    }

    /// Shows the label `id` for its latent rather than the one shown now.
    ///
    /// # Errors
    /// There is no such label, or it could not be saved.
    pub fn choose_label(&mut self, id: LabelId) -> Result<()> {
        let what = "Could not choose the label";
        let change = self.db.transaction().doing(what)?;
        let of = change
            .query_row("SELECT sae, latent FROM labels WHERE id = ?1", [id], |row| {
                Ok((row.get::<_, SaeId>(0)?, row.get::<_, u32>(1)?))
            })
            .optional()
            .doing(what)?;
        let (sae, latent) = of.ok_or_else(|| no_label(id))?;
        show(&change, sae, latent, Some(id)).doing(what)?;
        change.commit().doing(what)
    }

    /// Takes the shown label of a latent away and shows the latest of those before it. Returns
    /// the one that is shown now.
    ///
    /// # Errors
    /// The latent has no label, or it could not be saved.
    pub fn undo_label(&mut self, sae: SaeId, latent: u32) -> Result<Option<Label>> {
        let what = "Could not take the label back";
        let change = self.db.transaction().doing(what)?;
        let id: Option<LabelId> = change
            .query_row(
                "SELECT id FROM labels WHERE sae = ?1 AND latent = ?2 AND current = 1",
                params![sae, latent],
                |row| row.get(0),
            )
            .optional()
            .doing(what)?;
        let Some(id) = id else {
            return Err(Error::setting(
                what,
                format!("latent {latent} has no label"),
                "Choose a latent that has one",
            ));
        };
        change.execute("DELETE FROM labels WHERE id = ?1", [id]).doing(what)?;
        let before: Option<LabelId> = change
            .query_row(
                "SELECT max(id) FROM labels WHERE sae = ?1 AND latent = ?2",
                params![sae, latent],
                |row| row.get(0),
            )
            .doing(what)?;
        show(&change, sae, latent, before).doing(what)?;
        change.commit().doing(what)?;
        self.label(sae, latent)
    }

    /// The label that is shown for a latent.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn label(&self, sae: SaeId, latent: u32) -> Result<Option<Label>> {
        let sql =
            format!("SELECT {COLUMNS} FROM labels WHERE sae = ?1 AND latent = ?2 AND current = 1");
        self.db
            .query_row(&sql, params![sae, latent], record)
            .optional()
            .doing("Could not read a label")
    }

    /// The labels that are shown for the latents of a dictionary, in order of latents.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn labels(&self, sae: SaeId) -> Result<Vec<Label>> {
        self.list_labels("sae = ?1 AND current = 1 ORDER BY latent", params![sae])
    }

    /// Every label that a latent has or had, the latest first.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn label_history(&self, sae: SaeId, latent: u32) -> Result<Vec<Label>> {
        self.list_labels("sae = ?1 AND latent = ?2 ORDER BY id DESC", params![sae, latent])
    }

    /// Shown labels that match `words`, an expression in FTS5's language, the best match first; of
    /// equal ones those with the better F1. With each its text, matches between the two `marks`.
    /// Of a word that is in very many labels the first so many are looked at.
    pub(crate) fn find_labels(
        &self,
        words: &str,
        sae: Option<SaeId>,
        limit: usize,
        marks: [char; 2],
    ) -> Result<Vec<(Label, String)>> {
        let what = "Could not search the labels";
        let sql = format!(
            "SELECT {COLUMNS} FROM (
                SELECT labels.*, score FROM (
                    SELECT rowid AS hit, rank AS score FROM label_search
                    WHERE label_search MATCH ?1
                ) JOIN labels ON id = hit WHERE ?2 IS NULL OR sae = ?2 LIMIT {SCANNED}
             ) ORDER BY score, json_extract(source, '$.f1') DESC, sae, latent LIMIT ?3"
        );
        let mut query = self.db.prepare_cached(&sql).doing(what)?;
        let with = params![words, sae, i64::try_from(limit).unwrap_or(i64::MAX)];
        let rows = query.query_map(with, record).doing(what)?;
        let labels: Vec<Label> = rows.collect::<rusqlite::Result<_>>().doing(what)?;
        // Marked in one more pass over the matches: one for each label would look them all up anew.
        let sql = "SELECT rowid, highlight(label_search, 0, ?3, ?4) FROM label_search
                   WHERE label_search MATCH ?1 AND +rowid IN (SELECT value FROM json_each(?2))
                   LIMIT ?5";
        let ids = to_json(&labels.iter().map(|l| l.id).collect::<Vec<_>>())?;
        let [open, close] = marks.map(String::from);
        let mut query = self.db.prepare_cached(sql).doing(what)?;
        let rows = query
            .query_map(params![words, ids, open, close, labels.len() as i64], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .doing(what)?;
        let mut marked: HashMap<LabelId, String> =
            rows.collect::<rusqlite::Result<_>>().doing(what)?;
        let with_marks = labels.into_iter().map(|label| {
            let marked = marked.remove(&label.id).unwrap_or_else(|| label.text.clone());
            (label, marked)
        });
        Ok(with_marks.collect())
    }

    fn list_labels(&self, which: &str, with: impl rusqlite::Params) -> Result<Vec<Label>> {
        let what = "Could not read the labels";
        let sql = format!("SELECT {COLUMNS} FROM labels WHERE {which}");
        let mut query = self.db.prepare_cached(&sql).doing(what)?;
        let rows = query.query_map(with, record).doing(what)?;
        rows.collect::<rusqlite::Result<_>>().doing(what)
    }
}

/// Saves labels within a change that is under way.
pub(super) fn add(
    change: &Transaction<'_>,
    sae: SaeId,
    labels: &[NewLabel],
) -> Result<Vec<LabelId>> {
    let what = "Could not save the labels";
    let latents: Option<u32> = change
        .query_row("SELECT latents FROM saes WHERE id = ?1", [sae], |row| row.get(0))
        .optional()
        .doing(what)?;
    let latents = latents.ok_or_else(|| missing(sae))?;
    let mut shown = change
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM labels WHERE sae = ?1 AND latent = ?2 AND current = 1"
        ))
        .doing(what)?;
    let mut insert = change
        .prepare_cached(
            "INSERT INTO labels (sae, latent, text, source, scores, current, created)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)",
        )
        .doing(what)?;
    let mut ids = Vec::with_capacity(labels.len());
    for label in labels {
        if label.latent >= latents {
            return Err(Error::setting(
                what,
                format!("SAE {sae} has {latents} latents and none with number {}", label.latent),
                "Choose labels that were made for this SAE",
            ));
        }
        let text = one_line(&label.text);
        if text.is_empty() {
            return Err(Error::setting(
                what,
                format!("the label of latent {} is empty", label.latent),
                "Write something, or take the label back",
            ));
        }
        let now_shown =
            shown.query_row(params![sae, label.latent], record).optional().doing(what)?;
        if let Some(shown) = &now_shown
            && (&shown.text, &shown.source, &shown.scores) == (&text, &label.source, &label.scores)
        {
            ids.push(shown.id);
            continue;
        }
        let scores = label.scores.as_ref().map(to_json).transpose()?;
        let values = params![sae, label.latent, text, to_json(&label.source)?, scores, now()];
        insert.execute(values).doing(what)?;
        let id = change.last_insert_rowid();
        ids.push(id);
        let by_hand = |source: &LabelSource| matches!(source, LabelSource::Hand);
        if now_shown.is_none_or(|shown| !by_hand(&shown.source) || by_hand(&label.source)) {
            show(change, sae, label.latent, Some(id)).doing(what)?;
        }
    }
    Ok(ids)
}

/// Shows the label `id`, or none, for a latent; triggers keep the search's index in step.
fn show(
    change: &Transaction<'_>,
    sae: SaeId,
    latent: u32,
    id: Option<LabelId>,
) -> rusqlite::Result<()> {
    let sql = "UPDATE labels SET current = 0 WHERE sae = ?1 AND latent = ?2 AND current = 1";
    change.prepare_cached(sql)?.execute(params![sae, latent])?;
    if let Some(id) = id {
        change.prepare_cached("UPDATE labels SET current = 1 WHERE id = ?1")?.execute([id])?;
    }
    Ok(())
}

/// One line without control characters, of bounded length.
fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut line = String::new();
    for word in clean.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if let Some((end, _)) = line.char_indices().nth(LONGEST_LABEL) {
        line.truncate(end);
    }
    line
}

fn no_label(id: LabelId) -> Error {
    Error::setting(
        format!("The workspace has no label {id}"),
        "it was taken back, or belongs to another workspace",
        "Choose one from the list",
    )
}

fn record(row: &Row<'_>) -> rusqlite::Result<Label> {
    Ok(Label {
        id: row.get(0)?,
        sae: row.get(1)?,
        latent: row.get(2)?,
        text: row.get(3)?,
        source: json(row, 4)?,
        scores: row.get::<_, Option<String>>(5)?.and_then(|text| serde_json::from_str(&text).ok()),
        current: row.get(6)?,
        created: row.get(7)?,
    })
}
