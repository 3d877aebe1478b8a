//! What is under the pointer.

use super::layout::Layout;
use super::{Graph, growth};
use egui::{Pos2, Rect, Vec2};

/// Cells along each side.
const CELLS: usize = 64;
/// A node is hit this far beside it, in points on screen.
const BESIDE: f32 = 3.0;

/// Nodes by place.
#[derive(Debug, Default)]
pub struct Grid {
    size: Vec2,
    /// Nodes of cell c: `order[first[c]..first[c + 1]]`.
    first: Vec<u32>,
    order: Vec<u32>,
    largest: f32,
}

impl Grid {
    pub fn new(layout: &Layout, size: Vec2) -> Self {
        let mut grid = Self { size, ..Self::default() };
        let mut counts = vec![0u32; CELLS * CELLS + 1];
        for p in &layout.places {
            counts[grid.cell(*p) + 1] += 1;
        }
        for c in 0..CELLS * CELLS {
            counts[c + 1] += counts[c];
        }
        let mut next = counts.clone();
        grid.order = vec![0; layout.places.len()];
        for (i, p) in layout.places.iter().enumerate() {
            let at = &mut next[grid.cell(*p)];
            grid.order[*at as usize] = i as u32;
            *at += 1;
        }
        grid.first = counts;
        grid.largest = layout.radii.iter().copied().fold(0.0, f32::max);
        grid
    }

    fn column_row(&self, p: Pos2) -> (usize, usize) {
        let place = |v: f32, whole: f32| {
            ((v / whole.max(1.0) * CELLS as f32).max(0.0) as usize).min(CELLS - 1)
        };
        (place(p.x, self.size.x), place(p.y, self.size.y))
    }

    fn cell(&self, p: Pos2) -> usize {
        let (x, y) = self.column_row(p);
        y * CELLS + x
    }

    /// The node at `at`, a place of the layout, seen at this zoom; of several the nearest.
    pub fn node_at(&self, layout: &Layout, at: Pos2, zoom: f32, growth: f32) -> Option<u32> {
        if self.order.is_empty() {
            return None;
        }
        let reach = |i: u32| (layout.radii[i as usize] * growth + BESIDE) / zoom;
        let far = Vec2::splat((self.largest * growth * 2.2 + BESIDE) / zoom);
        let (x0, y0) = self.column_row(at - far);
        let (x1, y1) = self.column_row(at + far);
        (y0..=y1)
            .flat_map(|y| {
                let from = self.first[y * CELLS + x0] as usize;
                let to = self.first[y * CELLS + x1 + 1] as usize;
                &self.order[from..to]
            })
            .copied()
            .map(|i| (i, layout.places[i as usize].distance(at)))
            .filter(|(i, d)| *d <= reach(*i) || layout.wide(*i, at, zoom, growth))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(i, _)| i)
    }
}

impl Layout {
    /// Whether `at` is on the box of a node that is drawn wider than high.
    fn wide(&self, i: u32, at: Pos2, zoom: f32, growth: f32) -> bool {
        let Some(half) = self.halves.get(i as usize).filter(|h| h.x > 0.0) else { return false };
        let off = at - self.places[i as usize];
        let half = *half * growth / zoom;
        off.x.abs() <= half.x && off.y.abs() <= half.y
    }
}

/// The nodes whose middle lies in a frame, ascending.
pub fn within(layout: &Layout, frame: Rect) -> Vec<u32> {
    let inside = |i: &u32| frame.contains(layout.places[*i as usize]);
    (0..layout.places.len() as u32).filter(inside).collect()
}

/// The edge nearest to `at` that is no farther than `reach`.
pub fn edge_at(graph: &Graph, layout: &Layout, at: Pos2, reach: f32) -> Option<u32> {
    const STEPS: usize = 14;
    let mut best: Option<(u32, f32)> = None;
    for (i, edge) in graph.edges.iter().enumerate() {
        let curve = layout.curve(edge.from, edge.to);
        let bounds = Rect::from_points(&curve).expand(reach);
        if !bounds.contains(at) {
            continue;
        }
        let mut from = curve[0];
        for k in 1..=STEPS {
            let to = super::mesh::on_curve(&curve, k as f32 / STEPS as f32);
            let d = distance(at, from, to);
            // Of those that cross here the strongest.
            if d <= reach && best.is_none_or(|(_, w)| edge.weight.abs() > w) {
                best = Some((i as u32, edge.weight.abs()));
            }
            from = to;
        }
    }
    best.map(|(i, _)| i)
}

fn distance(p: Pos2, a: Pos2, b: Pos2) -> f32 {
    let (ab, ap) = (b - a, p - a);
    let t = (ap.dot(ab) / ab.length_sq().max(1e-9)).clamp(0.0, 1.0);
    (ap - ab * t).length()
}

/// Radius of a node on screen.
pub fn on_screen(radius: f32, zoom: f32) -> f32 {
    radius * growth(zoom)
}
