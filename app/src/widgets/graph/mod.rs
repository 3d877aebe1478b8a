//! A layered graph: nodes in rows (what is computed first at the bottom) and columns, signed
//! weights between them. Hover, click, pin, select many, zoom and move.
//!
//! What is drawn is one mesh, made anew only when the graph, its look or the zoom changes, and
//! moved with the view; what is under the pointer is found through a grid.

mod draw;
mod figure;
mod labels;
mod layout;
mod mesh;
mod navigate;
mod pick;

#[cfg(test)]
mod tests;

pub use draw::{Palettes, signed};
pub use figure::{Figure, draw as draw_figure, legend};
pub use labels::short;

use crate::theme::palette;
use egui::epaint::Mesh;
use egui::{CursorIcon, PointerButton, Pos2, Rect, Response, Role, Sense, Ui, Vec2, WidgetInfo};
use layout::Layout;
use std::sync::Arc;

/// What a node stands for, and so how it is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A latent: a disc.
    #[default]
    Latent,
    /// What a dictionary leaves over: a square on its corner, apart from the others.
    Error,
    /// Several taken for one: a box.
    Group,
    /// The output: a box with its name in it, above all rows.
    Metric,
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node {
    /// Which row, counted from the bottom.
    pub row: usize,
    /// Which column.
    pub column: usize,
    /// Its effect: the size is its area, the sign its colour.
    pub value: f32,
    /// What it stands for.
    pub kind: Kind,
    /// What is written beside it where there is room.
    pub label: String,
}

/// An edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// Place of the node it comes from.
    pub from: u32,
    /// Place of the node it goes to.
    pub to: u32,
    /// Its weight: the size is its width, the sign its colour.
    pub weight: f32,
}

/// What is drawn.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// Names of the columns, written below; a single one without a name is one wide field.
    pub columns: Vec<String>,
    /// Names of the rows, from the bottom up.
    pub rows: Vec<String>,
    /// Rows that belong together have the same number: every other such band is shaded.
    pub bands: Vec<usize>,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The edges.
    pub edges: Vec<Edge>,
    /// The effect drawn at full size; that of the largest node if 0.
    pub full: f32,
}

/// What a node looks like beside what it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Chosen: its card is open.
    pub chosen: bool,
    /// One of several that were selected.
    pub selected: bool,
    /// Stays whatever the thresholds.
    pub pinned: bool,
    /// Cut out of the model.
    pub cut: bool,
    /// Steps back: not what was searched for, or not kept.
    pub dimmed: bool,
}

/// How a graph looks.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// A mark for each node; none where there are fewer.
    pub marks: &'a [Mark],
    /// Another number for other marks.
    pub version: u64,
    /// Whether a drag draws a frame around nodes rather than moving the graph; with Shift it
    /// always does.
    pub framing: bool,
    /// What a reader of the screen is told.
    pub said: &'a str,
}

/// Which part of the graph is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
struct View {
    /// In the middle, in the layout's own coordinates relative to its middle.
    centre: Vec2,
    zoom: f32,
}

impl Default for View {
    fn default() -> Self {
        Self { centre: Vec2::ZERO, zoom: 1.0 }
    }
}

/// A graph on screen, with what is derived from it.
#[derive(Debug, Default)]
pub struct Canvas {
    layout: Layout,
    /// Version of the graph and size that it was laid out for.
    laid: Option<(u64, Vec2)>,
    grid: pick::Grid,
    view: View,
    base: Option<draw::Base>,
    shown: Arc<Mesh>,
    /// View and corner that `shown` was moved to.
    shown_at: Option<(View, Pos2)>,
    labels: labels::Labels,
    over: Option<u32>,
    /// Where a frame around nodes began.
    frame_from: Option<Pos2>,
    rect: Option<Rect>,
    /// The node that a menu was opened on.
    menu: Option<u32>,
    veil: f32,
}

/// What was done to a graph.
#[derive(Debug, Default)]
pub struct Touched {
    /// The node under the pointer.
    pub over: Option<u32>,
    /// The edge under the pointer, where there is no node.
    pub over_edge: Option<u32>,
    /// The node that was clicked.
    pub clicked: Option<u32>,
    /// The node that was clicked with Ctrl.
    pub pinned: Option<u32>,
    /// The node that was clicked twice.
    pub opened: Option<u32>,
    /// The ground was clicked.
    pub ground: bool,
    /// The nodes in the frame that was just closed.
    pub framed: Option<Vec<u32>>,
    /// The node that the last menu was asked for on.
    pub menu: Option<u32>,
    /// The canvas itself, for a menu on it.
    pub response: Option<Response>,
}

impl Canvas {
    /// Shows the whole graph.
    pub fn fit(&mut self) {
        self.view = View::default();
    }

    /// Shows node `i` in the middle, near.
    pub fn show(&mut self, i: u32) {
        if let Some(at) = self.layout.places.get(i as usize) {
            let zoom = self.view.zoom.max(1.6);
            self.view = View { centre: *at - self.layout.middle(), zoom };
        }
    }

