//! Training runs: begun, recorded, finished, or found interrupted.

use super::saes::{missing, to_json};
use super::sqlite::Doing as _;
use super::{RunStatus, SaeId, SaeRecord, Workspace, now};
use crate::error::{Error, ErrorKind, IoContext as _, Result};
use crate::llama::Site;
use crate::training::{TrainConfig, TrainPoint};
use rusqlite::params;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a training run is begun with.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Content hash of the model.
    pub model: String,
    /// The site it reads.
    pub site: Site,
    /// Width of the site, d.
    pub width: usize,
    /// The corpus, in its text form.
    pub corpus: String,
    /// Every setting of the training.
    pub config: TrainConfig,
    /// What is needed to go on after a restart (paths, row cutting, …), in the caller's form.
    pub request: serde_json::Value,
}

/// The right to train one dictionary: while this lives, no other program takes the run for
/// interrupted or goes on with it. The system takes it back from a program that is killed.
#[derive(Debug)]
pub struct Run {
    /// The dictionary.
    pub id: SaeId,
    /// Its folder, which exists.
    pub dir: PathBuf,
    _lock: Option<File>,
}

impl Workspace {
    /// Begins a run: gives the dictionary a number and a folder.
    ///
    /// # Errors
    /// It could not be saved, or its folder not made.
    pub fn begin_run(&mut self, new: &NewRun) -> Result<Run> {
        let what = "Could not begin the run";
        let (config, request) = (to_json(&new.config)?, to_json(&new.request)?);
        let (architecture, site) = (new.config.architecture.name(), new.site.to_string());
        let change = self.db.transaction().doing(what)?;
        change
            .execute(
                "INSERT INTO saes (dir, architecture, latents, width, site, model, corpus, config,
                    request, status, tokens_done, tokens_total, created, updated)
                 VALUES ('', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10, ?11, ?11)",
                params![
                    architecture,
                    new.config.latents,
                    new.width,
                    site,
                    new.model,
                    new.corpus,
                    config,
                    request,
                    RunStatus::Training.name(),
                    new.config.tokens,
                    now()
                ],
            )
            .doing(what)?;
        let id = change.last_insert_rowid();
        let relative = format!("saes/{id:04}-{architecture}-{site}");
        change
            .execute("UPDATE saes SET dir = ?2 WHERE id = ?1", params![id, relative])
            .doing(what)?;
        let dir = self.root.join(relative);
        fs::create_dir_all(&dir).doing(|| format!("Could not make {}", dir.display()))?;
        // Locked before anybody can see the run: nobody may take it for interrupted.
        let lock = lock(&dir)?;
        change.commit().doing(what)?;
        Ok(Run { id, dir, _lock: lock })
    }

    /// Takes up a run that was interrupted, or failed.
    ///
    /// # Errors
    /// A program trains it now, there is no such run, or it could not be saved.
    pub fn resume_run(&self, id: SaeId) -> Result<Run> {
        let dir = self.sae_dir(id)?;
        fs::create_dir_all(&dir).doing(|| format!("Could not make {}", dir.display()))?;
        let lock = lock(&dir)?;
        let sql = "UPDATE saes SET status = ?2, failure = NULL, updated = ?3 WHERE id = ?1";
        self.change(id, sql, RunStatus::Training.name())?;
        Ok(Run { id, dir, _lock: lock })
    }

    /// Adds points to the run's curves. A curve only goes forward: points from the first new step
    /// on are replaced, for a run that went on from a checkpoint tells them again.
    ///
    /// # Errors
    /// There is no such run, or they could not be saved.
    pub fn record_points(&mut self, id: SaeId, points: &[TrainPoint]) -> Result<()> {
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(()) };
        let what = "Could not save the run's curves";
        let change = self.db.transaction().doing(what)?;
        let sql = "UPDATE saes SET tokens_done = ?2, updated = ?3 WHERE id = ?1";
        if change.execute(sql, params![id, last.tokens, now()]).doing(what)? == 0 {
            return Err(missing(id));
        }
        let sql = "DELETE FROM history WHERE sae = ?1 AND step >= ?2";
        change.execute(sql, params![id, first.step]).doing(what)?;
        {
            let sql = "INSERT OR REPLACE INTO history VALUES (?1, ?2, ?3)";
            let mut insert = change.prepare_cached(sql).doing(what)?;
            for point in points {
                insert.execute(params![id, point.step, to_json(point)?]).doing(what)?;
            }
        }
        change.commit().doing(what)
    }

    /// Ends the run: done, interrupted if it was stopped, failed otherwise.
    ///
    /// # Errors
    /// It could not be saved.
    pub fn finish_run<T>(&self, run: Run, outcome: &Result<T>) -> Result<()> {
        let (status, failure) = match outcome {
            Ok(_) => (RunStatus::Done, None),
            Err(e) if e.is_cancelled() => (RunStatus::Interrupted, None),
            Err(e) => (RunStatus::Failed, Some(e.to_string())),
        };
        let sql = "UPDATE saes SET status = ?2, failure = ?3, updated = ?4,
                   tokens_done = CASE ?2 WHEN 'done' THEN tokens_total ELSE tokens_done END
                   WHERE id = ?1";
        self.db
            .execute(sql, params![run.id, status.name(), failure, now()])
            .doing("Could not save the end of the run")?;
        Ok(())
    }

    /// The runs that can go on, the latest first: those that were stopped, and those whose
    /// program is gone.
    ///
    /// # Errors
    /// The workspace cannot be read or written.
    pub fn interrupted_runs(&self) -> Result<Vec<SaeRecord>> {
        let mut runs = self.list_saes()?;
        runs.retain(|r| r.status == RunStatus::Interrupted);
        Ok(runs)
    }

    /// Whether `run`, which was being trained when last heard of, has lost its program; if so,
    /// saves that.
    pub(super) fn settle(&self, run: &mut SaeRecord) -> Result<()> {
        let lost = match lock(&run.dir) {
            Err(e) if e.kind == ErrorKind::Setting => None,
            // Without locks, a run that says nothing for ten minutes is taken for lost.
            Ok(None) => (now() - run.updated > 600).then_some(None),
            Ok(held) => Some(held),
            Err(_) => Some(None),
        };
        // The lock is held until it is saved, so that nobody goes on with the run in between.
        let Some(_held) = lost else { return Ok(()) };
        let sql = "UPDATE saes SET status = ?2, updated = ?3 WHERE id = ?1 AND status = 'training'";
        let changed = params![run.id, RunStatus::Interrupted.name(), now()];
        let changed = self.db.execute(sql, changed).doing("Could not save that a run stopped")?;
        if changed > 0 {
            run.status = RunStatus::Interrupted;
        }
        Ok(())
    }
}

/// The file whose lock a program holds while it trains.
const LOCK: &str = "running.lock";

/// Takes the right to train what is in `dir`. `None` on a file system without locks, where two
/// programs must be kept apart by their user.
pub(super) fn lock(dir: &Path) -> Result<Option<File>> {
    let path = dir.join(LOCK);
    let what = || format!("Could not lock {}", path.display());
    let file = File::options().create(true).append(true).open(&path).doing(what)?;
    for patience in (0..5).rev() {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            // Whoever only looks whether it is held holds it for a moment.
            Err(TryLockError::WouldBlock) if patience > 0 => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
    Err(Error::new(
        ErrorKind::Setting,
        format!("The run in {} is in use", dir.display()),
        "another program, or another job of this one, trains it now",
        "Wait for its end, or stop it there",
    ))
}
