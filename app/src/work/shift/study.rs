//! Studies: kept in the workspace at every judgement, opened again, handed out as files.

use super::{Found, Texts, Trained};
use crate::commands::ShiftFile;
use crate::work::circuit::OpenBases;
use sparsescope_core::circuits::{Node, Unit};
use sparsescope_core::edits::Op;
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::Model;
use sparsescope_core::shift::{
    DataFacts, Judgement, Judgements, PronounReport, Study, StudySpec, Table, TableSpec, Telling,
    Verdict,
};
use sparsescope_core::steering::EditSet;
use sparsescope_core::workspace::{StudyId, Workspace};
use sparsescope_core::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What a study is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    /// What it is called.
    pub name: String,
    /// The probe and its texts.
    pub trained: Arc<Trained>,
    /// Its circuit.
    pub found: Arc<Found>,
    /// What was said of its features.
    pub judgements: Judgements,
    /// Who said it.
    pub judged_by: String,
    /// What balanced texts tell of them.
    pub tellings: Option<Arc<BTreeMap<Node, Telling>>>,
    /// The rows that hold for them.
    pub table: Table,
    /// What the model itself writes, if that was measured under this trim.
    pub pronouns: Option<PronounReport>,
}

impl Parts {
    /// The study.
    pub fn study(&self) -> Study {
        let texts = &self.trained.texts;
        let conventions = &self.found.circuit.conventions;
        let hash = |(site, hash): (&_, &Option<String>)| Some((*site, hash.clone()?));
        Study {
            name: self.name.clone(),
            model: conventions.model.clone(),
            model_name: conventions.model_name.clone(),
            dictionaries: conventions.saes.iter().filter_map(hash).collect(),
            spec: StudySpec {
                source: texts.spec.source.clone(),
                pairing: texts.spec.pairing.clone(),
                split: texts.spec.split.clone(),
                probe: self.trained.spec.clone(),
                circuit: self.found.spec.clone(),
                table: TableSpec::default(),
                pronouns: Some(Default::default()),
            },
            data: DataFacts::new(&texts.spec.source, &texts.data, &texts.split),
            probe: self.trained.probe.clone(),
            circuit: self.found.circuit.clone(),
            tellings: self.tellings.iter().flat_map(|all| all.values().cloned()).collect(),
            judgements: self.judgements.clone(),
            judged_by: self.judged_by.clone(),
            table: (!self.table.rows.is_empty()).then(|| self.table.clone()),
            pronouns: self.pronouns.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Keeps studies in the order in which they were changed, though each is saved on a thread of its
/// own. Only jobs look into it: the window hands it on.
#[derive(Debug, Clone, Default)]
pub struct Saver(Arc<Mutex<(u64, BTreeMap<u64, StudyId>)>>);

impl Saver {
    /// Saves the study of circuit `version` (of the window's count), as it is at `change`: as `id`,
    /// or as a new one if it has no number yet. What is older than what is on disk is passed over.
    ///
    /// # Errors
    /// The workspace cannot be written.
    pub fn save(
        &self,
        workspace: &Path,
        version: u64,
        id: Option<StudyId>,
        change: u64,
        parts: &Parts,
    ) -> Result<StudyId> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = id.or_else(|| last.1.get(&version).copied());
        if let (Some(id), true) = (known, change < last.0) {
            return Ok(id);
        }
        let db = Workspace::open(workspace)?;
        let id = db.save_study(&parts.study(), known)?;
        last.0 = change;
        last.1.insert(version, id);
        Ok(id)
    }
}

/// A study that was opened, and what is known with it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its number.
    pub id: StudyId,
    /// It.
    pub study: Study,
    /// Its texts and its probe, measured again.
    pub trained: Arc<Trained>,
    /// Its circuit.
    pub found: Found,
}

/// Opens a study: its texts are read and parted again, and its probe measured on them.
///
/// # Errors
/// It is of another model; its file or a dictionary is not there any more; its texts are others now.
pub fn open(
    ctx: &JobContext,
    workspace: &Path,
    bases: &OpenBases,
    model: &Model,
    id: StudyId,
) -> Result<Opened> {
    let study = Workspace::open(workspace)?.study(id)?;
    if study.model != model.hash() {
        return Err(Error::setting(
            format!("The study {:?} is of another model", study.name),
            format!("it was made with {}", study.model_name),
            "Open that model first",
        ));
    }
    let spec = super::TextsSpec {
        source: study.spec.source.clone(),
        pairing: study.spec.pairing.clone(),
        split: study.spec.split.clone(),
    };
    let texts: Texts = super::read(ctx, model, &spec)?;
    let facts = DataFacts::new(&spec.source, &texts.data, &texts.split);
    if facts != study.data {
        return Err(Error::setting(
            format!("The texts of the study {:?} are others now", study.name),
            format!("{} was changed since it was made", facts.source),
            "Bring the file back as it was, or begin a new study",
        ));
    }
    let trained = super::texts::measured(
        ctx,
        model,
        Arc::new(texts),
        &study.spec.probe,
        study.probe.clone(),
    )?;
    let circuit = study.circuit.clone();
    let found =
        super::find::known(ctx, workspace, bases, model, circuit, study.spec.circuit.clone())?;
    Ok(Opened { id, study, trained: Arc::new(trained), found })
}

/// The trim as a set of edits.
pub fn edit_set(parts: &Parts, name: &str) -> EditSet {
    let edits = parts.judgements.edits();
    let saes = &parts.found.circuit.conventions.saes;
    let hash = |site| Some((site, saes.get(&site)?.clone()?));
    let dictionaries = edits.iter().filter_map(|edit| hash(edit.site)).collect();
    let data = &parts.trained.texts.data;
    EditSet {
        name: name.to_owned(),
        model: parts.found.circuit.conventions.model.clone(),
        dictionaries,
        note: format!(
            "Trimmed by SHIFT: a probe at {} tells the {} without them.",
            parts.trained.probe.site, data.label_name
        ),
        edits,
    }
}

/// The judgements that a set of edits stands for: what it ablates is trimmed. Judgements of other
/// features stay as they are.
///
/// # Errors
/// It is of another model or of other dictionaries; none of its edits ablates a feature of the
/// circuit.
pub fn taken(set: &EditSet, parts: &Parts) -> Result<Judgements> {
    let conventions = &parts.found.circuit.conventions;
    let refuse = |why: String| {
        Err(Error::setting(
            format!("The edits {:?} cannot be trimmed here", set.name),
            why,
            "Choose edits that were made with this model and these dictionaries",
        ))
    };
    if !set.model.is_empty() && set.model != conventions.model {
        return refuse("they were made for another model".to_owned());
    }
    for (site, hash) in &set.dictionaries {
        if conventions.saes.get(site).and_then(Option::as_ref) != Some(hash) {
            return refuse(format!("at {site} they were made for another dictionary"));
        }
    }
    let mut judgements = parts.judgements.clone();
    let mut count = 0;
    for edit in set.edits.iter().filter(|edit| edit.op == Op::Ablate) {
        let node = Node { site: edit.site, position: None, unit: Unit::Latent(edit.latent) };
        if parts.found.circuit.nodes.iter().any(|n| n.node == node) {
            let note = format!("from the edits {:?}", set.name);
            judgements.all.insert(node, Judgement { verdict: Verdict::Trim, note });
            count += 1;
        }
    }
    if count == 0 {
        return refuse("none of them ablates a feature of this circuit".to_owned());
    }
    Ok(judgements)
}

/// Writes a file of a study.
///
/// # Errors
/// It cannot be written; there is nothing to write.
pub fn write(parts: &Parts, file: ShiftFile, path: &Path) -> Result<()> {
    match file {
        ShiftFile::Csv => parts.study().write_csv(path),
        ShiftFile::Page => parts.study().write_page(path),
        ShiftFile::SaveEdits => {
            let name = path.file_stem().map_or_else(String::new, |n| n.to_string_lossy().into());
            edit_set(parts, &name).write(path)
        }
        ShiftFile::SaveJudgements => parts.judgements.write(path),
        ShiftFile::OpenEdits | ShiftFile::OpenJudgements => Ok(()),
    }
}

/// Reads judgements from a file: of judgements, or of edits.
///
/// # Errors
/// It cannot be read, or does not belong to this circuit.
pub fn read_judgements(parts: &Parts, file: ShiftFile, path: &Path) -> Result<Judgements> {
    if file == ShiftFile::OpenEdits {
        return taken(&EditSet::read(path)?, parts);
    }
    let judgements = Judgements::read(path)?;
    let known = |node: &Node| parts.found.circuit.nodes.iter().any(|n| n.node == *node);
    let unknown = judgements.all.keys().filter(|node| !known(node)).count();
    if unknown > 0 {
        return Err(Error::setting(
            "The judgements do not belong to this circuit",
            format!("{unknown} of them are of features that are not in it"),
            "Find the circuit with the settings that they were made with",
        ));
    }
    Ok(judgements)
}
