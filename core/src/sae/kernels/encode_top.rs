//! The k greatest latents of each row by way of a coarse product: bit for bit what
//! [`super::encode`] gives, sooner.
//!
//! The coarse product bounds every pre-activation from both sides. The k-th greatest lower bound
//! is reached by k latents, so that a latent whose upper bound is below it is not among the k
//! greatest; the others are computed exactly, the most promising first, because their exact
//! values raise the threshold once more. Likewise for all latents above a bound.

use super::candidates::{Candidates, Wanted};
use super::coarse::{Coarse, CoarseRows, PANEL};
use super::coarse_tile::Found;
use super::packed::TILE_ROWS;
use super::rescore::rescore;
use super::{Stop, TopK};
use crate::error::Result;
use crate::sae::{Latents, Matrix};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Rows of a block of work.
const BLOCK: usize = 128;

/// Coarse multiplications after which a block asks whether to stop: some 10 ms.
const ASK_AFTER: usize = 1_000_000_000;

/// Memory of the search, kept from batch to batch.
#[derive(Debug, Default)]
pub struct TopEncoding {
    blocks: Vec<Block>,
    /// As many as there were threads at work at once.
    searches: Mutex<Vec<Search>>,
}

/// What was found in a block of rows.
#[derive(Debug, Default)]
struct Block {
    ends: Vec<usize>,
    index: Vec<u32>,
    value: Vec<f32>,
    computed: usize,
}

/// What is needed while a block is searched.
#[derive(Debug, Default)]
struct Search {
    coarse: CoarseRows,
    rows: Vec<Row>,
    order: Vec<u32>,
}

/// What is known of one row.
#[derive(Debug, Default)]
struct Row {
    candidates: Candidates,
    /// Those to be computed exactly next, ascending, and their values.
    index: Vec<u32>,
    value: Vec<f32>,
    others: Vec<u32>,
    /// All exact values.
    top: TopK,
}

/// An encoder in both its forms, and which latents are sought.
#[derive(Clone, Copy)]
struct Sought<'a> {
    encoder: &'a Matrix,
    b_enc: &'a [f32],
    coarse: &'a Coarse,
    wanted: Wanted,
}

/// The `k` greatest positive latents of each row of `centred` (`x - b_dec`, `[n, d]`); `coarse`
/// holds the same weights. Returns how many pre-activations were computed exactly.
///
/// # Errors
/// `stop` said so.
pub fn encode_top(
    centred: &[f32],
    encoder: &Matrix,
    b_enc: &[f32],
    coarse: &Coarse,
    k: usize,
    memory: &mut TopEncoding,
    out: &mut Latents,
    stop: Stop<'_>,
) -> Result<usize> {
    let sought = Sought { encoder, b_enc, coarse, wanted: Wanted::Greatest(k) };
    search(centred, sought, memory, out, stop)
}

/// Likewise the latents of each row above `bound`.
///
/// # Errors
/// `stop` said so.
pub(super) fn encode_above(
    centred: &[f32],
    encoder: &Matrix,
    b_enc: &[f32],
    coarse: &Coarse,
    bound: f32,
    memory: &mut TopEncoding,
    out: &mut Latents,
    stop: Stop<'_>,
) -> Result<usize> {
    let sought = Sought { encoder, b_enc, coarse, wanted: Wanted::Above(bound) };
    search(centred, sought, memory, out, stop)
}

fn search(
    centred: &[f32],
    sought: Sought<'_>,
    memory: &mut TopEncoding,
    out: &mut Latents,
    stop: Stop<'_>,
) -> Result<usize> {
    let d = sought.encoder.cols();
    let blocks = centred.len().div_ceil(BLOCK * d);
    if memory.blocks.len() < blocks {
        memory.blocks.resize_with(blocks, Block::default);
    }
    let TopEncoding { blocks: all, searches } = memory;
    let searches = &*searches;
    let all = &mut all[..blocks];
    centred.par_chunks(BLOCK * d).zip(all.par_iter_mut()).try_for_each(
        |(rows, block)| -> Result<()> {
            let idle = searches.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut search = idle.unwrap_or_default();
            search.encode(rows, sought, block, stop)?;
            searches.lock().unwrap_or_else(PoisonError::into_inner).push(search);
            Ok(())
        },
    )?;
    out.clear();
    let mut computed = 0;
    for block in all {
        let base = out.index.len();
        out.index.extend_from_slice(&block.index);
        out.value.extend_from_slice(&block.value);
        out.row_start.extend(block.ends.iter().map(|end| base + end));
        computed += block.computed;
    }
    Ok(computed)
}

