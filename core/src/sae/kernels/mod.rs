//! The arithmetic of dictionaries on a CPU.
//!
//! Results do not depend on the number of threads: work is cut into blocks of fixed size, and
//! sums across blocks are made in block order. Every kernel is tested against its obvious form
//! in [`portable`].

mod adam;
mod batch_top;
mod candidates;
mod choice;
mod coarse;
#[cfg(test)]
mod coarse_tests;
mod coarse_tile;
mod columns;
mod dense;
mod dense_parts;
mod encode;
mod encode_top;
mod entries;
mod packed;
mod pages;
pub mod portable;
mod rescore;
mod rows;
mod select;
mod sift;
mod simd;
#[cfg(test)]
mod tests;

pub use adam::{Adam, Moments, Slice, gradient_norm, update_bias, update_rows};
pub(crate) use batch_top::{encode_batch, encode_batch_coarse};
pub use choice::Choice;
pub use coarse::{Coarse, Grain};
pub use columns::{Columns, Gradients, Scatter, pull_on_bias, scatter};
pub(crate) use dense::{add_product, encode_dense, reconstruct_dense, scatter_dense};
pub(crate) use dense_parts::{
    Window, add_columns, add_outer_dense, pre_dense, products_dense, through_jumps,
    through_magnitudes, touch_all,
};
pub use encode::{Encoding, encode};
pub use encode_top::{TopEncoding, encode_top};
pub(crate) use entries::{
    RowPenalty, add_decoded, add_product_of_rows, magnitudes, penalise, slopes, sums_by_latent,
};
pub use packed::Packed;
pub use pages::prefer_large;
pub use rows::{Reconstruction, Sums, decode, reconstruct, subtract_from_rows, variance};
pub use select::{Select, TopK};
pub(crate) use sift::{Above, AnySign, Below, Bound, GroupMax, sift};
pub use simd::Level;

use crate::error::Result;

/// Asked now and then by long kernels: an error means that the work is no longer wanted.
pub type Stop<'a> = &'a (dyn Fn() -> Result<()> + Sync);
