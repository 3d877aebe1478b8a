//! Edits: what to do to which latents where, and the changed forward pass that follows.

mod edit;

pub use edit::{Edit, Op, Positions};
