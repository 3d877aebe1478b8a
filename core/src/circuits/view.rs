//! How a person has arranged a circuit: what is shown, pinned, named, grouped and cut; and the way
//! back from every change.

use super::{Circuit, Cut, CutOp, Node};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Nodes that a person takes for one: a supernode.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// What it is called.
    pub name: String,
    /// Which nodes, ascending.
    pub nodes: Vec<Node>,
    /// Whether its nodes are drawn one by one rather than as one.
    #[serde(default)]
    pub open: bool,
}

/// How a person has arranged a circuit. The nodes that it shows are the circuit that is judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Nodes are shown whose effect is at least this in size. Pinned and cut ones always are.
    pub node_threshold: f32,
    /// If given, of these only so many, the greatest first.
    pub most_nodes: Option<usize>,
    /// Edges between them are shown whose weight is at least this in size.
    pub edge_threshold: f32,
    /// Nodes that stay whatever the thresholds.
    pub pinned: BTreeSet<Node>,
    /// Supernodes. A node is in one at most.
    pub groups: Vec<Group>,
    /// Names that a person gave to nodes.
    pub names: BTreeMap<Node, String>,
    /// Notes on nodes.
    pub notes: BTreeMap<Node, String>,
    /// What is cut, in the order in which it was. A node is in one cut at most.
    pub cuts: Vec<Cut>,
    /// If only some nodes of the circuit are kept: which, ascending.
    pub keep: Option<Vec<Node>>,
}

/// The part of a circuit that a view shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Places in [`Circuit::nodes`], ascending.
    pub nodes: Vec<u32>,
    /// Places in [`Circuit::edges`], ascending: both ends are shown.
    pub edges: Vec<u32>,
}

impl View {
    /// What is shown of `circuit`.
    pub fn shown(&self, circuit: &Circuit) -> Shown {
        let cut: BTreeSet<Node> = self.cuts.iter().flat_map(|c| &c.nodes).copied().collect();
        let stays = |n: &Node| self.pinned.contains(n) || cut.contains(n);
        let mut large: Vec<u32> = (0..circuit.nodes.len() as u32)
            .filter(|i| {
                circuit.nodes[*i as usize].effect.mean.abs() >= f64::from(self.node_threshold)
            })
            .collect();
        if let Some(most) = self.most_nodes
            && most < large.len()
        {
            let size = |i: &u32| circuit.nodes[*i as usize].effect.mean.abs();
            large.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.cmp(b)));
            large.truncate(most);
        }
        let mut there = vec![false; circuit.nodes.len()];
        large.iter().for_each(|i| there[*i as usize] = true);
        for (i, node) in circuit.nodes.iter().enumerate() {
            there[i] |= stays(&node.node);
        }
        let seen = |i: u32| there.get(i as usize).copied().unwrap_or(false);
        let edge = |place: &u32| {
            let e = circuit.edges[*place as usize];
            e.weight.abs() >= self.edge_threshold && seen(e.from) && e.to.is_none_or(seen)
        };
        Shown {
            nodes: (0..circuit.nodes.len() as u32).filter(|i| seen(*i)).collect(),
            edges: (0..circuit.edges.len() as u32).filter(edge).collect(),
        }
    }

    /// The circuit that is judged: the nodes shown, or those of them that are kept.
    pub fn kept(&self, circuit: &Circuit) -> BTreeSet<Node> {
        let shown = self.shown(circuit).nodes.into_iter().map(|i| circuit.nodes[i as usize].node);
        match &self.keep {
            None => shown.collect(),
            Some(only) => {
                let only: BTreeSet<&Node> = only.iter().collect();
                shown.filter(|n| only.contains(n)).collect()
            }
        }
    }

    /// Pins these nodes; if all of them are pinned, lets them go.
    pub fn pin(&mut self, nodes: &[Node]) {
        if nodes.iter().all(|n| self.pinned.contains(n)) {
            nodes.iter().for_each(|n| _ = self.pinned.remove(n));
        } else {
            self.pinned.extend(nodes);
        }
    }

    /// Makes these nodes a supernode; they leave those they were in.
    pub fn group(&mut self, name: &str, nodes: &[Node]) {
        self.ungroup(nodes);
        let mut nodes = nodes.to_vec();
        nodes.sort_unstable();
        nodes.dedup();
        if !nodes.is_empty() {
            self.groups.push(Group { name: name.to_owned(), nodes, open: false });
        }
    }

    /// Takes these nodes out of their supernodes; one that is left empty is gone.
    pub fn ungroup(&mut self, nodes: &[Node]) {
        let gone: BTreeSet<&Node> = nodes.iter().collect();
        for group in &mut self.groups {
            group.nodes.retain(|n| !gone.contains(n));
        }
        self.groups.retain(|g| !g.nodes.is_empty());
    }

    /// The place of the supernode that a node is in.
    pub fn group_of(&self, node: Node) -> Option<usize> {
        self.groups.iter().position(|g| g.nodes.contains(&node))
    }

    /// Gives a node a name; an empty one takes it away.
    pub fn name(&mut self, node: Node, name: &str) {
        put(&mut self.names, node, name);
    }

    /// Writes a note on a node; an empty one takes it away.
    pub fn note(&mut self, node: Node, note: &str) {
        put(&mut self.notes, node, note);
    }

    /// Cuts these nodes, whatever was done to them before.
    pub fn cut(&mut self, nodes: &[Node], op: CutOp) {
        self.uncut(nodes);
        if !nodes.is_empty() {
            self.cuts.push(Cut { nodes: nodes.to_vec(), op });
        }
    }

    /// Takes back what was done to these nodes.
    pub fn uncut(&mut self, nodes: &[Node]) {
        let gone: BTreeSet<&Node> = nodes.iter().collect();
        for cut in &mut self.cuts {
            cut.nodes.retain(|n| !gone.contains(n));
        }
        self.cuts.retain(|c| !c.nodes.is_empty());
    }

    /// What is done to a node, if anything is.
    pub fn cut_of(&self, node: Node) -> Option<CutOp> {
        self.cuts.iter().find(|c| c.nodes.contains(&node)).map(|c| c.op)
    }

    /// Forgets nodes that `circuit` does not have; says how many there were. What is cut may be any
    /// node of its sites: a set of edits need not keep to the circuit.
    pub fn fit(&mut self, circuit: &Circuit) -> usize {
        let known: BTreeSet<Node> = circuit.nodes.iter().map(|n| n.node).collect();
        let mut gone = BTreeSet::new();
        let mut stays = |n: &Node| {
            let known = known.contains(n);
            if !known {
                gone.insert(*n);
            }
            known
        };
        self.pinned.retain(&mut stays);
        self.names.retain(|n, _| stays(n));
        self.notes.retain(|n, _| stays(n));
        self.groups.iter_mut().for_each(|g| g.nodes.retain(&mut stays));
        if let Some(keep) = &mut self.keep {
            keep.retain(&mut stays);
        }
        let sites = &circuit.conventions.saes;
        let mut stays =
            |n: &Node| known.contains(n) || sites.contains_key(&n.site) || !gone.insert(*n);
        self.cuts.iter_mut().for_each(|c| c.nodes.retain(&mut stays));
        self.groups.retain(|g| !g.nodes.is_empty());
        self.cuts.retain(|c| !c.nodes.is_empty());
        gone.len()
    }
}

