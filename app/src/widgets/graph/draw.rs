//! Drawing: rows and columns, edges, nodes, what the pointer is on.

use super::layout::{LEFT, Layout};
use super::{Canvas, Edge, Graph, Kind, Look, Mark, Transform, View, labels, mesh, pick};
use crate::fonts::drawable;
use crate::format;
use crate::theme::{Palette, palette};
use egui::epaint::{CubicBezierShape, Mesh};
use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Shape, Stroke, Ui, pos2, vec2};
use std::sync::Arc;

/// Edges beside the one under the pointer whose weights are told.
const TOLD: usize = 14;

/// Another zoom than that of the mesh is drawn by stretching it, up to this much.
const STRETCH: std::ops::RangeInclusive<f32> = 0.8..=1.25;

/// The colours of values, by sign and size.
#[derive(Debug, Clone, Copy)]
pub struct Palettes<'a>(pub &'a Palette);

impl Palettes<'_> {
    /// The colour of a node whose value is `share` (−1 to 1) of the largest.
    pub fn node(self, share: f32) -> Color32 {
        let p = self.0;
        let neutral = p.card.lerp_to_gamma(p.weak, 0.55);
        let full = if share < 0.0 { p.below } else { p.above };
        match share.is_finite() {
            true => neutral.lerp_to_gamma(full, 0.3 + 0.7 * share.abs().min(1.0).sqrt()),
            false => p.faint,
        }
    }

    /// The colour of an edge whose weight is `share` (−1 to 1) of the largest.
    pub fn edge(self, share: f32) -> Color32 {
        let p = self.0;
        let full = if share < 0.0 { p.below } else { p.above };
        full.gamma_multiply(0.10 + 0.62 * share.abs().min(1.0).powf(0.6))
    }
}

/// Width of an edge whose weight is this share of the largest.
fn width(share: f32) -> f32 {
    0.55 + 3.6 * share.abs().min(1.0).powf(0.8)
}

/// What a mesh was made for.
#[derive(Debug)]
pub struct Base {
    mesh: Mesh,
    key: (u64, u64, bool),
    view: View,
    /// Corner of the canvas it was made for.
    corner: Pos2,
}

struct Pen<'a> {
    graph: &'a Graph,
    layout: &'a Layout,
    marks: &'a [Mark],
    to: Transform,
    palette: &'a Palette,
    full: f32,
    full_edge: f32,
}

impl<'a> Pen<'a> {
    fn new(
        graph: &'a Graph,
        layout: &'a Layout,
        marks: &'a [Mark],
        to: Transform,
        palette: &'a Palette,
    ) -> Self {
        let nodes = graph.nodes.iter().filter(|n| n.kind != Kind::Metric).map(|n| n.value.abs());
        let largest = nodes.filter(|v| v.is_finite()).fold(0.0, f32::max);
        let full = if graph.full > 0.0 { graph.full } else { largest };
        let weights = graph.edges.iter().map(|e| e.weight.abs()).filter(|w| w.is_finite());
        let full_edge = weights.fold(0.0, f32::max);
        let one = |v: f32| if v > 0.0 { v } else { 1.0 };
        Self { graph, layout, marks, to, palette, full: one(full), full_edge: one(full_edge) }
    }

    fn mark(&self, i: usize) -> Mark {
        self.marks.get(i).copied().unwrap_or_default()
    }

    fn at(&self, i: u32) -> Pos2 {
        self.to.to_screen(self.layout.places[i as usize])
    }

    fn radius(&self, i: usize) -> f32 {
        pick::on_screen(self.layout.radii[i], self.to.view.zoom)
    }

    fn curve(&self, edge: &Edge) -> [Pos2; 4] {
        self.layout.curve(edge.from, edge.to).map(|p| self.to.to_screen(p))
    }

    fn edge_width(&self, share: f32) -> f32 {
        // Not wider than the nodes they join.
        let most = (self.layout.pitch / 22.0).clamp(0.45, 1.0);
        width(share) * most * self.to.growth().clamp(0.7, 2.0)
    }

    /// The edges that `wanted` takes with their shares of the largest weight, the strongest last.
    fn edges(&self, wanted: impl Fn(&Edge) -> bool) -> Vec<(u32, f32)> {
        let share = |e: &Edge| e.weight / self.full_edge;
        let count = self.layout.places.len() as u32;
        let mut edges: Vec<(u32, f32)> = (0_u32..)
            .zip(&self.graph.edges)
            .filter(|(_, e)| wanted(e) && e.weight.is_finite() && e.from < count && e.to < count)
            .map(|(i, e)| (i, share(e)))
            .collect();
        edges.sort_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
        edges
    }

