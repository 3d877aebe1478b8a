//! Where the nodes stand.

use super::{Graph, Kind};
use egui::{Pos2, Rect, Vec2, pos2, vec2};

/// Room for the rows' names at the left.
pub const LEFT: f32 = 74.0;
/// Room for the columns' names below, if they have any.
const BELOW: f32 = 30.0;
const TOP: f32 = 12.0;
const RIGHT: f32 = 14.0;
/// Height of the row of the output.
const METRIC: f32 = 44.0;
/// Between columns.
const GAP: f32 = 18.0;

/// Where everything stands, in points of a canvas of this size that shows the whole.
#[derive(Debug, Default)]
pub struct Layout {
    pub size: Vec2,
    /// A place for each node.
    pub places: Vec<Pos2>,
    /// Half the side or the radius of each node.
    pub radii: Vec<f32>,
    /// Half the size of each node that is drawn as a box; zero for the others.
    pub halves: Vec<Vec2>,
    /// From top to bottom of each row; the output's, if there is one, is the last.
    pub rows: Vec<(f32, f32)>,
    /// From left to right of each column.
    pub columns: Vec<(f32, f32)>,
    /// Smallest distance between nodes.
    pub pitch: f32,
}

impl Layout {
    pub fn middle(&self) -> Pos2 {
        Pos2::ZERO + self.size / 2.0
    }

    /// The curve of an edge: from, two handles, to.
    pub fn curve(&self, from: u32, to: u32) -> [Pos2; 4] {
        let place = |i: u32| self.places.get(i as usize).copied().unwrap_or_default();
        let (a, b) = (place(from), place(to));
        let bend = (a.y - b.y) * 0.5;
        [a, pos2(a.x, a.y - bend), pos2(b.x, b.y + bend), b]
    }
}

/// Places of the nodes of each row and column: the latents by their value, then the errors.
fn cells(graph: &Graph, rows: usize, columns: usize) -> Vec<Cell> {
    let mut cells: Vec<Cell> = (0..rows * columns).map(|_| Cell::default()).collect();
    for (i, node) in graph.nodes.iter().enumerate() {
        if node.kind == Kind::Metric {
            continue;
        }
        let cell = node.row.min(rows - 1) * columns + node.column.min(columns - 1);
        match node.kind {
            Kind::Error => cells[cell].errors.push(i),
            _ => cells[cell].nodes.push(i),
        }
    }
    for cell in &mut cells {
        // Strongest against at the left, strongest for at the right.
        let value = |i: &usize| graph.nodes[*i].value;
        cell.nodes.sort_by(|a, b| value(a).total_cmp(&value(b)).then(a.cmp(b)));
    }
    cells
}

#[derive(Default)]
struct Cell {
    nodes: Vec<usize>,
    errors: Vec<usize>,
}

/// Lays a graph out so that the whole of it fits into `size`.
pub fn lay_out(graph: &Graph, size: Vec2) -> Layout {
    let rows = graph.rows.len().max(1);
    let columns = graph.columns.len().max(1);
    let metric = graph.nodes.iter().any(|n| n.kind == Kind::Metric);
    let named = graph.columns.iter().any(|c| !c.is_empty());
    let (below, above) = (if named { BELOW } else { 10.0 }, if metric { METRIC } else { 0.0 });
    let field = Rect::from_min_max(
        pos2(LEFT, TOP + above),
        pos2((size.x - RIGHT).max(LEFT + 40.0), (size.y - below).max(TOP + above + 40.0)),
    );
    let cells = cells(graph, rows, columns);
    let errors = cells.iter().any(|c| !c.errors.is_empty());
    let widths = column_widths(&cells, rows, columns, field.width());
    // The greatest distance between nodes at which all of them fit.
    let (mut low, mut high) = (0.5_f32, 34.0_f32);
    for _ in 0..24 {
        let middle = (low + high) / 2.0;
        let need: f32 = row_heights(&cells, rows, columns, &widths, middle, errors).iter().sum();
        if need <= field.height() { low = middle } else { high = middle }
    }
    let pitch = low;
    let mut heights = row_heights(&cells, rows, columns, &widths, pitch, errors);
    let spare = (field.height() - heights.iter().sum::<f32>()).max(0.0) / rows as f32;
    heights.iter_mut().for_each(|h| *h += spare);

    let mut layout = Layout {
        size,
        places: vec![field.center(); graph.nodes.len()],
        radii: vec![0.0; graph.nodes.len()],
        pitch,
        ..Layout::default()
    };
    let mut bottom = field.bottom();
    for height in &heights {
        layout.rows.push((bottom - height, bottom));
        bottom -= height;
    }
    let mut left = field.left();
    for width in &widths {
        layout.columns.push((left, left + width));
        left += width;
    }
    for (c, cell) in cells.iter().enumerate() {
        let (top, bottom) = layout.rows[c / columns];
        let (left, right) = layout.columns[c % columns];
        let inner =
            Rect::from_min_max(pos2(left + GAP / 2.0, top), pos2(right - GAP / 2.0, bottom));
        place(cell, inner, pitch, errors, &mut layout.places);
    }
    if metric {
        layout.rows.push((TOP, TOP + METRIC));
        for (i, node) in graph.nodes.iter().enumerate() {
            if node.kind == Kind::Metric {
                layout.places[i] = pos2(field.center().x, TOP + METRIC * 0.42);
            }
        }
    }
    radii(graph, &mut layout);
    layout
}

