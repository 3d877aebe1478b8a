//! What runs in the background: plain functions of a request, made of what the core offers.
//! Nothing here knows of the screen.

pub mod browse;
pub mod circuit;
pub mod circuit_graph;
pub mod cut_sets;
pub mod data;
pub mod directions;
pub mod exchange;
pub mod features;
pub mod labels;
pub mod latent;
pub mod model;
pub mod prompt;
pub mod runs;
pub mod saes;
pub mod shift;
pub mod steer;
pub mod sweep;
pub mod tour;
pub mod train;
pub mod verdict;