    fn edge_color(&self, edge: &Edge, share: f32) -> Color32 {
        // Where there are very many, the weak ones step back further.
        let crowd = (self.graph.edges.len() as f32 / 400.0).max(1.0).ln();
        let back = share.abs().min(1.0).powf(0.42 * crowd) * (1.0 - 0.12 * crowd).max(0.5);
        let color = Palettes(self.palette).edge(share).gamma_multiply(back);
        let gone = |i: u32| {
            let mark = self.mark(i as usize);
            mark.dimmed || mark.cut
        };
        if gone(edge.from) || gone(edge.to) { color.gamma_multiply(0.3) } else { color }
    }

    fn node_color(&self, i: usize) -> Color32 {
        let color = Palettes(self.palette).node(self.graph.nodes[i].value / self.full);
        let ground = self.palette.card;
        if self.mark(i).dimmed { ground.lerp_to_gamma(color, 0.25) } else { color }
    }

    /// Corners of a node grown by `by`.
    fn corners(&self, i: usize, by: f32) -> Vec<Pos2> {
        let (at, r) = (self.at(i as u32), self.radius(i) + by);
        match self.graph.nodes[i].kind {
            Kind::Latent => mesh::circle(at, r),
            Kind::Error => mesh::diamond(at, r).to_vec(),
            Kind::Group | Kind::Metric => {
                let half = self.layout.halves[i] * self.to.growth() + vec2(by, by);
                mesh::rounded(at, half, 5.0 + by)
            }
        }
    }

    fn everything(&self) -> Mesh {
        let mut out = Mesh::default();
        let edges = self.edges(|_| true);
        out.vertices.reserve(edges.len() * 46 + self.graph.nodes.len() * 40);
        for (i, share) in edges {
            let edge = &self.graph.edges[i as usize];
            let color = self.edge_color(edge, share);
            // What nobody would see.
            if color.a() < 3 {
                continue;
            }
            mesh::ribbon(&mut out, &self.curve(edge), self.edge_width(share), color);
        }
        // The smallest on top: they would vanish under large neighbours.
        let mut order: Vec<usize> = (0..self.graph.nodes.len()).collect();
        order.sort_by(|a, b| self.layout.radii[*b].total_cmp(&self.layout.radii[*a]));
        for i in order {
            self.node(&mut out, i);
        }
        out
    }

    fn node(&self, out: &mut Mesh, i: usize) {
        let (p, mark, node) = (self.palette, self.mark(i), &self.graph.nodes[i]);
        let color = self.node_color(i);
        if node.kind == Kind::Metric {
            mesh::polygon(out, &self.corners(i, 0.0), p.accent_ground);
            mesh::outline(out, &self.corners(i, 0.0), 1.4, p.accent);
            return;
        }
        // Parts it from the edges behind it.
        mesh::polygon(out, &self.corners(i, 1.3), p.card);
        if mark.cut {
            mesh::polygon(out, &self.corners(i, 0.0), p.card);
            mesh::outline(out, &self.corners(i, -1.6), 1.6, p.bad);
            let r = (self.radius(i) * 0.62).max(2.5);
            let at = self.at(i as u32);
            for (x, y) in [(1.0, 1.0), (1.0, -1.0)] {
                let by = vec2(x, y) * r;
                let line = [at - by, at - by * 0.3, at + by * 0.3, at + by];
                mesh::ribbon(out, &line, 1.8, p.bad);
            }
        } else if matches!(node.kind, Kind::Latent) {
            mesh::disc(out, self.at(i as u32), self.radius(i), color);
        } else {
            mesh::polygon(out, &self.corners(i, 0.0), color);
        }
        if mark.pinned {
            mesh::outline(out, &self.corners(i, 1.6), 1.6, p.accent);
        }
        if mark.selected || mark.chosen {
            mesh::outline(out, &self.corners(i, if mark.pinned { 4.0 } else { 1.6 }), 2.0, p.text);
        }
    }
}

