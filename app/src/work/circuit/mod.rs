//! What the jobs of the circuit screen share: the dictionaries at the sites.

mod find;
mod names;

use crate::state::ModelFacts;
use sparsescope_core::circuits::{Bases, Circuit};
use sparsescope_core::edits::Dictionaries;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Model, Site, memory};
use sparsescope_core::sae::{Sae, Wiring};
use sparsescope_core::training::TrainConfig;
use sparsescope_core::workspace::{RunStatus, SaeId, SaeRecord, Workspace};
use sparsescope_core::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

pub use find::{OpenedCircuit, find, open, prepare};
pub use names::{name_nodes, told};

/// Which dictionary of the workspace stands at each site that is looked at; `None` where the
/// site's own coordinates are the nodes.
pub type Choice = BTreeMap<Site, Option<SaeId>>;

/// A dictionary that was opened, with its content hash.
#[derive(Debug, Clone)]
struct Known {
    id: SaeId,
    hash: String,
    sae: Arc<Sae>,
}

/// The dictionaries that circuits were last looked at with. Only jobs look into it: the window
/// hands it on.
#[derive(Debug, Clone, Default)]
pub struct OpenBases(Arc<Mutex<Vec<Known>>>);

impl OpenBases {
    /// A basis for each site of `choice`. Dictionaries of an earlier choice that this one does not
    /// name are let go.
    ///
    /// # Errors
    /// A dictionary is gone, cannot be read, does not fit the model, or all are too large for the
    /// memory; stopped.
    pub fn choose<E>(
        &self,
        ctx: &JobContext<E>,
        workspace: &Path,
        model: &Model,
        choice: &Choice,
    ) -> Result<Bases> {
        let db = Workspace::open(workspace)?;
        let wanted: Vec<SaeId> = choice.values().flatten().copied().collect();
        self.known().retain(|known| wanted.contains(&known.id));
        let records = wanted.iter().map(|id| db.sae(*id)).collect::<Result<Vec<_>>>()?;
        let new = records.iter().filter(|record| !self.known().iter().any(|k| k.id == record.id));
        let bytes = new.map(bytes).sum();
        memory::check_fits("open the dictionaries", bytes, model.device())?;
        ctx.progress().stage("Opening dictionaries", "dictionaries", 0, records.len() as u64);
        let mut dictionaries = Dictionaries::new();
        for (site, id) in choice {
            ctx.check()?;
            if let Some(id) = id {
                dictionaries.insert(*site, self.open(&db, *id)?.sae);
                ctx.progress().add(1);
            }
        }
        let sites: Vec<Site> = choice.keys().copied().collect();
        Bases::new(model, &sites, &dictionaries)
    }

    /// The dictionaries that a circuit was found with, known by their content.
    ///
    /// # Errors
    /// One of them is not in the workspace, or was changed since; otherwise as
    /// [`OpenBases::choose`].
    pub fn of<E>(
        &self,
        ctx: &JobContext<E>,
        workspace: &Path,
        model: &Model,
        circuit: &Circuit,
    ) -> Result<(Choice, Bases)> {
        let db = Workspace::open(workspace)?;
        let records = db.list_saes()?;
        let mut choice = Choice::new();
        for (site, wanted) in &circuit.conventions.saes {
            ctx.check()?;
            let found = match wanted {
                None => None,
                Some(hash) => Some(self.find(&db, &records, model, *site, hash)?),
            };
            choice.insert(*site, found);
        }
        let bases = self.choose(ctx, workspace, model, &choice)?;
        Ok((choice, bases))
    }

    fn find(
        &self,
        db: &Workspace,
        records: &[SaeRecord],
        model: &Model,
        site: Site,
        hash: &str,
    ) -> Result<SaeId> {
        let known = self.known().iter().find(|k| k.hash == hash).map(|k| k.id);
        if let Some(id) = known {
            return Ok(id);
        }
        for record in usable(records, model.hash(), site) {
            // One that cannot be read any more may not be the one that is looked for.
            match self.open(db, record.id) {
                Ok(known) if known.hash == hash => return Ok(record.id),
                _ => self.known().retain(|k| k.id != record.id),
            }
        }
        Err(Error::setting(
            format!("The circuit's dictionary at {site} is not here"),
            format!(
                "it was found with the one whose content hash begins with {}; that was deleted or \
                 trained further since, or is in another workspace",
                hash.get(..12).unwrap_or(hash)
            ),
            "Bring that dictionary in (drop its folder on the window), or find the circuit again \
             with the dictionaries that are here",
        ))
    }

    fn open(&self, db: &Workspace, id: SaeId) -> Result<Known> {
        if let Some(known) = self.known().iter().find(|k| k.id == id) {
            return Ok(known.clone());
        }
        let sae = Arc::new(Sae::load(&db.sae_dir(id)?)?);
        let known = Known { id, hash: sae.hash(), sae };
        self.known().push(known.clone());
        Ok(known)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Vec<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The finished dictionaries at `site` of the model named by `hash`, the latest first.
pub fn usable<'a>(
    records: &'a [SaeRecord],
    hash: &'a str,
    site: Site,
) -> impl Iterator<Item = &'a SaeRecord> {
    records
        .iter()
        .filter(move |r| r.model == hash && r.site == site && r.status == RunStatus::Done)
        .filter(|r| {
            !matches!(r.config, Some(TrainConfig { wiring: Wiring::Transcoder { .. }, .. }))
        })
}

/// The sites of a model that have a usable dictionary.
pub fn with(facts: &ModelFacts, records: &[SaeRecord]) -> Vec<Site> {
    let mut sites = Site::all(facts.layers);
    sites.retain(|site| usable(records, &facts.hash, *site).next().is_some());
    sites
}

/// The sites of a model that have no usable dictionary.
pub fn without(facts: &ModelFacts, records: &[SaeRecord]) -> Vec<Site> {
    let mut sites = Site::all(facts.layers);
    sites.retain(|site| usable(records, &facts.hash, *site).next().is_none());
    sites
}

/// Bytes of its weights in memory.
fn bytes(record: &SaeRecord) -> u64 {
    4 * 2 * record.latents as u64 * (record.width as u64 + 1)
}
