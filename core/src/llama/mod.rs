//! Llama: configuration, weights, one forward pass with sites, its backward pass, generation.
//!
//! Knows nothing of SAEs.

mod cache;
mod config;
mod files;
mod forward;
mod hash;
#[allow(dead_code)]
mod kernels;
pub mod memory;
mod model;
mod pass;
mod rope;
mod site;
mod tokenizer;
mod tokens;
#[allow(dead_code)]
mod trace;
mod weights;

pub use cache::Cache;
pub use config::Config;
pub use kernels::Rules;
pub use model::{Model, Stored};
pub use pass::{Change, Logits, Pass, Plan};
pub use rope::{Rope, frequencies};
pub use site::Site;
pub use tokenizer::TokenizerHandle;
pub use tokens::Tokens;
pub use weights::{Weights, expected as expected_weights};
