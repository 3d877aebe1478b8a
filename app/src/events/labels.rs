//! What comes back from the jobs of labels.

use sparsescope_core::labels::{Found, Label, LabelNews, Labelled, Prepared, RunView};
use sparsescope_core::workspace::SaeId;
use sparsescope_core::{Error, Result};
use std::sync::Arc;

/// What comes back.
pub enum LabelsEvent {
    /// The labels of an SAE and its runs of labelling.
    Read(SaeId, Result<(Vec<Label>, Vec<RunView>)>),
    /// What was found for these words.
    Found(String, Result<Found>),
    /// The contexts of an SAE are indexed.
    Indexed(SaeId, Result<()>),
    /// An estimate.
    Planned(Result<Arc<Prepared>>),
    /// Something of a run under way.
    News(LabelNews),
    /// A run has ended, or waits.
    Ended(Box<Result<Labelled>>),
    /// Something small was saved; what else is to be said.
    Saved(Result<Option<String>>),
    /// Where a key is.
    Key(String, Result<&'static str, Error>),
}
