//! The jobs of the steering screen: what is known of features, writing, contrasting prompts, sets.

use super::saes::OpenSaes;
use crate::state::{Contrasted, ContrastedFeature, KnownFeature, Suggestion, Suggestions};
use crate::work::circuit::usable;
use sparsescope_core::corpus::{CorpusSpec, RowSpec};
use sparsescope_core::edits::Dictionaries;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Model, Site};
use sparsescope_core::steering::{
    self, EditSet, MaximaSpec, Pool, SteerEvent, SteerOutcome, SteerSpec, contrast, maxima, project,
};
use sparsescope_core::workspace::{SaeId, Workspace};
use sparsescope_core::{Error, Result};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Features named at most.
const SUGGESTED: usize = 8;
/// Features of a direction named at most.
const CONTRASTED: usize = 12;

/// What the jobs share.
#[derive(Clone)]
pub struct Needs {
    /// The workspace.
    pub workspace: PathBuf,
    /// Dictionaries that are open.
    pub saes: OpenSaes,
    /// The model in use.
    pub model: Model,
}

impl Needs {
    fn open(&self, wanted: &BTreeMap<Site, SaeId>) -> Result<Dictionaries> {
        wanted.iter().map(|(site, id)| Ok((*site, self.saes.get(&self.workspace, *id)?))).collect()
    }

    /// Labels and greatest activations of features: the latter from what was collected of the
    /// dictionary, or measured on a sample of `corpus`.
    ///
    /// # Errors
    /// A dictionary or the corpus cannot be read; stopped.
    pub fn know(
        &self,
        ctx: &JobContext,
        wanted: &[(SaeId, u32)],
        corpus: &CorpusSpec,
        rows: RowSpec,
    ) -> Result<Vec<((SaeId, u32), KnownFeature)>> {
        let db = Workspace::open(&self.workspace)?;
        let mut of: BTreeMap<SaeId, Vec<u32>> = BTreeMap::new();
        wanted.iter().for_each(|(id, latent)| of.entry(*id).or_default().push(*latent));
        let mut out = Vec::new();
        for (id, latents) in of {
            ctx.check()?;
            let record = db.sae(id)?;
            let (max, definition) = match db.load_features(id)? {
                Some(table) => {
                    let max = |latent: &u32| {
                        let at = table.latents.binary_search_by_key(latent, |l| l.index);
                        at.map_or(0.0, |at| table.latents[at].max)
                    };
                    let definition = format!(
                        "The greatest activation on {} tokens of {}, where the features of SAE \
                         {id} were collected.",
                        table.tokens, table.corpus
                    );
                    (latents.iter().map(max).collect(), definition)
                }
                None => {
                    let sae = self.saes.get(&self.workspace, id)?;
                    let spec = MaximaSpec::new(corpus.clone(), rows);
                    let found = maxima(ctx, &self.model, record.site, &sae, &latents, &spec)?;
                    (found.max, found.definition)
                }
            };
            for (latent, max) in latents.iter().zip(max) {
                let label = db.label(id, *latent)?.map(|label| label.text);
                let known = KnownFeature { label, max, definition: definition.clone() };
                out.push(((id, *latent), known));
            }
        }
        Ok(out)
    }

