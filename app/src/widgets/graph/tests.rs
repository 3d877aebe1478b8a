use super::*;
use egui::vec2;

/// A graph of `n` nodes in `rows` rows and `columns` columns.
pub fn graph_of(n: usize, rows: usize, columns: usize) -> Graph {
    let value = |i: usize| {
        let size = ((i * 7919 + 13) % 997) as f32 / 997.0;
        size.powi(3) * if i.is_multiple_of(3) { -1.0 } else { 1.0 }
    };
    let mut nodes: Vec<Node> = (0..n)
        .map(|i| Node {
            row: i * 31 % rows,
            column: i * 17 % columns,
            value: value(i),
            kind: if i % 11 == 4 { Kind::Error } else { Kind::Latent },
            label: format!("node {i}"),
        })
        .collect();
    nodes.push(Node { kind: Kind::Metric, row: rows, label: "F".into(), ..Node::default() });
    let edge = |i: usize| Edge {
        from: (i * 13 % n) as u32,
        to: (i * 29 % (n + 1)) as u32,
        weight: value(i + 5),
    };
    Graph {
        columns: (0..columns).map(|c| format!("token{c}")).collect(),
        rows: (0..rows).map(|r| format!("resid.{r}")).collect(),
        bands: (0..rows).collect(),
        edges: (0..3 * n).map(edge).collect(),
        nodes,
        full: 0.0,
    }
}

#[test]
fn nodes_stay_in_their_row_and_column_and_apart() {
    for (n, rows, columns) in [(20, 5, 3), (300, 13, 7), (1000, 13, 8), (1000, 13, 1), (7, 79, 1)] {
        let graph = graph_of(n, rows, columns);
        let layout = layout::lay_out(&graph, vec2(900.0, 560.0));
        for (i, node) in graph.nodes.iter().enumerate().take(n) {
            let at = layout.places[i];
            let ((top, bottom), (left, right)) =
                (layout.rows[node.row], layout.columns[node.column]);
            assert!(at.y > top && at.y < bottom, "row of {i} of {n}: {at:?} in {top}..{bottom}");
            assert!(at.x > left && at.x < right, "column of {i} of {n}: {at:?}");
        }
        let mut nearest = f32::INFINITY;
        for i in 0..n {
            for j in 0..i {
                nearest = nearest.min(layout.places[i].distance(layout.places[j]));
            }
        }
        assert!(nearest > 0.28 * layout.pitch, "{n} nodes: {nearest} of {}", layout.pitch);
        let whole = Rect::from_min_size(Pos2::ZERO, vec2(900.0, 560.0));
        assert!(layout.places.iter().all(|p| whole.contains(*p)));
    }
}

#[test]
fn the_node_under_the_pointer_is_that_of_looking_at_each() {
    let graph = graph_of(600, 13, 6);
    let size = vec2(900.0, 560.0);
    let layout = layout::lay_out(&graph, size);
    let grid = pick::Grid::new(&layout, size);
    let mut hits = 0;
    for k in 0..3000 {
        let at = egui::pos2((k * 37 % 911) as f32 - 5.0, (k * 53 % 571) as f32 - 5.0);
        for zoom in [1.0, 3.0] {
            let found = grid.node_at(&layout, at, zoom, growth(zoom));
            let reach = |i: usize| (layout.radii[i] * growth(zoom) + 3.0) / zoom;
            let near = (0..600)
                .map(|i| (i, layout.places[i].distance(at)))
                .filter(|(i, d)| *d <= reach(*i))
                .min_by(|a, b| a.1.total_cmp(&b.1));
            if found == Some(600) {
                continue;
            }
            assert_eq!(found, near.map(|(i, _)| i as u32), "{at:?} at {zoom}");
            hits += usize::from(found.is_some());
        }
    }
    assert!(hits > 300, "{hits} hits say little");
}

#[test]
fn what_is_worth_nothing_breaks_nothing() {
    let mut graph = graph_of(5, 2, 1);
    graph.nodes[0].value = f32::NAN;
    graph.edges[0].weight = f32::NAN;
    graph.edges.push(Edge { from: 900, to: 3, weight: 1.0 });
    for size in [vec2(900.0, 500.0), vec2(10.0, 10.0), vec2(100.0, 0.0)] {
        let layout = layout::lay_out(&graph, size);
        assert!(layout.places.iter().all(|p| p.x.is_finite() && p.y.is_finite()));
        assert!(layout.radii.iter().all(|r| r.is_finite()));
    }
    let none = layout::lay_out(&Graph::default(), vec2(300.0, 200.0));
    assert!(none.places.is_empty());
}

#[test]
fn a_frame_takes_what_lies_in_it() {
    let graph = graph_of(100, 5, 3);
    let layout = layout::lay_out(&graph, vec2(900.0, 560.0));
    let all = pick::within(&layout, Rect::from_min_size(Pos2::ZERO, vec2(900.0, 560.0)));
    assert_eq!(all.len(), 101);
    let one = layout.places[7];
    assert_eq!(pick::within(&layout, Rect::from_center_size(one, vec2(0.5, 0.5))), [7]);
}

#[test]
fn a_stretched_text_is_short() {
    assert_eq!(short("agreement across a relative clause", 12), "agreement ac…");
    assert_eq!(short("열쇠\nsecond line", 12), "열쇠");
    assert_eq!((signed(-0.25).as_str(), signed(0.1).as_str()), ("−0.250", "+0.100"));
}
