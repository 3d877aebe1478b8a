//! The directions that latents write: which lie near one another, a map of all of them, what two
//! dictionaries have in common.
//!
//! Everything here looks at decoder rows of length one, so that a scalar product is a cosine. A
//! latent whose decoder row is zero has no direction: it is nobody's neighbour and on no map.

mod cosines;
mod eigen;
mod map;
mod matching;
mod nearest;
mod neurons;
mod pairs;
mod pca;
mod sites;
mod tsne;
mod unit;

#[cfg(test)]
mod map_tests;
#[cfg(test)]
mod matching_tests;
#[cfg(test)]
mod tests;

pub use cosines::{CosineBlock, MOST as MOST_IN_BLOCK, cosine_block};
pub use map::{DirectionMap, MapMethod, direction_map, load_map, save_map};
pub use matching::{CANDIDATES, Comparison, Match, Pair, Side, check_same_place, compare};
pub use nearest::{nearest, nearest_to};
pub use neurons::{Neuron, nearest_neurons};
pub use pairs::{Nearest, nearest_of_all};
pub use pca::{Pca, pca};
pub use sites::{BestSite, best_sites};
pub use tsne::{TsneSpec, tsne};
pub use unit::Directions;
