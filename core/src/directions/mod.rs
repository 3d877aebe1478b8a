//! The directions that latents write: which lie near one another, a map of all of them, what two
//! dictionaries have in common.
//!
//! Everything here looks at decoder rows of length one, so that a scalar product is a cosine. A
//! latent whose decoder row is zero has no direction: it is nobody's neighbour and on no map.

mod nearest;
mod neurons;

#[cfg(test)]
mod tests;

pub use nearest::{nearest, nearest_to};
pub use neurons::{Neuron, nearest_neurons};
