//! `demo`: the tour through the whole program, in a terminal.

use super::Global;
use super::report::Report;
use sparsescope_core::{Error, Result};

/// Runs the tour.
///
/// # Errors
/// Whatever keeps it from its end; cancelled.
pub fn tour(_global: &Global) -> Result<Report> {
    Err(Error::internal("The tour cannot run", "the built-in model is not in this build"))
}
