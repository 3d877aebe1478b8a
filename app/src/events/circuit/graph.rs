//! What comes back from jobs of the graph.

use crate::state::Other;
use crate::work::circuit_graph::Known;
use sparsescope_core::Result;
use sparsescope_core::circuits::{Cut, Imported, Recut};
use sparsescope_core::features::LatentDetail;
use sparsescope_core::llama::Site;
use sparsescope_core::workspace::{CircuitId, EditSetRecord};
use std::path::PathBuf;
use std::sync::Arc;

/// What comes back.
pub enum GraphEvent {
    /// What is known of the latents of the circuit of this count.
    Known(u64, Result<Known>),
    /// What was kept of a latent.
    Card(Site, u32, Result<Option<Arc<LatentDetail>>>),
    /// How the circuit is arranged was kept.
    Kept(Result<()>),
    /// A file was written.
    Saved(Result<PathBuf>),
    /// A file was opened, and its circuit kept.
    Opened(Result<(Box<Imported>, CircuitId)>),
    /// What a set of edits cuts, and what it is called.
    CutBy(u64, Result<(String, Recut<Cut>)>),
    /// What was cut is kept as a set of edits: its name, and how many cuts it could not say.
    CutsKept(Result<(String, usize, Vec<EditSetRecord>)>),
    /// The circuit to compare with.
    Other(Result<Other>),
}
