//! What a person can ask for on the labels screen, and of labels elsewhere.

use sparsescope_core::labels::{Agreed, Key, LabelRequest, LabelRunId, Price};
use sparsescope_core::workspace::SaeId;
use std::path::PathBuf;

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelsCommand {
    /// Give a latent a label by hand; an empty text takes the shown label back.
    Set {
        /// The dictionary.
        sae: SaeId,
        /// The latent.
        latent: u32,
        /// What it stands for.
        text: String,
    },
    /// Take the shown label of a latent back: the one before it returns.
    Undo {
        /// The dictionary.
        sae: SaeId,
        /// The latent.
        latent: u32,
    },
    /// Look for words in the labels and contexts of the SAE that is open.
    Search(String),
    /// Put these words into the search box and look for them.
    Type(String),
    /// Show a latent on the features screen.
    Show(u32),
    /// Work out what a run would send and cost. Sends nothing.
    Plan(Box<LabelRequest>),
    /// Put the estimate away.
    Forget,
    /// Send what was estimated: that much was agreed to.
    Start(Agreed),
    /// Go on with a run: ask the rest, fetch what a batch brought.
    GoOn(LabelRunId),
    /// Ask the server to stop the batches of a run.
    CallBack(LabelRunId),
    /// Keep what a model costs.
    Price(String, Option<Price>),
    /// Ask the system for a file of labels.
    Browse,
    /// Take labels of the SAE that is open from a file.
    Import(PathBuf),
    /// Look where the key of this name is.
    FindKey(String),
    /// Keep a key in the system's keyring.
    KeepKey(String, Key),
}
