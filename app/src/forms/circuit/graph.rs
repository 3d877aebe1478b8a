//! What was set on the graph.

use crate::panels::circuit::Compared;
use crate::widgets::graph::{Canvas, Graph, Mark};
use sparsescope_core::circuits::{Circuit, Cut, CutOp, History, Node, Shown, View};
use std::collections::BTreeSet;

/// Something of the graph that can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// A node of the circuit.
    Node(Node),
    /// A supernode, by its place in the view.
    Group(usize),
    /// The output.
    Metric,
}

/// The graph's form.
#[derive(Debug, Default)]
pub struct GraphForm {
    /// What is cut, in the order in which it was. Follows the view.
    pub cuts: Vec<Cut>,
    /// If only some nodes of the circuit are kept: which. Follows the view.
    pub keep: Option<Vec<Node>>,
    /// The circuit that is judged: the nodes shown, or those of them that are kept. Follows the
    /// view.
    pub kept: BTreeSet<Node>,
    /// Counts the changes of these three.
    pub judged: u64,
    /// The view and the way back.
    pub history: History,
    /// The circuit (by its count) that the view is of.
    pub of: Option<u64>,
    /// What is drawn.
    pub drawn: Drawn,
    /// How it is drawn.
    pub canvas: Canvas,
    /// The nodes that were selected together.
    pub selected: BTreeSet<Node>,
    /// What its card is open of.
    pub chosen: Option<Item>,
    /// What is searched for.
    pub search: String,
    /// What the cuts are to be called as a set of edits.
    pub set_name: String,
    /// Whether a drag draws a frame around nodes.
    pub framing: bool,
    /// What a cut does, to be chosen.
    pub op: CutOp,
    /// The comparison with another circuit.
    pub compared: Compared,
    /// When the view was last changed, by the window's clock, if it was not kept since.
    pub changed: Option<f64>,
    /// The change of the view that was last seen.
    pub seen: u64,
    /// What is typed about the node whose card is open.
    pub typed: Typed,
}

/// What is typed about a node or a group.
#[derive(Debug, Default)]
pub struct Typed {
    /// Of what.
    pub of: Option<Item>,
    /// Its name.
    pub name: String,
    /// The note on it.
    pub note: String,
    /// Name for the group to be made.
    pub group: String,
}

/// What is drawn of a circuit, and what it was made for.
#[derive(Debug, Default)]
pub struct Drawn {
    /// The graph.
    pub graph: Graph,
    /// What each of its nodes is.
    pub items: Vec<Item>,
    /// What is shown of the circuit.
    pub shown: Shown,
    /// Counts the graphs.
    pub version: u64,
    /// Circuit, view and labels it was made for.
    pub key: Option<(u64, u64, u64)>,
    /// How each node is marked.
    pub marks: Vec<Mark>,
    /// Counts the marks.
    pub look: u64,
    /// Nodes that were searched for, the largest first.
    pub found: Vec<Node>,
}

impl GraphForm {
    /// Begins with another circuit, seen as `view`.
    pub fn begin(&mut self, circuit: &Circuit, version: u64, view: Option<View>) {
        let mut view = view.unwrap_or_else(|| first_view(circuit));
        view.fit(circuit);
        *self = Self {
            history: History::new(view),
            of: Some(version),
            drawn: Drawn { version: self.drawn.version, ..Drawn::default() },
            judged: self.judged,
            op: self.op,
            ..Self::default()
        };
        self.follow(circuit);
    }

    /// Takes over what the view says is judged.
    pub fn follow(&mut self, circuit: &Circuit) {
        let view = self.history.view();
        let kept = view.kept(circuit);
        if self.cuts != view.cuts || self.keep != view.keep || self.kept != kept {
            self.cuts.clone_from(&view.cuts);
            self.keep.clone_from(&view.keep);
            self.kept = kept;
            self.judged += 1;
        }
    }

    /// The nodes that what was selected or chosen stands for.
    pub fn meant(&self) -> Vec<Node> {
        if !self.selected.is_empty() {
            return self.selected.iter().copied().collect();
        }
        self.chosen.map(|item| self.nodes_of(item)).unwrap_or_default()
    }

    /// The nodes that an item stands for.
    pub fn nodes_of(&self, item: Item) -> Vec<Node> {
        match item {
            Item::Node(node) => vec![node],
            Item::Group(g) => {
                let group = self.history.view().groups.get(g);
                group.map(|g| g.nodes.clone()).unwrap_or_default()
            }
            Item::Metric => Vec::new(),
        }
    }

    /// Place of an item in the graph that is drawn; of a node in a closed group that of the group.
    pub fn place_of(&self, item: Item) -> Option<u32> {
        let at = |item: Item| self.drawn.items.iter().position(|i| *i == item).map(|i| i as u32);
        at(item).or_else(|| match item {
            Item::Node(node) => at(Item::Group(self.history.view().group_of(node)?)),
            _ => None,
        })
    }
}

/// Few enough nodes to be read at first sight, with the edges between them that matter.
fn first_view(circuit: &Circuit) -> View {
    /// Nodes and edges that are shown at first.
    const NODES: usize = 120;
    const EDGES: usize = 400;
    let mut sizes: Vec<f64> = circuit.nodes.iter().map(|n| n.effect.mean.abs()).collect();
    let mut weights: Vec<f32> = circuit.edges.iter().map(|e| e.weight.abs()).collect();
    sizes.sort_by(|a, b| b.total_cmp(a));
    weights.sort_by(|a, b| b.total_cmp(a));
    View {
        node_threshold: sizes.get(NODES - 1).map_or(0.0, |s| *s as f32),
        edge_threshold: weights.get(EDGES - 1).copied().unwrap_or(0.0),
        ..View::default()
    }
}