/// Draws the graph.
pub fn draw(
    ui: &Ui,
    canvas: &mut Canvas,
    graph: &Graph,
    version: u64,
    look: &Look<'_>,
    rect: Rect,
    over_edge: Option<u32>,
) {
    let p = palette(ui);
    let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
    let to = canvas.transform(rect);
    let over = canvas.over;
    ground(&painter, canvas, graph, to, p);
    let taking = crate::picture::is_taking(ui.ctx());
    if taking {
        let pen = Pen::new(graph, &canvas.layout, look.marks, to, p);
        painter.extend(shapes(&pen));
    } else {
        refresh(canvas, graph, (version, look.version, p == crate::theme::of(true)), look, to, p);
        // Within a clip rectangle of its own it is not put together with the texts that follow: of
        // so large a mesh that would take twice the time.
        let own = painter.with_clip_rect(painter.clip_rect().expand(0.2));
        own.add(Shape::Mesh(canvas.shown.clone()));
    }
    let dimmed = |i: usize| look.marks.get(i).is_some_and(|m| m.dimmed);
    let mut given = std::mem::take(&mut canvas.labels);
    given.give(&painter, graph, &canvas.layout, to, (version, look.version), &dimmed);
    let color = |i: u32| if dimmed(i as usize) { p.faint } else { p.text };
    let halo = p.card.gamma_multiply(0.72);
    given.draw(&painter, &canvas.layout, to, color, halo);
    canvas.labels = given;
    let pen = Pen::new(graph, &canvas.layout, look.marks, to, p);
    metric_name(&painter, &pen);
    let hovering = over.is_some() || over_edge.is_some();
    canvas.veil = ui.ctx().animate_bool_with_time(
        ui.scope_id().with("graph veil"),
        hovering && !taking,
        0.09,
    );
    if hovering && !taking {
        let veil = p.card.gamma_multiply(0.74 * canvas.veil);
        painter.rect_filled(rect, 0.0, veil);
        match (over, over_edge) {
            (Some(over), _) => beside(&painter, &pen, over),
            (None, Some(edge)) => one_edge(&painter, &pen, edge),
            (None, None) => {}
        }
    }
    axes(&painter, canvas, graph, to, p);
    if let (Some(from), Some(until)) = (canvas.frame_from, ui.input(|i| i.pointer.latest_pos())) {
        let frame = Rect::from_two_pos(to.to_screen(from), until);
        painter.rect(
            frame,
            3.0,
            p.accent.gamma_multiply(0.12),
            Stroke::new(1.4, p.accent),
            egui::StrokeKind::Inside,
        );
    }
}

/// Makes the mesh anew if the graph has changed or the zoom has settled, else moves it.
fn refresh(
    canvas: &mut Canvas,
    graph: &Graph,
    key: (u64, u64, bool),
    look: &Look<'_>,
    to: Transform,
    p: &Palette,
) {
    let corner = to.rect.min;
    let zooming = canvas.shown_at.is_some_and(|(view, _)| view.zoom != to.view.zoom);
    let good = canvas.base.as_ref().is_some_and(|base| {
        let stretch = to.view.zoom / base.view.zoom;
        base.key == key && (stretch == 1.0 || zooming && STRETCH.contains(&stretch))
    });
    if !good {
        let pen = Pen::new(graph, &canvas.layout, look.marks, to, p);
        canvas.base = Some(Base { mesh: pen.everything(), key, view: to.view, corner });
        canvas.shown_at = None;
    }
    if canvas.shown_at == Some((to.view, corner)) {
        return;
    }
    let Some(base) = &canvas.base else { return };
    // A place was at `was`, and is at `was * scale + by`.
    let was = Transform { rect: to.rect.translate(base.corner - corner), view: base.view, ..to };
    let scale = to.view.zoom / base.view.zoom;
    let by = to.to_screen(to.middle) - (was.to_screen(to.middle).to_vec2() * scale);
    let shown = Arc::make_mut(&mut canvas.shown);
    shown.texture_id = base.mesh.texture_id;
    shown.indices.clone_from(&base.mesh.indices);
    shown.vertices.clone_from(&base.mesh.vertices);
    for v in &mut shown.vertices {
        v.pos = (v.pos.to_vec2() * scale).to_pos2() + by.to_vec2();
    }
    canvas.shown_at = Some((to.view, corner));
}

