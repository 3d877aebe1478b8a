//! SHIFT (Marks et al. 2024, arXiv:2403.19647): take away from a probe the features that have
//! nothing to do with what it is to tell.
//!
//! A probe learns from texts in which the label and a spurious value agree, so it cannot know
//! which it is asked for. Its circuit names the features it leans on; a person (or the truth)
//! keeps those of the label and trims the others: `f' = 0` at every position, the dictionary's
//! error kept live. A trim is a list of [`crate::edits::Edit`]s. In the order of the work:
//! [`read`] → [`Split::new`] → [`train_probe`] → [`probe_circuit`] → [`Judgements`] →
//! [`Measurer`] at every judgement → [`table`] → [`Study`].
//!
//! SHIFT takes away a probe's use of a signal. It does not take a bias out of what the model
//! itself writes.

mod accuracy;
mod data;
mod judgement;
mod measurer;
mod page;
mod pooled;
mod probe;
mod probe_circuit;
mod pronouns;
mod sites;
mod source;
mod split;
mod study;
mod table;
mod table_csv;
mod table_file;
#[cfg(test)]
mod testing;
mod truth;

pub use accuracy::{ACCURACY_DEFINITION, Accuracies, Share};
pub use data::{Data, Item, read};
pub use judgement::{Judgement, Judgements, Verdict, trim};
pub use measurer::Measurer;
pub use pooled::Pooled;
pub use probe::{Probe, ProbeSpec, train_probe};
pub use probe_circuit::{CircuitSpec, EFFECT_DEFINITION, is_feature, probe_circuit};
pub use pronouns::{
    PRONOUN_CAVEAT, PRONOUN_DEFINITION, PronounGroup, PronounMeans, PronounReport, PronounSpec,
    PronounText, pronouns,
};
pub use sites::{SITES_DEFINITION, SiteRow, compare_sites};
pub use source::{Columns, Pairing, Source};
pub use split::{Split, SplitFacts, SplitSpec, Text};
pub use study::{DataFacts, Judge, Study, StudyEvent, StudySpec, study};
pub use table::{RowKind, Table, TableInput, TableRow, TableSpec, table};
pub use table_file::columns_of;
pub use truth::{TRUTH_DEFINITION, Telling, judge_by_truth, tellings};

use crate::activations::tensor_file::write_atomically;
use crate::error::{IoContext as _, Result};
use std::path::Path;

/// Writes a file whole or not at all, making its folder.
fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).doing(|| format!("Could not make {}", folder.display()))?;
    }
    write_atomically(path, |file| std::io::Write::write_all(file, bytes))
}
