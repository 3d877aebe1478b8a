//! What a forward pass keeps for the backward pass.

use super::kernels::Table;
use super::{Logits, Site, Tokens};
use candle_core::Tensor;

/// One block's inputs. Norms and the MLP's product are computed again from these.
#[derive(Debug)]
pub(super) struct BlockTrace {
    /// `None` where the pass began at the attention's output or later.
    pub attention: Option<AttentionTrace>,
    /// `None` where the pass began at the MLP's output.
    pub mlp: Option<MlpTrace>,
}

/// Inputs of an attention.
#[derive(Debug, Clone)]
pub(super) struct AttentionTrace {
    /// Residual stream before the block.
    pub x: Tensor,
    /// Rotated queries, keys, values, of the positions before those of the pass too.
    pub qkv: Tensor,
    /// Outputs of the heads.
    pub z: Tensor,
}

/// Inputs of an MLP.
#[derive(Debug, Clone)]
pub(super) struct MlpTrace {
    /// Residual stream between attention and MLP.
    pub mid: Tensor,
    /// Gate and up, before silu.
    pub gate_up: Tensor,
}

/// Everything the backward pass needs of a forward pass.
#[derive(Debug)]
pub(super) struct Trace {
    pub tokens: Tokens,
    /// Positions before those of `tokens`.
    pub first: usize,
    pub table: Table,
    /// Where the pass began, if not with the tokens: no gradient goes further.
    pub start: Option<Site>,
    /// Number of the first block in `blocks`.
    pub first_block: usize,
    /// The blocks that ran; the last one may have stopped early and is then absent.
    pub blocks: Vec<BlockTrace>,
    /// Whether each position was taken by itself: attention then has no trace.
    pub alone: bool,
    /// Residual stream after the last block, where the pass got so far.
    pub last: Option<Tensor>,
    pub logits: Logits,
}
