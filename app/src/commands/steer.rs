//! What a person can ask for on the steering screen.

use sparsescope_core::workspace::SaeId;
use std::path::PathBuf;

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum SteerCommand {
    /// Change this feature too, and show the screen.
    Add(SaeId, u32),
    /// Write, with what the form says.
    Write,
    /// Stop writing; what is written stays.
    Stop,
    /// Find features by these words, or by a place such as `resid.2/41`.
    Look(String),
    /// Find out what sets the two prompts of the form apart.
    Contrast,
    /// Does the tokenizer of the model in use have a chat template?
    LookForTemplate,
    /// Keep the features that are changed under the name in the form.
    Save,
    /// Change what a kept set changes.
    Load(i64),
    /// Delete a kept set.
    Delete(i64),
    /// Ask for a file of edits, to be opened.
    Browse,
    /// Change what these lines say, each an edit.
    Edits(String),
    /// Write on this text.
    WriteOn(String),
    /// Open a file of edits.
    Read(PathBuf),
    /// Ask where to write the features that are changed as a file of edits.
    Export,
    /// Write them there.
    ExportTo(PathBuf),
    /// Read the sets again.
    List,
    /// Show a feature on the features screen.
    Show(SaeId, u32),
}
