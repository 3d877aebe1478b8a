//! Dictionaries against the reference libraries' own numbers: forward, losses, gradients,
//! updates.
//!
//! Cases and settings are read from the json files of the golden folder (`SPARSESCOPE_GOLDEN`, or
//! `tests/golden`), so that values made from other seeds can be put in its place. A case that no
//! test knows fails.

#![allow(clippy::unwrap_used)]

mod dictionary_learning;
mod saelens;
mod sparsify;
mod support;
