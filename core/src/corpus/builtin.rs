//! The built-in world as documents.

use super::Documents;
use crate::error::{Error, Result};

/// Opens the built-in world's text.
pub(super) fn open(split: Option<&str>, _seed: u64) -> Result<Box<dyn Documents>> {
    Err(unknown(split.unwrap_or("")))
}

/// Whether the world has this split.
pub(super) fn check(_split: &str) -> Result<()> {
    Ok(())
}

fn unknown(split: &str) -> Error {
    Error::setting(
        format!("The built-in world has no split {split:?}"),
        "it is not there",
        "Choose one of these",
    )
}
