//! What a person can ask for on the SHIFT screen.

use crate::forms::ShiftStep;
use sparsescope_core::circuits::Node;
use sparsescope_core::llama::Site;
use sparsescope_core::shift::Verdict;
use std::path::PathBuf;

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum ShiftCommand {
    /// Show a step.
    Step(ShiftStep),
    /// Let the probe read this site.
    Site(Site),
    /// Ask the system for a file of texts.
    BrowseTexts,
    /// Use the texts in this file; looks at its columns first.
    Texts(PathBuf),
    /// Read the texts that the form names.
    Read,
    /// Train a probe on them.
    Train,
    /// Train dictionaries for the sites up to the probe's that have none.
    TrainMissing,
    /// Look for the circuit of the probe's output.
    Find,
    /// Read the card of a feature.
    Card(Node),
    /// Judge a feature; `None` takes the judgement back.
    Judge(Node, Option<Verdict>),
    /// Write a note on a judged feature.
    Note(Node, String),
    /// Judge every feature by what the balanced texts tell of it.
    JudgeByTruth,
    /// Find out what the balanced texts tell of each feature.
    Reveal,
    /// Take the last judgement back.
    Undo,
    /// Give it again.
    Redo,
    /// Measure the probe without the features that are trimmed now.
    Measure,
    /// Fill the table, row by row.
    Fill,
    /// No more rows.
    StopFilling,
    /// A file of the study, to be chosen.
    Ask(ShiftFile),
    /// Write or read this file of the study.
    To(ShiftFile, PathBuf),
    /// Keep the trim in the workspace as a set of edits of this name.
    KeepEdits(String),
    /// Trim what a set of edits of the workspace ablates.
    TakeEdits(i64),
    /// Read what the workspace has.
    List,
    /// Open a study of the workspace.
    Open(i64),
    /// Call the open study so.
    Rename(String),
    /// Delete a study of the workspace.
    Delete(i64),
    /// Begin anew.
    New,
}

/// Files that a study can be written to or read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShiftFile {
    /// The table as CSV.
    Csv,
    /// The study as a page.
    Page,
    /// The trim as a set of edits, written.
    SaveEdits,
    /// A set of edits, read.
    OpenEdits,
    /// The judgements, written.
    SaveJudgements,
    /// Judgements, read.
    OpenJudgements,
}

impl ShiftFile {
    /// Whether it is read rather than written.
    pub fn is_read(self) -> bool {
        matches!(self, Self::OpenEdits | Self::OpenJudgements)
    }
}
