//! How good a dictionary is: L0, FVU, loss recovered, shrinkage, density.

mod report;
mod spec;

pub use report::{Evaluation, LossRecovered};
pub use spec::EvalSpec;
