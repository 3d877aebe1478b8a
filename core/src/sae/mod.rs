//! Sparse autoencoders: one type, many architectures, their kernels and file formats.
//!
//! Knows nothing of Llama.

mod about;
pub mod architectures;
mod compatibility;
mod config;
mod cpu;
mod dictionary;
mod encode;
pub mod engine;
mod extra;
mod format;
pub mod kernels;
mod latents;
mod matrix;
mod point;
pub(crate) mod tensors;

pub use about::About;
pub use compatibility::Compatibility;
pub use config::{Architecture, L0Loss, L1Penalty, PNorm, Wiring};
pub use dictionary::Sae;
pub use extra::Extra;
pub use latents::Latents;
pub use matrix::Matrix;
pub use point::TrainPoint;
