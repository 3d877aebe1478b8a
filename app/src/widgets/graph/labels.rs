//! Names beside nodes, where there is room for them.

use super::layout::{LEFT, Layout};
use super::{Graph, Kind, Transform, pick};
use egui::{Color32, FontId, Galley, Painter, Pos2, Rect, Vec2, pos2, vec2};
use std::sync::Arc;

/// Most names at a time.
const MOST: usize = 160;
/// Names tried at most.
const TRIED: usize = 700;

/// Names that were given room, for one zoom and one graph.
#[derive(Debug, Default)]
pub struct Labels {
    made_for: Option<(f32, u64, u64)>,
    /// Node, text, and the middle of its left edge from the node's middle, in points on screen. A
    /// text is laid out anew in each frame, from the library's own memory of texts: one that is
    /// kept loses its letters when these are drawn anew, as for another theme.
    given: Vec<(u32, String, FontId, Vec2)>,
}

impl Labels {
    /// Gives room, the largest nodes first, unless that was done for this zoom and version.
    pub fn give(
        &mut self,
        painter: &Painter,
        graph: &Graph,
        layout: &Layout,
        to: Transform,
        versions: (u64, u64),
        dimmed: &dyn Fn(usize) -> bool,
    ) {
        let made_for = Some((to.view.zoom, versions.0, versions.1));
        if self.made_for == made_for {
            return;
        }
        self.made_for = made_for;
        self.given.clear();
        let zoom = to.view.zoom;
        let radius = |i: usize| {
            let wide = layout.halves.get(i).map_or(0.0, |h| h.x);
            pick::on_screen(layout.radii[i].max(wide), zoom)
        };
        let mut order: Vec<usize> = (0..graph.nodes.len())
            .filter(|i| !graph.nodes[*i].label.is_empty() && graph.nodes[*i].kind != Kind::Metric)
            .collect();
        let size = |i: usize| match (graph.nodes[i].kind, dimmed(i)) {
            (Kind::Group, false) => f32::INFINITY,
            (_, true) => -1.0,
            _ => graph.nodes[i].value.abs(),
        };
        order.sort_by(|a, b| size(*b).total_cmp(&size(*a)).then(a.cmp(b)));
        // Room is kept track of in points on screen, from the layout's corner.
        let place = |i: usize| (layout.places[i].to_vec2() * zoom).to_pos2();
        let mut room = Room::new(layout.size * zoom);
        for i in 0..graph.nodes.len() {
            let half = layout.halves.get(i).copied().unwrap_or_default();
            let r = pick::on_screen(layout.radii[i], zoom);
            let half = match half.x > 0.0 {
                true => half * to.growth(),
                false => Vec2::splat(r),
            };
            room.take(Rect::from_center_size(place(i), half * 2.0));
        }
        // Where nodes are many and small, only the largest are named until one looks nearer.
        let near = layout.pitch * zoom.max(0.5);
        let most = ((near / 16.0).powi(2) * 90.0).clamp(24.0, MOST as f32) as usize;
        let left = LEFT * zoom.min(1.0);
        for i in order.into_iter().take(TRIED) {
            let font = FontId::proportional(if zoom > 2.0 { 12.0 } else { 11.0 });
            let text = short(&graph.nodes[i].label, if zoom > 2.5 { 60 } else { 26 });
            let galley = painter.layout_no_wrap(text.clone(), font.clone(), Color32::PLACEHOLDER);
            let (size, r) = (galley.size(), radius(i) + 3.0);
            let at = place(i);
            let beside = [
                vec2(r, 0.0),
                vec2(-r - size.x, 0.0),
                vec2(-size.x / 2.0, r + size.y / 2.0 - 2.0),
                vec2(-size.x / 2.0, -r - size.y / 2.0 + 2.0),
            ];
            let whole = layout.size * zoom;
            let free = beside.into_iter().find(|offset| {
                let rect = Rect::from_min_size(at + *offset - vec2(0.0, size.y / 2.0), size);
                let seen = rect.left() >= left && rect.right() <= whole.x && rect.top() >= 0.0;
                seen && room.is_free(rect.shrink2(vec2(0.0, 1.0)))
            });
            if let Some(offset) = free {
                room.take(Rect::from_min_size(at + offset - vec2(0.0, size.y / 2.0), size));
                self.given.push((i as u32, text, font, offset));
                if self.given.len() >= most {
                    break;
                }
            }
        }
    }

    /// Draws them.
    pub fn draw(
        &self,
        painter: &Painter,
        layout: &Layout,
        to: Transform,
        color: impl Fn(u32) -> Color32,
        halo: Color32,
    ) {
        for (i, text, font, offset) in &self.given {
            let at = to.to_screen(layout.places[*i as usize]) + *offset;
            if painter.clip_rect().expand2(vec2(200.0, 20.0)).contains(at) {
                let galley =
                    painter.layout_no_wrap(text.clone(), font.clone(), Color32::PLACEHOLDER);
                let at = pos2(at.x, at.y - galley.size().y / 2.0);
                with_halo(painter, at, &galley, color(*i), halo);
            }
        }
    }
}

/// Draws a text over a soft ground that parts it from the lines behind.
pub fn with_halo(painter: &Painter, at: Pos2, galley: &Arc<Galley>, color: Color32, halo: Color32) {
    let ground = Rect::from_min_size(at, galley.size()).expand2(vec2(2.0, -1.0));
    painter.rect_filled(ground, 3.0, halo);
    painter.galley_with_override_text_color(at, galley.clone(), color);
}

/// At most so many characters, with an ellipsis where some are left out.
pub fn short(text: &str, most: usize) -> String {
    let one_line = text.lines().next().unwrap_or_default();
    match one_line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", one_line[..end].trim_end()),
        None => one_line.to_owned(),
    }
}

/// What is taken, in cells.
struct Room {
    columns: usize,
    rows: usize,
    cells: Vec<Vec<Rect>>,
}

const CELL: f32 = 48.0;

impl Room {
    fn new(size: Vec2) -> Self {
        let along = |v: f32| ((v / CELL) as usize + 1).min(600);
        let (columns, rows) = (along(size.x), along(size.y));
        Self { columns, rows, cells: vec![Vec::new(); columns * rows] }
    }

    fn touched(&self, rect: Rect) -> impl Iterator<Item = usize> + use<> {
        let place = |v: f32, most: usize| ((v / CELL).max(0.0) as usize).min(most - 1);
        let (x0, x1) = (place(rect.left(), self.columns), place(rect.right(), self.columns));
        let (y0, y1) = (place(rect.top(), self.rows), place(rect.bottom(), self.rows));
        let columns = self.columns;
        (y0..=y1).flat_map(move |y| (x0..=x1).map(move |x| y * columns + x))
    }

    fn take(&mut self, rect: Rect) {
        for cell in self.touched(rect) {
            self.cells[cell].push(rect);
        }
    }

    fn is_free(&self, rect: Rect) -> bool {
        self.touched(rect).all(|cell| !self.cells[cell].iter().any(|taken| taken.intersects(rect)))
    }
}
