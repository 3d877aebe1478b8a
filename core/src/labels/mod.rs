//! Labels: found by their words, written by language models, and scored on examples that their
//! writer was not shown.
//!
//! The labels themselves are kept by the [workspace](crate::workspace::Label).

mod batch;
mod clock;
mod contexts;
mod endpoint;
mod examples;
mod http;
mod key;
mod keyring;
mod pace;
mod parse;
mod plan;
mod pool;
mod price;
mod prompts;
mod run;
mod search;
mod work;

#[cfg(test)]
mod search_tests;
#[cfg(test)]
mod tests;

pub use batch::cancel_batches;
pub use clock::{Clock, IdleClock, WallClock};
pub use contexts::{Indexed, index_contexts, is_indexed};
pub use endpoint::{Endpoint, Protocol, Reply};
pub use examples::{Apart, Counts, Split, overlap, split};
pub use key::{Key, KeySource, forget_key, keep_key};
pub use pace::Limits;
pub use plan::{Agreed, Confirmed, Delivery, Estimate, LabelRequest, Prepared, RULE, begin, plan};
pub use pool::Source;
pub use price::{Price, price_of, prices, set_price};
pub use run::{LabelNews, Labelled, run};
pub use search::{Found, Hit, Query, Snippet, Where, score_of, search};
pub use work::{LatentView, RunView, Spent, view};

pub use crate::workspace::{
    CallState, Judged, Label, LabelBatch, LabelCall, LabelId, LabelRun, LabelRunId, LabelRunStatus,
    LabelScores, LabelSource, NewLabel,
};
