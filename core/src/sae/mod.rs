//! Sparse autoencoders: one type, many architectures, their kernels and file formats.
//!
//! Knows nothing of Llama.

mod config;

pub use config::{Architecture, L1Penalty};