/// Everything as single shapes, for a picture.
fn shapes(pen: &Pen<'_>) -> Vec<Shape> {
    let mut out = Vec::new();
    for (i, share) in pen.edges(|_| true) {
        let edge = &pen.graph.edges[i as usize];
        let stroke = Stroke::new(pen.edge_width(share), pen.edge_color(edge, share));
        let curve = pen.curve(edge);
        out.push(
            CubicBezierShape::from_points_stroke(curve, false, Color32::TRANSPARENT, stroke).into(),
        );
    }
    let p = pen.palette;
    let mut order: Vec<usize> = (0..pen.graph.nodes.len()).collect();
    order.sort_by(|a, b| pen.layout.radii[*b].total_cmp(&pen.layout.radii[*a]));
    for i in order {
        let (mark, node) = (pen.mark(i), &pen.graph.nodes[i]);
        let closed = |by: f32, fill: Color32, stroke: Stroke| -> Shape {
            if node.kind == Kind::Latent {
                let (at, r) = (pen.at(i as u32), pen.radius(i) + by);
                return Shape::Circle(egui::epaint::CircleShape {
                    center: at,
                    radius: r,
                    fill,
                    stroke,
                });
            }
            Shape::convex_polygon(pen.corners(i, by), fill, stroke)
        };
        if node.kind == Kind::Metric {
            out.push(closed(0.0, p.accent_ground, Stroke::new(1.4, p.accent)));
            continue;
        }
        let ring = Stroke::new(1.2, p.card);
        if mark.cut {
            out.push(closed(0.0, p.card, Stroke::new(1.6, p.bad)));
            let (at, r) = (pen.at(i as u32), (pen.radius(i) * 0.62).max(2.5));
            for (x, y) in [(1.0, 1.0), (1.0, -1.0)] {
                let by = vec2(x, y) * r;
                out.push(Shape::line_segment([at - by, at + by], Stroke::new(1.8, p.bad)));
            }
        } else {
            out.push(closed(0.0, pen.node_color(i), ring));
        }
        if mark.pinned {
            out.push(closed(1.6, Color32::TRANSPARENT, Stroke::new(1.6, p.accent)));
        }
        if mark.selected || mark.chosen {
            let by = if mark.pinned { 4.0 } else { 1.6 };
            out.push(closed(by, Color32::TRANSPARENT, Stroke::new(2.0, p.text)));
        }
    }
    out
}

/// The bands of rows and the lines between columns.
fn ground(painter: &Painter, canvas: &Canvas, graph: &Graph, to: Transform, p: &Palette) {
    let rect = to.rect;
    painter.rect_filled(rect, 9.0, p.card);
    let layout = &canvas.layout;
    for (r, (top, bottom)) in layout.rows.iter().enumerate().take(graph.rows.len()) {
        if graph.bands.get(r).copied().unwrap_or(0) % 2 == 1 {
            let y = |v: f32| to.to_screen(pos2(0.0, v)).y;
            let band =
                Rect::from_min_max(pos2(rect.left(), y(*top)), pos2(rect.right(), y(*bottom)));
            painter.rect_filled(band, 0.0, p.well);
        }
    }
    if let (Some(first), Some(last)) = (layout.rows.first(), layout.rows.last()) {
        for (left, _) in layout.columns.iter().skip(1) {
            let (from, until) = (pos2(*left, last.0), pos2(*left, first.1));
            let line = [to.to_screen(from), to.to_screen(until)];
            painter.line_segment(line, Stroke::new(1.0, p.line.gamma_multiply(0.6)));
        }
    }
}

/// The names of rows and columns: they stay at the edge when the graph is moved.
fn axes(painter: &Painter, canvas: &Canvas, graph: &Graph, to: Transform, p: &Palette) {
    let rect = to.rect;
    let layout = &canvas.layout;
    let moved = to.view != View::default();
    let gutter = Rect::from_min_max(rect.min, pos2(rect.left() + LEFT - 8.0, rect.bottom()));
    if moved {
        let ground = p.card.gamma_multiply(0.86);
        painter.rect_filled(
            gutter,
            egui::CornerRadius { nw: 9, sw: 9, ..Default::default() },
            ground,
        );
    }
    let font = FontId::monospace(11.5);
    let mut free = f32::INFINITY;
    for (name, (top, bottom)) in graph.rows.iter().zip(&layout.rows) {
        let y = to.to_screen(pos2(0.0, (top + bottom) / 2.0)).y;
        // From the bottom up; where rows are too low for their names, every other one has its own.
        if y > free - 13.0 || y < rect.top() + 8.0 || y > rect.bottom() - 8.0 {
            continue;
        }
        free = y;
        let at = pos2(rect.left() + LEFT - 16.0, y);
        painter.text(at, Align2::RIGHT_CENTER, name, font.clone(), p.weak);
    }
    if graph.columns.iter().all(String::is_empty) {
        return;
    }
    let bottom = layout.rows.first().map_or(0.0, |r| r.1);
    let y =
        (to.to_screen(pos2(0.0, bottom)).y + 15.0).clamp(rect.top() + 15.0, rect.bottom() - 15.0);
    if moved {
        let strip = Rect::from_min_max(pos2(rect.left(), y - 13.0), pos2(rect.right(), y + 15.0));
        painter.rect_filled(strip, 0.0, p.card.gamma_multiply(0.9));
    }
    for (name, (left, right)) in graph.columns.iter().zip(&layout.columns) {
        let x = |v: f32| to.to_screen(pos2(v, 0.0)).x;
        let (middle, wide) = (x((left + right) / 2.0), x(*right) - x(*left));
        if middle < gutter.right() || middle > rect.right() {
            continue;
        }
        let text = drawable(painter.ctx(), &FontId::monospace(12.5), name).into_owned();
        let most = ((wide - 6.0) / 7.6).max(1.0) as usize;
        let text = labels::short(&text, most);
        painter.text(pos2(middle, y), Align2::CENTER_CENTER, text, FontId::monospace(12.5), p.text);
    }
}