    /// Where node `i` was drawn last.
    pub fn place_of(&self, i: u32) -> Option<Pos2> {
        let at = self.layout.places.get(i as usize)?;
        Some(self.transform(self.rect?).to_screen(*at))
    }

    /// Where it was drawn last.
    pub fn rect(&self) -> Option<Rect> {
        self.rect
    }

    fn transform(&self, rect: Rect) -> Transform {
        Transform { rect, middle: self.layout.middle(), view: self.view }
    }

    fn lay_out(&mut self, graph: &Graph, version: u64, size: Vec2) {
        if self.laid != Some((version, size)) {
            self.layout = layout::lay_out(graph, size);
            self.grid = pick::Grid::new(&self.layout, size);
            self.laid = Some((version, size));
            self.base = None;
            self.labels = labels::Labels::default();
            self.over = None;
        }
    }
}

/// From the layout's coordinates to the screen's and back.
#[derive(Debug, Clone, Copy)]
struct Transform {
    rect: Rect,
    middle: Pos2,
    view: View,
}

impl Transform {
    fn to_screen(self, p: Pos2) -> Pos2 {
        self.rect.center() + (p - self.middle - self.view.centre) * self.view.zoom
    }

    fn place_of(self, p: Pos2) -> Pos2 {
        self.middle + self.view.centre + (p - self.rect.center()) / self.view.zoom
    }

    /// How much larger nodes are drawn: they grow less than what lies between them.
    fn growth(self) -> f32 {
        growth(self.view.zoom)
    }
}

fn growth(zoom: f32) -> f32 {
    zoom.powf(if zoom > 1.0 { 0.55 } else { 0.9 })
}

/// Draws the graph (`version` is another number for another one) into a well of this size.
pub fn graph(
    ui: &mut Ui,
    canvas: &mut Canvas,
    graph: &Graph,
    version: u64,
    look: &Look<'_>,
    size: Vec2,
) -> Touched {
    let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, ui.is_enabled(), look.said));
    canvas.rect = Some(rect);
    canvas.lay_out(graph, version, size);
    let framing = look.framing || ui.input(|i| i.modifiers.shift);
    navigate::navigate(ui, canvas, rect, &response, framing);
    let mut touched = Touched::default();
    let to = canvas.transform(rect);
    frame(ui, canvas, to, &response, framing, &mut touched);
    if let Some(at) = response.hover_pos()
        && canvas.frame_from.is_none()
        && !response.dragged()
    {
        let at = to.place_of(at);
        touched.over = canvas.grid.node_at(&canvas.layout, at, to.view.zoom, to.growth());
        if touched.over.is_none() {
            touched.over_edge = pick::edge_at(graph, &canvas.layout, at, 5.0 / to.view.zoom);
        }
    }
    canvas.over = touched.over;
    if touched.over.is_some() {
        ui.ctx().set_cursor_icon(CursorIcon::PointingHand);
    } else if response.hovered() && framing {
        ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
    } else if response.dragged_by(PointerButton::Primary) {
        ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
    }
    if response.secondary_clicked() {
        canvas.menu = touched.over;
    }
    touched.menu = canvas.menu;
    if response.double_clicked() {
        match touched.over {
            Some(node) => touched.opened = Some(node),
            None => canvas.fit(),
        }
    } else if response.clicked() {
        let ctrl = ui.input(|i| i.modifiers.command);
        match touched.over {
            Some(node) if ctrl => touched.pinned = Some(node),
            Some(node) => touched.clicked = Some(node),
            None => touched.ground = !framing,
        }
    }
    if ui.is_rect_visible(rect) {
        draw::draw(ui, canvas, graph, version, look, rect, touched.over_edge);
        if response.has_focus() {
            let pen = egui::Stroke::new(2.0, palette(ui).accent);
            ui.painter().rect_stroke(rect, 10.0, pen, egui::StrokeKind::Inside);
        }
    }
    touched.response = Some(response);
    touched
}

/// Follows a frame that is drawn around nodes.
fn frame(
    ui: &Ui,
    canvas: &mut Canvas,
    to: Transform,
    response: &Response,
    framing: bool,
    touched: &mut Touched,
) {
    if framing && response.drag_started_by(PointerButton::Primary) {
        let from = ui.input(|i| i.pointer.press_origin());
        canvas.frame_from = from.map(|p| to.place_of(p));
    }
    let Some(from) = canvas.frame_from else { return };
    if response.drag_stopped() {
        let until = ui.input(|i| i.pointer.latest_pos());
        if let Some(until) = until {
            let within = Rect::from_two_pos(from, to.place_of(until));
            touched.framed = Some(pick::within(&canvas.layout, within));
        }
        canvas.frame_from = None;
    } else if !response.dragged() {
        canvas.frame_from = None;
    }
}
