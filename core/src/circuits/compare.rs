//! Two circuits against one another.

use super::{Aggregation, Circuit, Node};
use crate::llama::Site;
use std::collections::{BTreeMap, BTreeSet};

/// Two circuits against one another: their nodes, and how large they are in each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CircuitComparison {
    /// Nodes of both, with their effects in the first and in the second; the largest first.
    pub both: Vec<(Node, f64, f64)>,
    /// Nodes of the first alone, the largest first.
    pub first: Vec<(Node, f64)>,
    /// Nodes of the second alone, the largest first.
    pub second: Vec<(Node, f64)>,
    /// Nodes of both as a share of the nodes of either; `None` if there are none.
    pub jaccard: Option<f64>,
    /// Correlation (Pearson) of the effects of the nodes of both; `None` for fewer than three.
    pub correlation: Option<f64>,
    /// Whether nodes were summed over positions, because one of the circuits is.
    pub summed: bool,
    /// Sites whose nodes are not the same things in both (other dictionaries): left out.
    pub unlike: Vec<Site>,
    /// Nodes that were left out for that, of the first and of the second.
    pub left_out: [usize; 2],
}

/// Compares the nodes of `first` that are in `of_first` with those of `second` in `of_second`.
///
/// Nodes are the same if they stand for the same latent of the same dictionary. Where one circuit
/// sums over positions and the other does not, the other's effects are summed over positions.
pub fn compare_circuits(
    first: &Circuit,
    of_first: &BTreeSet<Node>,
    second: &Circuit,
    of_second: &BTreeSet<Node>,
) -> CircuitComparison {
    let aggregation = |c: &Circuit| c.conventions.spec.aggregation;
    let summed = aggregation(first) != aggregation(second);
    let hash = |c: &Circuit, site: Site| c.conventions.saes.get(&site).cloned();
    let sites = |c: &Circuit| c.conventions.saes.keys().copied().collect::<BTreeSet<_>>();
    let unlike: Vec<Site> = sites(first)
        .intersection(&sites(second))
        .copied()
        .filter(|site| hash(first, *site) != hash(second, *site))
        .collect();
    let other_model = first.conventions.model != second.conventions.model;
    let effects = |c: &Circuit, of: &BTreeSet<Node>| {
        let mut left_out = 0;
        let mut out: BTreeMap<Node, f64> = BTreeMap::new();
        for node in c.nodes.iter().filter(|n| of.contains(&n.node)) {
            if unlike.contains(&node.node.site) || other_model {
                left_out += 1;
                continue;
            }
            let mut key = node.node;
            if summed && aggregation(c) == Aggregation::PerPosition {
                key.position = None;
            }
            *out.entry(key).or_default() += node.effect.mean;
        }
        (out, left_out)
    };
    let (a, left_a) = effects(first, of_first);
    let (b, left_b) = effects(second, of_second);
    let mut both: Vec<_> = a.iter().filter_map(|(n, x)| b.get(n).map(|y| (*n, *x, *y))).collect();
    let size = |x: f64, y: f64| x.abs().max(y.abs());
    both.sort_by(|p, q| size(q.1, q.2).total_cmp(&size(p.1, p.2)).then(p.0.cmp(&q.0)));
    let alone = |of: &BTreeMap<Node, f64>, not: &BTreeMap<Node, f64>| {
        let mut alone: Vec<_> =
            of.iter().filter(|(n, _)| !not.contains_key(n)).map(|(n, x)| (*n, *x)).collect();
        alone.sort_by(|p, q| q.1.abs().total_cmp(&p.1.abs()).then(p.0.cmp(&q.0)));
        alone
    };
    let union = a.len() + b.len() - both.len();
    CircuitComparison {
        jaccard: (union > 0).then(|| both.len() as f64 / union as f64),
        correlation: correlation(&both),
        first: alone(&a, &b),
        second: alone(&b, &a),
        both,
        summed,
        unlike: if other_model { sites(first).into_iter().collect() } else { unlike },
        left_out: [left_a, left_b],
    }
}

