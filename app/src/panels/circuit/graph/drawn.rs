//! What is drawn of a circuit.

use crate::forms::{Drawn, GraphForm, Item};
use crate::state::{CircuitState, GraphState};
use crate::widgets::graph::{Edge, Graph, Kind, Mark, Node as Drawing};
use sparsescope_core::circuits::{Aggregation, Circuit, Node, Shown, Unit, View};
use sparsescope_core::llama::Site;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Columns of a text that is longer than this are those with nodes.
const POSITIONS: usize = 28;

/// Brings what is drawn up to date with the circuit, the view and the labels.
pub fn refresh(form: &mut GraphForm, circuit: &Circuit, state: &CircuitState) {
    let key = (state.version, form.history.version(), state.graph.version);
    if form.drawn.key == Some(key) {
        return;
    }
    let view = form.history.view().clone();
    let shown = view.shown(circuit);
    let version = form.drawn.version + 1;
    let (graph, items) = draw(circuit, &view, &shown, &state.graph);
    // Only what is drawn differently is laid out anew.
    let same = form.drawn.graph == graph;
    let version = if same { form.drawn.version } else { version };
    form.drawn = Drawn {
        graph,
        items,
        shown,
        version: version.max(1),
        key: Some(key),
        marks: Vec::new(),
        look: form.drawn.look + 1,
        found: Vec::new(),
    };
    form.follow(circuit);
}

/// The graph of what is shown, and what each of its nodes is.
pub fn draw(
    circuit: &Circuit,
    view: &View,
    shown: &Shown,
    known: &GraphState,
) -> (Graph, Vec<Item>) {
    let sites: BTreeSet<Site> = circuit
        .conventions
        .saes
        .keys()
        .copied()
        .chain(circuit.nodes.iter().map(|n| n.node.site))
        .collect();
    let rows: BTreeMap<Site, usize> = sites.iter().copied().zip(0..).collect();
    let (columns, names) = columns(circuit, shown);
    let column = |node: &Node| node.position.and_then(|p| columns.get(&p)).copied().unwrap_or(0);
    let mut graph = Graph {
        columns: names,
        rows: sites.iter().map(Site::to_string).collect(),
        bands: sites.iter().map(|s| s.layer().map_or(0, |l| l + 1)).collect(),
        full: circuit.nodes.iter().map(|n| n.effect.mean.abs() as f32).fold(0.0, f32::max),
        ..Graph::default()
    };
    let mut items = Vec::new();
    let mut places: HashMap<u32, u32> = HashMap::new();
    let mut groups: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for i in &shown.nodes {
        let node = &circuit.nodes[*i as usize];
        if let Some(g) = view.group_of(node.node).filter(|g| !view.groups[*g].open) {
            groups.entry(g).or_default().push(*i);
            continue;
        }
        places.insert(*i, graph.nodes.len() as u32);
        items.push(Item::Node(node.node));
        graph.nodes.push(Drawing {
            row: rows.get(&node.node.site).copied().unwrap_or(0),
            column: column(&node.node),
            value: node.effect.mean as f32,
            kind: if node.node.unit == Unit::Error { Kind::Error } else { Kind::Latent },
            label: label(node.node, view, known),
        });
    }
    for (g, members) in groups {
        let size = |i: &&u32| circuit.nodes[**i as usize].effect.mean.abs();
        let Some(largest) = members.iter().max_by(|a, b| size(a).total_cmp(&size(b))) else {
            continue;
        };
        let largest = circuit.nodes[*largest as usize].node;
        let place = graph.nodes.len() as u32;
        members.iter().for_each(|i| _ = places.insert(*i, place));
        items.push(Item::Group(g));
        graph.nodes.push(Drawing {
            row: rows.get(&largest.site).copied().unwrap_or(0),
            column: column(&largest),
            value: members.iter().map(|i| circuit.nodes[*i as usize].effect.mean as f32).sum(),
            kind: Kind::Group,
            label: format!("{} ({})", view.groups[g].name, members.len()),
        });
    }
    let metric = graph.nodes.len() as u32;
    items.push(Item::Metric);
    graph.nodes.push(Drawing {
        row: graph.rows.len(),
        kind: Kind::Metric,
        label: circuit.conventions.spec.metric.name().to_owned(),
        ..Drawing::default()
    });
    let mut weights: BTreeMap<(u32, u32), f32> = BTreeMap::new();
    for i in &shown.edges {
        let edge = circuit.edges[*i as usize];
        let to = edge.to.map_or(Some(metric), |to| places.get(&to).copied());
        if let (Some(from), Some(to)) = (places.get(&edge.from).copied(), to)
            && from != to
        {
            *weights.entry((from, to)).or_default() += edge.weight;
        }
    }
    graph.edges =
        weights.into_iter().map(|((from, to), weight)| Edge { from, to, weight }).collect();
    (graph, items)
}