fn column_widths(cells: &[Cell], rows: usize, columns: usize, whole: f32) -> Vec<f32> {
    let need = |c: usize| {
        let most = (0..rows).map(|r| cells[r * columns + c].nodes.len()).max().unwrap_or(0);
        let all: usize = (0..rows).map(|r| cells[r * columns + c].nodes.len()).sum();
        1.6 + (most as f32).sqrt() + (all as f32 / rows as f32).sqrt()
    };
    let needs: Vec<f32> = (0..columns).map(need).collect();
    let sum: f32 = needs.iter().sum();
    needs.into_iter().map(|n| n / sum * whole).collect()
}

/// What is left of a cell for latents once its error stands apart.
fn for_latents(width: f32, pitch: f32, errors: bool) -> f32 {
    let room = (width - GAP).max(4.0);
    let apart = if errors { (1.7 * pitch).min(room * 0.4) } else { 0.0 };
    (room - apart).max(2.0)
}

fn lines(nodes: usize, width: f32, pitch: f32) -> usize {
    let a_line = ((width / pitch) as usize).max(1);
    nodes.div_ceil(a_line).max(1)
}

fn row_heights(
    cells: &[Cell],
    rows: usize,
    columns: usize,
    widths: &[f32],
    pitch: f32,
    errors: bool,
) -> Vec<f32> {
    (0..rows)
        .map(|r| {
            let row = &cells[r * columns..(r + 1) * columns];
            if row.iter().all(|c| c.nodes.is_empty() && c.errors.is_empty()) {
                return (pitch * 0.9).min(16.0);
            }
            let most = row
                .iter()
                .zip(widths)
                .map(|(c, w)| lines(c.nodes.len(), for_latents(*w, pitch, errors), pitch))
                .max();
            // Room between rows, for the edges to be seen.
            pitch * (most.unwrap_or(1) as f32 + 0.7)
        })
        .collect()
}

fn place(cell: &Cell, inner: Rect, pitch: f32, errors: bool, places: &mut [Pos2]) {
    let width = for_latents(inner.width() + GAP, pitch, errors);
    let count = cell.nodes.len();
    let lines = lines(count, width, pitch);
    let across = count.div_ceil(lines).max(1);
    let step = (width / across as f32).min(pitch * 3.2);
    let apart = inner.width() - width;
    let middle = inner.left() + width / 2.0;
    for (k, i) in cell.nodes.iter().enumerate() {
        // Column by column, so that further right is always more.
        let (x, y) = (k / lines, k % lines);
        let offset = vec2(
            (x as f32 - (across - 1) as f32 / 2.0) * step,
            (y as f32 - (lines - 1) as f32 / 2.0) * pitch,
        );
        places[*i] = pos2(middle, inner.center().y) + offset;
    }
    // A site has one error a position; graphs of others may have more, which stay in their row too.
    let most = cell.errors.len();
    let between = (pitch * 0.8).min(inner.height() * 0.9 / most.max(1) as f32);
    for (k, i) in cell.errors.iter().enumerate() {
        // Apart from the latents: at the right, or beside them where they are few.
        let used = (across as f32 * step).min(width);
        let beside = middle + used / 2.0 + apart * 0.55;
        let x = if count == 0 { middle } else { beside.min(inner.right() - pitch * 0.3) };
        let y = (k as f32 - (most - 1) as f32 / 2.0) * between;
        places[*i] = pos2(x, inner.center().y + y);
    }
}

fn radii(graph: &Graph, layout: &mut Layout) {
    let values = graph.nodes.iter().filter(|n| n.kind != Kind::Metric).map(|n| n.value.abs());
    let largest = values.filter(|v| v.is_finite()).fold(0.0, f32::max);
    let full = if graph.full > 0.0 { graph.full } else { largest };
    let most = (layout.pitch * 0.5).clamp(1.6, 15.0);
    for (radius, node) in layout.radii.iter_mut().zip(&graph.nodes) {
        let share = if full > 0.0 { (node.value.abs() / full).min(1.0) } else { 0.0 };
        let share = if share.is_finite() { share } else { 0.0 };
        let size = most * (0.26 + 0.74 * share.sqrt());
        *radius = match node.kind {
            Kind::Latent => size,
            Kind::Error => size.max(most * 0.34) * 1.08,
            Kind::Group => (size * 1.05).max(most * 0.62),
            Kind::Metric => 13.0,
        };
    }
    let half = |(node, r): (&super::Node, &f32)| match node.kind {
        Kind::Latent | Kind::Error => Vec2::ZERO,
        Kind::Group => vec2(r * 1.55, r * 0.95),
        // Wide enough for its name.
        Kind::Metric => vec2(12.0 + 3.6 * node.label.chars().count() as f32, *r),
    };
    layout.halves = graph.nodes.iter().zip(&layout.radii).map(half).collect();
}
