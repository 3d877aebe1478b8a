//! What comes back from the directions screen's jobs.

use crate::state::{Compared, Relatives};
use sparsescope_core::Result;
use sparsescope_core::directions::{CosineBlock, DirectionMap};
use sparsescope_core::workspace::SaeId;

/// What comes back.
pub enum DirectionsEvent {
    /// The first map of an SAE, and the t-SNE map that was kept.
    Opened(SaeId, Result<(DirectionMap, Option<DirectionMap>)>),
    /// A t-SNE map.
    Laid(SaeId, Result<DirectionMap>),
    /// Each latent's nearest relative at another site.
    Related(SaeId, Result<Relatives>),
    /// The cosines of a selection.
    Block(Vec<u32>, Result<CosineBlock>),
    /// Two dictionaries against one another.
    Compared(SaeId, Result<Compared>),
}
