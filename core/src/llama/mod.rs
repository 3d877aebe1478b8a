//! Llama: configuration, weights, one forward pass with sites, its backward pass, generation.
//!
//! Knows nothing of SAEs.

mod pass;
mod site;

pub use pass::{Change, Logits, Pass, Plan};
pub use site::Site;