    /// Features by a place such as `resid.2/41`, by a latent's number, or by words of their label.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn suggest(&self, text: &str) -> Result<Suggestions> {
        let db = Workspace::open(&self.workspace)?;
        let records = db.list_saes()?;
        let mut found = Vec::new();
        let wanted = text.trim().to_lowercase();
        let (site, latent) = match wanted.split_once('/') {
            Some((site, latent)) => (site.parse::<Site>().ok(), latent.parse::<u32>().ok()),
            None => (None, wanted.parse::<u32>().ok()),
        };
        for at in Site::all(self.model.config().layers) {
            for record in usable(&records, self.model.hash(), at) {
                let suggestion =
                    |latent, label| Suggestion { site: record.site, sae: record.id, latent, label };
                if let Some(latent) = latent {
                    if (latent as usize) < record.latents && site.is_none_or(|site| site == at) {
                        let label = db.label(record.id, latent)?.map(|label| label.text);
                        found.push(suggestion(latent, label));
                    }
                } else if !wanted.contains('/') && !wanted.is_empty() {
                    let labels = db.labels(record.id)?.into_iter();
                    let fits = labels.filter(|label| {
                        wanted.split_whitespace().all(|w| label.text.to_lowercase().contains(w))
                    });
                    found.extend(fits.map(|label| suggestion(label.latent, Some(label.text))));
                }
            }
        }
        // The shortest label that has all words is the nearest to what was asked for; features
        // without one come last, later sites first.
        found.sort_by_key(|s| (s.label.as_ref().map_or(usize::MAX, String::len), Reverse(s.site)));
        found.truncate(SUGGESTED);
        Ok(Suggestions { text: text.to_owned(), found })
    }

    /// Writes the streams.
    ///
    /// # Errors
    /// As [`steering::steer`]; a dictionary cannot be read.
    pub fn write(
        &self,
        ctx: &JobContext<SteerEvent>,
        wanted: &BTreeMap<Site, SaeId>,
        spec: &SteerSpec,
    ) -> Result<SteerOutcome> {
        steering::steer(ctx, &self.model, &self.open(wanted)?, spec)
    }

    /// What sets texts apart, in features of the latest dictionary at `site`.
    ///
    /// # Errors
    /// No dictionary there; a text that cannot be read by the model; stopped.
    pub fn contrast(
        &self,
        ctx: &JobContext,
        site: Site,
        toward: &[String],
        away: &[String],
        pool: Pool,
    ) -> Result<Contrasted> {
        let db = Workspace::open(&self.workspace)?;
        let records = db.list_saes()?;
        let record = usable(&records, self.model.hash(), site).next().ok_or_else(|| {
            Error::setting(
                "The prompts cannot be compared by features",
                format!("there is no dictionary for {site}"),
                "Train one there, or choose another site",
            )
        })?;
        let sae = self.saes.get(&self.workspace, record.id)?;
        let direction = contrast(ctx, &self.model, site, toward, away, pool)?;
        let mut found = Vec::new();
        for p in project(&sae, &direction)?.into_iter().take(CONTRASTED) {
            found.push(ContrastedFeature {
                latent: p.latent,
                label: db.label(record.id, p.latent)?.map(|label| label.text),
                cosine: p.cosine,
                difference: p.difference,
            });
        }
        Ok(Contrasted {
            site,
            sae: record.id,
            norm: f64::from(direction.norm),
            found,
            definition: direction.definition,
        })
    }

    /// Edits ready to be kept or handed out: with the model and the dictionaries they speak of.
    ///
    /// # Errors
    /// A dictionary cannot be read.
    pub fn set(
        &self,
        name: &str,
        wanted: &BTreeMap<Site, SaeId>,
        edits: Vec<sparsescope_core::edits::Edit>,
    ) -> Result<EditSet> {
        Ok(EditSet::new(name, &self.model, &self.open(wanted)?, edits))
    }

    /// For each site that a set of edits speaks of, the dictionary of the workspace that is meant:
    /// known by its content, or the latest where the set does not say.
    ///
    /// # Errors
    /// A dictionary that is meant is not here; a set of another model.
    pub fn owners(&self, ctx: &JobContext, set: &EditSet) -> Result<Vec<(Site, SaeId)>> {
        let hash = self.model.hash();
        if !set.model.is_empty() && set.model != hash {
            return Err(Error::setting(
                format!("The edits {:?} do not belong to the model in use", set.name),
                format!(
                    "they were made for the one whose content hash begins with {}",
                    short(&set.model)
                ),
                "Open that model first",
            ));
        }
        let records = Workspace::open(&self.workspace)?.list_saes()?;
        let mut sites: Vec<Site> = set.edits.iter().map(|edit| edit.site).collect();
        sites.sort_unstable();
        sites.dedup();
        let mut out = Vec::new();
        for site in sites {
            ctx.check()?;
            let wanted = set.dictionaries.get(&site);
            let mut fitting = usable(&records, hash, site);
            let found = match wanted {
                None => fitting.next(),
                // One that cannot be read any more may not be the one that is looked for.
                Some(wanted) => fitting.find(|record| {
                    self.saes.get(&self.workspace, record.id).is_ok_and(|sae| sae.hash() == *wanted)
                }),
            };
            match (found, wanted) {
                (Some(record), _) => out.push((site, record.id)),
                (None, Some(wanted)) => {
                    return Err(missing(
                        set,
                        site,
                        &format!(
                            "the dictionary they were made for, whose content hash begins with {}, is \
                         not in this workspace",
                            short(wanted)
                        ),
                    ));
                }
                (None, None) => {
                    return Err(missing(set, site, "there is no dictionary for that site"));
                }
            }
        }
        Ok(out)
    }
}

fn missing(set: &EditSet, site: Site, why: &str) -> Error {
    Error::setting(
        format!("The edits {:?} at {site} cannot be made", set.name),
        why,
        "Bring that dictionary in (drop its folder on the window), or train one there",
    )
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
