//! The k greatest latents of each row by way of a coarse product: bit for bit what
//! [`super::encode`] gives, sooner.
//!
//! The coarse product bounds every pre-activation from both sides. The k-th greatest lower bound
//! is reached by k latents, so that a latent whose upper bound is below it is not among the k
//! greatest; the others are computed exactly, the most promising first, because their exact
//! values raise the threshold once more.

use super::candidates::Candidates;
use super::coarse::{Coarse, CoarseRows, PANEL};
use super::coarse_tile::Found;
use super::packed::TILE_ROWS;
use super::rescore::rescore;
use super::{Stop, TopK};
use crate::error::Result;
use crate::sae::{Latents, Matrix};
use rayon::prelude::*;

/// Rows of a block of work.
const BLOCK: usize = 128;

/// Coarse multiplications after which a block asks whether to stop: some 10 ms.
const ASK_AFTER: usize = 1_000_000_000;

/// Memory of the search, kept from batch to batch.
#[derive(Debug, Default)]
pub struct TopEncoding {
    blocks: Vec<Block>,
}

#[derive(Debug, Default)]
struct Block {
    rows: CoarseRows,
    candidates: Vec<Candidates>,
    search: Search,
    ends: Vec<usize>,
    index: Vec<u32>,
    value: Vec<f32>,
    rescored: usize,
}

/// Working memory of one row's exact part.
#[derive(Debug, Default)]
struct Search {
    top: TopK,
    /// Lower bounds with the places of their candidates.
    order: Vec<u64>,
    index: Vec<u32>,
    value: Vec<f32>,
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
    let d = encoder.cols();
    let blocks = centred.len().div_ceil(BLOCK * d);
    if memory.blocks.len() < blocks {
        memory.blocks.resize_with(blocks, Block::default);
    }
    let memory = &mut memory.blocks[..blocks];
    centred
        .par_chunks(BLOCK * d)
        .zip(memory.par_iter_mut())
        .try_for_each(|(rows, block)| block.encode(rows, encoder, b_enc, coarse, k, stop))?;
    out.clear();
    let mut rescored = 0;
    for block in memory {
        let base = out.index.len();
        out.index.extend_from_slice(&block.index);
        out.value.extend_from_slice(&block.value);
        out.row_start.extend(block.ends.iter().map(|end| base + end));
        rescored += block.rescored;
    }
    Ok(rescored)
}

impl Block {
    fn encode(
        &mut self,
        rows: &[f32],
        encoder: &Matrix,
        b_enc: &[f32],
        coarse: &Coarse,
        k: usize,
        stop: Stop<'_>,
    ) -> Result<()> {
        let (m, d) = (encoder.rows(), encoder.cols());
        let n = rows.len() / d;
        self.rows.take(coarse.grain, rows, d, TILE_ROWS);
        if self.candidates.len() < n {
            self.candidates.resize_with(n, Candidates::default);
        }
        self.candidates.iter_mut().for_each(|c| c.begin(k));
        let mut found = Found::new();
        let ask_every = (ASK_AFTER / (BLOCK * PANEL * d)).max(1);
        for p in 0..m.div_ceil(PANEL) {
            if p.is_multiple_of(ask_every) {
                stop()?;
            }
            let first = p * PANEL;
            let real = u64::MAX >> (64 - PANEL.min(m - first));
            for at in (0..n).step_by(TILE_ROWS) {
                coarse.tile(p, &self.rows, at, &mut found);
                for r in 0..TILE_ROWS.min(n - at) {
                    let mut mask = found.mask[r] & real;
                    if mask == 0 {
                        continue;
                    }
                    let candidates = &mut self.candidates[at + r];
                    while mask != 0 {
                        let j = mask.trailing_zeros() as usize;
                        mask &= mask - 1;
                        let place = r * PANEL + j;
                        let (low, high) = (found.low[place], found.high[place]);
                        candidates.push((first + j) as u32, low, high);
                    }
                    self.rows.threshold[at + r] = candidates.threshold();
                }
            }
        }
        stop()?;
        self.ends.clear();
        self.index.clear();
        self.value.clear();
        self.rescored = 0;
        for (x, candidates) in rows.chunks(d).zip(&mut self.candidates) {
            candidates.raise();
            self.rescored += self.search.exact(x, encoder, b_enc, k, candidates);
            self.search.top.finish(|i, v| {
                self.index.push(i);
                self.value.push(v);
            });
            self.ends.push(self.index.len());
        }
        Ok(())
    }
}

impl Search {
    /// Offers to `top` the exact values of all candidates that may be among the k greatest.
    fn exact(
        &mut self,
        x: &[f32],
        encoder: &Matrix,
        b_enc: &[f32],
        k: usize,
        candidates: &Candidates,
    ) -> usize {
        self.top.begin(k);
        // Whole vectors of the candidates with the greatest lower bounds.
        let promising = k.next_multiple_of(16);
        let place = |key: u64| (key as u32) as usize;
        self.order.clear();
        self.order.extend(candidates.low.iter().enumerate().map(|(i, low)| {
            // The bits of a positive float order as the float does.
            let key = if *low > 0.0 { low.to_bits() } else { 0 };
            u64::from(key) << 32 | i as u64
        }));
        let mut begun = self.order.len();
        if begun > promising {
            self.order.select_nth_unstable_by(promising - 1, |a, b| b.cmp(a));
            begun = promising;
        }
        self.index.clear();
        self.index.extend(self.order[..begun].iter().map(|key| candidates.index[place(*key)]));
        rescore(encoder, b_enc, x, &self.index, &mut self.value);
        self.index.iter().zip(&self.value).for_each(|(i, v)| self.top.offer(*i, *v));
        if begun == self.order.len() {
            return begun;
        }
        let threshold = self.top.kth().max(candidates.threshold());
        self.index.clear();
        self.index.extend(self.order[begun..].iter().filter_map(|key| {
            // What is no number stays.
            let below = candidates.high[place(*key)] < threshold;
            (!below).then(|| candidates.index[place(*key)])
        }));
        rescore(encoder, b_enc, x, &self.index, &mut self.value);
        self.index.iter().zip(&self.value).for_each(|(i, v)| self.top.offer(*i, *v));
        begun + self.index.len()
    }
}