fn put(into: &mut BTreeMap<Node, String>, node: Node, text: &str) {
    if text.trim().is_empty() {
        into.remove(&node);
    } else {
        into.insert(node, text.to_owned());
    }
}

/// A circuit and how it is arranged as one JSON file: that of the circuit with a `view` in it.
///
/// # Errors
/// None in practice.
pub fn to_json(circuit: &Circuit, view: &View) -> Result<String> {
    let failed =
        |e: serde_json::Error| Error::internal("The circuit could not be written", e.to_string());
    let mut file = serde_json::to_value(circuit).map_err(failed)?;
    if let Some(file) = file.as_object_mut() {
        file.insert("view".to_owned(), serde_json::to_value(view).map_err(failed)?);
    }
    serde_json::to_string_pretty(&file).map_err(failed)
}

/// Reads such a file, or one without a view. Edges to nodes that it does not have are refused.
///
/// # Errors
/// The text is no circuit.
pub fn from_json(text: &str) -> Result<(Circuit, View)> {
    let refused = |why: String| {
        Error::setting(
            "This is no saved circuit",
            why,
            "Choose a file that `sparsescope circuit find` or the window has written",
        )
    };
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        view: View,
    }
    let circuit: Circuit = serde_json::from_str(text).map_err(|e| refused(e.to_string()))?;
    let file: File = serde_json::from_str(text).map_err(|e| refused(e.to_string()))?;
    let count = circuit.nodes.len();
    let there = |i: u32| (i as usize) < count;
    if let Some(e) =
        circuit.edges.iter().find(|e| !there(e.from) || e.to.is_some_and(|t| !there(t)))
    {
        let to = e.to.map_or("the metric".to_owned(), |t| t.to_string());
        return Err(refused(format!(
            "it has an edge from node {} to {to}, and {count} nodes",
            e.from
        )));
    }
    let mut view = file.view;
    view.fit(&circuit);
    Ok((circuit, view))
}

