//! What the circuit screen shows of the graph.

use sparsescope_core::Error;
use sparsescope_core::circuits::{Circuit, View};
use sparsescope_core::features::LatentDetail;
use sparsescope_core::llama::Site;
use sparsescope_core::workspace::{CircuitRecord, SaeId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The graph.
#[derive(Debug, Default)]
pub struct GraphState {
    /// How the circuit of this count was arranged in the file it was opened from. Looked at when
    /// its graph is first shown.
    pub view: Option<(u64, View)>,
    /// The circuit (by its count) that the following is known of or asked for.
    pub known: Option<u64>,
    /// The model (by its hash) that was in use then.
    pub known_with: Option<String>,
    /// The dictionary of the workspace at each site.
    pub saes: BTreeMap<Site, SaeId>,
    /// What latents are called.
    pub labels: BTreeMap<(Site, u32), String>,
    /// Counts the labels.
    pub version: u64,
    /// What was kept of latents: `None` where nothing was collected.
    pub cards: BTreeMap<(Site, u32), Option<Arc<LatentDetail>>>,
    /// The card that is being read.
    pub reading: Option<(Site, u32)>,
    /// Circuits of the workspace, to compare with.
    pub circuits: Vec<CircuitRecord>,
    /// The circuit to compare with.
    pub other: Option<Other>,
    /// Why it could not be opened.
    pub other_failure: Option<Error>,
}

/// The circuit to compare with.
#[derive(Debug, Clone)]
pub struct Other {
    /// What it is called.
    pub name: String,
    /// It.
    pub circuit: Arc<Circuit>,
}

impl GraphState {
    /// Whether what is known of it is of this circuit and this model.
    pub fn is_known(&self, version: u64, model: Option<&str>) -> bool {
        self.known == Some(version) && self.known_with.as_deref() == model
    }

    /// How the circuit of this count was arranged in the file it was opened from.
    pub fn view_of(&self, version: u64) -> Option<View> {
        self.view.clone().filter(|(of, _)| *of == version).map(|(_, view)| view)
    }

    /// What a latent is called, if it has a label.
    pub fn label(&self, site: Site, latent: u32) -> Option<&str> {
        self.labels.get(&(site, latent)).map(String::as_str)
    }
}
