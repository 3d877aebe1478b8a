//! What the labels screen shows, and what is known of labels elsewhere.

use sparsescope_core::Error;
use sparsescope_core::labels::{Endpoint, Estimate, Found, LabelRunId, Prepared, RunView};
use sparsescope_core::workspace::SaeId;
use std::sync::Arc;

/// The search, estimates and runs of labelling. The labels themselves are with the features.
#[derive(Debug, Default)]
pub struct LabelsState {
    /// Why the last thing asked for could not be done.
    pub failure: Option<Error>,
    /// Whose labels and runs these are.
    pub of: Option<SaeId>,
    /// Counts the readings of labels.
    pub version: u64,
    /// What is looked for in labels and contexts.
    pub search: SearchState,
    /// Whether an estimate is being worked out.
    pub planning: bool,
    /// What would be sent, and what it would cost.
    pub planned: Option<Planned>,
    /// Runs of labelling of the SAE that is open, the latest first.
    pub runs: Vec<RunView>,
    /// The run that is under way.
    pub running: Option<LabelRunId>,
    /// What the last run had to say besides.
    pub notes: Vec<String>,
    /// Where the key of the form is: asked for by its name.
    pub key: Option<(String, Result<&'static str, Error>)>,
}

/// What would be sent.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Whom.
    pub endpoint: Endpoint,
    /// How much, and what it would cost.
    pub estimate: Estimate,
    /// The first request, as it would be sent.
    pub sample: String,
    /// The questions; what is begun when it is agreed to.
    pub prepared: Option<Arc<Prepared>>,
}

/// The search in labels and contexts.
#[derive(Debug, Default)]
pub struct SearchState {
    /// What was asked for last.
    pub asked: String,
    /// Whether the answer is on its way.
    pub pending: bool,
    /// What was found, for the words asked for or those before them.
    pub found: Option<Found>,
    /// Why nothing could be looked for.
    pub failure: Option<Error>,
    /// Whether contexts are being indexed.
    pub indexing: bool,
}
