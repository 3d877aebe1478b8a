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
    /// Where the pass begins, if not with the tokens; sites before it cannot be read or changed.
    pub start: Option<Start<'a>>,
    /// Whose positions come before those of the tokens given.
    pub prefix: Option<Prefix<'a>>,
}

/// A pass that begins at a site, whose output is given. The tokens then say no more than how many
/// rows and positions there are.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// Where.
    pub site: Site,
    /// Its output, `[batch, positions, width]`.
    pub value: &'a Tensor,
    /// What the output of `attn.L` or `mlp.L` is added to, of the same shape: the residual stream
    /// before block L, or that between its attention and its MLP. Other sites need none.
    pub beside: Option<&'a Tensor>,
}

/// Positions that come before those of a pass, with keys and values from another pass. As
/// attention looks back only, a pass over the rest gives there what one over the whole text gives.
#[derive(Debug, Clone, Copy)]
pub struct Prefix<'a> {
    /// The pass that computed them; it kept its trace, and went as far as this one goes.
    pub pass: &'a Pass,
    /// For each row of the tokens, the row of `pass` that it continues.
    pub rows: &'a [usize],
    /// How many first positions are taken from `pass`.
    pub positions: usize,
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
