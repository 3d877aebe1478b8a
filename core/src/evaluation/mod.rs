//! How good a dictionary is: L0, FVU, loss recovered, shrinkage, density.

mod report;

pub use report::{Evaluation, LossRecovered};