fn correlation(pairs: &[(Node, f64, f64)]) -> Option<f64> {
    if pairs.len() < 3 {
        return None;
    }
    let n = pairs.len() as f64;
    let mean = |of: &dyn Fn(&(Node, f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (mx, my) = (mean(&|p| p.1), mean(&|p| p.2));
    let sum =
        |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|p| of(p.1 - mx, p.2 - my)).sum::<f64>();
    let (xy, xx, yy) = (sum(&|x, y| x * y), sum(&|x, _| x * x), sum(&|_, y| y * y));
    let r = xy / (xx * yy).sqrt();
    r.is_finite().then_some(r)
}

#[cfg(test)]
mod tests {
    use super::super::{CircuitNode, Estimate};
    use super::*;

    fn circuit(nodes: &[(&str, f64)], aggregation: Aggregation, hash: &str) -> Circuit {
        let one = |(text, mean): &(&str, f64)| CircuitNode {
            node: text.parse().unwrap(),
            effect: Estimate { mean: *mean, error: 0.0 },
            clean: 0.0,
            patch: 0.0,
            exact: None,
            stability: None,
        };
        let mut c = Circuit { nodes: nodes.iter().map(one).collect(), ..Circuit::default() };
        c.conventions.spec.aggregation = aggregation;
        c.conventions.saes.insert("mlp.0".parse().unwrap(), Some("one".into()));
        c.conventions.saes.insert("resid.0".parse().unwrap(), Some(hash.into()));
        c
    }

    fn all(c: &Circuit) -> BTreeSet<Node> {
        c.nodes.iter().map(|n| n.node).collect()
    }

    #[test]
    fn shared_and_single_nodes_are_counted() {
        let summed = Aggregation::Summed;
        let a = circuit(&[("mlp.0/1", 0.4), ("mlp.0/2", -0.1), ("resid.0/1", 1.0)], summed, "x");
        let b = circuit(&[("mlp.0/1", 0.2), ("resid.0/1", 0.5), ("resid.0/9", 3.0)], summed, "x");
        let c = compare_circuits(&a, &all(&a), &b, &all(&b));
        let both: Vec<_> = c.both.iter().map(|(n, x, y)| (n.to_string(), *x, *y)).collect();
        assert_eq!(both, [("resid.0/1".into(), 1.0, 0.5), ("mlp.0/1".into(), 0.4, 0.2)]);
        assert_eq!((c.first.len(), c.second.len(), c.jaccard), (1, 1, Some(0.5)));
        assert_eq!(c.correlation, None, "two points always lie on a line");
        let only = compare_circuits(&a, &BTreeSet::new(), &b, &all(&b));
        assert_eq!((only.both.len(), only.jaccard), (0, Some(0.0)));
        let same = compare_circuits(&a, &all(&a), &a, &all(&a));
        assert!((same.correlation.unwrap() - 1.0).abs() < 1e-12 && same.jaccard == Some(1.0));
    }

    #[test]
    fn what_cannot_be_compared_is_left_out_and_said() {
        let a = circuit(&[("mlp.0/1", 0.4), ("resid.0/1", 1.0)], Aggregation::Summed, "x");
        let b = circuit(
            &[("mlp.0/1@3", 0.2), ("mlp.0/1@4", 0.3), ("resid.0/1@4", 1.0)],
            Aggregation::PerPosition,
            "y",
        );
        let c = compare_circuits(&a, &all(&a), &b, &all(&b));
        assert!(c.summed);
        assert_eq!(c.both, [("mlp.0/1".parse().unwrap(), 0.4, 0.5)]);
        assert_eq!((c.unlike, c.left_out), (vec!["resid.0".parse().unwrap()], [1, 1]));
        let mut other = b.clone();
        other.conventions.model = "another".into();
        let c = compare_circuits(&a, &all(&a), &other, &all(&other));
        assert!(c.both.is_empty() && c.jaccard.is_none());
        assert_eq!(c.left_out, [2, 3]);
    }
}
