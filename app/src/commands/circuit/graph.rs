//! What a person can ask for of the graph.

use crate::widgets::graph::Figure;
use sparsescope_core::circuits::{Cut, View};
use sparsescope_core::llama::Site;
use std::path::PathBuf;

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum GraphCommand {
    /// What is known of the open circuit's latents.
    Know,
    /// What was kept of one of them.
    Card(Site, u32),
    /// Open the screen of a feature.
    OpenFeature(Site, u32),
    /// How the open circuit is arranged, to be kept with it.
    KeepView(Box<View>),
    /// The figure as a file, to be chosen.
    SaveFigure(Box<Figure>),
    /// The figure as this file.
    SaveFigureTo(Box<Figure>, PathBuf),
    /// The circuit as a file, to be chosen: as it is, or as an attribution graph.
    SaveFile,
    /// The circuit as this file: an attribution graph if it ends in `.graph.json`.
    SaveFileTo(PathBuf),
    /// Open a file of a circuit or of an attribution graph, to be chosen.
    OpenFile,
    /// Open this one.
    OpenFileAt(PathBuf),
    /// Cut what a kept set of edits changes, and nothing else.
    CutBy(i64),
    /// Keep what is cut as a set of edits of this name.
    KeepCuts(String, Vec<Cut>),
    /// Compare with a circuit of the workspace.
    CompareWith(i64),
    /// Compare with no other any more.
    CompareWithNone,
}
