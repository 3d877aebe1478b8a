//! Rows of a pass that was made, as a pass of their own: one trace serves many gradients.

use super::trace::{AttentionTrace, BlockTrace, MlpTrace, Trace};
use super::{Pass, Site, Tokens};
use crate::error::{Error, Result};
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::ops::Range;

impl Pass {
    /// The traced pass of `rows` of this one (each as often as it is named), for gradients within
    /// the blocks `blocks`. It holds no site's output and no logits.
    ///
    /// # Errors
    /// This pass kept no trace of these blocks, or has no such row.
    pub fn rows(&self, rows: &[usize], blocks: Range<usize>) -> Result<Self> {
        let positions = self.traced()?.tokens.positions();
        self.gather(rows, positions, blocks)
    }

    /// The traced pass in which each of `places` (row · positions + position) of this one is a row
    /// of one position. Gradients go through MLPs, which know one position only; one that would
    /// have to go through an attention is refused.
    ///
    /// # Errors
    /// As [`Pass::rows`].
    pub fn places(&self, places: &[usize], blocks: Range<usize>) -> Result<Self> {
        let mut pass = self.gather(places, 1, blocks)?;
        if let Some(trace) = &mut pass.trace {
            trace.alone = true;
        }
        Ok(pass)
    }

    fn traced(&self) -> Result<&Trace> {
        self.trace.as_ref().ok_or_else(|| {
            Error::internal("A pass cannot be taken apart", "it kept no trace".to_owned())
        })
    }

    /// Groups of `each` neighbouring rows of every tensor.
    fn gather(&self, groups: &[usize], each: usize, blocks: Range<usize>) -> Result<Self> {
        let old = self.traced()?;
        let ids = old.tokens.ids();
        let there = ids.len() / each;
        let covered = blocks.start >= old.first_block
            && blocks.end <= old.first_block + old.blocks.len()
            && blocks.start <= blocks.end;
        if !covered || groups.iter().any(|group| *group >= there) {
            return Err(Error::internal(
                "A pass cannot be taken apart",
                format!("it does not hold blocks {blocks:?}, or one of the rows {groups:?}"),
            ));
        }
        let names: Vec<u32> = groups.iter().map(|group| *group as u32).collect();
        let names = Tensor::new(names, old.table.cos.device())?;
        let take = |x: &Tensor| -> Result<Tensor> {
            let (rows, width) = x.dims2()?;
            let grouped = x.reshape((there, rows / there * width))?;
            let taken = grouped.index_select(&names, 0)?;
            Ok(taken.reshape((groups.len() * rows / there, width))?)
        };
        let alone = each == 1 && old.tokens.positions() > 1;
        let taken = &old.blocks[blocks.start - old.first_block..blocks.end - old.first_block];
        let mut out = Vec::with_capacity(taken.len());
        for block in taken {
            let attention = match &block.attention {
                Some(a) if !alone => {
                    Some(AttentionTrace { x: take(&a.x)?, qkv: take(&a.qkv)?, z: take(&a.z)? })
                }
                _ => None,
            };
            let mlp = match &block.mlp {
                Some(m) => Some(MlpTrace { mid: take(&m.mid)?, gate_up: take(&m.gate_up)? }),
                None => None,
            };
            out.push(BlockTrace { attention, mlp });
        }
        let ids = groups.iter().flat_map(|group| &ids[group * each..][..each]).copied().collect();
        let below = blocks.start.checked_sub(1).map(Site::Resid);
        let trace = Trace {
            tokens: Tokens::new(ids, groups.len(), each)?,
            first: old.first,
            table: old.table.clone(),
            start: if below > old.start { below } else { old.start },
            first_block: blocks.start,
            blocks: out,
            last: None,
            logits: old.logits,
            alone,
        };
        Ok(Self { sites: BTreeMap::new(), logits: None, trace: Some(trace) })
    }
}
