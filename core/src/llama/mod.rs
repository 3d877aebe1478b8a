//! Llama: configuration, weights, one forward pass with sites, its backward pass, generation.
//!
//! Knows nothing of SAEs.

mod backward;
mod cache;
mod chat;
mod config;
mod direct;
mod files;
mod forward;
mod gather;
mod generate;
mod hash;
mod inspect;
mod kernels;
mod loss;
pub mod memory;
mod model;
mod next_token;
mod pass;
mod readout;
mod rope;
mod site;
mod step;
mod tokenizer;
mod tokens;
mod trace;
mod weights;

pub use backward::{Gradients, WhatGradients};
pub use cache::Cache;
pub use chat::{Message, Role};
pub use config::Config;
pub use generate::{Generation, Sampling};
pub use inspect::{Inspection, TextInspection, inspect};
pub use kernels::Rules;
pub use loss::{cross_entropy, log_probability, next_token_nll};
pub use model::{Model, Stored};
pub use next_token::NextToken;
pub use pass::{Change, Logits, Pass, Plan, Prefix, Start};
pub use readout::Readout;
pub use rope::{Rope, frequencies};
pub use site::Site;
pub use tokenizer::TokenizerHandle;
pub use tokens::Tokens;
pub use weights::{Weights, expected as expected_weights};
