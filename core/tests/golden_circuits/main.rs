//! Circuits against the values made in f64 by the definitions of the authors' code: states, node
//! effects by each method, edges.
//!
//! The values are read from `sfc.safetensors` of the golden folder (`SPARSESCOPE_GOLDEN`, or
//! `tests/golden`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod edges;
mod honest;
mod metric;
mod nodes;
mod support;
