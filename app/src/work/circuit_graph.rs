//! Jobs of a circuit's graph: what is known of its latents, its files and its figure.

use super::circuit::OpenBases;
use crate::picture;
use crate::state::{GraphState, Other};
use crate::widgets::graph::{Figure, draw_figure};
use sparsescope_core::circuits::{
    Aggregation, Change, Circuit, Imported, Node, Shown, Unit, View, from_graph_json, from_json,
    to_graph_json, to_json,
};
use sparsescope_core::features::{FeatureFile, LatentDetail};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::llama::{Model, Site};
use sparsescope_core::workspace::{CircuitId, CircuitRecord, SaeId, Workspace};
use sparsescope_core::{Error, IoContext as _, Result};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Files larger than this are not read: no circuit is.
const LARGEST: u64 = 1 << 30;

/// What is known of a circuit's latents.
#[derive(Debug, Default)]
pub struct Known {
    /// How the circuit was arranged when it was last looked at.
    pub view: Option<View>,
    /// The dictionary of the workspace at each site.
    pub saes: BTreeMap<Site, SaeId>,
    /// What latents are called.
    pub labels: BTreeMap<(Site, u32), String>,
    /// Circuits of the workspace, to compare with.
    pub circuits: Vec<CircuitRecord>,
}

/// Looks up labels and the saved view. A dictionary that is not here any more is no reason to
/// fail: its latents are numbers then.
pub fn know(
    ctx: &JobContext,
    workspace: &Path,
    bases: &OpenBases,
    model: Option<&Model>,
    circuit: &Circuit,
    id: Option<CircuitId>,
) -> Result<Known> {
    let db = Workspace::open(workspace)?;
    let mut known = Known { circuits: db.list_circuits()?, ..Known::default() };
    if let Some(id) = id {
        known.view = db.circuit_view(id)?;
    }
    if let Some(model) = model.filter(|m| m.hash() == circuit.conventions.model) {
        match bases.of(ctx, workspace, model, circuit) {
            Ok((choice, _)) => {
                known.saes = choice.into_iter().filter_map(|(s, id)| Some((s, id?))).collect();
            }
            Err(error) if error.is_cancelled() => return Err(error),
            Err(_) => {}
        }
    }
    for (site, id) in &known.saes {
        ctx.check()?;
        for label in db.labels(*id)? {
            known.labels.insert((*site, label.latent), label.text);
        }
    }
    Ok(known)
}

/// Keeps how a circuit of the workspace is arranged.
pub fn keep_view(workspace: &Path, id: CircuitId, view: &View) -> Result<()> {
    Workspace::open(workspace)?.save_circuit_view(id, view)
}

/// What was kept of a latent; `None` where nothing was collected of its dictionary.
pub fn card(workspace: &Path, id: SaeId, latent: u32) -> Result<Option<Arc<LatentDetail>>> {
    let record = Workspace::open(workspace)?.sae(id)?;
    if !record.has_features {
        return Ok(None);
    }
    let mut file = FeatureFile::open(&record.features_path())?;
    let place = file.table()?.latents.iter().position(|l| l.index == latent);
    place.map(|place| file.detail(place).map(Arc::new)).transpose()
}

/// The circuit of the workspace to compare with.
pub fn other(workspace: &Path, id: CircuitId) -> Result<Other> {
    let db = Workspace::open(workspace)?;
    let circuit = Arc::new(db.circuit(id)?);
    let name = db.list_circuits()?.into_iter().find(|c| c.id == id).map(|c| c.name);
    Ok(Other { name: name.unwrap_or_else(|| format!("circuit {id}")), circuit })
}

/// How a circuit was made, in a line.
pub fn caption(circuit: &Circuit, shown: &Shown) -> String {
    let spec = &circuit.conventions.spec;
    let change = match spec.change {
        Change::Patch => "patched",
        Change::Zero => "set to zero",
    };
    let positions = match spec.aggregation {
        Aggregation::Summed => "summed over positions",
        Aggregation::PerPosition => "by position",
    };
    format!(
        "{}: effects on the {} by {}, {change}, {positions}, {} pairs. {} of {} nodes and {} of {} \
         edges.",
        circuit.conventions.model_name,
        spec.metric.name(),
        spec.method,
        circuit.conventions.task.used.len(),
        shown.nodes.len(),
        circuit.nodes.len(),
        shown.edges.len(),
        circuit.edges.len(),
    )
}