fn metric_name(painter: &Painter, pen: &Pen<'_>) {
    for (i, node) in pen.graph.nodes.iter().enumerate() {
        if node.kind == Kind::Metric {
            let at = pen.at(i as u32);
            let size = 12.5 * pen.to.growth().clamp(0.8, 1.4);
            let font = FontId::new(size, crate::theme::strong_family());
            painter.text(at, Align2::CENTER_CENTER, &node.label, font, pen.palette.text);
        }
    }
}

/// What the node under the pointer acts on and what acts on it, over the veil.
fn beside(painter: &Painter, pen: &Pen<'_>, over: u32) {
    let edges = pen.edges(|e| e.from == over || e.to == over);
    let mut out = Mesh::default();
    for (i, share) in &edges {
        let edge = &pen.graph.edges[*i as usize];
        let full = if *share < 0.0 { pen.palette.below } else { pen.palette.above };
        let color = full.gamma_multiply(0.45 + 0.55 * share.abs().sqrt());
        mesh::ribbon(&mut out, &pen.curve(edge), pen.edge_width(*share) + 0.4, color);
    }
    for (i, _) in &edges {
        let edge = &pen.graph.edges[*i as usize];
        pen.node(&mut out, if edge.from == over { edge.to } else { edge.from } as usize);
    }
    pen.node(&mut out, over as usize);
    if pen.graph.nodes[over as usize].kind != Kind::Metric {
        mesh::outline(&mut out, &pen.corners(over as usize, 2.0), 2.0, pen.palette.text);
    }
    painter.add(Shape::mesh(out));
    metric_name(painter, pen);
    // The strongest first: weights that would lie on others are left out.
    let mut taken: Vec<Rect> = vec![Rect::from_center_size(pen.at(over), vec2(30.0, 16.0))];
    for (i, _) in edges.iter().rev().take(TOLD) {
        let edge = &pen.graph.edges[*i as usize];
        let other = if edge.from == over { edge.to } else { edge.from };
        tell(painter, pen, other, edge.weight, &mut taken);
    }
}

/// Writes a weight beside a node.
fn tell(painter: &Painter, pen: &Pen<'_>, node: u32, weight: f32, taken: &mut Vec<Rect>) {
    let p = pen.palette;
    let color = if weight < 0.0 { p.below } else { p.above };
    let galley = painter.layout_no_wrap(signed(weight), FontId::monospace(11.5), color);
    let half = pen.layout.halves[node as usize].x * pen.to.growth();
    let r = pen.radius(node as usize).max(half) + 4.0;
    let at = pen.at(node) + vec2(r, -galley.size().y / 2.0);
    let rect = Rect::from_min_size(at, galley.size());
    if !taken.iter().any(|t| t.intersects(rect)) {
        taken.push(rect);
        labels::with_halo(painter, at, &galley, color, p.card.gamma_multiply(0.85));
    }
}

fn one_edge(painter: &Painter, pen: &Pen<'_>, edge: u32) {
    let Some(edge) = pen.graph.edges.get(edge as usize) else { return };
    let share = edge.weight / pen.full_edge;
    let color = if share < 0.0 { pen.palette.below } else { pen.palette.above };
    let curve = pen.curve(edge);
    let mut out = Mesh::default();
    mesh::ribbon(&mut out, &curve, pen.edge_width(share) + 1.0, color);
    pen.node(&mut out, edge.from as usize);
    pen.node(&mut out, edge.to as usize);
    painter.add(Shape::mesh(out));
    metric_name(painter, pen);
    let galley = painter.layout_no_wrap(signed(edge.weight), FontId::monospace(12.0), color);
    let at = mesh::on_curve(&curve, 0.5) + vec2(8.0, -galley.size().y / 2.0);
    labels::with_halo(painter, at, &galley, color, pen.palette.card.gamma_multiply(0.9));
}

/// A number with its sign: `+0.12`, `−0.4`.
pub fn signed(x: f32) -> String {
    let size = format::figure(f64::from(x.abs()));
    match x {
        x if x < 0.0 => format!("−{size}"),
        x if x > 0.0 => format!("+{size}"),
        _ => size,
    }
}
