//! Everything of Sparsescope that is not a pixel: the model, the dictionaries, the jobs.
//!
//! A room (module) may use the rooms listed above it here, never one below.

mod error;
mod html;

pub mod device;
pub mod jobs;

pub mod llama;

pub mod world;

pub mod corpus;

pub mod activations;

pub mod sae;

pub mod edits;

pub mod evaluation;

pub mod training;

pub mod features;

pub mod directions;

pub mod circuits;

pub mod steering;

pub mod shift;

pub mod workspace;

pub mod labels;

pub mod exchange;

pub mod benchmark;

pub mod demo;

pub use error::{Error, ErrorKind, IoContext, Result};