/// The column of each position, and the columns' names.
fn columns(circuit: &Circuit, shown: &Shown) -> (BTreeMap<u32, usize>, Vec<String>) {
    let c = &circuit.conventions;
    if c.spec.aggregation == Aggregation::Summed {
        return (BTreeMap::new(), vec![String::new()]);
    }
    let used: BTreeSet<u32> =
        shown.nodes.iter().filter_map(|i| circuit.nodes[*i as usize].node.position).collect();
    let tokens = c.task.tokens.len() as u32;
    let all = tokens as usize <= POSITIONS;
    let positions: BTreeSet<u32> =
        if all { used.into_iter().chain(0..tokens).collect() } else { used };
    let name = |p: &u32| match c.task.tokens.get(*p as usize) {
        Some(token) => token.clone(),
        None => format!("@{p}"),
    };
    let names: Vec<String> = positions.iter().map(name).collect();
    let names = if names.is_empty() { vec![String::new()] } else { names };
    (positions.into_iter().zip(0..).collect(), names)
}

/// What is written beside a node: its own name, its label, or its number.
pub fn label(node: Node, view: &View, known: &GraphState) -> String {
    if let Some(name) = view.names.get(&node) {
        return name.clone();
    }
    match node.unit {
        Unit::Latent(latent) => match known.label(node.site, latent) {
            Some(label) => label.to_owned(),
            None => latent.to_string(),
        },
        Unit::Error => String::new(),
    }
}

/// What a node is called in a sentence.
pub fn title(node: Node) -> String {
    let place = node.position.map_or(String::new(), |p| format!(" at {p}"));
    match node.unit {
        Unit::Latent(latent) => format!("{} / {latent}{place}", node.site),
        Unit::Error => format!("{} / error{place}", node.site),
    }
}

/// Marks what is chosen, selected, pinned, cut, and what was searched for.
pub fn mark(form: &mut GraphForm, circuit: &Circuit, known: &GraphState) {
    let view = form.history.view();
    let wanted = form.search.trim().to_lowercase();
    let mut found: Vec<(Node, f64)> = Vec::new();
    let kept: Option<BTreeSet<&Node>> = view.keep.as_ref().map(|k| k.iter().collect());
    let cut: BTreeSet<&Node> = view.cuts.iter().flat_map(|c| &c.nodes).collect();
    let effects: HashMap<Node, f64> =
        circuit.nodes.iter().map(|n| (n.node, n.effect.mean.abs())).collect();
    let fits = |node: &Node| {
        let label = label(*node, view, known).to_lowercase();
        let note = view.notes.get(node).map(|n| n.to_lowercase()).unwrap_or_default();
        label.contains(&wanted) || note.contains(&wanted) || node.to_string().contains(&wanted)
    };
    let marks: Vec<Mark> = form
        .drawn
        .items
        .iter()
        .map(|item| {
            let nodes = form.nodes_of(*item);
            let all = |test: &dyn Fn(&Node) -> bool| !nodes.is_empty() && nodes.iter().all(test);
            let mut dimmed = kept
                .as_ref()
                .is_some_and(|k| !nodes.is_empty() && !nodes.iter().any(|n| k.contains(n)));
            if !wanted.is_empty() && *item != Item::Metric {
                let named = match item {
                    Item::Group(g) => view.groups[*g].name.to_lowercase().contains(&wanted),
                    _ => false,
                };
                let fitting: Vec<&Node> = nodes.iter().filter(|n| named || fits(n)).collect();
                dimmed |= fitting.is_empty();
                found.extend(fitting.iter().map(|n| (**n, effects.get(n).copied().unwrap_or(0.0))));
            }
            Mark {
                chosen: form.chosen == Some(*item),
                selected: all(&|n| form.selected.contains(n)),
                pinned: all(&|n| view.pinned.contains(n)),
                cut: all(&|n| cut.contains(n)),
                dimmed,
            }
        })
        .collect();
    if marks != form.drawn.marks {
        form.drawn.marks = marks;
        form.drawn.look += 1;
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    form.drawn.found = found.into_iter().map(|(n, _)| n).collect();
}
