//! What comes back of the chosen latent.

use crate::work::latent::{News, OnText};
use sparsescope_core::Result;
use sparsescope_core::exchange::Exported;
use sparsescope_core::workspace::SaeId;

/// What comes back.
pub enum LatentEvent {
    /// Something was found out.
    News((SaeId, u32), News),
    /// That was all, or it could not go on.
    Done((SaeId, u32), Result<()>),
    /// The latent on a text.
    OnText((SaeId, u32), Result<OnText>),
    /// Features were written for others.
    HandedOut(Result<Exported>),
}