/// Steps that can be taken back at most.
const MOST: usize = 300;

/// A view with the way back from every change, and forth again.
#[derive(Debug, Clone, Default)]
pub struct History {
    now: View,
    past: Vec<(String, View)>,
    future: Vec<(String, View)>,
    /// Whether a change of the same name still belongs to the last step.
    open: bool,
    version: u64,
}

impl History {
    /// Begins with this view.
    pub fn new(view: View) -> Self {
        Self { now: view, ..Self::default() }
    }

    /// The view.
    pub fn view(&self) -> &View {
        &self.now
    }

    /// Another number after every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Changes the view as one step called `what`. What changes nothing is no step.
    pub fn change(&mut self, what: &str, change: impl FnOnce(&mut View)) {
        self.seal();
        self.step(what, change);
    }

    /// Changes the view; as long as the same is done again and [`Self::seal`] is not called, all
    /// of it is one step: a slider on its way, a name that is typed.
    pub fn drag(&mut self, what: &str, change: impl FnOnce(&mut View)) {
        let same = self.open && self.past.last().is_some_and(|(last, _)| last == what);
        if !same {
            self.seal();
            self.step(what, change);
            self.open = self.past.last().is_some_and(|(last, _)| last == what);
            return;
        }
        let before = self.now.clone();
        change(&mut self.now);
        self.version += u64::from(before != self.now);
    }

    /// What follows is another step.
    pub fn seal(&mut self) {
        self.open = false;
    }

    fn step(&mut self, what: &str, change: impl FnOnce(&mut View)) {
        let before = self.now.clone();
        change(&mut self.now);
        if before == self.now {
            return;
        }
        self.past.push((what.to_owned(), before));
        if self.past.len() > MOST {
            self.past.remove(0);
        }
        self.future.clear();
        self.version += 1;
    }

    /// What [`Self::undo`] would take back.
    pub fn undoes(&self) -> Option<&str> {
        self.past.last().map(|(what, _)| what.as_str())
    }

    /// What [`Self::redo`] would do again.
    pub fn redoes(&self) -> Option<&str> {
        self.future.last().map(|(what, _)| what.as_str())
    }

    /// Takes the last step back.
    pub fn undo(&mut self) {
        self.seal();
        if let Some((what, before)) = self.past.pop() {
            let after = std::mem::replace(&mut self.now, before);
            self.future.push((what, after));
            self.version += 1;
        }
    }

