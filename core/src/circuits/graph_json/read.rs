//! An attribution graph as a circuit.

use super::{EMBEDDING, ERROR, LOGIT, METRIC_ID, plain_name};
use crate::circuits::{
    Aggregation, Circuit, CircuitEdge, CircuitNode, Conventions, Estimate, Node, Unit, View,
};
use crate::error::{Error, Result};
use crate::llama::Site;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What was read from an attribution graph.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imported {
    /// The circuit.
    pub circuit: Circuit,
    /// Pins, supernodes, names; with a file of this program everything else of the view too.
    pub view: View,
    /// What latents are called.
    pub labels: BTreeMap<Node, String>,
    /// What was left out or read in a way that a person should know of, a sentence each.
    pub notes: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    metadata: Metadata,
    #[serde(default, rename = "qParams")]
    params: Params,
    nodes: Vec<FileNode>,
    links: Vec<Link>,
    sparsescope: Option<Ours>,
}

#[derive(Deserialize)]
struct Metadata {
    slug: String,
    #[serde(default)]
    scan: String,
    #[serde(default)]
    prompt_tokens: Vec<String>,
    #[serde(default)]
    prompt: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Params {
    #[serde(rename = "pinnedIds")]
    pinned: Vec<String>,
    supernodes: Vec<Value>,
}

#[derive(Deserialize)]
struct FileNode {
    node_id: String,
    feature: Option<i64>,
    layer: Value,
    ctx_idx: i64,
    feature_type: String,
    #[serde(default)]
    clerp: Option<String>,
    influence: Option<f64>,
    activation: Option<f64>,
    token_prob: Option<f64>,
    #[serde(default)]
    is_target_logit: bool,
    sparsescope: Option<CircuitNode>,
}

#[derive(Deserialize)]
struct Link {
    source: String,
    target: String,
    weight: f64,
}

#[derive(Deserialize)]
struct Ours {
    circuit: Circuit,
    #[serde(default)]
    view: View,
    #[serde(default)]
    labels: BTreeMap<Node, String>,
}

/// Reads an attribution graph: one of [`super::to_graph_json`] with everything that it held, or
/// one that circuit-tracer has written.
///
/// Of circuit-tracer's graphs a transcoder's latent of layer L becomes a latent at `mlp.L`, a token
/// a latent of `embed` numbered by its id. There are no effects in such a file: a node's share of
/// the influence stands in their place, without a sign. Of several outputs the likeliest is the
/// metric. All of this is said in [`Imported::notes`].
///
/// # Errors
/// The text is no attribution graph.
pub fn from_graph_json(text: &str) -> Result<Imported> {
    let refused = |why: String| {
        Error::setting(
            "This is no attribution graph",
            why,
            "Choose a JSON file that circuit-tracer, Neuronpedia or Sparsescope has written",
        )
    };
    let mut file: File = serde_json::from_str(text).map_err(|e| refused(e.to_string()))?;
    let mut out = match file.sparsescope.take() {
        Some(ours) => own(&file, ours).map_err(refused)?,
        None => foreign(&file).map_err(refused)?,
    };
    out.view.fit(&out.circuit);
    Ok(out)
}

/// A file of this program, perhaps with what another one has changed.
fn own(file: &File, ours: Ours) -> std::result::Result<Imported, String> {
    let Ours { mut circuit, mut view, labels } = ours;
    let mut places = HashMap::new();
    let mut notes = Vec::new();
    let mut foreign = 0;
    for node in &file.nodes {
        let Some(own) = &node.sparsescope else {
            foreign += usize::from(node.node_id != METRIC_ID);
            continue;
        };
        places.insert(node.node_id.as_str(), circuit.nodes.len() as u32);
        let n = own.node;
        let known = view.names.get(&n).or_else(|| labels.get(&n)).cloned();
        let said = node.clerp.clone().unwrap_or_default();
        if said != known.unwrap_or_else(|| plain_name(n)) {
            view.name(n, &said);
        }
        circuit.nodes.push(own.clone());
    }
    let mut lost = 0;
    for link in &file.links {
        let to = match link.target == METRIC_ID {
            true => Some(None),
            false => places.get(link.target.as_str()).map(|p| Some(*p)),
        };
        match (places.get(link.source.as_str()), to) {
            (Some(from), Some(to)) => {
                circuit.edges.push(CircuitEdge { from: *from, to, weight: link.weight as f32 });
            }
            _ => lost += 1,
        }
    }
    let of = |text: &str| places.get(text).map(|p| circuit.nodes[*p as usize].node);
    view.pinned = file.params.pinned.iter().filter_map(|p| of(p)).collect();
    let open: BTreeMap<String, bool> =
        view.groups.iter().map(|g| (g.name.clone(), g.open)).collect();
    view.groups.clear();
    supernodes(&mut view, &file.params.supernodes, &of);
    for group in &mut view.groups {
        group.open = open.get(&group.name).copied().unwrap_or(false);
    }
    if foreign + lost > 0 {
        notes.push(format!(
            "{foreign} nodes and {lost} links that another program has added were left out: their \
             effects are not known"
        ));
    }
    Ok(Imported { circuit, view, labels, notes })
}

fn supernodes(view: &mut View, groups: &[Value], of: &dyn Fn(&str) -> Option<Node>) {
    for group in groups {
        let Some(words) = group.as_array() else { continue };
        let mut words = words.iter().filter_map(Value::as_str);
        let Some(name) = words.next() else { continue };
        let nodes: Vec<Node> = words.filter_map(of).collect();
        view.group(name, &nodes);
    }
}

/// What a node of circuit-tracer's is here.
fn node_of(node: &FileNode) -> Option<Node> {
    let position = u32::try_from(node.ctx_idx).ok();
    let layer = || -> Option<usize> {
        match &node.layer {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64().map(|l| l as usize),
        }
    };
    // `LAYER_LATENT_POSITION`, `E_TOKEN_POSITION`.
    let number = || node.node_id.split('_').nth(1)?.parse().ok();
    let (site, unit) = match node.feature_type.as_str() {
        EMBEDDING => (Site::Embed, Unit::Latent(number()?)),
        ERROR => (Site::Mlp(layer()?), Unit::Error),
        _ => {
            let latent = number().or_else(|| node.feature.and_then(|f| u32::try_from(f).ok()))?;
            let attention = node.feature_type.contains("lorsa");
            let layer = layer()?;
            let site = if attention { Site::Attn(layer) } else { Site::Mlp(layer) };
            (site, Unit::Latent(latent))
        }
    };
    Some(Node { site, position, unit })
}

fn foreign(file: &File) -> std::result::Result<Imported, String> {
    let mut notes = Vec::new();
    let logits: Vec<&FileNode> = file.nodes.iter().filter(|n| n.feature_type == LOGIT).collect();
    let likelier = |a: &&&FileNode, b: &&&FileNode| {
        let rank = |n: &FileNode| (n.is_target_logit, n.token_prob.unwrap_or(0.0));
        let (x, y) = (rank(a), rank(b));
        x.0.cmp(&y.0).then(x.1.total_cmp(&y.1))
    };
    let target = logits.iter().max_by(likelier).copied();
    if let (Some(target), true) = (target, logits.len() > 1) {
        notes.push(format!(
            "The graph has {} outputs; the likeliest, {}, is the metric here, and links to the \
             others were left out",
            logits.len(),
            target.clerp.as_deref().unwrap_or(&target.node_id)
        ));
    }
    let mut nodes: Vec<(Node, &FileNode)> = Vec::new();
    let mut unread = 0;
    let mut seen = BTreeSet::new();
    for node in file.nodes.iter().filter(|n| n.feature_type != LOGIT) {
        match node_of(node) {
            Some(n) if seen.insert(n) => nodes.push((n, node)),
            _ => unread += 1,
        }
    }
    if unread > 0 {
        notes.push(format!("{unread} nodes could not be read, or stood there twice"));
    }
    nodes.sort_by_key(|(n, _)| *n);
    // An id of circuit-tracer's can be that of an error and of a latent of layer 0.
    let mut ids: HashMap<&str, Vec<u32>> = HashMap::new();
    for (place, (_, node)) in nodes.iter().enumerate() {
        ids.entry(&node.node_id).or_default().push(place as u32);
    }
    let shared = ids.values().filter(|places| places.len() > 1).count();
    let (effects, how) = effects(&nodes, &file.links, target);
    notes.push(how.to_owned());
    let mut edges = Vec::new();
    let (mut unclear, mut dangling) = (0, 0);
    for link in file.links.iter().filter(|l| l.weight.is_finite()) {
        let to = match target {
            Some(t) if t.node_id == link.target => None,
            _ if logits.iter().any(|l| l.node_id == link.target) => continue,
            // Nothing acts on an error there: of two it is the latent.
            _ => match one_of(&ids, &link.target, |p| nodes[p as usize].0.unit != Unit::Error) {
                Ok(place) => Some(place),
                Err(shared) => {
                    *(if shared { &mut unclear } else { &mut dangling }) += 1;
                    continue;
                }
            },
        };
        // What acts on something lies before it.
        let before =
            |p: u32| to.is_none_or(|to| nodes[p as usize].0.site < nodes[to as usize].0.site);
        match one_of(&ids, &link.source, before) {
            Ok(from) => edges.push(CircuitEdge { from, to, weight: link.weight as f32 }),
            Err(true) => unclear += 1,
            Err(false) => dangling += 1,
        }
    }
    if shared > 0 {
        notes.push(format!(
            "{shared} ids name two nodes each (an error and a latent of layer 0); {unclear} links \
             that could belong to either were left out"
        ));
    }
    if dangling > 0 {
        notes.push(format!("{dangling} links lead to nodes that are not in the file"));
    }
    let mut labels = BTreeMap::new();
    for (n, node) in &nodes {
        if let Some(name) = node.clerp.as_ref().filter(|c| !c.trim().is_empty()) {
            labels.insert(*n, name.trim().to_owned());
        }
    }
    let mut circuit = Circuit {
        conventions: conventions(file),
        candidates: nodes.len(),
        edges,
        ..Circuit::default()
    };
    for ((n, node), mean) in nodes.iter().zip(effects) {
        circuit.nodes.push(CircuitNode {
            node: *n,
            effect: Estimate { mean, error: 0.0 },
            clean: node.activation.unwrap_or(0.0) as f32,
            patch: 0.0,
            exact: None,
            stability: None,
        });
    }
    let of = |text: &str| match ids.get(text).map(Vec::as_slice) {
        Some([place]) => Some(nodes[*place as usize].0),
        _ => None,
    };
    let mut view = View {
        pinned: file.params.pinned.iter().filter_map(|p| of(p)).collect(),
        ..View::default()
    };
    supernodes(&mut view, &file.params.supernodes, &of);
    Ok(Imported { circuit, view, labels, notes })
}

/// The place of the node that an id names; `Err(true)` if that could be several.
fn one_of(
    ids: &HashMap<&str, Vec<u32>>,
    id: &str,
    fits: impl Fn(u32) -> bool,
) -> std::result::Result<u32, bool> {
    match ids.get(id).map(Vec::as_slice) {
        None | Some([]) => Err(false),
        Some([place]) => Ok(*place),
        Some(places) => {
            let mut fitting = places.iter().copied().filter(|p| fits(*p));
            match (fitting.next(), fitting.next()) {
                (Some(place), None) => Ok(place),
                _ => Err(true),
            }
        }
    }
}

/// In place of effects: each node's own share of the influence, or what it does directly.
fn effects(
    nodes: &[(Node, &FileNode)],
    links: &[Link],
    target: Option<&FileNode>,
) -> (Vec<f64>, &'static str) {
    let influence = |i: usize| nodes[i].1.influence.filter(|x| x.is_finite());
    let mut order: Vec<usize> = (0..nodes.len()).filter(|i| influence(*i).is_some()).collect();
    let mut out = vec![0.0; nodes.len()];
    if order.is_empty() {
        let mut direct: HashMap<&str, f64> = HashMap::new();
        for link in links.iter().filter(|l| target.is_some_and(|t| t.node_id == l.target)) {
            *direct.entry(&link.source).or_default() += link.weight;
        }
        for (size, (_, node)) in out.iter_mut().zip(nodes) {
            *size = direct.get(node.node_id.as_str()).copied().unwrap_or(0.0);
        }
        let said = "The file holds no effects: a node's direct link to the output stands in their \
                    place";
        return (out, said);
    }
    // The file says how much a node and all larger ones make up together.
    let value = |i: &usize| influence(*i).unwrap_or(0.0);
    order.sort_by(|a, b| value(a).total_cmp(&value(b)));
    let mut before = 0.0;
    for i in order {
        out[i] = (value(&i) - before).max(0.0);
        before = value(&i);
    }
    let said = "The file holds no effects: a node's own share of the influence stands in their \
                place, and it has no sign";
    (out, said)
}

fn conventions(file: &File) -> Conventions {
    let meta = &file.metadata;
    let mut c = Conventions { model_name: meta.scan.clone(), ..Conventions::default() };
    c.task.name = if meta.prompt.is_empty() { meta.slug.clone() } else { meta.prompt.clone() };
    c.task.tokens.clone_from(&meta.prompt_tokens);
    c.task.positions = meta.prompt_tokens.len();
    c.task.pairs = 1;
    c.task.used = vec![0];
    c.spec.aggregation = Aggregation::PerPosition;
    c.spec.node_threshold = 0.0;
    c.spec.edge_threshold = 0.0;
    c.version = format!("imported graph {}", meta.slug);
    let sites = file.nodes.iter().filter(|n| n.feature_type != LOGIT).filter_map(node_of);
    c.saes = sites.map(|n| (n.site, Some("unknown".to_owned()))).collect();
    c
}
