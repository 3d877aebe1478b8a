//! What to read and what to change in one forward pass, as data; and what came out of it.

use super::Site;
use super::trace::Trace;
use crate::error::Result;
use candle_core::Tensor;
use std::collections::BTreeMap;

/// A change of a site's output on its way through the forward pass.
pub trait Change {
    /// The new output `[batch, positions, width]` in the place of `x`; `first` is the position in
    /// the text of the tensor's first row (not 0 when generation continues from a cache).
    ///
    /// # Errors
    /// Whatever keeps the change from being computed.
    fn apply(&self, x: &Tensor, first: usize) -> Result<Tensor>;
}

/// Which logits are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Logits {
    /// None: the pass stops after the last site that is read or changed.
    #[default]
    None,
    /// Those of the last position, `[batch, vocabulary]`.
    Last,
    /// Those of every position, `[batch, positions, vocabulary]`.
    All,
}

/// One forward pass: what to read, what to change, how far to go. Asking for nothing costs nothing.
#[derive(Default)]
pub struct Plan<'a> {
    /// Sites whose output (after any change) to hand back.
    pub read: &'a [Site],
    /// Changes, applied in the order given.
    pub change: &'a [(Site, &'a dyn Change)],
    /// Which logits to compute.
    pub logits: Logits,
    /// Whether to keep what the backward pass needs.
    pub trace: bool,
    /// Asked between blocks; its error (the job was cancelled, say) ends the pass.
    pub check: Option<&'a dyn Fn() -> Result<()>>,
}

/// What came out of a forward pass.
#[derive(Debug)]
pub struct Pass {
    /// The output `[batch, positions, width]` of each site that was read.
    pub sites: BTreeMap<Site, Tensor>,
    /// The logits, if wanted.
    pub logits: Option<Tensor>,
    /// What the backward pass needs, if wanted.
    pub(super) trace: Option<Trace>,
}
