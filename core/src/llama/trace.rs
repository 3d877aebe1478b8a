//! What a forward pass keeps for the backward pass.

use super::kernels::Table;
use super::{Logits, Tokens};
use candle_core::Tensor;

/// One block's inputs. Norms and the MLP's product are computed again from these.
#[derive(Debug)]
pub(super) struct BlockTrace {
    /// Residual stream before the block.
    pub x: Tensor,
    /// Rotated queries, keys, values.
    pub qkv: Tensor,
    /// Outputs of the heads.
    pub z: Tensor,
    /// Residual stream between attention and MLP.
    pub mid: Tensor,
    /// Gate and up, before silu.
    pub gate_up: Tensor,
}

/// Everything the backward pass needs of a forward pass.
#[derive(Debug)]
pub(super) struct Trace {
    pub tokens: Tokens,
    pub table: Table,
    /// The blocks that ran; the last one may have stopped early and is then absent.
    pub blocks: Vec<BlockTrace>,
    /// Residual stream after the last block, where the pass got so far.
    pub last: Option<Tensor>,
    pub logits: Logits,
}
