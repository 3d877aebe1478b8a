//! A whole study in one record, and the job that makes it.

use super::pronouns::{PronounReport, PronounSpec, pronouns};
use super::table::{RowKind, Table, TableInput, TableRow, TableSpec, table};
use super::{
    CircuitSpec, Data, Judgements, Pairing, Probe, ProbeSpec, Source, Split, SplitFacts, SplitSpec,
    Telling, judge_by_truth, probe_circuit, read, train_probe,
};
use crate::circuits::{Bases, Circuit};
use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::{Model, Site};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who judges the features.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judge {
    /// The labels of the balanced training part: [`super::TRUTH_DEFINITION`].
    #[default]
    Truth,
    /// These judgements, made by hand or read from a file.
    Given(Judgements),
    /// Nobody: nothing is trimmed.
    Nobody,
}

/// Everything that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StudySpec {
    /// Where the texts come from.
    pub source: Source,
    /// How labels and spurious values are paired.
    pub pairing: Pairing,
    /// How large the parts are.
    pub split: SplitSpec,
    /// How probes are trained, and where.
    pub probe: ProbeSpec,
    /// How the probe's circuit is found.
    pub circuit: CircuitSpec,
    /// How the table is made.
    pub table: TableSpec,
    /// How pronouns are measured; `None`: they are not.
    pub pronouns: Option<PronounSpec>,
}

/// What is known of the texts, without the texts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DataFacts {
    /// Where they come from, in a few words.
    pub source: String,
    /// What the label is called.
    pub label_name: String,
    /// The two labels.
    pub labels: [String; 2],
    /// What the spurious value is called.
    pub spurious_name: String,
    /// The two spurious values, in the order of the labels they are paired with.
    pub spurious: [String; 2],
    /// How the pairing was come by.
    pub pairing: String,
    /// Texts of each group, `[label][spurious]`.
    pub groups: [[usize; 2]; 2],
    /// Rows that are not used, by reason.
    pub left_out: BTreeMap<String, usize>,
    /// Their parts.
    pub split: SplitFacts,
}

impl DataFacts {
    /// Of `data` from `source`, in the parts of `split`.
    pub fn new(source: &Source, data: &Data, split: &Split) -> Self {
        Self {
            source: source.name(),
            label_name: data.label_name.clone(),
            labels: data.labels.clone(),
            spurious_name: data.spurious_name.clone(),
            spurious: data.spurious.clone(),
            pairing: data.pairing.clone(),
            groups: data.groups(),
            left_out: data.left_out.clone(),
            split: split.facts.clone(),
        }
    }
}

/// A study: everything that was asked for, and everything that came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// What it is called.
    pub name: String,
    /// Content hash of the model.
    pub model: String,
    /// What the model is called.
    pub model_name: String,
    /// Content hash of the dictionary at each site.
    pub dictionaries: BTreeMap<Site, String>,
    /// What was asked for.
    pub spec: StudySpec,
    /// What the texts are.
    pub data: DataFacts,
    /// The probe, trained on the ambiguous part.
    pub probe: Probe,
    /// Its circuit: features and errors with a positive effect, the greatest first.
    pub circuit: Circuit,
    /// What each feature tells of the balanced training part, if that was looked at.
    #[serde(default)]
    pub tellings: Vec<Telling>,
    /// What was said of each feature.
    pub judgements: Judgements,
    /// Who said it: "the truth", "by hand", the name of a file.
    pub judged_by: String,
    /// The table, if it was made.
    pub table: Option<Table>,
    /// The model's own pronouns, if they were measured.
    pub pronouns: Option<PronounReport>,
    /// Version of the program.
    pub version: String,
}

/// How far a study is.
#[derive(Debug, Clone, PartialEq)]
pub enum StudyEvent {
    /// The texts are read and split.
    Data(Box<DataFacts>),
    /// The probe is trained.
    Probe(Box<Probe>),
    /// The circuit is found.
    Circuit(Box<Circuit>),
    /// The features are judged.
    Judged(Box<Judgements>),
    /// A row of the table is there.
    Row(Box<TableRow>),
}

