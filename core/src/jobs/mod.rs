//! Background work: a plain function of a [`JobContext`] and a request, run on a thread of its own.
//!
//! Window and terminal start the same functions. The function reports progress, sends typed
//! events, and looks at its cancel flag at least every 100 ms through [`JobContext::check`].

mod context;
mod handle;
mod progress;

pub use context::{JobContext, JobEvent};
pub use handle::{JobHandle, spawn};
pub use progress::{Progress, Snapshot};
