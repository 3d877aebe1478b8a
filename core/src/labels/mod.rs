//! Labels: found by their words, written by language models, and scored on examples that their
//! writer was not shown.
//!
//! The labels themselves are kept by the [workspace](crate::workspace::Label).

mod contexts;
mod search;

#[cfg(test)]
mod search_tests;

pub use contexts::{Indexed, index_contexts, is_indexed};
pub use search::{Found, Hit, Query, Snippet, Where, score_of, search};

pub use crate::workspace::{Judged, Label, LabelId, LabelScores, LabelSource, NewLabel};
