//! Sparse autoencoders: one type, many architectures, their kernels and file formats.
//!
//! Knows nothing of Llama.

mod about;
pub mod architectures;
mod config;
mod cpu;
mod dictionary;
pub mod engine;
mod format;
pub mod kernels;
mod latents;
mod matrix;
mod point;
pub(crate) mod tensors;

pub use about::About;
pub use config::{Architecture, L1Penalty};
pub use dictionary::Sae;
pub use latents::Latents;
pub use matrix::Matrix;
pub use point::TrainPoint;
