//! The arithmetic of dictionaries on a CPU.
//!
//! Results do not depend on the number of threads: work is cut into blocks of fixed size, and
//! sums across blocks are made in block order.

mod encode;
pub mod portable;
mod select;

pub use encode::encode;
pub use select::{Select, TopK};

use super::{Latents, Matrix};
use rayon::prelude::*;

/// Rows that are worked on together; fixed, so that no result depends on the thread count.
const ROWS: usize = 64;

/// Subtracts `offset` from every row of `rows`.
pub fn subtract_from_rows(rows: &mut [f32], offset: &[f32]) {
    rows.par_chunks_mut(ROWS * offset.len()).for_each(|block| {
        for row in block.chunks_mut(offset.len()) {
            row.iter_mut().zip(offset).for_each(|(x, b)| *x -= b);
        }
    });
}

/// `out = b_dec + Σ f_i d_i` for every row.
pub fn decode(latents: &Latents, decoder: &Matrix, b_dec: &[f32], out: &mut [f32]) {
    let d = decoder.cols();
    out.par_chunks_mut(ROWS * d).enumerate().for_each(|(block, out)| {
        for (i, out) in out.chunks_mut(d).enumerate() {
            let (index, value) = latents.row(block * ROWS + i);
            out.copy_from_slice(b_dec);
            for (j, f) in index.iter().zip(value) {
                let direction = decoder.row(*j as usize);
                out.iter_mut().zip(direction).for_each(|(o, w)| *o += f * w);
            }
        }
    });
}
