//! What comes back from the SHIFT screen's jobs.

use crate::work::shift::{Card, FileColumns, Filled, Found, Live, Opened, Texts, Trained};
use sparsescope_core::Result;
use sparsescope_core::circuits::Node;
use sparsescope_core::shift::{Judgements, Telling};
use sparsescope_core::workspace::{EditSetRecord, StudyId, StudyRecord};

/// What comes back.
pub enum ShiftEvent {
    /// The columns of a file of texts.
    Columns(Result<FileColumns>),
    /// Texts were read.
    Read(Box<Result<Texts>>),
    /// A probe was trained.
    Trained(Box<Result<Trained>>),
    /// The circuit of its output was found.
    Found(Box<Result<Found>>),
    /// The card of a feature of the circuit of this count.
    Card(u64, Node, Box<Result<Card>>),
    /// What balanced texts tell of the features of the circuit of this count, and whether they are
    /// judged by it.
    Told(u64, Result<(Judgements, Vec<Telling>)>, bool),
    /// The probe without what is trimmed.
    Live(Box<Result<Live>>),
    /// It without a head that was trained again: that one is on its way.
    Halfway(Box<Live>),
    /// Something of the table.
    Filled(Box<Filled>),
    /// The table is full, or will not be.
    Full(Result<()>),
    /// What the workspace has.
    Listed(Result<(Vec<StudyRecord>, Vec<EditSetRecord>)>),
    /// The study of the circuit of this count was saved, as it was at this count of changes.
    Saved(u64, u64, Result<StudyId>),
    /// A study was opened.
    Opened(Box<Result<Opened>>),
    /// A file was written, or a set of edits kept.
    Kept(Result<String>),
    /// Judgements on features of the circuit of this count were read.
    Taken(u64, Result<Judgements>),
}
