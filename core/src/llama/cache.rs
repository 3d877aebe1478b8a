//! Keys and values of the text so far, so that generation computes each position once.

use super::kernels::AttentionShape;
use crate::error::{Error, Result};
use candle_core::Tensor;

/// Keys and values of every block for the positions read so far.
#[derive(Debug, Default)]
pub struct Cache {
    kept: Kept,
    positions: usize,
    partial: bool,
}

/// In which form they are kept: that of the last pass. Passes over several positions and those one
/// position at a time follow one another seldom.
#[derive(Debug)]
enum Kept {
    /// Of each block `[batch, kv_heads, positions, head_dim]`.
    Tensors(Vec<(Tensor, Tensor)>),
    Rows(Rows),
}

impl Default for Kept {
    fn default() -> Self {
        Self::Tensors(Vec::new())
    }
}

/// Keys and values as plain numbers, with room for positions to come.
#[derive(Debug)]
pub(super) struct Rows {
    batch: usize,
    /// Positions that there is room for.
    room: usize,
    /// Numbers of a position: kv_heads · head_dim.
    width: usize,
    /// Of each block `[batch, room, width]`.
    blocks: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Cache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of positions it holds.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Adds keys and values `[batch, kv_heads, new, head_dim]` of a block; all of them, old and new.
    pub(super) fn extend(
        &mut self,
        layer: usize,
        k: &Tensor,
        v: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        self.whole()?;
        if let Kept::Rows(rows) = &self.kept {
            self.kept = Kept::Tensors(rows.tensors(self.positions, k)?);
        }
        let Kept::Tensors(blocks) = &mut self.kept else { return Err(mixed()) };
        let both = match blocks.get(layer) {
            Some((old_k, old_v)) => (Tensor::cat(&[old_k, k], 2)?, Tensor::cat(&[old_v, v], 2)?),
            None => (k.clone(), v.clone()),
        };
        if layer < blocks.len() {
            blocks[layer] = both.clone();
        } else {
            blocks.push(both.clone());
        }
        Ok(both)
    }

    /// The same as rows of f32, for a batch of so many of a model of so many blocks, with room for
    /// one more position at least (of `context` at most).
    pub(super) fn rows(
        &mut self,
        layers: usize,
        s: &AttentionShape,
        context: usize,
    ) -> Result<&mut Rows> {
        self.whole()?;
        let width = s.kv_heads * s.head_dim;
        let room = (2 * self.positions + 64).min(context);
        match &mut self.kept {
            Kept::Rows(rows) => rows.grow(self.positions, room),
            Kept::Tensors(blocks) => {
                let mut rows = Rows { batch: s.batch, room, width, blocks: Vec::new() };
                let size = s.batch * room * width;
                for layer in 0..layers {
                    let part = |x: Option<&Tensor>| -> Result<Vec<f32>> {
                        let mut out = vec![0.0; size];
                        if let Some(x) = x {
                            let all = x.transpose(1, 2)?.flatten_all()?.to_vec1::<f32>()?;
                            let stretch = self.positions * width;
                            let to = out.chunks_exact_mut(room * width);
                            for (to, from) in to.zip(all.chunks_exact(stretch)) {
                                to[..stretch].copy_from_slice(from);
                            }
                        }
                        Ok(out)
                    };
                    let block = blocks.get(layer);
                    rows.blocks.push((part(block.map(|b| &b.0))?, part(block.map(|b| &b.1))?));
                }
                self.kept = Kept::Rows(rows);
            }
        }
        match &mut self.kept {
            Kept::Rows(rows) if rows.batch == s.batch => Ok(rows),
            _ => Err(mixed()),
        }
    }

    /// The rows of its batch become these of them, in this order; a row may be left out, or come
    /// more than once.
    ///
    /// # Errors
    /// A row that it does not have.
    pub fn select(&mut self, rows: &[usize]) -> Result<()> {
        match &mut self.kept {
            Kept::Tensors(blocks) => {
                let rows: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
                for (k, v) in blocks {
                    let rows = Tensor::new(&rows[..], k.device())?;
                    (*k, *v) = (k.index_select(&rows, 0)?, v.index_select(&rows, 0)?);
                }
                Ok(())
            }
            Kept::Rows(kept) => kept.select(rows),
        }
    }

    pub(super) fn advance(&mut self, positions: usize, whole: bool) {
        self.positions += positions;
        self.partial |= !whole;
    }

    fn whole(&self) -> Result<()> {
        if !self.partial {
            return Ok(());
        }
        Err(Error::internal(
            "The cache cannot be continued",
            "the pass before stopped early, or failed, and its later blocks are missing",
        ))
    }
}

impl Rows {
    /// Keys and values of a row of the batch in a block, `[room, width]`.
    pub(super) fn of(&mut self, layer: usize, row: usize) -> (&mut [f32], &mut [f32]) {
        let size = self.room * self.width;
        let (k, v) = &mut self.blocks[layer];
        (&mut k[row * size..][..size], &mut v[row * size..][..size])
    }

    fn parts(&mut self) -> impl Iterator<Item = &mut Vec<f32>> {
        self.blocks.iter_mut().flat_map(|(k, v)| [k, v])
    }

    fn grow(&mut self, positions: usize, room: usize) {
        if positions < self.room {
            return;
        }
        let (batch, size, new) = (self.batch, self.room * self.width, room * self.width);
        for part in self.parts() {
            let mut grown = vec![0.0; batch * new];
            for (to, from) in grown.chunks_exact_mut(new).zip(part.chunks_exact(size)) {
                to[..size].copy_from_slice(from);
            }
            *part = grown;
        }
        self.room = room;
    }

    fn select(&mut self, rows: &[usize]) -> Result<()> {
        if rows.iter().any(|row| *row >= self.batch) {
            return Err(Error::internal("The cache has no such row", format!("{rows:?}")));
        }
        let size = self.room * self.width;
        for part in self.parts() {
            *part = rows.iter().flat_map(|row| &part[row * size..][..size]).copied().collect();
        }
        self.batch = rows.len();
        Ok(())
    }

    /// The first `positions` of each row as tensors of the kind of `like`, `[_, kv_heads, _, head_dim]`.
    fn tensors(&self, positions: usize, like: &Tensor) -> Result<Vec<(Tensor, Tensor)>> {
        let (_, kv_heads, _, head_dim) = like.dims4()?;
        let tensor = |part: &[f32]| -> Result<Tensor> {
            let rows = part.chunks_exact(self.room * self.width);
            let all: Vec<f32> =
                rows.flat_map(|row| &row[..positions * self.width]).copied().collect();
            let shape = (self.batch, positions, kv_heads, head_dim);
            Ok(Tensor::from_vec(all, shape, like.device())?.transpose(1, 2)?.contiguous()?)
        };
        self.blocks.iter().map(|(k, v)| Ok((tensor(k)?, tensor(v)?))).collect()
    }
}

fn mixed() -> Error {
    Error::internal("The cache cannot be continued", "it is of another batch")
}
