//! Edits: what to do to which latents where, and the changed forward pass that follows.

mod bound;
mod compile;
mod edit;
mod nodes;
mod rows;
mod whole;

pub use compile::{Dictionaries, Edits};
pub use edit::{Edit, Op, Positions};
pub use nodes::{Further, NodeEdits, Stay, To, Values};
pub use rows::{RowEdits, Shift};
pub use whole::{Reconstruct, Replace, Splice, ZeroSite};

#[cfg(test)]
mod tests;