    /// Does again what was taken back last.
    pub fn redo(&mut self) {
        self.seal();
        if let Some((what, after)) = self.future.pop() {
            let before = std::mem::replace(&mut self.now, after);
            self.past.push((what, before));
            self.version += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CircuitEdge, CircuitNode, Estimate};
    use super::*;
    use proptest::prelude::*;

    fn circuit() -> Circuit {
        let node = |text: &str, mean| CircuitNode {
            node: text.parse().unwrap(),
            effect: Estimate { mean, error: 0.01 },
            clean: 1.0,
            patch: 0.0,
            exact: None,
            stability: None,
        };
        let edge = |from, to, weight| CircuitEdge { from, to, weight };
        Circuit {
            nodes: vec![
                node("embed/3", 0.5),
                node("mlp.0/7", -0.2),
                node("mlp.0/error", 0.05),
                node("resid.0/1", 0.9),
                node("resid.0/2", f64::NAN),
            ],
            edges: vec![
                edge(0, Some(3), 0.4),
                edge(1, Some(3), -0.1),
                edge(2, Some(3), 0.01),
                edge(3, None, 0.9),
            ],
            ..Circuit::default()
        }
    }

    fn n(text: &str) -> Node {
        text.parse().unwrap()
    }

    #[test]
    fn thresholds_show_what_is_large_and_what_is_pinned_or_cut() {
        let circuit = circuit();
        let mut view = View { node_threshold: 0.1, edge_threshold: 0.05, ..View::default() };
        let shown = view.shown(&circuit);
        assert_eq!((shown.nodes, shown.edges), (vec![0, 1, 3], vec![0, 1, 3]));
        view.most_nodes = Some(2);
        assert_eq!(view.shown(&circuit).nodes, [0, 3]);
        view.pin(&[n("mlp.0/error")]);
        view.cut(&[n("resid.0/2")], CutOp::Mean);
        assert_eq!(view.shown(&circuit).nodes, [0, 2, 3, 4]);
        view.edge_threshold = 0.0;
        assert_eq!(view.shown(&circuit).edges, [0, 2, 3], "an edge needs both its ends");
        view.keep = Some(vec![n("embed/3"), n("mlp.0/7")]);
        let kept: Vec<_> = view.kept(&circuit).into_iter().collect();
        assert_eq!(kept, [n("embed/3")], "what is not shown is not kept");
    }

    #[test]
    fn a_node_is_in_one_group_and_one_cut() {
        let (a, b, c) = (n("embed/3"), n("mlp.0/7"), n("resid.0/1"));
        let mut view = View::default();
        view.group("one", &[b, a, a]);
        view.group("two", &[b, c]);
        assert_eq!(view.groups[0].nodes, [a]);
        assert_eq!((view.group_of(b), view.groups[1].nodes.len()), (Some(1), 2));
        view.group("three", &[a]);
        assert_eq!(view.groups.len(), 2, "an empty group is gone");
        view.cut(&[a, b], CutOp::Zero);
        view.cut(&[b], CutOp::Scale(2.0));
        assert_eq!((view.cut_of(a), view.cut_of(b)), (Some(CutOp::Zero), Some(CutOp::Scale(2.0))));
        view.uncut(&[a]);
        assert_eq!(view.cuts.len(), 1);
        view.pin(&[a, b]);
        view.pin(&[a]);
        assert_eq!(view.pinned.len(), 1);
        view.name(a, "plural noun");
        view.name(a, "  ");
        assert!(view.names.is_empty());
    }

    #[test]
    fn a_file_holds_the_circuit_and_its_view() {
        let mut circuit = circuit();
        circuit.nodes.pop();
        let mut view = View { node_threshold: 0.123, ..View::default() };
        view.group("subject", &[n("embed/3"), n("mlp.0/7")]);
        view.note(n("embed/3"), "fires on “keys”");
        view.cut(&[n("resid.0/1")], CutOp::Set(0.25));
        let text = to_json(&circuit, &view).unwrap();
        assert_eq!(from_json(&text).unwrap(), (circuit.clone(), view.clone()));
        let plain = serde_json::to_string(&circuit).unwrap();
        assert_eq!(from_json(&plain).unwrap(), (circuit.clone(), View::default()));
        assert_eq!(serde_json::from_str::<Circuit>(&text).unwrap(), circuit, "still a circuit");
        view.pin(&[n("attn.3/5")]);
        let text = to_json(&circuit, &view).unwrap();
        assert!(from_json(&text).unwrap().1.pinned.is_empty());
        circuit.edges.push(CircuitEdge { from: 9, to: None, weight: 1.0 });
        let text = to_json(&circuit, &view).unwrap();
        let refused = from_json(&text).unwrap_err().to_string();
        assert!(refused.contains("from node 9 to the metric"), "{refused}");
        assert!(from_json("{}").is_err() && from_json("[1").is_err());
    }

    #[test]
    fn a_slider_on_its_way_is_one_step() {
        let mut history = History::default();
        for t in [0.1, 0.2, 0.3] {
            history.drag("threshold", |v| v.node_threshold = t);
        }
        history.seal();
        history.drag("threshold", |v| v.node_threshold = 0.5);
        history.change("nothing", |_| {});
        assert_eq!(history.undoes(), Some("threshold"));
        history.undo();
        assert_eq!(history.view().node_threshold, 0.3);
        history.undo();
        assert_eq!(history.view().node_threshold, 0.0);
        assert!(history.undoes().is_none());
        history.redo();
        assert_eq!((history.view().node_threshold, history.redoes()), (0.3, Some("threshold")));
        history.change("pin", |v| v.pin(&[n("embed/1")]));
        assert!(history.redoes().is_none(), "a new step ends what could be done again");
    }

    proptest! {
        /// All the way back and all the way forth, whatever was done.
        #[test]
        fn every_step_is_taken_back(steps in proptest::collection::vec(0u32..40, 1..60)) {
            let mut history = History::default();
            let mut states = vec![History::default().view().clone()];
            for step in steps {
                let node = n(&format!("resid.1/{}", step % 7));
                history.change("step", |v| match step % 4 {
                    0 => v.pin(&[node]),
                    1 => v.cut(&[node], CutOp::Zero),
                    2 => v.group("g", &[node, n("embed/0")]),
                    _ => v.uncut(&[node]),
                });
                if states.last() != Some(history.view()) {
                    states.push(history.view().clone());
                }
            }
            for state in states.iter().rev() {
                prop_assert_eq!(history.view(), state);
                history.undo();
            }
            for state in &states[1..] {
                history.redo();
                prop_assert_eq!(history.view(), state);
            }
        }
    }
}