/// The figure of a circuit as it is arranged.
pub fn figure(circuit: &Circuit, view: &View, labels: &BTreeMap<Node, String>) -> Figure {
    let mut known = GraphState::default();
    for (node, label) in labels {
        if let Unit::Latent(latent) = node.unit {
            known.labels.insert((node.site, latent), label.clone());
        }
    }
    let shown = view.shown(circuit);
    let (graph, _) = crate::panels::circuit::draw_graph(circuit, view, &shown, &known);
    Figure {
        graph,
        title: circuit.conventions.task.name.clone(),
        caption: caption(circuit, &shown),
        size: [0.0; 2],
    }
}

/// Writes a figure: as PNG if the name ends so, else as SVG.
pub fn save_figure(figure: &Figure, path: &Path) -> Result<()> {
    let taken = draw_figure(figure).ok_or_else(|| {
        Error::internal("The figure could not be drawn", "the drawing came to no end".to_owned())
    })?;
    picture::save(&taken, path)
}

/// Whether a file's name says that it is an attribution graph.
pub fn is_graph(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".graph.json")
}

/// Writes a circuit with its view, or the attribution graph of it.
pub fn save_file(
    circuit: &Circuit,
    view: &View,
    labels: &BTreeMap<Node, String>,
    path: &Path,
    graph: bool,
) -> Result<()> {
    let text =
        match graph {
            true => serde_json::to_string_pretty(&to_graph_json(circuit, view, labels)).map_err(
                |e| Error::internal("The attribution graph could not be written", e.to_string()),
            )?,
            false => to_json(circuit, view)?,
        };
    write(path, text.as_bytes())
}

/// Writes beside, then renames: a file that was there stays whole until the new one is.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    });
    if written.is_err() {
        // Half a file is in the way.
        let _ = std::fs::remove_file(&beside);
    }
    written.doing(|| format!("Could not write {}", path.display()))
}

/// Reads a circuit's file or an attribution graph: which it is, its contents say.
pub fn open_file(path: &Path) -> Result<Imported> {
    let doing = || format!("Could not read {}", path.display());
    let size = std::fs::metadata(path).doing(doing)?.len();
    if size > LARGEST {
        return Err(Error::setting(
            format!("{} is no circuit", path.display()),
            format!("it has {size} bytes, and no circuit has that many"),
            "Choose the file of a circuit or of an attribution graph",
        ));
    }
    let text = std::fs::read_to_string(path).doing(doing)?;
    if text.contains("\"conventions\"") && !text.contains("\"qParams\"") {
        let (circuit, view) = from_json(&text)?;
        return Ok(Imported { circuit, view, ..Imported::default() });
    }
    from_graph_json(&text)
}

/// Opens a file and keeps its circuit and view in the workspace.
pub fn bring_in(workspace: &Path, path: &Path) -> Result<(Box<Imported>, CircuitId)> {
    let read = open_file(path)?;
    let name = path.file_stem().map_or("circuit".into(), |stem| stem.to_string_lossy());
    let name = name.trim_end_matches(".graph");
    let db = Workspace::open(workspace)?;
    let id = db.save_circuit(name, &read.circuit, None)?;
    db.save_circuit_view(id, &read.view)?;
    Ok((Box::new(read), id))
}

/// What latents are called, by node.
pub fn labels_of(
    circuit: &Circuit,
    known: &BTreeMap<(Site, u32), String>,
) -> BTreeMap<Node, String> {
    let label = |node: Node| match node.unit {
        Unit::Latent(latent) => Some((node, known.get(&(node.site, latent))?.clone())),
        Unit::Error => None,
    };
    circuit.nodes.iter().filter_map(|n| label(n.node)).collect()
}
