//! Encoder product with the selection of active latents fused into its tiles.

use super::packed::{MAX_PANEL, Packed, TILE_ROWS};
use super::{Select, Stop, TopK};
use crate::error::Result;
use crate::sae::Latents;
use rayon::prelude::*;

/// Rows of a block of work: they share each panel of the encoder while it is in cache.
const BLOCK: usize = 128;

/// Multiplications after which a block asks whether to stop: some 10 ms.
const ASK_AFTER: usize = 500_000_000;

/// Memory of the encoder product, kept from batch to batch.
#[derive(Debug, Default)]
pub struct Encoding {
    blocks: Vec<Block>,
}

#[derive(Debug, Default)]
struct Block {
    top: Vec<TopK>,
    positive: Vec<Vec<(u32, f32)>>,
    /// The last rows of the batch, filled up to a whole tile.
    padded: Vec<f32>,
    ends: Vec<usize>,
    index: Vec<u32>,
    value: Vec<f32>,
}

/// Active latents of each row of `centred` (`x - b_dec`, `[n, d]`):
/// `pre = W_enc (x - b_dec) + b_enc`, of which `select` says which are kept.
///
/// The `[n, m]` matrix of pre-activations never exists: tiles of 8 x 48 do. Indices are those
/// of the packed encoder, or through `names` those that its rows had before packing.
///
/// # Errors
/// `stop` said so.
pub fn encode(
    centred: &[f32],
    packed: &Packed,
    names: Option<&[u32]>,
    select: Select,
    memory: &mut Encoding,
    out: &mut Latents,
    stop: Stop<'_>,
) -> Result<()> {
    let d = packed.width();
    let blocks = centred.len().div_ceil(BLOCK * d);
    if memory.blocks.len() < blocks {
        memory.blocks.resize_with(blocks, Block::default);
    }
    let memory = &mut memory.blocks[..blocks];
    if let [block] = memory {
        // A single block is not worth waking other threads for.
        block.encode(centred, packed, names, select, stop)?;
    } else {
        centred
            .par_chunks(BLOCK * d)
            .zip(memory.par_iter_mut())
            .try_for_each(|(rows, block)| block.encode(rows, packed, names, select, stop))?;
    }
    out.clear();
    for block in memory {
        let base = out.index.len();
        out.index.extend_from_slice(&block.index);
        out.value.extend_from_slice(&block.value);
        out.row_start.extend(block.ends.iter().map(|end| base + end));
    }
    Ok(())
}

impl Block {
    fn encode(
        &mut self,
        rows: &[f32],
        packed: &Packed,
        names: Option<&[u32]>,
        select: Select,
        stop: Stop<'_>,
    ) -> Result<()> {
        let d = packed.width();
        let n = rows.len() / d;
        self.begin(n, select);
        let whole = n / TILE_ROWS * TILE_ROWS;
        self.padded.clear();
        self.padded.extend_from_slice(&rows[whole * d..]);
        self.padded.resize(TILE_ROWS * d, 0.0);
        let ask_every = (ASK_AFTER / (BLOCK * packed.panel() * d)).max(1);
        let mut tile = [0.0; TILE_ROWS * MAX_PANEL];
        for p in 0..packed.panels() {
            if p.is_multiple_of(ask_every) {
                stop()?;
            }
            let first = p * packed.panel();
            let columns = packed.panel().min(packed.latents() - first);
            for at in (0..n).step_by(TILE_ROWS) {
                let group =
                    if at < whole { &rows[at * d..][..TILE_ROWS * d] } else { &self.padded };
                packed.tile(p, group, n - at, &mut tile);
                for (r, pre) in tile.chunks(packed.panel()).take(TILE_ROWS.min(n - at)).enumerate()
                {
                    let pre = &pre[..columns];
                    match select {
                        Select::TopK(_) => self.top[at + r].see(first, pre),
                        Select::Positive => keep_positive(&mut self.positive[at + r], first, pre),
                    }
                }
            }
        }
        self.finish(n, names, select);
        Ok(())
    }

    fn begin(&mut self, n: usize, select: Select) {
        match select {
            Select::TopK(k) => {
                if self.top.len() < n {
                    self.top.resize_with(n, TopK::default);
                }
                self.top.iter_mut().for_each(|top| top.begin(k));
            }
            Select::Positive => {
                if self.positive.len() < n {
                    self.positive.resize_with(n, Vec::new);
                }
                self.positive.iter_mut().for_each(Vec::clear);
            }
        }
    }

    fn finish(&mut self, n: usize, names: Option<&[u32]>, select: Select) {
        self.ends.clear();
        self.index.clear();
        self.value.clear();
        let name = |i: u32| names.map_or(i, |names| names[i as usize]);
        for r in 0..n {
            match select {
                Select::TopK(_) => self.top[r].finish(|i, v| {
                    self.index.push(name(i));
                    self.value.push(v);
                }),
                Select::Positive => {
                    for (i, v) in &self.positive[r] {
                        self.index.push(name(*i));
                        self.value.push(*v);
                    }
                }
            }
            self.ends.push(self.index.len());
        }
    }
}

fn keep_positive(kept: &mut Vec<(u32, f32)>, first: usize, pre: &[f32]) {
    for (j, v) in pre.iter().enumerate() {
        if *v > 0.0 {
            kept.push(((first + j) as u32, *v));
        }
    }
}