impl Search {
    fn encode(
        &mut self,
        rows: &[f32],
        sought: Sought<'_>,
        out: &mut Block,
        stop: Stop<'_>,
    ) -> Result<()> {
        self.bound(rows, sought, stop)?;
        out.computed = 0;
        out.ends.clear();
        out.index.clear();
        out.value.clear();
        for (i, (x, row)) in rows.chunks(sought.coarse.width).zip(&mut self.rows).enumerate() {
            if i.is_multiple_of(8) {
                stop()?;
            }
            match sought.wanted {
                Wanted::Greatest(k) => {
                    row.candidates.finish();
                    row.choose_promising(k, &mut self.order);
                    out.computed += row.compute(x, sought);
                    row.choose_others();
                    out.computed += row.compute(x, sought);
                    row.top.finish(|i, v| {
                        out.index.push(i);
                        out.value.push(v);
                    });
                }
                Wanted::Above(bound) => {
                    std::mem::swap(&mut row.index, &mut row.candidates.index);
                    rescore(sought.encoder, sought.b_enc, x, &row.index, &mut row.value);
                    out.computed += row.index.len();
                    let above = row.index.iter().zip(&row.value).filter(|(_, v)| **v > bound);
                    for (i, v) in above {
                        out.index.push(*i);
                        out.value.push(*v);
                    }
                }
            }
            out.ends.push(out.index.len());
        }
        Ok(())
    }

    /// Finds the candidates of every row.
    fn bound(&mut self, rows: &[f32], sought: Sought<'_>, stop: Stop<'_>) -> Result<()> {
        let Sought { coarse, wanted, .. } = sought;
        let (m, d) = (coarse.latents, coarse.width);
        let n = rows.len() / d;
        self.coarse.take(coarse.grain, rows, d, TILE_ROWS);
        self.rows.resize_with(n, Row::default);
        for (row, threshold) in self.rows.iter_mut().zip(&mut self.coarse.threshold) {
            row.candidates.begin(wanted);
            if let Wanted::Greatest(k) = wanted {
                row.top.begin(k);
            }
            *threshold = row.candidates.threshold();
        }
        let mut found = Found::new();
        let ask_every = (ASK_AFTER / (n * PANEL * d)).max(1);
        for p in 0..m.div_ceil(PANEL) {
            if p.is_multiple_of(ask_every) {
                stop()?;
            }
            let first = p * PANEL;
            let real = u64::MAX >> (64 - PANEL.min(m - first));
            for at in (0..n).step_by(TILE_ROWS) {
                coarse.tile(p, &self.coarse, at, &mut found);
                for (r, row) in self.rows[at..].iter_mut().take(TILE_ROWS).enumerate() {
                    let mut mask = found.mask[r] & real;
                    if mask == 0 {
                        continue;
                    }
                    while mask != 0 {
                        let j = mask.trailing_zeros() as usize;
                        mask &= mask - 1;
                        let (low, high) = (found.low[r * PANEL + j], found.high[r * PANEL + j]);
                        row.candidates.push((first + j) as u32, low, high);
                    }
                    self.coarse.threshold[at + r] = row.candidates.threshold();
                }
            }
        }
        Ok(())
    }
}

impl Row {
    /// Computes those that were chosen; says how many.
    fn compute(&mut self, x: &[f32], sought: Sought<'_>) -> usize {
        rescore(sought.encoder, sought.b_enc, x, &self.index, &mut self.value);
        self.index.iter().zip(&self.value).for_each(|(i, v)| self.top.offer(*i, *v));
        self.index.len()
    }

    /// Chooses the candidates with the greatest lower bounds: as many as there may be winners.
    fn choose_promising(&mut self, k: usize, order: &mut Vec<u32>) {
        // The bits of a positive float order as the float does.
        let key = |low: &f32| if *low > 0.0 { low.to_bits() } else { 0 };
        let Candidates { low, index, .. } = &self.candidates;
        order.clear();
        order.extend(low.iter().map(key));
        let least = match order.len().checked_sub(k) {
            Some(others) if others > 0 && k > 0 => *order.select_nth_unstable(others).1,
            _ => 0,
        };
        self.index.clear();
        self.index
            .extend(low.iter().zip(index).filter(|(low, _)| key(low) >= least).map(|(_, i)| *i));
    }

    /// Chooses, among the candidates not computed yet, those that may belong to the greatest.
    fn choose_others(&mut self) {
        let Candidates { high, index, .. } = &self.candidates;
        let threshold = self.top.kth().max(self.candidates.threshold());
        let mut computed = self.index.iter().copied().peekable();
        self.others.clear();
        for (high, i) in high.iter().zip(index) {
            if computed.next_if_eq(i).is_some() {
                continue;
            }
            // What is no number stays.
            let below = *high < threshold;
            if !below {
                self.others.push(*i);
            }
        }
        drop(computed);
        std::mem::swap(&mut self.index, &mut self.others);
    }
}
