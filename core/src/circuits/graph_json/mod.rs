//! Circuits as attribution graphs in the JSON that circuit-tracer writes and Neuronpedia's viewer
//! reads, and back.
//!
//! How a circuit is told in that format:
//! - A latent is of type `cross layer transcoder`, which viewers draw as a feature; an error is a
//!   `mlp reconstruction error`; the metric is the one target `logit`. What they truly are stands
//!   in `clerp` and under `sparsescope`.
//! - `node_id` is `SITE_LATENT_POSITION` (`resid.2_41_5`, `mlp.0_error_all`): unique, where
//!   circuit-tracer's error ids (`0_LAYER_POSITION`) can be those of latents of layer 0.
//! - `feature` is the Cantor pair of the site's place in the forward pass and the latent, so that
//!   it names one latent of one site at all positions, as viewers expect; −1 for what is no latent.
//! - `layer` is the block, `E` for the embedding: the three sites of a block share it.
//! - Where positions are summed there is one token, `all positions`, and all nodes stand at it.
//! - `influence` is the share of Σ|effect| that a node and all larger ones make up: as there, small
//!   means important.
//! - `links` are the circuit's edges, with the sign of the circuit.
//! - Pins and supernodes are `qParams`; names are `clerp`.
//!
//! Everything else that the circuit depends on is under `sparsescope` (of the file and of each
//! node), so that what is read back is the circuit that was written. Pins, supernodes and names
//! that another program has changed are taken over.

mod read;
mod write;

#[cfg(test)]
mod tests;

pub use read::{Imported, from_graph_json};
pub use write::to_graph_json;

use super::{Node, Unit};
use crate::llama::Site;

const LATENT: &str = "cross layer transcoder";
const ERROR: &str = "mlp reconstruction error";
const EMBEDDING: &str = "embedding";
const LOGIT: &str = "logit";

/// The metric's id.
const METRIC_ID: &str = "metric_0_0";

/// The one token where positions are summed.
const SUMMED: &str = "all positions";

/// A site's place in the forward pass.
fn rank(site: Site) -> u64 {
    match site {
        Site::Embed => 0,
        Site::Attn(l) => 3 * l as u64 + 1,
        Site::Mlp(l) => 3 * l as u64 + 2,
        Site::Resid(l) => 3 * l as u64 + 3,
    }
}

/// One number for two: (a + b)(a + b + 1)/2 + b.
fn cantor(a: u64, b: u64) -> u64 {
    (a + b) * (a + b + 1) / 2 + b
}

fn id(node: Node) -> String {
    let unit = match node.unit {
        Unit::Latent(latent) => latent.to_string(),
        Unit::Error => "error".to_owned(),
    };
    let position = node.position.map_or("all".to_owned(), |p| p.to_string());
    format!("{}_{unit}_{position}", node.site)
}

fn layer(site: Site) -> String {
    site.layer().map_or("E".to_owned(), |l| l.to_string())
}

/// What a node is called where nobody has named it.
fn plain_name(node: Node) -> String {
    match node.unit {
        Unit::Latent(latent) => format!("{} latent {latent}", node.site),
        Unit::Error => format!("{} error", node.site),
    }
}
