//! How good a dictionary is: L0, FVU, loss recovered, shrinkage, density.

mod evaluate;
mod loss;
mod probe;
mod quality;
mod report;
mod sample;
mod spec;

#[cfg(test)]
mod tests;

pub use evaluate::evaluate;
pub use probe::LossProbe;
pub use report::{Evaluation, LossRecovered};
pub(crate) use sample::{Sample, check_memory};
pub use sample::{held_out, site_of};
pub use spec::EvalSpec;