/// Makes a study from beginning to end.
///
/// # Errors
/// Those of its steps; judgements of features that are not in the circuit are named.
pub fn study(
    ctx: &JobContext<StudyEvent>,
    model: &Model,
    bases: &Bases,
    spec: &StudySpec,
    judge: &Judge,
) -> Result<Study> {
    spec.probe.validate()?;
    spec.probe.site.within(model.config().layers)?;
    let data = read(ctx, &spec.source, &spec.pairing)?;
    ctx.check()?;
    let split = Split::new(model, &data, &spec.split)?;
    let facts = DataFacts::new(&spec.source, &data, &split);
    ctx.emit(StudyEvent::Data(Box::new(facts.clone())));
    let probe = train_probe(ctx, model, bases, &split.ambiguous, &[], &spec.probe)?;
    ctx.emit(StudyEvent::Probe(Box::new(probe.clone())));
    let circuit = probe_circuit(ctx, model, bases, &split.ambiguous, &probe, &spec.circuit)?;
    ctx.emit(StudyEvent::Circuit(Box::new(circuit.clone())));
    let names = [data.label_name.as_str(), data.spurious_name.as_str()];
    let (truth, tellings) =
        judge_by_truth(ctx, model, bases, &circuit, &split.balanced_train, names)?;
    let (judgements, judged_by) = match judge {
        Judge::Truth => (truth, "the truth of the balanced training part"),
        Judge::Given(given) => {
            foreign(given, &circuit)?;
            (given.clone(), "given judgements")
        }
        Judge::Nobody => (Judgements::default(), "nobody"),
    };
    ctx.emit(StudyEvent::Judged(Box::new(judgements.clone())));
    let input = TableInput {
        model,
        bases,
        source: &spec.source,
        data: &data,
        split: &split,
        probe: &probe,
        probe_spec: &spec.probe,
        circuit_spec: &spec.circuit,
        judgements: &judgements,
    };
    let table = table(ctx, &input, &spec.table, &mut |row| {
        ctx.emit(StudyEvent::Row(Box::new(row.clone())));
    })?;
    let edits = judgements.edits();
    let pronouns = match &spec.pronouns {
        Some(wanted) => Some(pronouns(ctx, model, bases, &data, &split, &edits, wanted)?),
        None => None,
    };
    let dictionaries =
        bases.hashes().into_iter().filter_map(|(site, hash)| Some((site, hash?))).collect();
    Ok(Study {
        name: format!("{}, {}", facts.source, probe.site),
        model: model.hash().to_owned(),
        model_name: String::new(),
        dictionaries,
        spec: spec.clone(),
        data: facts,
        probe,
        circuit,
        tellings,
        judgements,
        judged_by: judged_by.to_owned(),
        table: Some(table),
        pronouns,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Refuses judgements of features that are not in the circuit: they are of another probe.
fn foreign(judgements: &Judgements, circuit: &Circuit) -> Result<()> {
    let known = |node| circuit.nodes.iter().any(|n| n.node == node);
    let unknown: Vec<String> =
        judgements.all.keys().filter(|node| !known(**node)).map(ToString::to_string).collect();
    match unknown.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(Error::setting(
            "The judgements do not belong to this circuit",
            format!(
                "{} of them are of features that are not in it, {first} among them",
                unknown.len()
            ),
            "Use the settings and dictionaries that they were made with, or judge anew",
        )),
    }
}

impl Study {
    /// The row of `kind`.
    pub fn row(&self, kind: RowKind) -> Option<&TableRow> {
        self.table.as_ref()?.row(kind)
    }

    /// Its record as a JSON text.
    ///
    /// # Errors
    /// None, short of a defect.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|e| Error::internal("The study could not be written", e.to_string()))
    }

    /// From such a text.
    ///
    /// # Errors
    /// It is none.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|e| Error::format("The study cannot be read", e.to_string(), "Make it anew"))
    }
}

#[cfg(test)]
#[path = "tests/study.rs"]
mod tests;
