//! What the directions screen shows.

use sparsescope_core::Error;
use sparsescope_core::directions::{BestSite, Comparison, CosineBlock, DirectionMap};
use sparsescope_core::features::FeatureTable;
use sparsescope_core::llama::Site;
use sparsescope_core::workspace::SaeId;
use std::sync::Arc;

/// The directions screen.
#[derive(Debug, Default)]
pub struct DirectionsState {
    /// Why the last thing asked for could not be done.
    pub failure: Option<Error>,
    /// Whose directions these are.
    pub sae: Option<SaeId>,
    /// Whether the first map is on its way.
    pub pending: bool,
    /// The map by principal components.
    pub pca: Option<Arc<DirectionMap>>,
    /// The map by t-SNE, once it is made.
    pub tsne: Option<Arc<DirectionMap>>,
    /// Whether it is being made.
    pub laying: bool,
    /// Counts the maps and what colours them, so that what is derived is made anew.
    pub version: u64,
    /// Each latent's nearest relative at another site.
    pub relatives: Option<Arc<Relatives>>,
    /// Whether those are being looked for.
    pub relating: bool,
    /// The latents selected on the map, ascending.
    pub selection: Vec<u32>,
    /// Their cosines with one another.
    pub block: Option<Arc<CosineBlock>>,
    /// The comparison with another dictionary.
    pub compare: CompareState,
}

/// Each latent's nearest relative at another site.
#[derive(Debug, Clone, PartialEq)]
pub struct Relatives {
    /// The dictionaries that were looked through.
    pub among: Vec<(SaeId, Site)>,
    /// For each latent the nearest.
    pub best: Vec<Option<BestSite>>,
}

/// The comparison with another dictionary.
#[derive(Debug, Default)]
pub struct CompareState {
    /// Whether it is being made.
    pub pending: bool,
    /// Why it could not be.
    pub failure: Option<Error>,
    /// What came out.
    pub done: Option<Arc<Compared>>,
    /// Counts the comparisons.
    pub version: u64,
}

/// Two dictionaries against one another.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The first.
    pub a: SaeId,
    /// The second.
    pub b: SaeId,
    /// What they have in common.
    pub found: Comparison,
    /// What is known of the first one's latents, without contexts.
    pub features_a: Option<Arc<FeatureTable>>,
    /// What is known of the second one's latents, without contexts.
    pub features_b: Option<Arc<FeatureTable>>,
}
